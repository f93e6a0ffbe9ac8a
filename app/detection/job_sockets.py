"""Which ports a launchd job asks launchd to hold for it. Source: launchd.plist(5), Sockets."""

from collections import defaultdict
from collections.abc import Iterator

from app.detection.behaviour import Transport
from app.detection.columns import LAST_PORT
from app.detection.job_parts import JobPart
from app.detection.ports import port_of

_TRANSPORTS = {"stream": Transport.TCP, "dgram": Transport.UDP}
_LONGEST_PORT = 5


def opens(part: JobPart, port: int | None, transport: Transport) -> bool:
    return (port, transport) in set(sockets_of(part))


def sockets_of(part: JobPart) -> Iterator[tuple[int, Transport]]:
    """The ports on which launchd listens for the job; sockets in the file system have none."""
    groups: defaultdict[str, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for name, value in part.says:
        group, _, field = name.rpartition("/")
        groups[group][field].add(value)
    for fields in groups.values():
        if not fields["SockPassive"] & {"0", "false"}:
            transports = {_TRANSPORTS[each] for each in fields["SockType"] if each in _TRANSPORTS} or {Transport.TCP}
            yield from (
                (port, transport)
                for name in fields["SockServiceName"]
                for transport in transports
                if (port := _port(name, transport))
            )


def _port(name: str, transport: Transport) -> int | None:
    if name.isascii() and name.isdecimal():
        number = int(name) if len(name) <= _LONGEST_PORT else 0
        return number if 0 < number <= LAST_PORT else None
    return port_of(name, transport)
