"""The audit log as JSON and as the exact lines; what the daily checks found; a checkpoint to note elsewhere."""

import json
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from app.access.actor import Actor
from app.access.api import Reading, may
from app.access.audit import store
from app.access.audit.actions import Action
from app.access.audit.deed import Deed, Outcome
from app.access.audit.line import NAME_MAX
from app.access.audit.models import AuditEvent
from app.access.audit.record import record_alone
from app.access.audit.verify import Checkpoint
from app.access.auditor.exporting import Stretch, lines_of, record_export
from app.access.duties import Permission
from app.database import Database
from app.keyset import Cursor, Limit, Page, Sorting, keyset
from app.problems import InvalidRequest, NotFound

router = APIRouter(prefix="/audit", tags=["audit"])

Auditor = Annotated[Actor, may(Permission.READ_AUDIT_LOG)]
Name = Annotated[str | None, Query(max_length=NAME_MAX)]
Number = Annotated[int | None, Query(ge=1, le=2**63 - 1)]

SORTS = {"seq": Sorting(AuditEvent.seq, AuditEvent.seq, int, int)}


class EventOut(BaseModel):
    seq: int
    """From 1, without gaps: the order of the commits."""
    ts: datetime
    """When it was done, by the clock of who did it."""
    actor_id: int | None
    """Of the operator; null for programs, accounts at the command line and Portbook itself."""
    actor_name: str
    actor_role: str
    """Duties of the operator, with commas between them."""
    auth_method: str
    source_ip: str
    action: Action | str
    object_type: str
    object_id: str
    object_version: str
    before_sha256: str | None
    after_sha256: str | None
    outcome: Outcome
    reason: str
    request_id: str
    prev: str
    """SHA-256 of the line before."""
    sha256: str
    """Of this line's exact bytes."""


class CheckOut(BaseModel):
    seq: int
    at: datetime
    actor_name: str
    occasion: str
    """`daily`, or `asked` by somebody."""
    outcome: Outcome
    """`error`: the chain is broken, and `reason` says where."""
    reason: str
    last_seq: int
    """The last line that was there."""
    last_sha256: str | None


class CheckpointOut(BaseModel):
    seq: int
    sha256: str
    text: str
    """As `portbook audit verify --expect` takes it."""


@router.get("")
async def list_events(  # noqa: PLR0913, PLR0917 - filters of a list
    request: Request,
    session: Reading,
    auditor: Auditor,
    actor: Name = None,
    action: Action | None = None,
    object_type: Name = None,
    object_id: Name = None,
    outcome: Outcome | None = None,
    since: Annotated[datetime | None, Query(description="done at or after; UTC unless it says otherwise")] = None,
    until: Annotated[datetime | None, Query(description="done before")] = None,
    sort: str = "-seq",
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[EventOut]:
    """Events, newest first. That you read them is an event too."""
    wanted: list[tuple[Any, Any]] = [
        (AuditEvent.actor_name, actor), (AuditEvent.action, action), (AuditEvent.outcome, outcome),
        (AuditEvent.object_type, object_type), (AuditEvent.object_id, object_id),
    ]  # fmt: skip
    conditions = [column == value for column, value in wanted if value is not None]
    conditions += store.between(_utc(since), _utc(until))
    pages = keyset(sort, cursor, SORTS)
    deed = Deed(Action.AUDIT_LOG_READ, "audit_log", reason=request.url.query)
    await record_alone(request.app.state.database, auditor, deed)  # before a connection is taken to read
    rows = await store.list_events(session, conditions + pages.conditions, pages.order, limit + 1)
    following = pages.next(rows, limit, lambda row: (row.seq, row.seq))
    return Page(items=[event_out(row) for row in rows[:limit]], next=following)


@router.get("/export.jsonl", response_class=StreamingResponse)
async def get_export(
    request: Request, auditor: Auditor, from_seq: Number = None, to_seq: Number = None
) -> StreamingResponse:
    """The lines themselves, byte for byte, as they are chained; all of them unless you say from where to where."""
    database: Database = request.app.state.database
    async with database.reading() as session:
        newest = await store.newest(session)
    last = newest.seq if newest else 0
    stretch = Stretch(from_seq or 1, to_seq or last)
    if stretch.first > stretch.last:
        raise InvalidRequest("from_seq is after to_seq", field="from_seq")
    if stretch.last > last:
        raise NotFound(f"the audit log ends at {last}", field="to_seq")
    await record_export(database, auditor, stretch)
    name = f"audit-log-{stretch.first}-{stretch.last}.jsonl"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(lines_of(database, stretch), media_type="application/jsonl", headers=headers)


@router.get("/checks")
async def list_checks(session: Reading, auditor: Auditor, cursor: Cursor = None, limit: Limit = 50) -> Page[CheckOut]:  # noqa: ARG001 - who may
    """What verifications of the chain found, newest first."""
    pages = keyset("-seq", cursor, SORTS)
    conditions = [AuditEvent.action == Action.CHAIN_CHECKED, *pages.conditions]
    rows = await store.list_events(session, conditions, pages.order, limit + 1)
    following = pages.next(rows, limit, lambda row: (row.seq, row.seq))
    return Page(items=[_check(row) for row in rows[:limit]], next=following)


@router.get("/checkpoint")
async def get_checkpoint(session: Reading, auditor: Auditor) -> CheckpointOut:  # noqa: ARG001 - who may
    """The newest line's sequence and hash. Note them where nobody who can change this database can change them."""
    newest = await store.newest(session)
    if newest is None:
        raise NotFound("the audit log is empty")
    found = Checkpoint(newest.seq, newest.sha256.hex())
    return CheckpointOut(seq=found.seq, sha256=found.sha256, text=str(found))


def event_out(row: AuditEvent) -> EventOut:
    return EventOut(**json.loads(row.line), sha256=row.sha256.hex())


def _check(row: AuditEvent) -> CheckOut:
    said = json.loads(row.line)
    return CheckOut(
        seq=row.seq,
        at=row.at,
        actor_name=row.actor_name,
        occasion=row.object_id,
        outcome=Outcome(row.outcome),
        reason=said["reason"],
        last_seq=int(said["object_version"]),
        last_sha256=said["after_sha256"],
    )


def _utc(at: datetime | None) -> datetime | None:
    return at.replace(tzinfo=UTC) if at and at.tzinfo is None else at
