"""Names of ports, and the transports of their services.

Source: ports.tsv (IANA's registry; its first line says where it was taken from).
"""

from collections.abc import Iterator
from functools import cache
from importlib.resources import files

from app.detection.behaviour import Transport

#: IANA registers most services on both transports; these are used on one only. Source: Zeek, Debian's netbase.
_ONE_TRANSPORT = {
    **dict.fromkeys((20, 21, 22, 23, 25, 110, 143, 465, 587, 993, 995, 5432, 5900, 5985, 5986), Transport.TCP),
    **dict.fromkeys((67, 68, 69, 123, 137, 138, 500, 514, 1900, 4500, 5353), Transport.UDP),
}


def port_name(port: int, transport: Transport) -> str:
    """IANA's service name, or empty."""
    return _registry().get(port, {}).get(transport, "")


def is_registered(port: int, transport: Transport) -> bool:
    return transport in _registry().get(port, {})


def only_transport(port: int) -> Transport | None:
    """The one transport on which a service uses this port; None when it has two or none."""
    if port in _ONE_TRANSPORT:
        return _ONE_TRANSPORT[port]
    names = _registry().get(port, {})
    return next(iter(names)) if len(names) == 1 else None


@cache
def _registry() -> dict[int, dict[Transport, str]]:
    return dict(_rows())


def _rows() -> Iterator[tuple[int, dict[Transport, str]]]:
    content = files("app.detection").joinpath("ports.tsv").read_text("utf-8")
    for line in content.splitlines():
        if not line.startswith("#"):
            port, tcp, udp = line.split("\t")
            yield int(port), {way: name for way, name in ((Transport.TCP, tcp), (Transport.UDP, udp)) if name}
