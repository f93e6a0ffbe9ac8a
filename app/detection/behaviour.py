"""Behaviour: this program, on this platform, connects out to (or listens on) this port."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from hashlib import blake2b
from uuid import UUID

#: First port of the IANA dynamic range, which is also Windows' and macOS' ephemeral range. Source: RFC 6335 section 6.
DYNAMIC_PORT = 49152
DYNAMIC = "dynamic"


class Platform(StrEnum):
    WINDOWS = "windows"
    MACOS = "macos"


class Direction(StrEnum):
    OUTBOUND = "outbound"
    LISTENING = "listening"
    LOOPBACK = "loopback"  #: connects to another program on its own host
    SERVICE = "service"  #: inventory fact: a Windows service and how it is configured
    LAUNCHD = "launchd"  #: inventory fact: a launchd job and how it is configured
    SIGNATURE = "signature"  #: inventory fact: who signed a program that owns sockets


#: The directions that T1571 speaks of; the others are inventory facts that lend them context.
NETWORK = frozenset({Direction.OUTBOUND, Direction.LISTENING, Direction.LOOPBACK})


class Transport(StrEnum):
    TCP = "tcp"
    UDP = "udp"
    NONE = ""  #: inventory facts have none


def digest(*parts: str) -> UUID:
    """A 128-bit name for a tuple of texts: the same on every server, so nobody has to hand out numbers."""
    text = "\x1f".join(part.replace("\x1f", "\x1f\x1f") for part in parts)
    return UUID(bytes=blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest())


@dataclass(frozen=True)
class Program:
    """What runs. `unit` is the svchost service or the launchd label that tells two uses of one file apart, or empty."""

    platform: Platform
    path: str  #: normalised: case-folded on Windows, versions and user names replaced
    name: str  #: file name as people say it, lower case on Windows
    unit: str = ""

    @cached_property
    def program_id(self) -> UUID:
        return digest("program", self.platform, self.path, self.name, self.unit)


@dataclass(frozen=True)
class Behaviour:
    """`bucket` is a port below 49152 as text, `dynamic`, or an inventory fact itself (signer, configuration)."""

    program: Program
    direction: Direction
    transport: Transport
    bucket: str

    @cached_property
    def behaviour_id(self) -> UUID:
        return digest("behaviour", str(self.program.program_id), self.direction, self.transport, self.bucket)

    @property
    def port(self) -> int | None:
        """The port number, or None for the dynamic range and for inventory facts."""
        return int(self.bucket) if self.direction in NETWORK and self.bucket != DYNAMIC else None


def port_bucket(port: int) -> str:
    return str(port) if port < DYNAMIC_PORT else DYNAMIC
