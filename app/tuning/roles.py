"""Renames a role. Nodes, sightings, secrets and findings know it by number and follow; its knobs are moved."""

from datetime import datetime

from app.access.actor import Actor
from app.access.audit.actions import Action
from app.access.audit.deed import Deed
from app.access.audit.record import record
from app.database import Database
from app.fleet import store as fleet
from app.fleet.secrets import check_name
from app.problems import Conflict, NotFound
from app.tuning import store
from app.tuning.changes import Why, move
from app.tuning.models import KnobVersion


async def rename_role(database: Database, old: str, new: str, actor: Actor, now: datetime) -> list[KnobVersion]:
    """All of it or nothing. Returns the versions of the knobs that are in force under the new name.

    Raises: InvalidRequest, NotFound, Conflict when the name is taken.
    """
    check_name("new", new)
    async with database.writing() as session:
        await store.hold_changes(session)
        await fleet.hold_roles(session)
        roles = {name: role_id for role_id, name in (await fleet.list_roles(session)).items()}
        if old not in roles:
            known = ", ".join(sorted(roles)[:20]) or "none"
            raise NotFound(f"no role {old[:100]!r}; there is {known}", field="old")
        if new in roles:
            raise Conflict(f"a role {new!r} exists already; roles cannot be merged", field="new")
        await fleet.rename_role(session, old, new)
        renamed = f"role renamed from {old} to {new}"
        moved = await move(session, old, new, Why(actor, renamed, forced_reason=renamed), now)
        record(session, actor, Deed(Action.ROLE_RENAMED, "role", str(roles[old]), reason=f"{old} before, {new} now"))
    return moved
