"""Time passes: exceptions that expired let go what they covered, those that end soon are announced; once each."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import structlog
from prometheus_client import Counter, Gauge

from app.access.actor import PORTBOOK
from app.access.audit.actions import Action
from app.access.audit.deed import Deed
from app.access.audit.record import record
from app.baselines.exceptions import store
from app.baselines.exceptions.covering import let_go, named
from app.baselines.exceptions.states import ANNOUNCED
from app.database import Database
from app.findings.turns.store import hold_judging

#: So many a transaction, so that judging goes on between them.
EXPIRED_AT_ONCE = 20

log = structlog.get_logger()
ACTIVE = Gauge("portbook_exceptions_active", "Exceptions in force")
ENDING = Gauge("portbook_exceptions_ending", "Exceptions in force that end within 14 days")
EXPIRED = Counter("portbook_exceptions_expired", "Exceptions whose end this worker noted")


async def keep(database: Database, now: datetime) -> None:
    """Doing it again, or in several workers at once, changes nothing."""
    while expired := await _expired(database, now):
        await _expire(database, expired, now)
    await _announce(database, now)
    async with database.reading() as session:
        active, ending = await store.count_active(session, now, now + ANNOUNCED)
    ACTIVE.set(active)
    ENDING.set(ending)


async def _expired(database: Database, now: datetime) -> Sequence[UUID]:
    async with database.reading() as session:
        return await store.expired_unnoted(session, now, EXPIRED_AT_ONCE)


async def _expire(database: Database, expired: Sequence[UUID], now: datetime) -> None:
    async with database.writing() as session:
        await hold_judging(session)
        for exception_id in expired:
            one = await store.lock_exception(session, exception_id, None)
            if one is None or one.expired_noted_at is not None or one.revoked_at is not None:
                continue  # another worker was faster
            became = await let_go(session, one, f"{named(exception_id)} expired", now)
            await store.set_values(session, exception_id, expired_noted_at=now)
            deed = Deed(Action.EXCEPTION_EXPIRED, "exception", str(exception_id), reason=str(became))
            record(session, PORTBOOK, deed)
            log.info("exception_expired", exception_id=str(exception_id), reopened=became.reopened)
            EXPIRED.inc()


async def _announce(database: Database, now: datetime) -> None:
    async with database.writing() as session:
        for one in await store.lock_unannounced(session, now, now + ANNOUNCED):
            await store.set_values(session, one.exception_id, announced_at=now)
            ends = f"ends {one.expires_at:%Y-%m-%d %H:%M} UTC: {one.expectation}"
            record(session, PORTBOOK, Deed(Action.EXCEPTION_ENDS_SOON, "exception", str(one.exception_id), reason=ends))
            log.warning("exception_ends_soon", exception_id=str(one.exception_id), expires_at=str(one.expires_at))
