"""Runs backtests, one at a time in a database, and keeps the record of each: at once, or from the queue of the API."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import msgspec
import structlog

from app.access.actor import PORTBOOK, Actor
from app.access.audit.actions import Action
from app.access.audit.deed import Deed
from app.access.audit.record import record
from app.analysis.backtest import store
from app.analysis.backtest.document import Result
from app.analysis.backtest.result import result_of
from app.analysis.backtest.rules import Candidate, candidate_of, scope_of
from app.clock import utc_now
from app.collection.packs import Pack
from app.database import Apart, Database
from app.detection.scopes import document_sha256
from app.problems import Conflict, Problem
from app.tuning.models import Backtest

DAYS_MAX = 400
QUEUED_MAX = 20
IDLE_SECONDS = 5.0

log = structlog.get_logger()


class Cancelled(Problem):
    """Somebody else cancelled it while it ran."""

    status = 409
    title = "Cancelled"


@dataclass(frozen=True, slots=True)
class Request:
    """`document` is what would be in force in the scope, by the names of the settings file."""

    document: Mapping[str, Any]
    scope: str
    days: int
    actor: Actor


#: Hears how far a run is, from 0 to 1.
Hear = Callable[[float], None]


async def enqueue(database: Database, request: Request) -> Backtest:
    """Raises: InvalidRequest, naming the field; Conflict when too many wait."""
    tried = await _candidate(database, request.document, request.scope)
    asked = _record(request, tried)
    async with database.writing() as session:
        if await store.queued(session) >= QUEUED_MAX:
            raise Conflict(f"{QUEUED_MAX} backtests wait already; cancel one, or wait")
        await store.add(session, asked)
        record(session, request.actor, deed_of(asked, Action.BACKTEST_REQUESTED))
    return asked


async def run_now(
    database: Database, request: Request, packs: Sequence[Pack], hear: Hear = lambda _: None
) -> tuple[UUID, Result]:
    """Raises: InvalidRequest, naming the field; Conflict when another runs; Cancelled."""
    tried = await _candidate(database, request.document, request.scope)
    async with database.apart() as apart:
        if not await _is_alone(apart):
            raise Conflict("another backtest runs on this database; wait for it, or cancel it")
        asked = _record(request, tried)
        asked.state, asked.started_at = "running", asked.requested_at
        async with database.writing() as session:
            await store.give_up_stale(session, utc_now())
            await store.add(session, asked)
            record(session, request.actor, deed_of(asked, Action.BACKTEST_REQUESTED))
        result = await _Run(database, apart, asked, packs, hear, request.actor).finished(tried)
    return asked.backtest_id, result


async def work_queue(database: Database, packs: Sequence[Pack]) -> None:
    """Run what the API asked for until cancelled; what runs then waits again."""
    while True:
        try:
            ran = await run_queued(database, packs)
        except Exception:
            log.exception("backtest_queue_failed")
            ran = False
        if not ran:
            await asyncio.sleep(IDLE_SECONDS)


async def run_queued(database: Database, packs: Sequence[Pack]) -> bool:
    """Run the oldest that waits. Returns whether there was one, and nobody else was at it."""
    async with database.reading() as session:
        if not await store.queued(session):
            return False
    async with database.apart() as apart:
        if not await _is_alone(apart):
            return False
        async with database.writing() as session:
            await store.give_up_stale(session, utc_now())
            asked = await store.claim(session, utc_now())
        if asked is None:
            return False
        await _run_claimed(database, apart, asked, packs)
    return True


async def _run_claimed(database: Database, apart: Apart, asked: Backtest, packs: Sequence[Pack]) -> None:
    run = _Run(database, apart, asked, packs, lambda _: None)
    try:
        tried = await _candidate(database, asked.candidate, asked.scope)
    except Problem as problem:
        await run.settle("failed", error=str(problem))
        return
    try:
        await run.finished(tried, when_stopped="queued")
    except Problem as problem:
        log.info("backtest_ended", backtest_id=str(asked.backtest_id), why=str(problem))
    except Exception:
        log.exception("backtest_failed", backtest_id=str(asked.backtest_id))


async def _is_alone(apart: Apart) -> bool:
    async with apart.writing() as session:
        return await store.is_alone(session)


async def _candidate(database: Database, document: Mapping[str, Any], scope: str) -> Candidate:
    async with database.reading() as session:
        return await candidate_of(session, document, scope_of(scope))


def _record(request: Request, tried: Candidate) -> Backtest:
    return Backtest(
        backtest_id=uuid4(),
        candidate_sha256=document_sha256(tried.document),
        candidate=tried.document,
        scope=str(tried.scope),
        days=request.days,
        requested_at=utc_now(),
        requested_by=request.actor.name,
        progress=0.0,
        state="queued",
    )


def deed_of(asked: Backtest, action: Action) -> Deed:
    what = f"{asked.scope}, {asked.days} days"
    return Deed(action, "backtest", str(asked.backtest_id), after_sha256=asked.candidate_sha256, reason=what)


class _Run:
    """A record that runs, until it is settled one way or another."""

    def __init__(
        self,
        database: Database,
        apart: Apart,
        asked: Backtest,
        packs: Sequence[Pack],
        hear: Hear,
        actor: Actor = PORTBOOK,
    ) -> None:
        self._database, self._apart, self._asked, self._packs = database, apart, asked, packs
        self._hear, self._actor = hear, actor

    async def finished(self, tried: Candidate, *, when_stopped: str = "cancelled") -> Result:
        """`when_stopped`: its state when this process stops it. Raises: TooManyFindings, Cancelled."""
        try:
            result = await result_of(self._apart, tried, self._asked.days, self._packs, utc_now(), self._note_progress)
        except asyncio.CancelledError:
            await self._stopped(when_stopped)
            raise
        except Problem as problem:
            await self.settle("failed", error=str(problem))
            raise
        except Exception:
            await self.settle("failed", error="an error of Portbook's own; the server's log has it")
            raise
        await self.settle("finished", progress=1.0, result=msgspec.to_builtins(result))
        return result

    async def settle(self, state: str, **values: object) -> None:
        async with self._database.writing() as session:
            await store.settle_record(session, self._asked.backtest_id, state=state, finished_at=utc_now(), **values)
            if state == "cancelled":
                record(session, self._actor, deed_of(self._asked, Action.BACKTEST_CANCELLED))

    async def _stopped(self, state: str) -> None:
        if state == "queued":
            async with self._database.writing() as session:
                again = {"state": "queued", "started_at": None, "progress": 0.0}
                await store.settle_record(session, self._asked.backtest_id, **again)
        else:
            await self.settle(state)

    async def _note_progress(self, progress: float) -> None:
        async with self._database.writing() as session:
            if not await store.note_progress(session, self._asked.backtest_id, progress):
                raise Cancelled("it was cancelled while it ran")
        self._hear(progress)
