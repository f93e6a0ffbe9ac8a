"""One backtest: fill the scratch tables with the history, then judge day by day."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from app.analysis.backtest import store
from app.analysis.backtest.rows import Reader
from app.analysis.backtest.verdicts import Verdicts
from app.database import Apart
from app.fleet.store import list_roles

CHUNK_SIGHTINGS = 500
SEED_NODES = 200
#: Judging does not keep the agents that this process serves waiting for longer than a few judgements.
JUDGED_AT_ONCE = 50
#: Of the whole, as people see it: filling the scratch tables takes about so much.
SEED_SHARE = 0.2

#: Hears how far it is, from 0 to 1; raises to end the run.
OnProgress = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Period:
    """The judged days, both included, and the first day of history before them that is stored."""

    first: date
    last: date
    earliest: date

    @property
    def days(self) -> Iterator[date]:
        return (self.first + timedelta(days=n) for n in range((self.last - self.first).days + 1))

    @property
    def history_days(self) -> int:
        """Days of history before the first judged one."""
        return (self.first - self.earliest).days


async def period_of(apart: Apart, days: int, today: date) -> Period:
    """The last days until today, or as many of them as there are sightings of."""
    async with apart.scratching() as session:
        earliest = await store.earliest_day(session) or today
    first = max(today - timedelta(days=days - 1), earliest)
    return Period(first, max(today, first), earliest)


async def judge_period(apart: Apart, period: Period, verdicts: Verdicts, on_progress: OnProgress) -> None:
    """Short transactions, so that no snapshot holds up vacuum and no lock the dropping of a day.

    Raises: TooManyFindings, and what `on_progress` raises.
    """
    await _seed(apart, period, on_progress)
    async with apart.scratching() as session:
        expected = await store.sightings_a_day(session, period.first, period.last)
        roles = await list_roles(session)
    reader, total, done = Reader(roles, verdicts.join_seconds), max(sum(expected.values()), 1), 0
    for day in period.days:
        after = (0, UUID(int=0))
        while True:
            async with apart.scratching() as session:
                rows = await reader.read(session, day, after, CHUNK_SIGHTINGS)
            if not rows:
                break
            for start in range(0, len(rows), JUDGED_AT_ONCE):
                for row in rows[start : start + JUDGED_AT_ONCE]:
                    verdicts.take(day, row, roles)
                await asyncio.sleep(0)
            after, done = rows[-1].sighting.key, done + len(rows)
            await on_progress(min(1.0, SEED_SHARE + (1 - SEED_SHARE) * done / total))


async def _seed(apart: Apart, period: Period, on_progress: OnProgress) -> None:
    async with apart.writing() as session:
        await store.make_scratch(session, period.first)
    async with apart.scratching() as session:
        nodes = await store.node_ids(session)
    for start in range(0, len(nodes), SEED_NODES):
        async with apart.scratching() as session:
            await store.seed(session, nodes[start : start + SEED_NODES], period.earliest, period.first)
        await on_progress(SEED_SHARE * min(1.0, (start + SEED_NODES) / len(nodes)))
    async with apart.scratching() as session:
        await store.settle(session)
