"""Nodes as JSON."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel

from app.access.actor import Actor
from app.access.api import Reading, may
from app.access.duties import Permission
from app.fleet import store
from app.fleet.models import Node, Role
from app.keyset import Cursor, Limit, Page, Sorting, instant, keyset
from app.problems import NotFound

router = APIRouter(prefix="/nodes", tags=["nodes"])

Reader = Annotated[Actor, may(Permission.READ, heeds_roles=True)]

SORTS = {
    "node_id": Sorting(Node.node_id, Node.node_id, int, int),
    "hostname": Sorting(Node.hostname, Node.node_id, str, int),
    "enrolled_at": Sorting(Node.enrolled_at, Node.node_id, instant, int),
}


class NodeOut(BaseModel):
    node_id: int
    hostname: str
    host_identifier: str
    platform: str
    role: str
    osquery_version: str
    enrolled_at: datetime
    heartbeat_at: datetime | None
    """When the last heartbeat row came; null when none ever did."""
    revoked_at: datetime | None


@router.get("")
async def list_nodes(  # noqa: PLR0913, PLR0917 - filters of a list
    session: Reading,
    actor: Reader,
    platform: str | None = None,
    role: str | None = None,
    hostname: Annotated[str | None, Query(max_length=300)] = None,
    sort: str = "node_id",
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[NodeOut]:
    """Enrolled osquery agents."""
    wanted: list[tuple[Any, Any]] = [(Node.platform, platform), (Role.name, role), (Node.hostname, hostname)]
    conditions = [column == value for column, value in wanted if value is not None]
    conditions += store.of_roles(actor.roles)
    pages = keyset(sort, cursor, SORTS)
    rows = await store.list_nodes(session, conditions + pages.conditions, pages.order, limit + 1)
    following = pages.next(rows, limit, lambda row: (getattr(row[0], sort.removeprefix("-")), row[0].node_id))
    return Page(items=[node_out(*row) for row in rows[:limit]], next=following)


@router.get("/{node_id}")
async def get_node(session: Reading, actor: Reader, node_id: int) -> NodeOut:
    wanted = [Node.node_id == node_id, *store.of_roles(actor.roles)]
    found = await store.list_nodes(session, wanted, [], 1)
    if not found:
        raise NotFound(f"no node {node_id}")
    return node_out(*found[0])


def node_out(node: Node, role: str) -> NodeOut:
    named = {name: getattr(node, name) for name in NodeOut.model_fields if hasattr(node, name)}
    return NodeOut(**named, role=role)
