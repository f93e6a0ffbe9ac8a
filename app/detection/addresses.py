"""Where the other end of a connection is."""

from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

LONGEST_ADDRESS = 64
_BROADCAST = IPv4Address("255.255.255.255")


class PeerScope(StrEnum):
    """Where the other end is. A private peer is never dropped: real command channels hide there."""

    PUBLIC = "public"
    PRIVATE = "private"
    LINK_LOCAL = "link-local"
    LOOPBACK = "loopback"
    OWN = "own"
    UNKNOWN = "unknown"


@lru_cache(maxsize=8192)
def peer_scope(address: str) -> PeerScope:
    """The scope of a textual address; zone ids are ignored, IPv4 in IPv6 counts as IPv4, rubbish is unknown."""
    parsed = _parsed(address)
    return _scope(parsed) if parsed else PeerScope.UNKNOWN


@lru_cache(maxsize=8192)
def is_group(address: str) -> bool:
    """Whether it names many hosts at once: multicast, or IPv4's broadcast."""
    parsed = _parsed(address)
    return parsed is not None and (parsed.is_multicast or parsed == _BROADCAST)


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address(address[:LONGEST_ADDRESS].strip().partition("%")[0])
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return mapped or parsed


def _scope(address: IPv4Address | IPv6Address) -> PeerScope:
    if address.is_unspecified:
        return PeerScope.UNKNOWN
    if address.is_loopback:
        return PeerScope.LOOPBACK
    if address.is_link_local or address.is_multicast:
        return PeerScope.LINK_LOCAL
    return PeerScope.PUBLIC if address.is_global else PeerScope.PRIVATE
