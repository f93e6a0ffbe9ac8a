"""Flows that come after their connections were judged: those are judged again."""

from datetime import datetime, timedelta

import structlog
from prometheus_client import Counter

from app.analysis.flow_joins import store
from app.analysis.flow_joins.words import RECENT_DAYS
from app.analysis.store import is_alone
from app.database import Database
from app.findings.again.store import judge_behaviours_again

LOOK_EVERY = timedelta(seconds=15)

log = structlog.get_logger()
AGAIN = Counter("portbook_analysis_flows_late", "Connections judged again because flows of them came later")


async def look(database: Database, now: datetime, every: timedelta = LOOK_EVERY) -> int:
    """Queue the connections of the last days of which new flows tell, by Community ID. Returns how many.

    One worker does so at a time, while none judges, and not more often than `every`.
    """
    first = now.date() - timedelta(days=RECENT_DAYS)
    async with database.writing() as session:
        mark = await store.take_mark(session, every) if await is_alone(session) else None
        if mark is None:
            return 0
        keys = await store.flows_came(session, mark, first)
        await judge_behaviours_again(session, first, {(node, behaviour) for node, behaviour, _ in keys})
        await store.queue_sightings(session, keys)
        await store.forget(session, first)
    AGAIN.inc(len(keys))
    return len(keys)
