"""The exceptions that are in force, as the worker and whoever decides take them from the store."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.baselines.exceptions import store
from app.baselines.exceptions.models import RequestedException
from app.database import ReadSession
from app.detection.behaviour import Platform
from app.detection.expectations import ANY_PROGRAM, Expectation, Observed


@dataclass(frozen=True, slots=True)
class Shown:
    """What an exception is held against: a behaviour on a node that had this role when it showed it."""

    node_id: int
    role_id: int
    observed: Observed


@dataclass(frozen=True, slots=True)
class InForce:
    """An approved exception. `nodes` None: those of the role."""

    exception_id: UUID
    expectation: Expectation
    role_id: int | None
    nodes: frozenset[int] | None
    expires_at: datetime

    def covers(self, shown: Shown, now: datetime) -> bool:
        """Whether it speaks of just this, by our clock and not by the node's."""
        is_theirs = shown.role_id == self.role_id if self.nodes is None else shown.node_id in self.nodes
        return now < self.expires_at and is_theirs and self.expectation.covers(shown.observed)


def in_force(row: RequestedException) -> InForce:
    nodes = None if row.node_ids is None else frozenset(row.node_ids)
    return InForce(row.exception_id, row.expectation, row.role_id, nodes, row.expires_at)


class ExceptionsInForce:
    """Looks at each `refresh` whether anything was decided since, and reads the exceptions only then."""

    def __init__(self) -> None:
        self._seen = (0, 0, 0)
        self._take(())

    @property
    def were_none(self) -> bool:
        """Whether none was ever approved, so that no finding can be excepted."""
        return self._seen[0] == 0

    async def refresh(self, session: ReadSession, now: datetime) -> None:
        seen = await store.decisions_made(session)
        if seen != self._seen:
            self._take(await store.active(session, now))
            self._seen = seen

    def choose(self, shown: Sequence[Shown], now: datetime, current: UUID | None = None) -> UUID | None:
        """One that covers all that was shown: `current` while it does, else the one that ends last."""
        found = [each for each in self._near(shown[0].observed) if all(each.covers(one, now) for one in shown)]
        if current in {each.exception_id for each in found}:
            return current
        return max(found, key=lambda each: (each.expires_at, each.exception_id)).exception_id if found else None

    def _near(self, observed: Observed) -> Iterator[InForce]:
        program = observed.behaviour.program
        yield from self._by_program.get((program.platform, program.name), ())
        yield from self._by_signer.get((program.platform, observed.signer.name), ())

    def _take(self, rows: Sequence[RequestedException]) -> None:
        self._by_program: dict[tuple[Platform, str], list[InForce]] = defaultdict(list)
        self._by_signer: dict[tuple[Platform, str], list[InForce]] = defaultdict(list)
        for each in map(in_force, rows):
            wanted = each.expectation
            if wanted.program == ANY_PROGRAM:
                self._by_signer[wanted.platform, wanted.signer].append(each)
            else:
                self._by_program[wanted.platform, wanted.program].append(each)
