"""Coverage as JSON: who reports which query, and what could not be seen."""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel

from app.access.actor import Actor
from app.access.api import Reading, may
from app.access.duties import Permission
from app.analysis import store
from app.analysis.coverage import NodeCoverage, coverage
from app.clock import utc_now
from app.fleet.models import Node, Role
from app.fleet.store import list_nodes, of_roles
from app.keyset import Cursor, Limit, Page, Sorting, keyset

router = APIRouter(prefix="/coverage", tags=["coverage"])

SORTS = {"node_id": Sorting(Node.node_id, Node.node_id, int, int)}


class Queue(BaseModel):
    """Batches with something new that are still to be judged, and those set aside after repeated failures."""

    waiting: int
    set_aside: int


@router.get("/queue", dependencies=[may(Permission.READ)])
async def get_queue(session: Reading) -> Queue:
    waiting, set_aside = await store.queue_length(session)
    return Queue(waiting=waiting, set_aside=set_aside)


@router.get("")
async def list_coverage(  # noqa: PLR0913, PLR0917 - filters of a list
    request: Request,
    session: Reading,
    actor: Annotated[Actor, may(Permission.READ, heeds_roles=True)],
    platform: str | None = None,
    role: str | None = None,
    node_id: int | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[NodeCoverage]:
    """A silent or denylisted query is not a quiet host: here is which of them speak."""
    wanted: list[tuple[Any, Any]] = [(Node.platform, platform), (Role.name, role), (Node.node_id, node_id)]
    conditions = [column == value for column, value in wanted if value is not None]
    conditions += of_roles(actor.roles)
    pages = keyset("node_id", cursor, SORTS)
    packs = request.app.state.agent_door.packs
    rows = await list_nodes(session, conditions + pages.conditions, pages.order, limit + 1)
    following = pages.next(rows, limit, lambda row: (row[0].node_id, row[0].node_id))
    return Page(items=await coverage(session, packs, rows[:limit], utc_now()), next=following)
