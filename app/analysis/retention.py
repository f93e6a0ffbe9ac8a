"""Make the days to come; drop those past retention, and take what they counted out of the statistics."""

from datetime import date, datetime, timedelta

import structlog

from app.access.actor import PORTBOOK
from app.access.audit.actions import Action
from app.access.audit.deed import Deed
from app.access.audit.record import record
from app.analysis.tallies import store as counts
from app.database import Database
from app.detection.process_start import KEPT_DAYS
from app.observations import store
from app.settings import Settings

DAYS_AHEAD = 3

log = structlog.get_logger()


async def keep_days(database: Database, settings: Settings, now: datetime) -> None:
    """Partitions exist for every day that intake may write; older ones go whole, each with a line in the log."""
    today = now.date()
    for table, kept in _kept_days(settings).items():
        first = today - timedelta(days=kept - 1)
        async with database.writing() as session:
            await store.ensure_partitions(session, table, [first + timedelta(days=n) for n in range(kept + DAYS_AHEAD)])
        for day in await store.days_before(database, table, first):
            await _drop(database, table, day)


async def _drop(database: Database, table: str, day: date) -> None:
    """One transaction: a day's sightings leave the statistics exactly when they leave the table."""
    async with database.writing() as session:
        await store.lock_partitions(session)
        if table == "sightings":
            await counts.forget_day(session, day)
        await store.drop_partition(session, table, day)
        record(session, PORTBOOK, Deed(Action.DAY_DROPPED, "day", f"{table} {day}", reason="past retention"))
    log.info("day_dropped", table=table, day=str(day))


def _kept_days(settings: Settings) -> dict[str, int]:
    batches = settings.batch_retention_days
    return {
        "batches": batches,
        "quarantined_lines": batches,
        "sightings": settings.history_days,
        "process_starts": KEPT_DAYS + 1,  # today is not over
        "start_tallies": KEPT_DAYS + 1,
        "flows": settings.flow_retention_days,
    }
