"""From stored counts to standings: which peer group speaks, and what it says without the judged node and day."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from uuid import UUID

from app.analysis.models import EVERY_ROLE
from app.analysis.tallies import store
from app.analysis.tallies.store import Count, Mark, Ports
from app.database import WriteSession
from app.detection.behaviour import Behaviour, Platform, digest
from app.detection.history import LEARNING_DAYS
from app.detection.standing import Standing, Subjects, Tally, role_speaks

_UNSEEN = Count(0, 0, date.max)


@dataclass(frozen=True, slots=True)
class Seen:
    """A behaviour that a node showed on the day in question."""

    node_id: int
    role_id: int
    behaviour: Behaviour

    @property
    def subjects(self) -> Subjects:
        """The things that this counts towards."""
        return Subjects.of(self.behaviour)

    def mark(self, subject: UUID) -> Mark:
        subjects = self.subjects
        if subject is subjects.behaviour:
            return Mark(self.node_id, subject, self.role_id, subjects.program, self.behaviour.bucket)
        return Mark(self.node_id, subject, self.role_id)


@lru_cache
def arrivals_subject(platform: Platform) -> UUID:
    """Programs that a group had never shown before."""
    return digest("arrivals", platform)


async def load(
    session: WriteSession, day: date, seen: Iterable[Seen], roles: Mapping[int, str]
) -> dict[Seen, Standing]:
    """Four statements for any number of sightings of one day."""
    items = list(seen)
    wanted = {(each.node_id, subject) for each in items for subject in each.subjects.all}
    own = await store.own_days(session, day, wanted)
    groups = {(role, s) for each in items for s in _subjects(each) for role in (each.role_id, EVERY_ROLE)}
    counts = await store.counts(session, day, groups)
    views = {each: _View(each, day, counts, own, roles) for each in items}
    ports = await store.ports(session, day, {view.ports_key for view in views.values()})
    owners = await store.owners(session, day, {view.owner_key for view in views.values()})
    return {
        each: view.standing(ports.get(view.ports_key, ()), owners.get(view.owner_key, store.NOBODY))
        for each, view in views.items()
    }


def _subjects(seen: Seen) -> list[UUID]:
    return [*seen.subjects.all, arrivals_subject(seen.behaviour.program.platform)]


class _View:
    """The counts around one sighting, without its node."""

    def __init__(
        self,
        seen: Seen,
        day: date,
        counts: Mapping[tuple[int, UUID], Count],
        own: Mapping[tuple[int, UUID], int],
        roles: Mapping[int, str],
    ) -> None:
        self._seen, self._day, self._counts, self._own = seen, day, counts, own
        self._platform = seen.behaviour.program.platform
        self._subjects = Subjects.of(seen.behaviour)
        self._program_in_role = self._tally(seen.role_id, self._subjects.program)
        speaks = role_speaks(
            seen.behaviour, self._program_in_role, self._tally(seen.role_id, self._subjects.everything)
        )
        self._role_id = seen.role_id if speaks else EVERY_ROLE
        self._peers = roles.get(seen.role_id, "") if speaks else f"all {self._platform} nodes"

    @property
    def ports_key(self) -> tuple[int, int, UUID]:
        return (self._seen.node_id, self._role_id, self._subjects.program)

    @property
    def owner_key(self) -> tuple[int, int, UUID]:
        return (self._seen.node_id, self._role_id, self._subjects.behaviour)

    def standing(self, ports: Ports, owner: store.Owner) -> Standing:
        group = self._count(self._role_id, self._subjects.group)
        alone = self._tally(self._seen.role_id, self._subjects.group).nodes == 0
        return Standing(
            peers=self._peers,
            behaviour=self._tally(self._role_id, self._subjects.behaviour),
            program=self._tally(self._role_id, self._subjects.program),
            port=self._tally(self._role_id, self._subjects.port),
            everything=self._tally(self._role_id, self._subjects.everything),
            program_ports=ports,
            own_days=self._own.get((self._seen.node_id, self._subjects.behaviour), 0),
            days=max(0, (self._day - group.first_day).days),
            new_programs_per_day=self._new_programs_per_day(group.first_day),
            only_of_its_role=alone,
            new_to_role=not alone and not self._program_in_role.nodes,
            port_owner=owner[0],
            port_owner_nodes=owner[1],
            platform_behaviour=self._tally(EVERY_ROLE, self._subjects.behaviour),
            platform_everything=self._tally(EVERY_ROLE, self._subjects.everything),
            behaviour_days=self._known_days(self._subjects.behaviour),
            program_days=self._known_days(self._subjects.program),
        )

    def _count(self, role_id: int, subject: UUID) -> Count:
        return self._counts.get((role_id, subject), _UNSEEN)

    def _tally(self, role_id: int, subject: UUID) -> Tally:
        count, own = self._count(role_id, subject), self._own.get((self._seen.node_id, subject), 0)
        return Tally(max(0, count.units - own), max(0, count.nodes - (own > 0)))

    def _known_days(self, subject: UUID) -> int | None:
        first_day = self._count(self._role_id, subject).first_day
        return (self._day - first_day).days if first_day < self._day else None

    def _new_programs_per_day(self, first_day: date) -> float:
        settled = (self._day - first_day).days - LEARNING_DAYS if first_day != date.max else 0
        arrived = self._count(self._role_id, arrivals_subject(self._platform)).units
        return arrived / settled if settled > 0 else 0.0


async def count(session: WriteSession, day: date, seen: Iterable[Seen]) -> None:
    """Add a day's sightings to the tallies, and the programs that were new to a settled group."""
    items = list(seen)
    marked = {(each.node_id, subject): each for each in items for subject in each.subjects.all}
    fresh = await store.add_marks(session, day, [marked[key].mark(key[1]) for key in sorted(marked)])
    programs = {each.behaviour.program.program_id: each.behaviour for each in items}
    arrived = [(role, programs[subject]) for role, subject in fresh if subject in programs]
    if not arrived:
        return
    groups = await store.counts(session, day, {(role, Subjects.of(what).group) for role, what in arrived})
    totals = Counter(
        (role, arrivals_subject(what.program.platform))
        for role, what in arrived
        if _is_settled(groups.get((role, Subjects.of(what).group), _UNSEEN), day)
    )
    await store.add_arrivals(session, day, dict(sorted(totals.items())))


def _is_settled(group: Count, day: date) -> bool:
    """In a group's first days every program is new, which says nothing of the rate at which they come."""
    return group.first_day != date.max and (day - group.first_day).days >= LEARNING_DAYS
