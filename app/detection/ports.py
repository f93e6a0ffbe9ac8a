"""Names of ports, and the transports of their services.

Source: ports.tsv (IANA's registry; its first line says where it was taken from).
"""

from collections.abc import Iterator
from functools import cache
from importlib.resources import files

from app.detection.behaviour import Transport

#: Where people and their tools sign in from outside: SSH, Telnet, Apple Remote Desktop, RDP, screen sharing, WinRM.
REMOTE_LOGIN = frozenset({22, 23, 3283, 3389, 5900, 5985, 5986})

#: IANA registers most services on both transports; these are used on one only. Source: Zeek, Debian's netbase.
_ONE_TRANSPORT = {
    **dict.fromkeys((20, 21, 22, 23, 25, 110, 143, 465, 587, 993, 995, 5432, 5900, 5985, 5986), Transport.TCP),
    **dict.fromkeys((67, 68, 69, 123, 137, 138, 500, 514, 1900, 4500, 5353), Transport.UDP),
}

#: Names that macOS' /etc/services has beside or instead of IANA's, as launchd's own plists use them.
_OTHER_NAMES = {
    "vnc-server": 5900,
    "afpovertcp": 548,
    "ipp": 631,
    "microsoft-ds": 445,
    "netbios-ssn": 139,
    "eppc": 3031,
    "net-assistant": 3283,
    "sftp-ssh": 22,
}


def port_name(port: int, transport: Transport) -> str:
    """IANA's service name, or empty."""
    return _registry().get(port, {}).get(transport, "")


def only_transport(port: int) -> Transport | None:
    """The one transport on which a service uses this port; None when it has two or none."""
    if port in _ONE_TRANSPORT:
        return _ONE_TRANSPORT[port]
    names = _registry().get(port, {})
    return next(iter(names)) if len(names) == 1 else None


def port_of(name: str, transport: Transport) -> int | None:
    """The port of a service by its name, the lowest if it has many; None for a name that nobody registered."""
    return _OTHER_NAMES.get(name.lower()) or _by_name().get((name.lower(), transport))


@cache
def _by_name() -> dict[tuple[str, Transport], int]:
    names = [((name.lower(), way), port) for port, ways in _registry().items() for way, name in ways.items()]
    return dict(sorted(names, key=lambda each: -each[1]))


@cache
def _registry() -> dict[int, dict[Transport, str]]:
    return dict(_rows())


def _rows() -> Iterator[tuple[int, dict[Transport, str]]]:
    content = files("app.detection").joinpath("ports.tsv").read_text("utf-8")
    for line in content.splitlines():
        if not line.startswith("#"):
            port, tcp, udp = line.split("\t")
            yield int(port), {way: name for way, name in ((Transport.TCP, tcp), (Transport.UDP, udp)) if name}
