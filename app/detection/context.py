"""What a row says beside its behaviour: the facts that context evidence is made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from app.detection.addresses import PeerScope, peer_scope
from app.detection.columns import RejectedRow, text
from app.detection.connection_events import as_socket_row
from app.detection.paths import shortened_name

__all__ = ["Context", "PeerScope", "Signer", "Trust", "context_of", "exposure", "more_exposed"]


class Trust(StrEnum):
    """What the signature queries said of a program's file on this node."""

    TRUSTED = "trusted"
    UNSIGNED = "unsigned"
    BROKEN = "broken"
    UNKNOWN = "unknown"  #: no signature row for this path yet


@dataclass(frozen=True, slots=True)
class Signer:
    """`name` is the authenticode subject or the team identifier with authority; empty when unsigned or unknown."""

    trust: Trust = Trust.UNKNOWN
    name: str = ""


@dataclass(frozen=True, slots=True)
class Context:
    """Facts of the first row that showed a behaviour on a node and day; empty text means not reported."""

    node: str  #: the name a person knows the node by
    path: str = ""  #: as reported, not normalised
    peer_address: str = ""
    peer_scope: PeerScope = PeerScope.UNKNOWN
    attempt_only: bool = False  #: SYN_SENT: nobody answered yet
    bind_scope: str = ""  #: any, loopback, specific
    local_port: str = ""  #: of a connection
    from_listener: bool = False  #: the connection's local port listens as well
    server: str = ""  #: path or name of the program at the other end of a connection within the node
    user: str = ""
    parent: str = ""
    command_line: str = ""
    process_id: str = ""
    process_started: str = ""
    process_guid: str = ""  #: Sysmon's own name for the process
    event_time: str = ""  #: unix seconds, where the row is an event that says when it happened
    parent_id: str = ""
    job_labels: tuple[str, ...] = ()  #: launchd labels or Windows services that the row names
    job_rank: str = ""  #: how the node matched the labels: 3, 2 or 1
    signer: Signer = Signer()


#: Where exposure is told from least to most: a public peer or a bind to all addresses is what must not be overlooked.
_SCOPES = (
    PeerScope.LOOPBACK,
    PeerScope.OWN,
    PeerScope.LINK_LOCAL,
    PeerScope.UNKNOWN,
    PeerScope.PRIVATE,
    PeerScope.PUBLIC,
)
_MOST_LABELS = 8
_BINDS = ("loopback", "", "specific", "any")


def context_of(query: str, columns: Mapping[str, object], *, node: str, signer: Signer) -> Context:
    """What a socket or inventory row says beside its behaviour; never raises, absent columns are empty."""
    query, columns = told_as_row(query, columns)
    bind_scope = text(columns, "bind_scope").lower()
    peer = text(columns, "remote_address")
    return Context(
        node=node,
        path=text(columns, "proc_path") or text(columns, "path") or text(columns, "program"),
        peer_address=peer,
        peer_scope=peer_scope(peer) if peer and not query.endswith("/listening") else PeerScope.UNKNOWN,
        attempt_only=text(columns, "conn_state") == "attempt",
        local_port=text(columns, "local_port"),
        from_listener=text(columns, "local_port_listening") == "1",
        server=text(columns, "server_path") or text(columns, "server_name"),
        bind_scope=bind_scope if bind_scope in _BINDS else "",
        user=_user(columns),
        parent=text(columns, "parent_path") or text(columns, "parent_name"),
        command_line=text(columns, "cmdline") or text(columns, "program_arguments"),
        process_id=text(columns, "pid"),
        process_started=text(columns, "proc_start"),
        process_guid=text(columns, "proc_guid"),
        event_time=text(columns, "event_time"),
        parent_id=text(columns, "parent_pid"),
        job_labels=_job_labels(columns),
        job_rank=text(columns, "launchd_match_rank"),
        signer=signer,
    )


def told_as_row(query: str, columns: Mapping[str, object]) -> tuple[str, Mapping[str, object]]:
    """A connection that an event tells of as the row of a socket; any other row as it is."""
    try:
        return as_socket_row(query, columns) or (query, columns)
    except RejectedRow:
        return query, columns


def _user(columns: Mapping[str, object]) -> str:
    """Empty where several accounts answer to the number that the agent found."""
    if text(columns, "username_matches") not in {"", "1"}:
        return ""
    return text(columns, "username") or text(columns, "user_account")


def _job_labels(columns: Mapping[str, object]) -> tuple[str, ...]:
    named = (text(columns, name) for name in ("launchd_labels", "svchost_hint", "service_names"))
    labels = dict.fromkeys(label.strip() for label in next(filter(None, named), "").split(","))
    return tuple(shortened_name(label) for label in labels if label)[:_MOST_LABELS]


def more_exposed(first: Context, second: Context) -> Context:
    """The one of two contexts of the same behaviour that must not hide behind the other; `first` when they are equal.

    A program that first speaks to itself and then to the world is judged by the world.
    """
    return second if exposure(second) > exposure(first) else first


def exposure(context: Context) -> tuple[int, int, bool]:
    """Orders contexts; an answered connection says more than an attempt."""
    return _SCOPES.index(context.peer_scope), _BINDS.index(context.bind_scope), not context.attempt_only
