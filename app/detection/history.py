"""A history in memory, for replays and tests; the stored one answers the same questions in SQL."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from app.detection.behaviour import DYNAMIC, Behaviour, Direction, Platform
from app.detection.standing import Standing, Subjects, Tally, role_speaks

MOST_PORTS = 256
LEARNING_DAYS = 7  #: days of a group in which every program is new and says nothing of the rate at which they come

_Sightings = dict[str, set[int]]  # node → days


@dataclass(slots=True)
class _Group:
    """What one peer group showed: per subject the nodes and days, per program the buckets, sightings and first day."""

    seen: defaultdict[UUID, _Sightings] = field(default_factory=lambda: defaultdict(dict))
    buckets: defaultdict[UUID, dict[str, UUID]] = field(default_factory=lambda: defaultdict(dict))
    owners: defaultdict[UUID, dict[UUID, str]] = field(default_factory=lambda: defaultdict(dict))
    first_days: dict[UUID, int] = field(default_factory=dict)
    programs: defaultdict[UUID, set[tuple[str, int]]] = field(default_factory=lambda: defaultdict(set))
    nodes: set[str] = field(default_factory=set)
    days: set[int] = field(default_factory=set)

    def add(self, node: str, day: int, behaviour: Behaviour) -> None:
        subjects, program = Subjects.of(behaviour), behaviour.program.program_id
        for subject in subjects.all:
            self.seen[subject].setdefault(node, set()).add(day)
        self.buckets[subjects.program][behaviour.bucket] = subjects.behaviour
        if behaviour.direction is Direction.LISTENING:
            self.owners[subjects.port][subjects.behaviour] = behaviour.program.name
        self.first_days[program] = min(day, self.first_days.get(program, day))
        self.programs[program].add((node, day))
        self.nodes.add(node)
        self.days.add(day)

    def tally(self, subject: UUID, node: str, day: int | None) -> Tally:
        others = [days for other, days in self.seen.get(subject, {}).items() if other != node]
        counts = [len(days) - (day in days) for days in others]
        return Tally(units=sum(counts), nodes=sum(count > 0 for count in counts))

    def ports(self, program: UUID, node: str, day: int | None) -> tuple[tuple[str, int], ...]:
        units = ((bucket, self.tally(subject, node, day).units) for bucket, subject in self.buckets[program].items())
        used = sorted(((bucket, count) for bucket, count in units if count), key=lambda each: (-each[1], each[0]))
        return tuple(used[:MOST_PORTS])

    def owner(self, subjects: Subjects, node: str, day: int | None) -> tuple[str, int]:
        """The other program that most other nodes show on the port, and on how many."""
        others = [
            (name, subject) for subject, name in self.owners[subjects.port].items() if subject != subjects.behaviour
        ]
        shown = [(name, self.tally(subject, node, day).nodes) for name, subject in others]
        most = max(shown, key=lambda each: (each[1], each[0]), default=("", 0))
        return most if most[1] else ("", 0)

    def known_days(self, subject: UUID, day: int | None) -> int | None:
        """Days of the group's history since it first showed the subject, on whichever node."""
        shown = set().union(*self.seen.get(subject, {}).values()) - {day}
        return sum(each >= min(shown) for each in self.days - {day}) if shown else None

    def new_programs_per_day(self) -> float:
        """Programs first seen on a day after the learning period, or Good and Turing's estimate where none is over."""
        settled = sorted(self.days)[LEARNING_DAYS:]
        if settled:
            return sum(first >= settled[0] for first in self.first_days.values()) / len(settled)
        once = sum(len(sightings) == 1 for sightings in self.programs.values())
        return once / max(len(self.days), 1)


class History:
    """Everything that was added before; adding the same sighting again, or in another order, changes nothing."""

    def __init__(self) -> None:
        self._roles: defaultdict[tuple[Platform, str], _Group] = defaultdict(_Group)
        self._platforms: defaultdict[Platform, _Group] = defaultdict(_Group)

    def add(self, node: str, role: str, day: int, behaviour: Behaviour) -> None:
        """`day` counts days since 1970 in UTC."""
        platform = behaviour.program.platform
        for group in self._groups(platform, role):
            group.add(node, day, behaviour)

    def standing(self, node: str, role: str, day: int | None, behaviour: Behaviour) -> Standing:
        """What all other nodes showed on all other days; with `day` None every day in the history lies before."""
        platform, subjects = behaviour.program.platform, Subjects.of(behaviour)
        group, peers, new_to_role = self._peers(node, role, day, behaviour)
        everywhere, alone = self._platforms[platform], self._roles[platform, role].nodes <= {node}
        owner = group.owner(subjects, node, day) if behaviour.bucket != DYNAMIC else ("", 0)
        own = everywhere.seen.get(subjects.behaviour, {}).get(node, set()) - {day}
        return Standing(
            peers=peers,
            behaviour=group.tally(subjects.behaviour, node, day),
            program=group.tally(subjects.program, node, day),
            port=group.tally(subjects.port, node, day),
            everything=group.tally(subjects.everything, node, day),
            program_ports=group.ports(subjects.program, node, day),
            own_days=len(own),
            days=len(group.days - {day}),
            new_programs_per_day=group.new_programs_per_day(),
            only_of_its_role=bool(role) and alone,
            new_to_role=new_to_role and not alone,
            port_owner=owner[0],
            port_owner_nodes=owner[1],
            platform_behaviour=everywhere.tally(subjects.behaviour, node, day),
            platform_everything=everywhere.tally(subjects.everything, node, day),
            behaviour_days=group.known_days(subjects.behaviour, day),
            program_days=group.known_days(subjects.program, day),
        )

    def _peers(self, node: str, role: str, day: int | None, behaviour: Behaviour) -> tuple[_Group, str, bool]:
        """The group that speaks, its name, and whether the program is new to the role."""
        platform, subjects = behaviour.program.platform, Subjects.of(behaviour)
        group = self._roles[platform, role]
        program, everything = (group.tally(each, node, day) for each in (subjects.program, subjects.everything))
        if role and role_speaks(behaviour, program, everything):
            return group, role, not program.nodes
        return self._platforms[platform], f"all {platform} nodes", bool(role)

    def _groups(self, platform: Platform, role: str) -> Iterable[_Group]:
        return (self._roles[platform, role], self._platforms[platform]) if role else (self._platforms[platform],)
