"""What people expect of a program: the pattern of a baseline entry and of an exception, and what it covers.

A name alone is text that anybody can give a file, so a pattern holds on to a path or to a trusted signer.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from typing_extensions import override

from app.detection.addresses import PeerScope
from app.detection.behaviour import DYNAMIC_PORT, Behaviour, Direction, Platform, Transport
from app.detection.columns import LAST_PORT
from app.detection.context import Signer, Trust
from app.detection.paths import LONGEST_PATH, normalised

ANY_PROGRAM = "*"
#: More ports than this in one pattern is said to be wide.
WIDE_PORTS = 100
NAME_MAX = 255
#: Whose signature is on hundreds of tools that attackers carry along. Source: LOLBAS; ATT&CK T1218.
SIGN_MANY = frozenset({"microsoft corporation", "microsoft windows", "microsoft windows publisher", "software signing"})
UNKNOWN_SIGNER = Signer()
_DYNAMIC = range(DYNAMIC_PORT, LAST_PORT + 1)
_WAYS = (Direction.OUTBOUND, Direction.LISTENING, Direction.LOOPBACK)
#: Peers that a pattern may speak of.
PEERS = (PeerScope.PUBLIC, PeerScope.PRIVATE, PeerScope.LINK_LOCAL)


@dataclass(frozen=True, slots=True)
class Observed:
    """A behaviour as a row showed it on one node."""

    behaviour: Behaviour
    signer: Signer = UNKNOWN_SIGNER
    peer_scope: PeerScope = PeerScope.UNKNOWN


@dataclass(frozen=True)
class Expectation:
    """Programs by path or signer, with a direction, transport and ports. `path` is normalised; empty: any path.

    `unit` None: whatever service or launchd label; `peer_scope` None: any peer.
    """

    platform: Platform
    program: str  #: file name, or `*` for every program of the signer
    path: str
    signer: str
    direction: Direction
    transport: Transport
    first_port: int
    last_port: int
    unit: str | None = None
    peer_scope: PeerScope | None = None

    def covers(self, observed: Observed) -> bool:
        """Whether it speaks of just this. What is unknown of the row is never covered by what asks for it."""
        behaviour = observed.behaviour
        return (
            (behaviour.direction, behaviour.transport) == (self.direction, self.transport)
            and self._is_program(observed)
            and self._has_port(behaviour)
            and self.peer_scope in {None, observed.peer_scope}
        )

    def _is_program(self, observed: Observed) -> bool:
        program, signer = observed.behaviour.program, observed.signer
        return (
            program.platform is self.platform
            and self.program in {ANY_PROGRAM, program.name}
            and self.path in {"", program.path}
            and self.unit in {None, program.unit}
            and (not self.signer or (signer.trust is Trust.TRUSTED and signer.name == self.signer))
        )

    def _has_port(self, behaviour: Behaviour) -> bool:
        if behaviour.port is None:
            return self.last_port == LAST_PORT
        return self.first_port <= behaviour.port <= self.last_port

    @cached_property
    def ports(self) -> str:
        """In words, e.g. `tcp/8000-8100`."""
        last = f"-{self.last_port}" if self.last_port != self.first_port else ""
        return f"{self.transport.value}/{self.first_port}{last}"

    @override
    def __str__(self) -> str:
        """As people say it, e.g. `chrome.exe (signed Google LLC) connects out to tcp/443 at public peers`."""
        unit = f" ({self.unit})" if self.unit else ""
        held = ", ".join(filter(None, (self.path, self.signer and f"signed {self.signer}")))
        name = "every program" if self.program == ANY_PROGRAM else self.program
        does = {Direction.LISTENING: "listens on", Direction.LOOPBACK: "connects within its host to"}
        peers = f" at {self.peer_scope.value} peers" if self.peer_scope else ""
        return f"{name}{unit} ({held}) {does.get(self.direction, 'connects out to')} {self.ports}{peers}"


def overlap(one: Expectation, other: Expectation) -> bool:
    """Whether some behaviour could be covered by both because of their ports: one of the two says too much."""
    same = ("platform", "program", "path", "signer", "unit", "direction", "transport", "peer_scope")
    if any(getattr(one, name) != getattr(other, name) for name in same):
        return False
    return one.first_port <= other.last_port and other.first_port <= one.last_port


def faults(wanted: Expectation) -> Iterator[tuple[str, str]]:
    """Field and sentence of whatever makes a pattern impossible."""
    yield from _program_faults(wanted)
    if wanted.direction not in _WAYS:
        yield "direction", f"{wanted.direction.value} is no use of a port"
    if wanted.transport is Transport.NONE:
        yield "transport", "say tcp or udp"
    yield from _port_faults(wanted)
    if wanted.peer_scope is not None and wanted.direction is not Direction.OUTBOUND:
        yield "peer_scope", "only connections out have a peer elsewhere"
    elif wanted.peer_scope not in {None, *PEERS}:
        yield "peer_scope", f"one of {', '.join(each.value for each in PEERS)}, or nothing for any"


def _program_faults(wanted: Expectation) -> Iterator[tuple[str, str]]:
    for field in ("program", "path", "signer", "unit"):
        said = getattr(wanted, field) or ""
        if said and (not said.isprintable() or said != said.strip() or len(said) > LONGEST_PATH):
            yield field, f"one visible text of at most {LONGEST_PATH} characters"
    if not wanted.program or len(wanted.program) > NAME_MAX:
        yield "program", "the file name of the program, or * for every program of the signer"
    if not wanted.path and not wanted.signer:
        yield "path", "a name alone proves nothing: give the path, or who signed the program"
    if wanted.program == ANY_PROGRAM and not wanted.signer:
        yield "signer", "every program of a path is one program: give its name, or who signed them"
    if wanted.path and normalised(wanted.platform, wanted.path) != wanted.path:
        yield "path", f"not as Portbook writes paths: {normalised(wanted.platform, wanted.path)}"


def _port_faults(wanted: Expectation) -> Iterator[tuple[str, str]]:
    for field in ("first_port", "last_port"):
        if not 1 <= getattr(wanted, field) <= LAST_PORT:
            yield field, f"{getattr(wanted, field)} is no port: 1 to {LAST_PORT}"
    if wanted.last_port < wanted.first_port:
        yield "last_port", f"{wanted.last_port} lies before {wanted.first_port}"
    elif wanted.last_port in _DYNAMIC and not (wanted.last_port == LAST_PORT and wanted.first_port <= DYNAMIC_PORT):
        yield "last_port", f"ports {DYNAMIC_PORT} to {LAST_PORT} are seen as one: name all of them or none"


def breadth(wanted: Expectation) -> tuple[str, ...]:
    """Sentences on what is wide about a pattern, for whoever decides on it; none where it is narrow."""
    ports = wanted.last_port - wanted.first_port + 1
    says = {
        "every program of the signer": wanted.program == ANY_PROGRAM,
        f"{wanted.signer} signs hundreds of programs, also such as attackers bring along": not wanted.path
        and wanted.signer.lower() in SIGN_MANY,
        f"{ports:,} ports": ports > WIDE_PORTS,
        "whichever service or launchd job": wanted.unit is None and wanted.program.lower() == "svchost.exe",
        "peers anywhere": wanted.direction is Direction.OUTBOUND and wanted.peer_scope is None,
    }
    return tuple(sentence for sentence, applies in says.items() if applies)
