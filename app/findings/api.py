"""Findings as JSON: the list, one with its evidence, and the rows behind it."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel

from app.access.api import Reading
from app.detection.deviation import Analytic, Severity
from app.findings import store
from app.findings.models import Finding
from app.findings.quotes import Quote, quote
from app.findings.store import Listed
from app.fleet.models import Role
from app.keyset import Cursor, Limit, Page, Sorting, instant, keyset, uuid
from app.observations.api import BehaviourOut
from app.observations.models import Behaviour
from app.problems import NotFound

router = APIRouter(prefix="/findings", tags=["findings"])

SORTS = {
    "score": Sorting(Finding.score, Finding.finding_id, int, uuid),
    "opened_at": Sorting(Finding.opened_at, Finding.finding_id, instant, uuid),
    "last_seen_at": Sorting(Finding.last_seen_at, Finding.finding_id, instant, uuid),
}


class EvidenceOut(BaseModel):
    reason: str
    points: float
    text: str


class FindingOut(BaseModel):
    finding_id: UUID
    state: str
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
    opened_at: datetime
    first_seen_at: datetime
    last_seen_at: datetime
    days_seen: int


@router.get("")
async def list_findings(  # noqa: PLR0913, PLR0917 - filters of a list
    session: Reading,
    state: Literal["open", "withdrawn"] = "open",
    severity: Annotated[list[Severity] | None, Query()] = None,
    analytic: Analytic | None = None,
    node_id: int | None = None,
    role: str | None = None,
    program: Annotated[str | None, Query(description="file name as normalised", max_length=300)] = None,
    since: Annotated[datetime | None, Query(description="opened at or after")] = None,
    sort: str = "-score",
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[FindingOut]:
    """Deviations that a person must judge, heaviest first."""
    wanted: list[tuple[Any, Any]] = [
        (Finding.state, state),
        (Finding.analytic, analytic),
        (Finding.node_id, node_id),
        (Role.name, role),
        (Behaviour.name, program),
    ]
    conditions = [column == value for column, value in wanted if value is not None]
    conditions += [Finding.severity.in_(severity)] if severity else []
    conditions += [Finding.opened_at >= since] if since else []
    pages = keyset(sort, cursor, SORTS)
    rows = await store.list_findings(session, conditions + pages.conditions, pages.order, limit + 1)
    column = sort.removeprefix("-")
    following = pages.next(rows, limit, lambda row: (getattr(row[0], column), row[0].finding_id))
    return Page(items=[finding_out(row) for row in rows[:limit]], next=following)


@router.get("/{finding_id}")
async def get_finding(session: Reading, finding_id: UUID) -> FindingOut:
    return finding_out(await _find(session, finding_id))


@router.get("/{finding_id}/rows")
async def get_finding_rows(session: Reading, finding_id: UUID) -> list[Quote]:
    """The rows that showed the behaviour on the node, one a day, as the agent sent them, newest first.

    Each names its batch and the SHA-256 of the stored bytes, so that it can be checked.
    """
    finding, *_ = await _find(session, finding_id)
    return await quote(session, finding.node_id, finding.behaviour_id)


async def _find(session: Reading, finding_id: UUID) -> Listed:
    found = await store.find_finding(session, finding_id)
    if found is None:
        raise NotFound(f"no finding {finding_id}")
    return found


def finding_out(row: Listed) -> FindingOut:
    finding, behaviour, node, role = row
    named: dict[str, Any] = {name: getattr(finding, name) for name in FindingOut.model_fields if hasattr(finding, name)}
    return FindingOut(**named, hostname=node.hostname, role=role, behaviour=BehaviourOut.of(behaviour))
