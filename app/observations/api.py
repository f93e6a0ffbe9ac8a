"""Behaviours as JSON: what the fleet has been seen to do."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel

from app.access.api import Reading, may
from app.access.duties import Permission
from app.detection.behaviour import Direction, Platform, Transport
from app.keyset import Cursor, Limit, Page, Sorting, keyset, uuid
from app.observations import store
from app.observations.models import Behaviour

router = APIRouter(prefix="/behaviours", tags=["behaviours"], dependencies=[may(Permission.READ)])

SORTS = {
    "name": Sorting(Behaviour.name, Behaviour.behaviour_id, str, uuid),
    "behaviour_id": Sorting(Behaviour.behaviour_id, Behaviour.behaviour_id, uuid, uuid),
}


class BehaviourOut(BaseModel):
    behaviour_id: UUID
    platform: Platform
    program: str
    path: str
    unit: str
    """svchost service or launchd label, where that tells two uses of one file apart."""
    direction: Direction
    transport: Transport
    port: str
    """A port below 49152, `dynamic`, or for inventory facts the fact itself."""

    @classmethod
    def of(cls, row: Behaviour) -> "BehaviourOut":
        return cls(
            behaviour_id=row.behaviour_id,
            platform=Platform(row.platform),
            program=row.name,
            path=row.path,
            unit=row.unit,
            direction=Direction(row.direction),
            transport=Transport(row.transport),
            port=row.bucket,
        )


class SightingOut(BaseModel):
    """Nodes that showed a behaviour on a UTC day."""

    day: str
    nodes: int


@router.get("")
async def list_behaviours(  # noqa: PLR0913, PLR0917 - filters of a list
    session: Reading,
    program: Annotated[str | None, Query(description="file name as normalised", max_length=300)] = None,
    platform: Platform | None = None,
    direction: Direction | None = None,
    port: Annotated[str | None, Query(max_length=300)] = None,
    node_id: Annotated[int | None, Query(description="only what this node showed in the last 31 days")] = None,
    sort: str = "name",
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[BehaviourOut]:
    """Which program talks or listens on which port, and the inventory facts beside it."""
    wanted: list[tuple[Any, Any]] = [
        (Behaviour.name, program),
        (Behaviour.platform, platform),
        (Behaviour.direction, direction),
        (Behaviour.bucket, port),
    ]
    conditions = [column == value for column, value in wanted if value is not None]
    conditions += [store.shown_by(node_id)] if node_id is not None else []
    pages = keyset(sort, cursor, SORTS)
    rows = await store.list_behaviours(session, conditions + pages.conditions, pages.order, limit + 1)
    following = pages.next(rows, limit, lambda row: (getattr(row, sort.removeprefix("-")), row.behaviour_id))
    return Page(items=[BehaviourOut.of(row) for row in rows[:limit]], next=following)


@router.get("/{behaviour_id}/days")
async def list_behaviour_days(session: Reading, behaviour_id: UUID) -> list[SightingOut]:
    """On how many nodes it was seen, by UTC day, the last 31 days, newest first."""
    return [SightingOut(day=str(day), nodes=nodes) for day, nodes in await store.days_of(session, behaviour_id)]
