"""Days come and go whole, and what they counted goes with them."""

from collections.abc import Sequence
from datetime import date, timedelta
from uuid import uuid4

import pytest

from app.analysis import standings
from app.analysis.retention import keep_days
from app.analysis.standings import Seen, arrivals_subject
from app.analysis.tallies.store import forget_day
from app.clock import utc_now
from app.database import Database
from app.detection.behaviour import Platform
from app.detection.standing import Subjects
from app.observations.models import Behaviour, Sighting
from app.settings import Settings
from tests.analysis.test_standings import Day, behaviour, forget_everything, life
from tests.observations.stored import ask, tell


async def show(database: Database, day: date, seen: Sequence[Seen], *, counted: bool = True) -> None:
    """Store a day's sightings as intake does, and count them as the worker does."""
    async with database.writing() as session:
        for each in seen:
            await session.merge(_row(each))
        for each in seen:
            session.add(_sighting(day, each))
        if counted:
            await standings.count(session, day, seen)


def _row(seen: Seen) -> Behaviour:
    shown, program = seen.behaviour, seen.behaviour.program
    return Behaviour(
        behaviour_id=shown.behaviour_id, program_id=program.program_id, platform=program.platform, path=program.path,
        name=program.name, unit=program.unit, direction=shown.direction, transport=shown.transport,
        bucket=shown.bucket, subjects=list(Subjects.of(shown).all),
    )  # fmt: skip


def _sighting(day: date, seen: Seen) -> Sighting:
    where = {"batch_day": day, "batch_id": uuid4(), "line_number": 0, "row_number": 0}
    return Sighting(
        day=day, node_id=seen.node_id, behaviour_id=seen.behaviour.behaviour_id, role_id=seen.role_id,
        first_seen_at=utc_now(), **where,
    )  # fmt: skip


async def counts(database: Database) -> tuple[object, object]:
    """Arrivals are a rate over all time, and so are the first days."""
    tallies = """
        SELECT role_id, subject, day, units, day_units, nodes + day_nodes, bucket FROM tallies
        WHERE subject <> :arrivals ORDER BY 1, 2
    """
    nodes = "SELECT node_id, subject, days, day FROM node_tallies ORDER BY 1, 2"
    return await ask(database, tallies, arrivals=arrivals_subject(Platform.WINDOWS)), await ask(database, nodes)


@pytest.fixture
async def clean(database: Database) -> Database:
    await forget_everything(database)
    await tell(database, "TRUNCATE sightings, behaviours")
    return database


@pytest.mark.parametrize("seed", range(2))
async def test_after_a_day_is_forgotten_the_tallies_are_as_if_it_had_never_been(clean: Database, seed: int) -> None:
    days: list[Day] = list(life(seed, 8))
    for day, seen in days[3:]:
        await show(clean, day, seen, counted=True)
    expected = await counts(clean)
    await forget_everything(clean)
    await tell(clean, "TRUNCATE sightings")
    for day, seen in days:
        await show(clean, day, seen)
    assert await counts(clean) != expected
    for day, _ in days[:3]:
        async with clean.writing() as session:
            await forget_day(session, day)
            await tell(clean, "DELETE FROM sightings WHERE day = :day", day=day)
    assert await counts(clean) == expected


async def test_forgetting_a_day_that_came_too_late_to_be_counted_takes_nothing_away(clean: Database) -> None:
    """A node whose clock was behind: its older rows arrive after its newer ones."""
    today = utc_now().date()
    seen = [Seen(1, 1, behaviour("a.exe", "443"))]
    await show(clean, today, seen)
    before = await counts(clean)
    await show(clean, today - timedelta(days=5), seen)
    async with clean.writing() as session:
        await forget_day(session, today - timedelta(days=5))
    assert await counts(clean) == before


async def test_days_past_retention_are_dropped_whole_and_days_to_come_are_there(
    clean: Database, settings: Settings
) -> None:
    now = utc_now()
    today = now.date()
    for back in reversed(range(5)):
        await show(clean, today - timedelta(days=back), [Seen(1, 1, behaviour("a.exe", str(back + 1)))])
    await keep_days(clean, settings.model_copy(update={"history_days": 3}), now)
    kept = await ask(clean, "SELECT day FROM sightings ORDER BY day")
    assert [day for (day,) in kept] == [today - timedelta(days=back) for back in (2, 1, 0)]
    units = "SELECT sum(units + day_units) FROM tallies WHERE role_id = 1 AND subject = :group"
    group = Subjects.of(behaviour("a.exe", "1")).group
    assert await ask(clean, units, group=group) == [(3,)]
    await show(clean, today + timedelta(days=1), [Seen(1, 1, behaviour("a.exe", "9"))])
    await keep_days(clean, settings, now)
    await show(clean, today - timedelta(days=20), [Seen(1, 1, behaviour("a.exe", "9"))])
