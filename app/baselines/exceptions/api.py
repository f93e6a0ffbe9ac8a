"""Exceptions as JSON: ask, look at what one would cover, decide, take back, renew; what each covers and how often."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from app.access.actor import Actor
from app.access.api import Reading, may
from app.access.duties import Permission
from app.baselines.exceptions import store
from app.baselines.exceptions.asking import renew, request
from app.baselines.exceptions.bodies import AskIn, DecisionIn, FromFindingIn, RenewIn, RevokeIn
from app.baselines.exceptions.covering import LetGo, coverable
from app.baselines.exceptions.deciding import approve, reject, revoke
from app.baselines.exceptions.models import RequestedException
from app.baselines.exceptions.states import ExceptionState, Risk, state_of
from app.baselines.exceptions.store import Candidate, Listed
from app.clock import utc_now
from app.database import Database, ReadSession
from app.findings.api import FindingOut, finding_out
from app.findings.models import Finding
from app.findings.store import list_findings
from app.findings.store import of_roles as findings_of_roles
from app.fleet.models import Role
from app.keyset import Cursor, Limit, Page, Sorting, instant, keyset, uuid
from app.problems import NotFound
from app.request_body import json_body, read_json

router = APIRouter(prefix="/exceptions", tags=["exceptions"])

Reader = Annotated[Actor, may(Permission.READ, heeds_roles=True)]
Asker = Annotated[Actor, may(Permission.PROPOSE, heeds_roles=True)]
Approver = Annotated[Actor, may(Permission.APPROVE, heeds_roles=True)]

SORTS = {
    name: Sorting(getattr(RequestedException, name), RequestedException.exception_id, instant, uuid)
    for name in ("requested_at", "expires_at")
}
FINDING_SORTS = {"last_seen_at": Sorting(Finding.last_seen_at, Finding.finding_id, instant, uuid)}
#: Findings that an answer names; it counts all of them.
NAMED = 100


class ExceptionOut(BaseModel):
    exception_id: UUID
    state: ExceptionState
    says: str
    """The pattern as a sentence."""
    wide: list[str]
    """What is wide about it; empty where it is narrow."""
    platform: str
    program: str
    path: str
    signer: str
    direction: str
    transport: str
    first_port: int
    last_port: int
    unit: str | None
    peer_scope: str | None
    role: str | None
    node_ids: list[int] | None
    reason: str
    business_need: str
    risk: Risk
    compensating_control: str
    ticket: str
    finding_id: UUID | None
    renewal_of: UUID | None
    requested_by: str
    requested_at: datetime
    expires_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    """In force from then on, if approved."""
    decision: str | None
    decision_reason: str | None
    override_reason: str | None
    """Why the only approver decided on an own request; null wherever two people did."""
    revoked_by: str | None
    revoked_at: datetime | None
    revoked_reason: str | None


class OneException(ExceptionOut):
    findings: int
    """Findings that are excepted by it now; `/findings` has them."""
    sightings: int
    """What it covered since its approval, each a behaviour of a node on a day."""
    last_seen_at: datetime | None


class CoveredOut(BaseModel):
    finding_id: UUID
    state: str
    """Before the exception covers it."""
    severity: str
    score: int
    node_id: int
    hostname: str
    program: str
    port: str


class EffectOut(BaseModel):
    findings: int
    first: list[CoveredOut]
    """The heaviest of them, at most 100."""


class PreviewOut(EffectOut):
    nodes: int
    """Nodes that it speaks of now."""
    wide: list[str]


class ApprovedOut(ExceptionOut):
    covered: EffectOut


class RevokedOut(ExceptionOut):
    reopened: int
    """Findings that are open again."""
    went_over: int
    """Findings that another exception covers."""


@router.get("")
async def list_exceptions(  # noqa: PLR0913, PLR0917 - filters of a list
    session: Reading,
    actor: Reader,
    state: ExceptionState | None = None,
    role: str | None = None,
    node: Annotated[int | None, Query(description="those that speak of this node, also by its role now")] = None,
    program: Annotated[str | None, Query(description="file name as normalised", max_length=300)] = None,
    requested_by: str | None = None,
    expiring_within_days: Annotated[int | None, Query(ge=0, le=180, description="active ones that end so soon")] = None,
    sort: str = "-requested_at",
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[ExceptionOut]:
    """Requests and what became of them, the newest first."""
    now = utc_now()
    one = RequestedException
    conditions: list[Any] = [*store.of_roles(actor.roles)]
    conditions += [store.state_at(now) == state.value] if state else []
    conditions += [Role.name == role] if role is not None else []
    conditions += [store.speaks_of(node)] if node is not None else []
    conditions += [one.program == program] if program is not None else []
    conditions += [store.asked_by(requested_by)] if requested_by is not None else []
    if expiring_within_days is not None:
        soon = now + timedelta(days=expiring_within_days)
        conditions += [store.state_at(now) == ExceptionState.ACTIVE.value, one.expires_at <= soon]
    pages = keyset(sort, cursor, SORTS)
    rows = await store.list_exceptions(session, conditions + pages.conditions, pages.order, limit + 1)
    column = sort.removeprefix("-")
    following = pages.next(rows, limit, lambda row: (getattr(row[0], column), row[0].exception_id))
    return Page(items=[ExceptionOut(**_named(row, now)) for row in rows[:limit]], next=following)


@router.post("", status_code=201, openapi_extra=json_body(AskIn))
async def post_exception(http: Request, actor: Asker) -> ExceptionOut:
    """Ask for an exception. It covers nothing until somebody else approves it."""
    asked = await read_json(http, AskIn)
    made = await request(_database(http), actor, asked.wanted(), utc_now())
    return await _shown(_database(http), made)


@router.post("/from-finding", status_code=201, openapi_extra=json_body(FromFindingIn))
async def post_exception_from_finding(http: Request, actor: Asker) -> ExceptionOut:
    """Ask for just what a finding shows: its program, port and peers, on its node."""
    asked = await read_json(http, FromFindingIn)
    async with _database(http).reading() as session:
        found = await list_findings(
            session, [Finding.finding_id == asked.finding_id, *findings_of_roles(actor.roles)], [], 1
        )
    if not found:
        raise NotFound(f"no finding {asked.finding_id}", field="finding_id")
    made = await request(_database(http), actor, asked.wanted(found[0][0], found[0][1]), utc_now())
    return await _shown(_database(http), made)


@router.get("/{exception_id}")
async def get_exception(session: Reading, actor: Reader, exception_id: UUID) -> OneException:
    """With what it covers now, how often that was seen since, and when last."""
    row = await _find(session, actor, exception_id)
    findings = await store.count_findings(session, exception_id)
    sightings, last = await store.count_seen(session, exception_id)
    return OneException(**_named(row, utc_now()), findings=findings, sightings=sightings, last_seen_at=last)


@router.get("/{exception_id}/findings")
async def list_excepted_findings(
    session: Reading, actor: Reader, exception_id: UUID, cursor: Cursor = None, limit: Limit = 50
) -> Page[FindingOut]:
    """What it covers now, the last seen first, with full score and evidence."""
    await _find(session, actor, exception_id)
    pages = keyset("-last_seen_at", cursor, FINDING_SORTS)
    conditions = [store.covered_by(exception_id), *findings_of_roles(actor.roles), *pages.conditions]
    rows = await list_findings(session, conditions, pages.order, limit + 1)
    following = pages.next(rows, limit, lambda row: (row[0].last_seen_at, row[0].finding_id))
    return Page(items=[finding_out(row) for row in rows[:limit]], next=following)


@router.get("/{exception_id}/effect")
async def get_effect(session: Reading, actor: Reader, exception_id: UUID) -> PreviewOut:
    """What it would cover if it were approved now: look before you decide."""
    one = (await _find(session, actor, exception_id))[0]
    found = await coverable(session, one, utc_now())
    nodes = await store.nodes_in(session, one.platform, one.node_ids, one.role_id)
    return PreviewOut(**_effect([(each, each[0].state) for each in found]), nodes=nodes, wide=one.wide)


@router.post("/{exception_id}/approve", openapi_extra=json_body(DecisionIn))
async def post_approval(http: Request, actor: Approver, exception_id: UUID) -> ApprovedOut:
    """Put what somebody else asked for in force. The answer names the findings that are excepted by it from now on."""
    asked = await read_json(http, DecisionIn)
    found = await approve(_database(http), actor, exception_id, asked.decision(), utc_now())
    shown = await _shown(_database(http), exception_id)
    effect = EffectOut(**_effect([(each, before.value) for each, before in found]))
    return ApprovedOut(**dict(shown), covered=effect)


@router.post("/{exception_id}/reject", openapi_extra=json_body(DecisionIn))
async def post_rejection(http: Request, actor: Approver, exception_id: UUID) -> ExceptionOut:
    asked = await read_json(http, DecisionIn)
    await reject(_database(http), actor, exception_id, asked.decision(), utc_now())
    return await _shown(_database(http), exception_id)


@router.post("/{exception_id}/revoke", openapi_extra=json_body(RevokeIn))
async def post_revocation(http: Request, actor: Approver, exception_id: UUID) -> RevokedOut:
    """End it at once. What it covered is open again when you read the answer, unless another exception covers it."""
    asked = await read_json(http, RevokeIn)
    became = await revoke(_database(http), actor, exception_id, asked.reason, utc_now())
    return await _revoked(http, exception_id, became)


@router.post("/{exception_id}/take-back", openapi_extra=json_body(RevokeIn))
async def post_taking_back(http: Request, actor: Asker, exception_id: UUID) -> RevokedOut:
    """As `revoke`, for what you asked for yourself: before it is decided or afterwards."""
    asked = await read_json(http, RevokeIn)
    became = await revoke(_database(http), actor, exception_id, asked.reason, utc_now(), own=True)
    return await _revoked(http, exception_id, became)


@router.post("/{exception_id}/renew", status_code=201, openapi_extra=json_body(RenewIn))
async def post_renewal(http: Request, actor: Asker, exception_id: UUID) -> ExceptionOut:
    """Ask for the same for another time. Once somebody else approves it, findings go over to it without a gap."""
    asked = await read_json(http, RenewIn)
    made = await renew(_database(http), actor, exception_id, asked.why(), utc_now())
    return await _shown(_database(http), made)


def _database(http: Request) -> Database:
    database: Database = http.app.state.database
    return database


async def _find(session: ReadSession, actor: Actor, exception_id: UUID) -> Listed:
    """Raises: NotFound."""
    wanted = [RequestedException.exception_id == exception_id, *store.of_roles(actor.roles)]
    found = await store.list_exceptions(session, wanted, [], 1)
    if not found:
        raise NotFound(f"no exception {exception_id}")
    return found[0]


async def _shown(database: Database, exception_id: UUID) -> ExceptionOut:
    async with database.reading() as session:
        rows = await store.list_exceptions(session, [RequestedException.exception_id == exception_id], [], 1)
    return ExceptionOut(**_named(rows[0], utc_now()))


async def _revoked(http: Request, exception_id: UUID, became: LetGo) -> RevokedOut:
    shown = await _shown(_database(http), exception_id)
    return RevokedOut(**dict(shown), reopened=became.reopened, went_over=became.went_over)


def _named(row: Listed, now: datetime) -> dict[str, Any]:
    one, requester, decider, revoker, role = row
    columns = {name: getattr(one, name) for name in ExceptionOut.model_fields if hasattr(one, name)}
    people = {"requested_by": requester, "decided_by": decider, "revoked_by": revoker, "role": role}
    return columns | people | {"state": state_of(one, now), "says": str(one.expectation)}


def _effect(found: Sequence[tuple[Candidate, str]]) -> dict[str, Any]:
    return {"findings": len(found), "first": [_covered_out(*each) for each in found[:NAMED]]}


def _covered_out(found: Candidate, state: str) -> CoveredOut:
    finding, behaviour, hostname = found
    return CoveredOut(
        finding_id=finding.finding_id,
        state=state,
        severity=finding.severity,
        score=finding.score,
        node_id=finding.node_id,
        hostname=hostname,
        program=behaviour.name,
        port=behaviour.bucket,
    )
