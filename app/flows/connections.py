"""A connection as an agent saw it on its node: what a flow is joined with."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address

from app.detection.addresses import LONGEST_ADDRESS
from app.detection.behaviour import Transport
from app.detection.columns import RejectedRow, number, port, text
from app.detection.community_id import community_id
from app.flows.records import Address

#: Version and base64 of a hash: whatever else stands there fits no index, and names no flow.
COMMUNITY_ID = re.compile(r"[0-9]:[A-Za-z0-9+/]{1,64}={0,2}\Z")

_TRANSPORTS = {6: Transport.TCP, 17: Transport.UDP}

#: Both ends of a connection in one order, whoever called: transport, lower end, higher end.
FiveTuple = tuple[Transport, Address, Address]


@dataclass(frozen=True, slots=True)
class Connection:
    node: str
    program: str  #: any name of the behaviour behind it; two connections with the same one need not be told apart
    transport: Transport
    local: Address
    remote: Address
    community_id: str
    first_seen_at: float  #: unix seconds by the node's clock, up to a poll after it began
    is_attempt: bool = field(default=False, compare=False)  #: nobody had answered yet

    @property
    def five_tuple(self) -> FiveTuple:
        return five_tuple(self.transport, self.local, self.remote)


def five_tuple(transport: Transport, one: Address, other: Address) -> FiveTuple:
    return (transport, one, other) if one <= other else (transport, other, one)


def connection_of(node: str, program: str, columns: Mapping[str, object], seen_at: float) -> Connection | None:
    """The connection in a socket row; None when it has no peer or is not understood."""
    try:
        transport = _TRANSPORTS.get(number(columns, "protocol"))
        local = canonical(text(columns, "local_address")), port(columns, "local_port")
        remote = canonical(text(columns, "remote_address")), port(columns, "remote_port")
    except RejectedRow:
        return None
    if transport is None or not remote[1] or not _same_family(local[0], remote[0]):
        return None
    said = text(columns, "community_id")
    known_as = said if COMMUNITY_ID.match(said) else community_id(transport, local, remote)
    is_attempt = text(columns, "conn_state") == "attempt"
    return Connection(node, program, transport, local, remote, known_as, seen_at, is_attempt)


def _same_family(one: str, other: str) -> bool:
    return bool(one and other) and (":" in one) == (":" in other)


def canonical(address: str) -> str:
    """An address as sensors write it: short, lower case, IPv4 out of IPv6, no zone; empty when it is none."""
    try:
        parsed = ip_address(address[:LONGEST_ADDRESS].strip().partition("%")[0])
    except ValueError:
        return ""
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return str(mapped or parsed)
