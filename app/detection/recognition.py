"""Recognises the behaviour in one result row."""

import re
from collections.abc import Mapping

from app.detection.behaviour import DYNAMIC_PORT, Behaviour, Direction, Platform, Program, Transport, port_bucket
from app.detection.columns import RejectedRow, number, port, text
from app.detection.connection_events import as_socket_row
from app.detection.direction import way_of
from app.detection.inventory import launchd_job, service, signature, signer_of
from app.detection.paths import file_name, normalised, shortened_name, stable_label
from app.detection.queries import NEEDED_COLUMNS, UNDERSTOOD, QueryKind

__all__ = ["IDENTITY_COLUMNS", "RejectedRow", "collapsed_port", "recognise", "signer_of"]

_SOCKET = ("proc_path", "proc_name", "svchost_hint", "service_names", "launchd_labels", "launchd_match_rank")

#: The columns that decide which behaviour a row is. Two rows that agree in them (dynamic ports taken as one, see
#: `collapsed_port`) are the same behaviour, so a result may be remembered by their values.
IDENTITY_COLUMNS: Mapping[QueryKind, tuple[str, ...]] = {
    QueryKind.OUTBOUND: (*_SOCKET, "protocol", "local_port", "remote_port", "local_port_listening", "initiated"),
    QueryKind.LISTENING: (*_SOCKET, "protocol", "local_port"),
    QueryKind.LOOPBACK: (*_SOCKET, "protocol", "remote_port"),
    QueryKind.SIGNATURE: ("path", "sign_status", "subject_name", "signed", "authority", "team_identifier"),
    QueryKind.SERVICE: ("name", "start_type", "path", "module_path", "user_account"),
    QueryKind.LAUNCHD: ("plist_path", "label", "program", "program_arguments"),
    QueryKind.CONNECTION_EVENT: (),  # those of the row that it is told as
    QueryKind.HEARTBEAT: (),
    QueryKind.CONTEXT: (),
}

_TRANSPORTS = {6: Transport.TCP, 17: Transport.UDP}
_SVCHOST = re.compile(r"\A[a-z]:\\windows\\(?:system32|syswow64)\\svchost\.exe\Z")
_PER_LOGON = re.compile(r"_[0-9a-f]{4,8}\Z")
_MOST_SERVICES = 8
_SURE_MATCHES = frozenset({"2", "3"})


def recognise(query: str, columns: Mapping[str, object]) -> Behaviour | None:
    """The behaviour that a row shows, or None when rows of that query carry none.

    Raises:
        RejectedRow: the row cannot be understood.
    """
    platform, kind = UNDERSTOOD.get(query, (None, QueryKind.CONTEXT))
    if platform is None:
        return None
    for name in NEEDED_COLUMNS[platform, kind]:
        if name not in columns:
            raise RejectedRow("missing_column", name)
    if kind is QueryKind.CONNECTION_EVENT:
        told = as_socket_row(query, columns)
        return recognise(*told) if told else None
    return _BY_KIND[kind](platform, columns)


def collapsed_port(value: int) -> int:
    """All dynamic ports are one to a behaviour."""
    return min(value, DYNAMIC_PORT)


def _outbound(platform: Platform, columns: Mapping[str, object]) -> Behaviour | None:
    transport = _transport(columns)
    way = way_of(
        transport,
        port(columns, "local_port"),
        port(columns, "remote_port"),
        local_port_listening=text(columns, "local_port_listening") == "1",
        initiated=text(columns, "initiated") == "1",
    )
    return Behaviour(_program(platform, columns), way[0], transport, port_bucket(way[1])) if way else None


def _listening(platform: Platform, columns: Mapping[str, object]) -> Behaviour | None:
    transport, local_port = _transport(columns), port(columns, "local_port")
    if local_port == 0:
        return None
    return Behaviour(_program(platform, columns), Direction.LISTENING, transport, port_bucket(local_port))


def _loopback(platform: Platform, columns: Mapping[str, object]) -> Behaviour | None:
    remote_port = port(columns, "remote_port")
    if remote_port == 0:
        return None
    return Behaviour(_program(platform, columns), Direction.LOOPBACK, _transport(columns), port_bucket(remote_port))


def _transport(columns: Mapping[str, object]) -> Transport:
    try:
        return _TRANSPORTS[number(columns, "protocol")]
    except KeyError:
        raise RejectedRow("protocol_unknown", "protocol") from None


def _program(platform: Platform, columns: Mapping[str, object]) -> Program:
    path, name = normalised(platform, text(columns, "proc_path")), text(columns, "proc_name")
    if file_name(platform, path) == path:  # no folder: the kernel, or a name that another sensor put here
        path, name = "", path or name
    name = file_name(platform, path) or shortened_name(name) or "unknown"
    if platform is Platform.WINDOWS:
        return Program(platform, path, name.lower(), _svchost_services(path, columns))
    return Program(platform, path, name, _launchd_label(columns))


def _svchost_services(path: str, columns: Mapping[str, object]) -> str:
    """Which services an svchost holds: they, not the file, are the program."""
    if not _SVCHOST.match(path):
        return ""
    names = text(columns, "svchost_hint") or text(columns, "service_names")
    services = {_PER_LOGON.sub("", name.strip()) for name in names.lower().split(",")} - {""}
    return ",".join(sorted(services)[:_MOST_SERVICES])


def _launchd_label(columns: Mapping[str, object]) -> str:
    """The job, when the match is sure and speaks of one job only."""
    if text(columns, "launchd_match_rank") not in _SURE_MATCHES:
        return ""
    labels = set(text(columns, "launchd_labels").split(",")) - {""}
    return stable_label(labels.pop()) if len(labels) == 1 else ""


_BY_KIND = {
    QueryKind.OUTBOUND: _outbound,
    QueryKind.LISTENING: _listening,
    QueryKind.LOOPBACK: _loopback,
    QueryKind.SIGNATURE: signature,
    QueryKind.SERVICE: service,
    QueryKind.LAUNCHD: launchd_job,
}
