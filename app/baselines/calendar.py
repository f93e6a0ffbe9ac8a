"""Keeps the calendar: versions that were approved for later take effect when their time has come."""

from datetime import datetime

import structlog

from app.access.actor import PORTBOOK
from app.access.audit.actions import Action
from app.baselines import store
from app.baselines.drafts import note
from app.baselines.effects import apply
from app.baselines.models import BaselineVersion
from app.database import Database, WriteSession
from app.findings.turns.store import hold_judging

log = structlog.get_logger()


async def keep(database: Database, now: datetime) -> int:
    """Hold open findings against versions that have come into force. Returns how many did; one worker does so."""
    async with database.writing() as session:
        if not await store.keeps_calendar(session):
            return 0
        due = await store.unapplied(session, now)
        if due:
            await hold_judging(session)  # before any row, as approvals do
        for each in due:
            await _take_effect(session, each, now)
    return len(due)


async def _take_effect(session: WriteSession, version: BaselineVersion, now: datetime) -> None:
    """One that another superseded by its time does nothing any more."""
    await store.lock_baseline(session, version.baseline_id)
    named = await store.find_baseline(session, version.baseline_id)
    assert named is not None
    in_force = version.superseded_at is None or version.superseded_at > now
    closed = await apply(session, PORTBOOK, named, version.number, now) if in_force else []
    await store.update_version(session, version.baseline_id, version.number, applied_at=now)
    note(session, PORTBOOK, Action.BASELINE_APPLIED, version, reason=f"closed {len(closed)} findings")
    log.info("baseline_in_force", baseline=version.baseline_id, version=version.number, closed=len(closed))
