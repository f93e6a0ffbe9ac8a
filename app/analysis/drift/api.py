"""Drift of a role as JSON: what is new, what nobody shows any more, what spreads."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, Generic, TypeVar
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel

from app.access.api import Reading, may
from app.access.duties import Permission
from app.analysis.drift import store
from app.analysis.drift.store import Asked, FirstNode, Listed
from app.analysis.models import EVERY_ROLE
from app.clock import utc_now
from app.detection.behaviour import Platform
from app.detection.context import Trust
from app.detection.deviation import Severity
from app.findings.store import Judged, judged_as
from app.fleet.store import list_roles
from app.observations.api import BehaviourOut
from app.problems import InvalidRequest

router = APIRouter(prefix="/drift", tags=["drift"], dependencies=[may(Permission.READ)])

T = TypeVar("T")
LIMIT_MAX = 100
DAYS_MAX = 31


class Part(BaseModel, Generic[T]):
    items: list[T]
    more: bool
    """Whether there is more than `limit`."""


class NodeOut(BaseModel):
    node_id: int
    hostname: str
    first_seen_at: datetime


class DriftItem(BaseModel):
    behaviour: BehaviourOut
    nodes: int
    """That ever showed it, as far as history reaches."""
    first_day: date
    last_day: date
    severity: Severity | None
    """Of the gravest open finding on it in the whole fleet; null: judged, and recorded only."""
    fleet_finding_id: UUID | None


class NewItem(DriftItem):
    first_node: NodeOut | None
    """Null when retention has dropped the day."""
    trust: Trust
    signer: str
    """As the first node's signature query said."""


class SpreadingItem(NewItem):
    nodes_on_last_day: int
    nodes_a_day_before: float
    """On the average of the days from the first to the last."""


class UnseenItem(DriftItem):
    nodes_looked_at: int
    """Nodes that showed it in its last days, at most 200 a day."""
    nodes_silent: int
    """Those of them that said nothing of this direction and transport since."""
    is_gone: bool
    """At least one of them speaks and does not show it. False: no telemetry, which is no disappearance."""


class Drift(BaseModel):
    role: str | None
    platform: Platform | None
    since: date
    """The last day that is no news."""
    until: date
    known_since: date | None
    """First day of the history; null without any. In the first days everything is new."""
    new: Part[NewItem]
    spreading: Part[SpreadingItem]
    unseen: Part[UnseenItem]


@router.get("")
async def get_drift(
    session: Reading,
    role: Annotated[str | None, Query(max_length=300)] = None,
    platform: Platform | None = None,
    days: Annotated[int, Query(ge=1, le=DAYS_MAX)] = 7,
    nodes: Annotated[int, Query(ge=1, description="fewest that make something regular")] = 3,
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX, description="items of each part")] = 20,
) -> Drift:
    """What changed in the last days, of a role or of all."""
    today = utc_now().date()
    role_id = EVERY_ROLE if role is None else await _role(session, role)
    asked = Asked(role_id, platform, today - timedelta(days=days), today, limit + 1)
    new, spreading = await store.new(session, asked), await store.spreading(session, asked)
    unseen = await store.unseen(session, asked, nodes)
    judged = await judged_as(session, {tally.subject for tally, _ in (*new, *spreading, *unseen)})
    first = await store.first_nodes(session, asked, [*new[:limit], *spreading[:limit]])
    silent = await store.silent_nodes(session, asked, unseen[:limit])
    return Drift(
        role=role,
        platform=platform,
        since=asked.since,
        until=today,
        known_since=await store.known_since(session, asked),
        new=_part([_new(row, judged, first) for row in new], limit),
        spreading=_part([_spreading(row, judged, first) for row in spreading], limit),
        unseen=_part([_unseen(row, judged, silent.get(row[0].subject, (0, 0))) for row in unseen], limit),
    )


async def _role(session: Reading, name: str) -> int:
    roles = {known: role_id for role_id, known in (await list_roles(session)).items()}
    if name not in roles:
        raise InvalidRequest(f"no role {name!r}; there is {', '.join(sorted(roles)) or 'none'}", field="role")
    return roles[name]


def _part(items: Sequence[T], limit: int) -> Part[T]:
    return Part(items=list(items[:limit]), more=len(items) > limit)


def _item(row: Listed, judged: dict[UUID, Judged]) -> dict[str, object]:
    tally, behaviour = row
    severity, fleet_finding_id = judged.get(tally.subject, (None, None))
    return {
        "behaviour": BehaviourOut.of(behaviour),
        "nodes": tally.nodes + tally.day_nodes,
        "first_day": tally.first_day,
        "last_day": tally.day,
        "severity": severity,
        "fleet_finding_id": fleet_finding_id,
    }


def _new(row: Listed, judged: dict[UUID, Judged], first: Mapping[UUID, FirstNode]) -> NewItem:
    return NewItem(**_item(row, judged), **_first(first.get(row[0].subject)))


def _first(node: FirstNode | None) -> dict[str, object]:
    if node is None:
        return {"first_node": None, "trust": Trust.UNKNOWN, "signer": ""}
    shown = NodeOut(node_id=node.node_id, hostname=node.hostname, first_seen_at=node.first_seen_at)
    return {"first_node": shown, "trust": Trust(node.trust or Trust.UNKNOWN), "signer": node.signer or ""}


def _spreading(row: Listed, judged: dict[UUID, Judged], first: Mapping[UUID, FirstNode]) -> SpreadingItem:
    tally = row[0]
    before = tally.units / max((tally.day - tally.first_day).days, 1)
    days = {"nodes_on_last_day": tally.day_units, "nodes_a_day_before": round(before, 1)}
    return SpreadingItem(**_item(row, judged), **_first(first.get(tally.subject)), **days)


def _unseen(row: Listed, judged: dict[UUID, Judged], nodes: tuple[int, int]) -> UnseenItem:
    looked_at, silent = nodes
    return UnseenItem(**_item(row, judged), nodes_looked_at=looked_at, nodes_silent=silent, is_gone=silent < looked_at)
