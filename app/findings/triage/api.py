"""Triage as JSON: states of one, of many and of the fleet; assignment, comments, timeline, more like this, times."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from app.access.actor import Actor
from app.access.api import Reading, may
from app.access.duties import Permission
from app.clock import utc_now
from app.database import Database
from app.detection.deviation import Severity
from app.findings import found
from app.findings.api import FindingOut, FleetFindingOut, Reader, finding_out, fleet_finding_out
from app.findings.models import Finding, FindingChange
from app.findings.states import State
from app.findings.store import list_findings, of_roles
from app.findings.triage import notes, store
from app.findings.triage.deciding import BULK_MAX, Decision, decide, decide_fleet, decide_many
from app.findings.triage.similar import WORDS, Likeness
from app.keyset import Cursor, Limit, Page, Sorting, keyset
from app.problems import InvalidRequest
from app.request_body import json_body, read_json

findings = APIRouter(prefix="/findings")
router = APIRouter(tags=["triage"])

Triager = Annotated[Actor, may(Permission.TRIAGE, heeds_roles=True)]

#: Findings alike are counted up to here.
COUNTED_MAX = 1_000
PERIOD = timedelta(days=30)
CHANGE_SORTS = {"change_id": Sorting(FindingChange.change_id, FindingChange.change_id, int, int)}


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class DecisionIn(_In):
    state: State
    reason: str
    checks: dict[str, Any] | None = None
    """Of a closing: process, user, host, destination and justification, each `{"checked": true, "note": …}` or
    `{"unknown": …}`."""
    seen_state: State | None = None
    """In which you saw it: 409 when it is in another by now."""
    reference: str = ""
    """A ticket or an incident."""

    def decision(self) -> Decision:
        return Decision(self.state, self.reason, self.checks, self.seen_state, self.reference)


class BulkIn(DecisionIn):
    finding_ids: Annotated[list[UUID], Field(min_length=1, max_length=BULK_MAX)]


class BulkOut(BaseModel):
    bulk_id: UUID
    """The changes name it in `reference`, and so does the audit log."""
    findings: int
    state: State


class FleetDecisionOut(BaseModel):
    fleet_finding: FleetFindingOut
    findings: int
    """Of its nodes, that were given the same state; others could not be, or were in it."""


class AssigneeIn(_In):
    assignee: Annotated[str | None, Field(max_length=127)]
    """An operator who may triage; null: nobody."""
    reason: str = ""


class CommentIn(_In):
    text: str


class ChangeOut(BaseModel):
    change_id: int
    at: datetime
    kind: str
    """`state`, `assignment` or `comment`."""
    actor_name: str
    from_state: State | None
    to_state: State | None
    assignee: str | None
    reason: str
    checks: dict[str, Any] | None
    reference: str


class Alike(BaseModel):
    likeness: Likeness
    words: str
    total: int
    """Open ones; not counted beyond 1,000."""
    findings: list[FindingOut]
    """The heaviest of them."""


class Times(BaseModel):
    severity: Severity | None
    """null: of all."""
    role: str | None
    """null: of all."""
    findings: int
    """On which what follows rests: those that a person acknowledged, changed or closed in the period."""
    acknowledged: int
    median_seconds_to_acknowledge: int | None
    p90_seconds_to_acknowledge: int | None
    closed: int
    median_seconds_to_close: int | None
    p90_seconds_to_close: int | None
    open_now: int
    """Whose times are not known yet, whatever the period."""
    unacknowledged_now: int


class TimesOut(BaseModel):
    since: datetime
    until: datetime
    items: list[Times]


@findings.post("/bulk/state", openapi_extra=json_body(BulkIn))
async def post_bulk_state(request: Request, actor: Triager) -> BulkOut:
    """One decision on like findings: all of them or none. 409 names each that refuses."""
    asked = await read_json(request, BulkIn)
    bulk = await decide_many(_database(request), actor, asked.finding_ids, asked.decision(), utc_now())
    return BulkOut(bulk_id=bulk, findings=len(asked.finding_ids), state=asked.state)


@findings.post("/{finding_id}/state", openapi_extra=json_body(DecisionIn))
async def post_state(request: Request, finding_id: UUID, actor: Triager) -> FindingOut:
    """Acknowledge, investigate, escalate, close or reopen it. A closing demands its checks."""
    asked = await read_json(request, DecisionIn)
    await decide(_database(request), actor, finding_id, asked.decision(), utc_now())
    return await _shown(request, actor, finding_id)


@findings.post("/{finding_id}/assignee", openapi_extra=json_body(AssigneeIn))
async def post_assignee(request: Request, finding_id: UUID, actor: Triager) -> FindingOut:
    """Make it the work of an operator, or of nobody."""
    asked = await read_json(request, AssigneeIn)
    await notes.assign(_database(request), actor, finding_id, asked.assignee, asked.reason, utc_now())
    return await _shown(request, actor, finding_id)


@findings.post("/{finding_id}/comments", status_code=201, openapi_extra=json_body(CommentIn))
async def post_comment(request: Request, finding_id: UUID, actor: Triager) -> ChangeOut:
    """Say something of it, which stays."""
    asked = await read_json(request, CommentIn)
    change_id = await notes.comment(_database(request), actor, finding_id, asked.text, utc_now())
    async with _database(request).reading() as session:
        [row] = await store.list_changes(session, [FindingChange.change_id == change_id], [], 1)
    return _change_out(row)


@findings.get("/{finding_id}/changes")
async def list_changes(
    session: Reading, actor: Reader, finding_id: UUID, cursor: Cursor = None, limit: Limit = 100
) -> Page[ChangeOut]:
    """What happened to it, in the order of time: states, assignments, comments; who and why."""
    await found.finding(session, actor, finding_id)
    pages = keyset("change_id", cursor, CHANGE_SORTS)
    wanted = [FindingChange.finding_id == finding_id, *pages.conditions]
    rows = await store.list_changes(session, wanted, pages.order, limit + 1)
    following = pages.next(rows, limit, lambda row: (row[0].change_id, row[0].change_id))
    return Page(items=[_change_out(row) for row in rows[:limit]], next=following)


@findings.get("/{finding_id}/similar")
async def list_similar(
    session: Reading,
    actor: Reader,
    finding_id: UUID,
    likeness: Annotated[list[Likeness] | None, Query(description="all without it")] = None,
    limit: Annotated[int, Query(ge=0, le=BULK_MAX, description="findings of each likeness")] = 10,
) -> list[Alike]:
    """Other open findings like this one, by what they have in common; fit to be triaged together."""
    finding, behaviour, *_ = await found.finding(session, actor, finding_id)
    similar = []
    for each in dict.fromkeys(likeness or Likeness):
        alike = store.alike(each, finding, behaviour)
        if alike is None:
            continue
        conditions = [*alike, *of_roles(actor.roles)]
        total = await store.count_findings(session, conditions, COUNTED_MAX)
        rows = await list_findings(session, conditions, [Finding.score.desc(), Finding.finding_id], limit)
        similar.append(
            Alike(likeness=each, words=WORDS[each], total=total, findings=[finding_out(row) for row in rows])
        )
    return similar


@router.post("/fleet-findings/{fleet_finding_id}/state", openapi_extra=json_body(DecisionIn))
async def post_fleet_state(
    request: Request, fleet_finding_id: UUID, actor: Annotated[Actor, may(Permission.TRIAGE)]
) -> FleetDecisionOut:
    """The fleet finding and those of its nodes, in one. Nodes that come after a closing make a new one."""
    asked = await read_json(request, DecisionIn)
    changed = await decide_fleet(_database(request), actor, fleet_finding_id, asked.decision(), utc_now())
    async with _database(request).reading() as session:
        fleet = await fleet_finding_out(session, fleet_finding_id)
    return FleetDecisionOut(fleet_finding=fleet, findings=changed)


@router.get("/triage/times")
async def get_times(
    session: Reading,
    actor: Reader,
    since: Annotated[AwareDatetime | None, Query(description="30 days before `until` without it")] = None,
    until: Annotated[AwareDatetime | None, Query(description="now without it")] = None,
) -> TimesOut:
    """How long findings waited that people acknowledged or closed in the period, by severity and role.

    What is open now has no time yet and is missing from the medians: it is counted beside them.
    """
    end = until or utc_now()
    start = since or end - PERIOD
    if start >= end:
        raise InvalidRequest("the period ends before it begins", field="since")
    measured = {(row.severity, row.role): row for row in await store.times(session, start, end, actor.roles)}
    waiting = {row[:2]: row[2:] for row in await store.waiting(session, actor.roles)}
    keys = sorted(measured.keys() | waiting.keys(), key=_widest_first)
    items = [_times(key, measured.get(key), *waiting.get(key, (0, 0))) for key in keys]
    return TimesOut(since=start, until=end, items=items)


router.include_router(findings)


def _times(key: tuple[Any, Any], row: Any, open_now: int, unacknowledged: int) -> Times:
    seen, closed = (_seconds(row.until_seen), _seconds(row.until_closed)) if row else ((None, None), (None, None))
    return Times(
        severity=key[0],
        role=key[1],
        findings=row.findings if row else 0,
        acknowledged=row.acknowledged if row else 0,
        median_seconds_to_acknowledge=seen[0],
        p90_seconds_to_acknowledge=seen[1],
        closed=row.closed if row else 0,
        median_seconds_to_close=closed[0],
        p90_seconds_to_close=closed[1],
        open_now=open_now,
        unacknowledged_now=unacknowledged,
    )


def _seconds(both: Iterable[float] | None) -> tuple[int | None, int | None]:
    median, p90 = both or (None, None)
    return (None, None) if median is None or p90 is None else (round(median), round(p90))


def _widest_first(key: tuple[Any, Any]) -> tuple[int, int, str]:
    """All, then each severity, the gravest first, with its roles after it."""
    severity, role = key
    return (list(Severity).index(severity) if severity else -1, role is not None, role or "")


def _change_out(row: Any) -> ChangeOut:
    change, assignee = row
    named = {name: getattr(change, name) for name in ChangeOut.model_fields if hasattr(change, name)}
    return ChangeOut(**named, assignee=assignee)


async def _shown(request: Request, actor: Actor, finding_id: UUID) -> FindingOut:
    async with _database(request).reading() as session:
        return finding_out(await found.finding(session, actor, finding_id))


def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database
