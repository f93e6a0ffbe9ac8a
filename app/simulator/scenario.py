"""The plays there are: how large a fleet, how long a history, what is hidden in it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from app.simulator.nodes import Node, fleet
from app.simulator.plants import Plant, placed, stories
from app.simulator.processes import Day

SEED = "portbook"


@dataclass(frozen=True, slots=True)
class Scenario:
    """Plants appear on the last day. An endless scenario goes on minute by minute until it is cancelled."""

    name: str
    nodes: int
    days: int
    plants: tuple[Plant, ...]
    fleet: tuple[Node, ...] = field(repr=False)
    endless: bool = False
    poll_seconds: float = 60.0
    """Between two posts of a node of an endless scenario; 0 posts as fast as the server answers."""

    @property
    def roles(self) -> tuple[str, ...]:
        return tuple(sorted({node.role for node in self.fleet}))

    def days_until(self, now: datetime) -> Iterator[Day]:
        for index in range(self.days):
            days_ago = self.days - 1 - index
            until = int((now - timedelta(days=days_ago)).timestamp())
            yield Day(index=index, days_ago=days_ago, since=until - 86_400, until=until)

    def plants_on(self, node: Node) -> tuple[Plant, ...]:
        return tuple(plant for plant in self.plants if plant.host_identifier == node.identity.host_identifier)


@dataclass(frozen=True, slots=True)
class _Outline:
    nodes: int
    days: int
    plants: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()  #: none: all there are
    endless: bool = False


_OUTLINES = {
    "demo": _Outline(nodes=60, days=21, plants=tuple(stories())),
    "quiet": _Outline(nodes=60, days=21),
    "smoke": _Outline(
        nodes=6,
        days=10,
        plants=("svchost-high-port", "unsigned-daemon"),
        roles=("office-laptop", "developer-mac"),
    ),
    "load": _Outline(nodes=500, days=1, endless=True),
}

SCENARIOS = tuple(_OUTLINES)


def scenario(name: str, *, nodes: int | None = None, poll_seconds: float = 60.0, seed: str = SEED) -> Scenario:
    """Raises: KeyError when there is no such scenario."""
    outline = _OUTLINES[name]
    members = fleet(seed, nodes or outline.nodes, outline.days, only=outline.roles)
    return Scenario(
        name=name,
        nodes=len(members),
        days=outline.days,
        plants=placed(seed, outline.plants, members),
        fleet=members,
        endless=outline.endless,
        poll_seconds=poll_seconds,
    )
