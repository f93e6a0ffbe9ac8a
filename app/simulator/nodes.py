"""The fleet: which nodes there are, what is installed on each, and which of them behave awkwardly."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from app.simulator.chance import chance
from app.simulator.identity import Identity
from app.simulator.profiles import Program, Role, platforms, profile

PEOPLE = (  # noqa: SIM905 - one name a line says no more
    "ada bob carla dario elif femi greta hugo ines jonas kira lars mina noor otto pia quinn rosa sven tara "
    "umar vera wim xenia yann zoe amir bea cleo dan eva finn gus hana ivo jana kofi lena marc nils olga"
).split()

#: Awkward nodes are put only into fleets that can spare them.
AWKWARD_FROM_NODES = 12


@dataclass(frozen=True, slots=True)
class Habits:
    """Days are indices into the history; each pair is from, until."""

    joins: int = 0
    silent: tuple[int, int] = (0, 0)  #: reports nothing at all
    unreachable: tuple[int, int] = (0, 0)  #: logs, but delivers only afterwards

    @property
    def ordinary(self) -> bool:
        return self == Habits()


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    seed: str
    number: int
    identity: Identity
    person: str
    address: str
    address6: str
    programs: tuple[Program, ...] = field(repr=False)
    habits: Habits = Habits()

    @property
    def role(self) -> str:
        return self.identity.role

    def dice(self, *names: object) -> Random:
        """Chance of this node and the named matter alone."""
        return chance(self.seed, self.number, *names)


def fleet(seed: str, count: int, days: int, *, only: tuple[str, ...] = ()) -> tuple[Node, ...]:
    """`count` nodes in roles of the profiles' proportions, each once when there is room; of `only` these evenly."""
    roles = list(_roles(count, only))
    habits = _habits(seed, roles, days)
    return tuple(_node(seed, number, *role, habits=habits.get(number, Habits())) for number, role in enumerate(roles))


def _roles(count: int, only: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Platform and role of each node: whoever is furthest behind its proportion comes next."""
    weights = {
        (platform, name): 1 if only else role.weight
        for platform in platforms()
        for name, role in profile(platform).roles.items()
        if name in only or not only
    }
    placed = dict.fromkeys(weights, 0)
    for _ in range(count):
        chosen = min(weights, key=lambda role: (placed[role] > 0, (placed[role] + 0.5) / weights[role]))
        placed[chosen] += 1
        yield chosen


def _habits(seed: str, roles: list[tuple[str, str]], days: int) -> dict[int, Habits]:
    movable = [number for number, (platform, name) in enumerate(roles) if profile(platform).roles[name].people]
    if len(roles) < AWKWARD_FROM_NODES or days < AWKWARD_FROM_NODES:
        return {}
    late, silent, unreachable = chance(seed, "habits").sample(movable, 3)
    return {
        late: Habits(joins=days * 2 // 3),
        silent: Habits(silent=(days // 3, days // 3 + 4)),
        unreachable: Habits(unreachable=(days - 6, days - 3)),
    }


def _node(seed: str, number: int, platform: str, role: str, *, habits: Habits) -> Node:
    dice = chance(seed, number)
    facts = profile(platform).roles[role]
    return Node(
        seed=seed,
        number=number,
        identity=_identity(dice, number, platform, role),
        person=PEOPLE[number % len(PEOPLE)],
        address=f"10.{20 + number // 60_000}.{1 + number // 240 % 250}.{10 + number % 240}",
        address6=f"2001:470:1f0b:14::{number + 16:x}",
        programs=tuple(program for program in profile(platform).installed(role) if dice.random() < program.share),
        habits=habits if facts.people else Habits(),
    )


def _identity(dice: Random, number: int, platform: str, role: str) -> Identity:
    facts = profile(platform).roles[role]
    return Identity(
        host_identifier=_uuid(dice).upper(),
        hostname=f"{facts.hostname}-{number + 1:04d}",
        platform=platform,
        role=role,
        instance_id=_uuid(dice),
        os_version=_os_version(platform, facts),
        system_info=_system_info(dice, platform),
    )


def _uuid(dice: Random) -> str:
    return str(uuid.UUID(int=dice.getrandbits(128), version=4))


def _os_version(platform: str, facts: Role) -> dict[str, str]:
    major, minor, *rest = facts.os_version.split(".")
    arch = "64-bit" if platform == "windows" else "arm64"
    return {
        "name": facts.os_name,
        "version": facts.os_version,
        "major": major,
        "minor": minor,
        "patch": "" if platform == "windows" else "0",
        "build": rest[0] if rest else "24B83",
        "platform": platform,
        "platform_like": platform,
        "codename": facts.os_name if platform == "windows" else "",
        "arch": arch,
    }


def _system_info(dice: Random, platform: str) -> dict[str, str]:
    """On some Windows hosts osquery pads the processor's name with NULs."""
    windows = platform == "windows"
    padding = "\0" * 40 if windows and dice.random() < 0.3 else ""  # noqa: PLR2004 - a part of the fleet
    return {
        "cpu_brand": ("Intel(R) Core(TM) Ultra 7 165U" if windows else "Apple M3 Pro") + padding,
        "cpu_logical_cores": "12",
        "physical_memory": "34359738368",
        "hardware_vendor": "Dell Inc." if windows else "Apple Inc.",
        "hardware_model": "Latitude 7450" if windows else "Mac15,7",
        "hardware_serial": f"{dice.getrandbits(40):010X}",
    }
