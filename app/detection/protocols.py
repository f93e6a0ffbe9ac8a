"""Which protocol belongs on which TCP port. Source: protocols.toml, and names in IANA's registry."""

import tomllib
from functools import cache, lru_cache
from importlib.resources import files

from msgspec import Struct, convert, field

from app.detection.behaviour import Transport
from app.detection.ports import port_name


class Protocol(Struct, frozen=True, forbid_unknown_fields=True):
    """One application protocol and its ports; protocols.toml says what the fields mean."""

    key: str
    says: str
    source: str
    names: frozenset[str]
    ports: frozenset[int]
    by_name: tuple[str, ...] = ()
    owns: bool = True
    judged: bool = False

    def belongs(self, port: int) -> bool:
        return port in self.ports or self._is_named_after(port)

    def _is_named_after(self, port: int) -> bool:
        parts = port_name(port, Transport.TCP).split("-")
        return any(
            part.endswith(name) if name.startswith("http") else part == name for part in parts for name in self.by_name
        )


class _Known(Struct, frozen=True, forbid_unknown_fields=True):
    protocols: tuple[Protocol, ...] = field(name="protocol")


@cache
def protocol(key: str) -> Protocol:
    return next(each for each in _known() if each.key == key)


@lru_cache(maxsize=4096)
def own_protocols(port: int) -> tuple[Protocol, ...]:
    """The protocols that a port is for: TLS on 443, IRC on 6667; none where nobody knows."""
    return tuple(each for each in _known() if each.owns and each.belongs(port))


def judged_protocols(port: int) -> tuple[Protocol, ...]:
    """Those whose failure means something."""
    return tuple(each for each in own_protocols(port) if each.judged)


@cache
def _known() -> tuple[Protocol, ...]:
    content = tomllib.loads(files("app.detection").joinpath("protocols.toml").read_text("utf-8"))
    return convert(content, _Known).protocols
