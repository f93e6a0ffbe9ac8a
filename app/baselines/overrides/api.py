"""Every override as JSON: one person asked and decided, who, when, on what and why."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel

from app.access.actor import Actor
from app.access.api import Reading, may
from app.access.duties import Permission
from app.baselines.overrides import store
from app.keyset import Cursor, Limit, Page, Sorting, instant, keyset

router = APIRouter(prefix="/overrides", tags=["overrides"])

Reader = Annotated[Actor, may(Permission.READ, heeds_roles=True)]


class OverrideOut(BaseModel):
    kind: Literal["baseline", "exception"]
    decided_at: datetime
    decided_by: str
    """Who also wrote or asked for it, and was the only active approver then."""
    override_reason: str
    decision: Literal["approved", "rejected"]
    decision_reason: str
    platform: str
    role: str | None
    """null: an exception for nodes by their numbers."""
    baseline_id: int | None
    number: int | None
    """Of the version."""
    exception_id: UUID | None


@router.get("")
async def list_overrides(
    session: Reading, actor: Reader, sort: str = "-decided_at", cursor: Cursor = None, limit: Limit = 50
) -> Page[OverrideOut]:
    """Decisions on one's own work, of baselines and exceptions, the newest first. None ever leaves the list."""
    both = store.every(actor.roles)
    pages = keyset(sort, cursor, {"decided_at": Sorting(both.c.decided_at, both.c.key, instant, str)})
    rows = await store.list_overrides(session, both, pages.conditions, pages.order, limit + 1)
    following = pages.next(rows, limit, lambda row: (row.decided_at, row.key))
    names = OverrideOut.model_fields
    items = [OverrideOut(**{name: getattr(row, name) for name in names}) for row in rows[:limit]]
    return Page(items=items, next=following)
