"""Findings as JSON, of nodes and of the fleet: the list, one with its evidence, and the rows behind it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel

from app.access.actor import Actor
from app.access.api import Reading, may
from app.access.duties import Permission
from app.database import ReadSession
from app.detection.behaviour import Platform
from app.detection.deviation import Analytic, Severity, Spread
from app.findings import found, store
from app.findings.models import Finding, FleetFinding
from app.findings.quotes import Quote, quote
from app.findings.states import State
from app.findings.store import Listed, ListedFleet
from app.fleet.models import Role
from app.keyset import Cursor, Limit, Page, Sorting, instant, keyset, uuid
from app.observations.api import BehaviourOut
from app.observations.models import Behaviour
from app.problems import NotFound

router = APIRouter(prefix="/findings", tags=["findings"])
fleet_router = APIRouter(prefix="/fleet-findings", tags=["findings"], dependencies=[may(Permission.READ)])

Reader = Annotated[Actor, may(Permission.READ, heeds_roles=True)]
States = Annotated[list[State] | None, Query(description="several times for several")]
IsOpen = Annotated[bool | None, Query(description="whether a person has something to do")]

SORTS = {
    "score": Sorting(Finding.score, Finding.finding_id, int, uuid),
    "opened_at": Sorting(Finding.opened_at, Finding.finding_id, instant, uuid),
    "last_seen_at": Sorting(Finding.last_seen_at, Finding.finding_id, instant, uuid),
}


MEMBER_SORTS = {"first_seen_at": Sorting(Finding.first_seen_at, Finding.finding_id, instant, uuid)}

FLEET_SORTS = {
    "score": Sorting(FleetFinding.score, FleetFinding.fleet_finding_id, int, uuid),
    "opened_at": Sorting(FleetFinding.opened_at, FleetFinding.fleet_finding_id, instant, uuid),
    "last_seen_at": Sorting(FleetFinding.last_seen_at, FleetFinding.fleet_finding_id, instant, uuid),
}
FIRST_NODES = 5


class EvidenceOut(BaseModel):
    reason: str
    points: float
    text: str


class FindingOut(BaseModel):
    finding_id: UUID
    state: State
    is_open: bool
    """Whether a person has something to do."""
    assignee: str | None
    """The operator whose work it is."""
    severity: Severity
    score: int
    technique: str = "T1571"
    analytic: Analytic
    node_id: int
    hostname: str
    role: str
    behaviour: BehaviourOut
    evidence: list[EvidenceOut]
    knobs_version: int
    """Of the knobs that judged it, as `/api/v1/knobs?version=` takes it; 0 for the defaults."""
    fleet_finding_id: UUID | None
    """The fleet finding that speaks for it."""
    opened_at: datetime
    first_seen_at: datetime
    last_seen_at: datetime
    days_seen: int
    due_since: datetime | None
    """When it was last reopened. Both times count from then, or from its opening."""
    acknowledged_at: datetime | None
    """When a person first gave it a state."""
    closed_at: datetime | None
    """When a person closed it; null while it is open, excepted or withdrawn."""
    seconds_to_acknowledge: int | None
    seconds_to_close: int | None
    exception_id: UUID | None
    """What covers it while it is excepted."""


class FleetNode(BaseModel):
    node_id: int
    hostname: str
    first_seen_at: datetime


class FleetFindingOut(BaseModel):
    fleet_finding_id: UUID
    state: State
    is_open: bool
    spread: Spread
    severity: Severity
    score: int
    technique: str = "T1571"
    analytic: Analytic
    behaviour: BehaviourOut
    nodes: int
    first_nodes: list[FleetNode]
    """Those that came first; `/nodes` has all."""
    evidence: list[EvidenceOut]
    opened_at: datetime
    first_seen_at: datetime
    """When the first of its nodes came to show it."""
    last_seen_at: datetime
    """When the newest of its nodes came to show it."""


@router.get("")
async def list_findings(  # noqa: PLR0913, PLR0917 - filters of a list
    session: Reading,
    actor: Reader,
    state: States = None,
    is_open: IsOpen = None,
    assignee: Annotated[
        str | None, Query(max_length=127, description="operator whose work it is; - for nobody")
    ] = None,
    severity: Annotated[list[Severity] | None, Query()] = None,
    analytic: Analytic | None = None,
    node_id: int | None = None,
    role: str | None = None,
    program: Annotated[str | None, Query(description="file name as normalised", max_length=300)] = None,
    since: Annotated[datetime | None, Query(description="opened at or after")] = None,
    members: Annotated[bool, Query(description="also those that a fleet finding speaks for")] = False,  # noqa: FBT002
    sort: str = "-score",
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[FindingOut]:
    """Deviations that a person must judge, heaviest first; without `state` and `is_open` those that are open."""
    wanted: list[tuple[Any, Any]] = [
        (Finding.analytic, analytic),
        (Finding.node_id, node_id),
        (Role.name, role),
        (Behaviour.name, program),
    ]
    conditions = [column == value for column, value in wanted if value is not None]
    conditions += _in_states(Finding, state, is_open=is_open)
    conditions += [store.assigned_to(assignee)] if assignee else []
    conditions += [Finding.severity.in_(severity)] if severity else []
    conditions += [Finding.opened_at >= since] if since else []
    conditions += [] if members else [store.stands_alone()]
    conditions += store.of_roles(actor.roles)
    pages = keyset(sort, cursor, SORTS)
    rows = await store.list_findings(session, conditions + pages.conditions, pages.order, limit + 1)
    column = sort.removeprefix("-")
    following = pages.next(rows, limit, lambda row: (getattr(row[0], column), row[0].finding_id))
    return Page(items=[finding_out(row) for row in rows[:limit]], next=following)


@router.get("/{finding_id}")
async def get_finding(session: Reading, actor: Reader, finding_id: UUID) -> FindingOut:
    return finding_out(await found.finding(session, actor, finding_id))


@router.get("/{finding_id}/rows")
async def get_finding_rows(session: Reading, actor: Reader, finding_id: UUID) -> list[Quote]:
    """The rows that showed the behaviour on the node, one a day, as the agent sent them, newest first.

    Each names its batch and the SHA-256 of the stored bytes, so that it can be checked.
    """
    finding, *_ = await found.finding(session, actor, finding_id)
    return await quote(session, finding.node_id, finding.behaviour_id)


@fleet_router.get("")
async def list_fleet_findings(  # noqa: PLR0913, PLR0917 - filters of a list
    session: Reading,
    state: States = None,
    is_open: IsOpen = None,
    severity: Annotated[list[Severity] | None, Query()] = None,
    spread: Spread | None = None,
    platform: Platform | None = None,
    program: Annotated[str | None, Query(description="file name as normalised", max_length=300)] = None,
    since: Annotated[datetime | None, Query(description="opened at or after")] = None,
    sort: str = "-score",
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[FleetFindingOut]:
    """The same new behaviour on many nodes within a day: one finding in place of many, heaviest first.

    Without `state` and `is_open` those that are open.
    """
    wanted: list[tuple[Any, Any]] = [
        (FleetFinding.spread, spread),
        (Behaviour.platform, platform),
        (Behaviour.name, program),
    ]
    conditions = [column == value for column, value in wanted if value is not None]
    conditions += _in_states(FleetFinding, state, is_open=is_open)
    conditions += [FleetFinding.severity.in_(severity)] if severity else []
    conditions += [FleetFinding.opened_at >= since] if since else []
    pages = keyset(sort, cursor, FLEET_SORTS)
    rows = await store.list_fleet_findings(session, conditions + pages.conditions, pages.order, limit + 1)
    column = sort.removeprefix("-")
    following = pages.next(rows, limit, lambda row: (getattr(row[0], column), row[0].fleet_finding_id))
    return Page(items=await _fleet_findings_out(session, rows[:limit]), next=following)


@fleet_router.get("/{fleet_finding_id}")
async def get_fleet_finding(session: Reading, fleet_finding_id: UUID) -> FleetFindingOut:
    return await fleet_finding_out(session, fleet_finding_id)


@fleet_router.get("/{fleet_finding_id}/nodes")
async def list_fleet_finding_nodes(
    session: Reading, fleet_finding_id: UUID, cursor: Cursor = None, limit: Limit = 50
) -> Page[FindingOut]:
    """The findings of its nodes, each with its own evidence, the first to show it first."""
    pages = keyset("first_seen_at", cursor, MEMBER_SORTS)
    conditions = [Finding.fleet_finding_id == fleet_finding_id, *pages.conditions]
    rows = await store.list_findings(session, conditions, pages.order, limit + 1)
    following = pages.next(rows, limit, lambda row: (row[0].first_seen_at, row[0].finding_id))
    return Page(items=[finding_out(row) for row in rows[:limit]], next=following)


async def fleet_finding_out(session: ReadSession, fleet_finding_id: UUID) -> FleetFindingOut:
    """Raises: NotFound."""
    rows = await store.list_fleet_findings(session, [FleetFinding.fleet_finding_id == fleet_finding_id], [], 1)
    if not rows:
        raise NotFound(f"no fleet finding {fleet_finding_id}")
    return (await _fleet_findings_out(session, rows))[0]


async def _fleet_findings_out(session: ReadSession, rows: Sequence[ListedFleet]) -> list[FleetFindingOut]:
    first = await store.first_nodes(session, [fleet.fleet_finding_id for fleet, _ in rows], FIRST_NODES)
    names = ("node_id", "hostname", "first_seen_at")
    return [
        FleetFindingOut(
            **{name: getattr(fleet, name) for name in FleetFindingOut.model_fields if hasattr(fleet, name)},
            behaviour=BehaviourOut.of(behaviour),
            first_nodes=[
                FleetNode(**dict(zip(names, node, strict=True))) for node in first.get(fleet.fleet_finding_id, ())
            ],
        )
        for fleet, behaviour in rows
    ]


def finding_out(row: Listed) -> FindingOut:
    finding, behaviour, node, role, assignee = row
    named: dict[str, Any] = {name: getattr(finding, name) for name in FindingOut.model_fields if hasattr(finding, name)}
    of_node = {"hostname": node.hostname, "role": role, "assignee": assignee}
    return FindingOut(**named, **of_node, behaviour=BehaviourOut.of(behaviour))


def _in_states(table: type[Finding | FleetFinding], states: list[State] | None, *, is_open: bool | None) -> list[Any]:
    chosen = [table.state.in_(states)] if states else []
    if is_open is None and not states:
        is_open = True
    return chosen if is_open is None else [*chosen, table.is_open.is_(is_open)]
