"""Finds what a request names, or says that it is not there; an operator limited to some roles finds theirs only."""

from uuid import UUID

from app.access.actor import Actor
from app.database import ReadSession
from app.findings import store
from app.findings.store import Listed
from app.problems import NotFound


async def finding(session: ReadSession, actor: Actor, finding_id: UUID) -> Listed:
    """Raises: NotFound, also where the node has a role by now that the actor may not see."""
    found = await store.find_finding(session, finding_id, actor.roles)
    if found is None:
        raise NotFound(f"no finding {finding_id}")
    return found
