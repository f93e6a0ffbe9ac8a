"""What the history says of one behaviour: the handful of counts that the score reads.

A *unit* is a node-day: a node on which the thing was seen at least once on a UTC day. Rows and connections are
never counted, or a chatty agent would drown everything else.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from uuid import UUID

from app.detection.behaviour import Behaviour, Direction, digest

#: Other nodes of a role that must listen at all before their silence says that a listener is new to the role.
ENOUGH_LISTENERS = 5


@dataclass(frozen=True)
class Subjects:
    """What history counts of a behaviour, each by a 128-bit name."""

    behaviour: UUID  #: this program with this direction, transport and bucket
    program: UUID  #: this program with this direction and transport, any bucket
    port: UUID  #: any program with this direction, transport and bucket
    everything: UUID  #: any program, any bucket, with this direction and transport
    any_way: UUID  #: this program in any direction: whether a peer group knows it at all
    group: UUID  #: any behaviour at all: the days and nodes of the peer group

    @classmethod
    @lru_cache(maxsize=65536)
    def of(cls, behaviour: Behaviour) -> "Subjects":
        program, way = behaviour.program, (behaviour.direction, behaviour.transport)
        return cls(
            behaviour=behaviour.behaviour_id,
            program=digest("program+way", str(program.program_id), *way),
            port=digest("port+way", program.platform, *way, behaviour.bucket),
            everything=digest("way", program.platform, *way),
            any_way=program.program_id,
            group=digest("group", program.platform),
        )

    @cached_property
    def all(self) -> tuple[UUID, ...]:
        return (self.behaviour, self.program, self.port, self.everything, self.any_way, self.group)


@dataclass(frozen=True, slots=True)
class Tally:
    """Node-days and distinct nodes, before the day that is judged and without the node that is judged."""

    units: int = 0
    nodes: int = 0


def role_speaks(behaviour: Behaviour, program: Tally, everything: Tally) -> bool:
    """Whether a node's own role is its peer group; else the whole platform is.

    The role's other nodes speak if any of them ever ran the program so. Of listeners they speak by their silence too:
    what is usual on build servers is no excuse for a laptop.
    """
    listening = behaviour.direction is Direction.LISTENING
    return program.nodes > 0 or (listening and everything.nodes >= ENOUGH_LISTENERS)


@dataclass(frozen=True, slots=True)
class Standing:
    """A behaviour's place in the history of one peer group (role and platform, or the whole platform)."""

    peers: str  #: the peer group in words, e.g. `laptop` or `all windows nodes`
    behaviour: Tally
    program: Tally
    port: Tally
    everything: Tally
    program_ports: tuple[tuple[str, int], ...] = ()  #: (bucket, units) of the program, most used first, at most 256
    own_days: int = 0  #: earlier days on which this node itself showed the behaviour
    days: int = 0  #: days of history of the peer group
    new_programs_per_day: float = 0.0  #: programs first seen per day in the group, after its learning period
    only_of_its_role: bool = False  #: the role has no other node, so only the platform can be asked
    new_to_role: bool = False  #: the role has other nodes, and none of them ever ran the program so
    platform_behaviour: Tally = Tally()  #: as `behaviour`, on all nodes of the platform
    port_owner: str = ""  #: the other program that most nodes of the group show on the port; for listeners only
    port_owner_nodes: int = 0
    platform_everything: Tally = Tally()  #: as `everything`, on all nodes of the platform
    behaviour_days: int | None = None  #: days since the group first showed the behaviour; None before it ever did
    program_days: int | None = None  #: days since the group first showed the program with this direction and transport
