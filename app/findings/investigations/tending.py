"""What happens to investigations by itself: old ones end, and high findings are investigated where that is wanted."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from app.access.actor import PORTBOOK
from app.clock import utc_now
from app.collection.questions import Question
from app.database import Database
from app.findings.investigations import store
from app.findings.investigations.answering import end_overdue
from app.findings.investigations.asking import investigate
from app.problems import Problem

IDLE_SECONDS = 5.0
#: Of what Portbook asks by itself, in 24 hours: a host with many findings is asked about the first of them.
PER_NODE_AND_DAY = 5
PER_DAY = 500
DAY = timedelta(days=1)

log = structlog.get_logger()


async def tend(database: Database, questions: Sequence[Question], *, investigate_high: bool) -> None:
    """Until cancelled."""
    while True:
        try:
            await end_overdue(database, utc_now())
            if investigate_high:
                await investigate_new_high(database, questions, utc_now())
        except Exception:
            log.exception("investigations_not_tended")
        await asyncio.sleep(IDLE_SECONDS)


async def investigate_new_high(database: Database, questions: Sequence[Question], now: datetime) -> int:
    """Ask about high findings of the last day that nobody asked about. Returns how many."""
    asked = 0
    async with database.writing() as session:
        if not await store.is_alone(session):
            return 0
        bounds = {"per_node": PER_NODE_AND_DAY, "per_day": PER_DAY}
        for finding_id in await store.new_high_findings(session, now, now - DAY, **bounds):
            try:
                await investigate(session, questions, PORTBOOK, finding_id, now)
            except Problem as problem:
                log.warning("high_finding_not_investigated", finding_id=str(finding_id), why=str(problem))
            else:
                asked += 1
    return asked
