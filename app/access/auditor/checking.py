"""Verifies the whole log in the database, piece by piece, once a day by itself; what came of it is an event too."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from prometheus_client import Gauge

from app.access.actor import PORTBOOK, Actor
from app.access.audit import store
from app.access.audit.actions import Action
from app.access.audit.deed import Deed, Outcome
from app.access.audit.record import record_alone
from app.access.audit.verify import Chain, Checkpoint, Columns, Verdict
from app.clock import utc_now
from app.database import Database

PIECE = 1_000  #: lines held in memory at once
BEFORE_ALL = -(2**63)
DAILY = timedelta(hours=24)
FIRST_LOOK_SECONDS = 60.0
LOOK_SECONDS = 3600.0

log = structlog.get_logger()
BROKEN = Gauge("portbook_audit_chain_broken", "1 when the last daily check found the chain of the audit log broken")

#: Hears how far a check is, from 0 to 1.
Hear = Callable[[float], None]


async def verify_log(database: Database, expected: Checkpoint | None = None, hear: Hear = lambda _: None) -> Verdict:
    """All lines that there are when it begins."""
    async with database.reading() as session:
        newest = await store.newest(session)
    chain, after, last = Chain(whole=True, expected=expected), BEFORE_ALL, newest.seq if newest else 0
    while True:
        async with database.reading() as session:
            rows = await store.read_on(session, after, last, PIECE)
        for *columns, line in rows:
            chain.take(line.encode(), Columns(*columns))
        if not rows:
            return chain.verdict()
        after = rows[-1].seq
        hear(after / last)


async def check(
    database: Database, actor: Actor, occasion: str, expected: Checkpoint | None = None, hear: Hear = lambda _: None
) -> Verdict:
    """Verify, and log what came of it. `occasion`: `daily`, or `asked` by somebody."""
    verdict = await verify_log(database, expected, hear)
    deed = Deed(
        Action.CHAIN_CHECKED,
        "audit_log",
        occasion,
        object_version=str(verdict.last_seq),
        after_sha256=bytes.fromhex(verdict.last_sha256) or None,
        outcome=Outcome.SUCCESS if verdict.holds else Outcome.ERROR,
        reason=verdict.text,
    )
    await record_alone(database, actor, deed)
    return verdict


class SelfCheck:
    """One process' part in the daily check. It holds the log against what it saw itself the last time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._noted: Checkpoint | None = None

    async def when_due(self, now: datetime) -> Verdict | None:
        """None when the last check is younger than a day, or another process is at it."""
        if not await self._is_due(now):
            return None
        async with self._database.apart() as apart:
            async with apart.writing() as session:
                alone = await store.is_alone(session)
            if not alone or not await self._is_due(now):
                return None
            verdict = await check(self._database, PORTBOOK, "daily", self._noted)
        BROKEN.set(not verdict.holds)
        if verdict.holds:
            self._noted = verdict.checkpoint
            log.info("audit_log_verified", checkpoint=str(self._noted), lines=verdict.lines)
        else:
            log.error("audit_log_broken", problem=verdict.text, faults=[str(each) for each in verdict.faults])
        return verdict

    async def _is_due(self, now: datetime) -> bool:
        async with self._database.reading() as session:
            last = await store.newest_of(session, Action.CHAIN_CHECKED, "audit_log", "daily")
        if last is None:
            return True
        BROKEN.set(last.outcome == Outcome.ERROR)
        return now - last.at >= DAILY


async def check_daily(database: Database) -> None:
    """Until cancelled."""
    own, wait = SelfCheck(database), FIRST_LOOK_SECONDS
    while True:
        await asyncio.sleep(wait)
        wait = LOOK_SECONDS
        try:
            await own.when_due(utc_now())
        except Exception:
            log.exception("audit_log_not_verified")
