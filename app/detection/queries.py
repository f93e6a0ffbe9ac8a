"""Which pack queries the core understands, and the columns it cannot do without."""

from collections.abc import Mapping
from enum import StrEnum

from app.detection.behaviour import Platform


class QueryKind(StrEnum):
    OUTBOUND = "outbound"
    LISTENING = "listening"
    LOOPBACK = "loopback"
    SIGNATURE = "signature"
    SERVICE = "service"
    LAUNCHD = "launchd"
    CONNECTION_EVENT = "connection_event"  #: told as a row of the outbound or listening query
    HEARTBEAT = "heartbeat"
    CONTEXT = "context"  #: kept with the batch for later questions, no behaviour of its own


#: Result name (delimiter `/`) → platform and kind. Names are fixed: other tools and test data use them.
UNDERSTOOD: Mapping[str, tuple[Platform | None, QueryKind]] = {
    "pack/windows_network/outbound": (Platform.WINDOWS, QueryKind.OUTBOUND),
    "pack/windows_network/listening": (Platform.WINDOWS, QueryKind.LISTENING),
    "pack/windows_network/loopback": (Platform.WINDOWS, QueryKind.LOOPBACK),
    "pack/macos_network/loopback": (Platform.MACOS, QueryKind.LOOPBACK),
    "pack/windows_network/sysmon_connections": (Platform.WINDOWS, QueryKind.CONNECTION_EVENT),
    "pack/windows_network/wfp_events": (Platform.WINDOWS, QueryKind.CONNECTION_EVENT),
    "pack/macos_network/outbound": (Platform.MACOS, QueryKind.OUTBOUND),
    "pack/macos_network/listening": (Platform.MACOS, QueryKind.LISTENING),
    "pack/windows_context/signatures": (Platform.WINDOWS, QueryKind.SIGNATURE),
    "pack/macos_context/signatures": (Platform.MACOS, QueryKind.SIGNATURE),
    "pack/windows_context/services": (Platform.WINDOWS, QueryKind.SERVICE),
    "pack/macos_context/launchd": (Platform.MACOS, QueryKind.LAUNCHD),
    "pack/telemetry/heartbeat": (None, QueryKind.HEARTBEAT),
}

#: The columns without which a row of that kind says nothing; a row that lacks one goes to quarantine.
NEEDED_COLUMNS: Mapping[tuple[Platform | None, QueryKind], frozenset[str]] = {
    (Platform.WINDOWS, QueryKind.OUTBOUND): frozenset({"proc_path", "protocol", "local_port", "remote_port"}),
    (Platform.MACOS, QueryKind.OUTBOUND): frozenset({"proc_path", "protocol", "local_port", "remote_port"}),
    (Platform.WINDOWS, QueryKind.LISTENING): frozenset({"proc_path", "protocol", "local_port"}),
    (Platform.MACOS, QueryKind.LISTENING): frozenset({"proc_path", "protocol", "local_port"}),
    (Platform.WINDOWS, QueryKind.LOOPBACK): frozenset({"proc_path", "protocol", "remote_port"}),
    (Platform.MACOS, QueryKind.LOOPBACK): frozenset({"proc_path", "protocol", "remote_port"}),
    (Platform.WINDOWS, QueryKind.SIGNATURE): frozenset({"path", "sign_status", "subject_name"}),
    (Platform.MACOS, QueryKind.SIGNATURE): frozenset({"path", "signed", "authority", "team_identifier", "identifier"}),
    (Platform.WINDOWS, QueryKind.SERVICE): frozenset({"name", "start_type", "path", "module_path", "user_account"}),
    (Platform.MACOS, QueryKind.LAUNCHD): frozenset({"plist_path", "label", "program", "program_arguments"}),
    (Platform.WINDOWS, QueryKind.CONNECTION_EVENT): frozenset({"eventid", "data"}),
    (None, QueryKind.HEARTBEAT): frozenset({"version", "instance_id", "config_hash"}),
}
