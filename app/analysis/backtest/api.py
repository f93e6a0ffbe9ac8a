"""Backtests as JSON: ask for one, see how far it is and what came of it, end it."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field

from app.access.actor import Actor
from app.access.api import Reading, may
from app.access.audit.actions import Action
from app.access.audit.record import record
from app.access.duties import Permission
from app.analysis.backtest import store
from app.analysis.backtest.export import csv_of
from app.analysis.backtest.run import DAYS_MAX, deed_of, enqueue
from app.analysis.backtest.run import Request as Wanted
from app.clock import utc_now
from app.keyset import Cursor, Limit, Page, Sorting, instant, keyset, uuid
from app.problems import Conflict, NotFound
from app.request_body import read_json
from app.tuning.models import Backtest

router = APIRouter(prefix="/backtests", tags=["backtests"], dependencies=[may(Permission.READ)])

SORTS = {"requested_at": Sorting(Backtest.requested_at, Backtest.backtest_id, instant, uuid)}


class BacktestIn(BaseModel, extra="forbid"):
    document: dict[str, Any]
    """The candidate: all that would be in force in the scope, by the names of the settings file."""
    scope: Annotated[str, Field(max_length=300)] = "every"
    days: Annotated[int, Field(ge=1, le=DAYS_MAX)] = 7
    """Judges the last so many days, today included."""


class BacktestLine(BaseModel):
    backtest_id: UUID
    state: str
    """`queued`, `running`, `finished`, `failed` or `cancelled`."""
    progress: float
    """From 0 to 1."""
    scope: str
    days: int
    candidate_sha256: str
    requested_at: datetime
    requested_by: str
    started_at: datetime | None
    finished_at: datetime | None
    error: str | None


class BacktestOut(BacktestLine):
    candidate: dict[str, Any]
    result: dict[str, Any] | None
    """What came of it, once it is finished; docs/backtest.md says how to read it."""


_BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": BacktestIn.model_json_schema()}}}}


@router.post("", status_code=202, openapi_extra=_BODY)
async def post_backtest(request: Request, actor: Annotated[Actor, may(Permission.BACKTEST)]) -> BacktestLine:
    """Queue a run; a worker that judges takes it up within seconds, one at a time."""
    wanted = await read_json(request, BacktestIn)
    asked = Wanted(wanted.document, wanted.scope, wanted.days, actor)
    return _line(await enqueue(request.app.state.database, asked))


@router.get("")
async def list_backtests(
    session: Reading, sort: str = "-requested_at", cursor: Cursor = None, limit: Limit = 50
) -> Page[BacktestLine]:
    """Runs without their results, newest first."""
    pages = keyset(sort, cursor, SORTS)
    rows = await store.list_backtests(session, pages.conditions, pages.order, limit + 1)
    following = pages.next(rows, limit, lambda row: (row.requested_at, row.backtest_id))
    return Page(items=[_line(row) for row in rows[:limit]], next=following)


@router.get("/{backtest_id}")
async def get_backtest(session: Reading, backtest_id: UUID) -> BacktestOut:
    found = await _find(session, backtest_id)
    return BacktestOut(**_line(found).model_dump(), candidate=found.candidate, result=found.result)


@router.get("/{backtest_id}/export.csv")
async def get_export(
    request: Request, backtest_id: UUID, actor: Annotated[Actor, may(Permission.READ)]
) -> PlainTextResponse:
    """The findings that change, a line each, as many as the result has examples of. An export, so it is logged."""
    async with request.app.state.database.writing() as session:
        found = await _find(session, backtest_id)
        if found.result is None:
            raise Conflict(f"backtest {backtest_id} is {found.state} and has no result")
        record(session, actor, deed_of(found, Action.BACKTEST_EXPORTED))
    headers = {"Content-Disposition": f'attachment; filename="backtest-{backtest_id}.csv"'}
    return PlainTextResponse(csv_of(found.result), media_type="text/csv; charset=utf-8", headers=headers)


@router.delete("/{backtest_id}", status_code=204)
async def delete_backtest(
    request: Request, backtest_id: UUID, actor: Annotated[Actor, may(Permission.BACKTEST)]
) -> None:
    """Cancel a run that waits or is under way; its record stays."""
    async with request.app.state.database.writing() as session:
        cancelled = await store.cancel(session, backtest_id, utc_now())
        found = await store.find(session, backtest_id)
        if found and cancelled:
            record(session, actor, deed_of(found, Action.BACKTEST_CANCELLED))
            return
    if found is None:
        raise NotFound(f"no backtest {backtest_id}")
    raise Conflict(f"backtest {backtest_id} is {found.state} already")


async def _find(session: Reading, backtest_id: UUID) -> Backtest:
    found = await store.find(session, backtest_id)
    if found is None:
        raise NotFound(f"no backtest {backtest_id}")
    return found


def _line(record: Backtest) -> BacktestLine:
    named = {name: getattr(record, name) for name in BacktestLine.model_fields if name != "candidate_sha256"}
    return BacktestLine(**named, candidate_sha256=record.candidate_sha256.hex())
