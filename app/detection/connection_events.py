"""Connections that Windows logged, told as rows of the outbound and listening queries: short ones are seen as well.

Source: Sysmon event 3; Microsoft's pages on Security 5156 (permitted connection) and 5158 (permitted bind).
"""

from collections.abc import Mapping
from typing import TypeAlias

from app.detection.addresses import PeerScope, is_group, peer_scope
from app.detection.behaviour import DYNAMIC_PORT, Platform
from app.detection.columns import RejectedRow, port, text
from app.detection.paths import file_name
from app.detection.queries import UNDERSTOOD, QueryKind
from app.detection.windows_events import EventData, event_data

OUTBOUND, LISTENING = "pack/windows_network/outbound", "pack/windows_network/listening"

Row: TypeAlias = Mapping[str, object]

_SYSMON_CONNECTION, _WFP_CONNECTION, _WFP_BIND = "3", "5156", "5158"
_PROTOCOLS = {"tcp": "6", "udp": "17", "6": "6", "17": "17"}
_OUTBOUND_WORDS = frozenset({"true", "%%14593", "outbound"})
_INBOUND_WORDS = frozenset({"false", "%%14592", "inbound"})


def as_socket_row(query: str, row: Row) -> tuple[str, Row] | None:
    """The query and row that say the same of a socket; a row of any other query as it is.

    None for events that show no socket of interest: other protocols, loopback, groups, the binds of clients.

    Raises:
        RejectedRow: the event cannot be understood.
    """
    if UNDERSTOOD.get(query, (None, None))[1] is not QueryKind.CONNECTION_EVENT:
        return query, row
    event, data = text(row, "eventid"), event_data(row)
    if event == _SYSMON_CONNECTION:
        return _connection(data, row, _sysmon_program(data), "Initiated", "DestinationIp", "DestinationPort")
    if event == _WFP_CONNECTION:
        return _connection(data, row, _wfp_program(data), "Direction", "DestAddress", "DestPort")
    return _bind(data, row) if event == _WFP_BIND else None


def _sysmon_program(data: EventData) -> dict[str, object]:
    return _program(data, data.said("Image")) | {
        "username": data.said("User"),
        "proc_guid": data.said("ProcessGuid"),
        "conn_state": "open",
    }


def _wfp_program(data: EventData) -> dict[str, object]:
    return _program(data, data.said("Application"))


def _program(data: EventData, path: str) -> dict[str, object]:
    return {"pid": data.said("ProcessId"), "proc_path": path, "proc_name": file_name(Platform.WINDOWS, path)}


def _connection(
    data: EventData, row: Row, program: dict[str, object], way: str, far_address: str, far_port: str
) -> tuple[str, Row] | None:
    source = data.said("SourceIp") or data.said("SourceAddress"), port(data.columns, "sourceport")
    target = data.said(far_address), port(data.columns, far_port.lower())
    protocol, direction = _PROTOCOLS.get(data.said("Protocol").lower()), data.said(way).lower()
    if direction not in _OUTBOUND_WORDS | _INBOUND_WORDS:
        raise RejectedRow("direction_unknown", way)
    if protocol is None or not target[1] or _is_noise(source[0]) or _is_noise(target[0]):
        return None
    said = program | _when(data, row) | {"protocol": protocol}
    if direction in _OUTBOUND_WORDS:
        ours, theirs = source, target
        return OUTBOUND, said | _ends(ours, theirs) | {"initiated": "1", "local_port_listening": "0"}
    ours, theirs = _served(source, target)
    return (LISTENING, said | _ends(ours, theirs) | {"bind_scope": "specific"}) if ours[1] else None


def _served(source: tuple[str, int], target: tuple[str, int]) -> tuple[tuple[str, int], tuple[str, int]]:
    """Our end and theirs of a connection that somebody else opened.

    Which end such an event calls its source differs by sensor and version; the port that is served is the lower one.
    """
    return (source, target) if source[1] < target[1] else (target, source)


def _ends(ours: tuple[str, int], theirs: tuple[str, int]) -> dict[str, object]:
    return {
        "local_address": ours[0],
        "local_port": str(ours[1]),
        "remote_address": theirs[0],
        "remote_port": str(theirs[1]),
    }


def _bind(data: EventData, row: Row) -> tuple[str, Row] | None:
    """Every client binds a dynamic port for each connection, so only what lies below is taken for a server's."""
    number, protocol = port(data.columns, "sourceport"), _PROTOCOLS.get(data.said("Protocol").lower())
    if protocol is None or not 0 < number < DYNAMIC_PORT:
        return None
    address = data.said("SourceAddress")
    where = {"local_address": address, "local_port": str(number), "bind_scope": _bind_scope(address)}
    return LISTENING, _wfp_program(data) | _when(data, row) | {"protocol": protocol} | where


def _bind_scope(address: str) -> str:
    if address in {"0.0.0.0", "::"}:  # noqa: S104 - an address that we read, none that we bind
        return "any"
    return "loopback" if peer_scope(address) is PeerScope.LOOPBACK else "specific"


def _when(data: EventData, row: Row) -> dict[str, object]:
    at = data.time(row)
    return {} if at is None else {"event_time": f"{at:.3f}"}


def _is_noise(address: str) -> bool:
    """What the outbound query leaves out as well: no address, the host itself, and groups of hosts."""
    scope = peer_scope(address)
    return scope in {PeerScope.LOOPBACK, PeerScope.UNKNOWN} or is_group(address)
