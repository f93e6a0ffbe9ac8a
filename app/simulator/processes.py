"""What runs on one node on one day: processes, their connections and their bound ports."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Literal
from zlib import crc32

from app.simulator.nodes import Node
from app.simulator.peers import peer
from app.simulator.profiles import DYNAMIC, Listen, Program, Scope, Talk, Transport

LinkState = Literal["open", "attempt", "udp_connected"]

CLIENT_PORTS = (49152, 65535)
LAUNCHD = "/sbin/launchd"
RELEASE_DAYS = 14
BOOT_SECONDS = 7200  #: launchd is there before whatever it starts


@dataclass(frozen=True, slots=True)
class Day:
    """24 hours of the history, as unix times; the last one ends now."""

    index: int
    days_ago: int
    since: int
    until: int

    @property
    def epoch(self) -> int:
        return self.since // 86_400


@dataclass(frozen=True, slots=True, eq=False)
class Process:
    program: Program
    path: str
    name: str
    cmdline: str
    username: str
    parent_path: str
    parent_pid: int
    pid: int
    started: int


@dataclass(frozen=True, slots=True)
class Link:
    """A connection. `accepted`: the port on this side listens, so the other side opened it."""

    process: Process = field(repr=False)
    transport: Transport
    here: tuple[str, int]
    there: tuple[str, int]
    state: LinkState = "open"
    accepted: bool = False


@dataclass(frozen=True, slots=True)
class Bound:
    process: Process = field(repr=False)
    transport: Transport
    address: str
    port: int
    scope: Scope


def running(node: Node, day: Day) -> tuple[Process, ...]:
    return tuple(start(program, node, day) for program in node.programs if _has_arrived(program, day))


def start(program: Program, node: Node, day: Day) -> Process:
    """The process of a program on a day; the same whenever it is asked for."""
    dice = node.dice(day.index, program.key)
    windows = node.identity.platform == "windows"
    path = filled(program.path, program, node, day)
    parent_path = filled(program.parent, program, node, day) or _first_path(program, windows=windows)
    username = node.person if program.user == "user" else program.user
    return Process(
        program=program,
        path=path,
        name=program.name or path.rpartition("\\" if windows else "/")[2],
        cmdline=program.cmdline or (f'"{path}"' if windows else path),
        username=username,
        parent_path=parent_path,
        parent_pid=_parent_pid(parent_path, windows=windows),
        pid=program.pid or dice.randint(500, 16_000) * (4 if windows else 1),
        started=day.since - dice.randint(300, 7200) - (BOOT_SECONDS if program.pid == 1 else 0),
    )


def filled(text: str, program: Program, node: Node, day: Day) -> str:
    """Person and version put in. Every two weeks there is a release, which reaches the nodes within six days."""
    if "{" not in text:
        return text
    release = 71 + (20 - day.days_ago + node.number % 7) // RELEASE_DAYS
    return text.format(user=node.person, version=program.version.format(release=release))


def links(process: Process, node: Node, dice: Random) -> Iterator[Link]:
    """The day's connections of a process. Windows does not show the other end of UDP."""
    for talk in process.program.talks:
        if dice.random() < talk.daily and not (talk.transport == "udp" and node.identity.platform == "windows"):
            yield from talking(process, node, talk, dice)


def talking(process: Process, node: Node, talk: Talk, dice: Random) -> Iterator[Link]:
    port = chosen_port(talk.port, dice)
    state: LinkState = "attempt" if talk.attempt else "open" if talk.transport == "tcp" else "udp_connected"
    for _ in range(talk.sockets):
        there = peer(talk.peers, dice)
        here = node.address6 if ":" in there else node.address
        yield Link(process, talk.transport, (here, dice.randint(*CLIENT_PORTS)), (there, port), state)


def bound_ports(process: Process, node: Node, dice: Random) -> Iterator[tuple[Listen, Bound]]:
    for listen in process.program.listens:
        if dice.random() < listen.daily:
            port = chosen_port(listen.port, dice, windows=node.identity.platform == "windows")
            for address in _addresses(listen, node):
                yield listen, Bound(process, listen.transport, address, port, listen.scope)


def clients(listen: Listen, bound: Bound, node: Node, dice: Random) -> Iterator[Link]:
    """Connections that others opened to a bound port."""
    for _ in range(listen.served):
        there = (peer("private", dice), dice.randint(*CLIENT_PORTS))
        yield Link(bound.process, listen.transport, (node.address, bound.port), there, accepted=True)


def chosen_port(port: int | tuple[int, ...], dice: Random, *, windows: bool = False) -> int:
    """Windows gives its RPC listeners the first ports of the dynamic range."""
    chosen = port if isinstance(port, int) else dice.choice(port)
    if chosen == DYNAMIC:
        return dice.randint(49_664, 49_699) if windows else dice.randint(*CLIENT_PORTS)
    return chosen


def _addresses(listen: Listen, node: Node) -> tuple[str, ...]:
    if listen.scope == "specific":
        return (node.address,)
    both = ("0.0.0.0", "::") if listen.scope == "any" else ("127.0.0.1", "::1")  # noqa: S104 - what a row says
    return both if listen.both_families else both[:1]


def _has_arrived(program: Program, day: Day) -> bool:
    return program.arrives_days_ago is None or day.days_ago <= program.arrives_days_ago


def _first_path(program: Program, *, windows: bool) -> str:
    """What starts a program that names no parent: nothing starts launchd itself."""
    return "" if windows or program.pid == 1 else LAUNCHD


def _parent_pid(path: str, *, windows: bool) -> int:
    if path in ("", LAUNCHD):
        return 1 if path else 0
    number = 500 + crc32(path.encode()) % 5000
    return number * 4 if windows else number
