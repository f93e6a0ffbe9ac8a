"""Whose work a finding is, and what people say of it."""

from datetime import datetime
from uuid import UUID

from app.access.actor import Actor
from app.access.audit.actions import Action
from app.access.audit.deed import Deed
from app.access.audit.record import record
from app.access.duties import PERMISSIONS, Permission
from app.access.models import Operator
from app.access.operator_rules import duties_of
from app.access.store import find_operator
from app.database import Database, WriteSession
from app.findings.states import OPEN, words
from app.findings.triage import store
from app.findings.triage.store import Locked
from app.findings.triage.words import TEXT_MAX, is_text
from app.problems import Conflict, InvalidRequest, NotFound


async def assign(
    database: Database, actor: Actor, finding_id: UUID, to: str | None, reason: str, now: datetime
) -> None:
    """Make an open finding the work of an operator who may triage it, or of nobody. `reason` may be empty.

    Raises: InvalidRequest, NotFound, Conflict.
    """
    _demand_text("reason", reason or "none")
    async with database.writing() as session:
        there = await _locked(session, actor, finding_id)
        if to is not None and there.state not in OPEN:
            raise Conflict(
                f"it is {words(there.state)}: there is nothing to do", field="state", state=there.state.value
            )
        operator = await _assignee(session, to, there) if to is not None else None
        assignee_id = operator.operator_id if operator else None
        if there.assignee_id == assignee_id:
            raise Conflict("it is so already", field="assignee")
        said = reason or (f"assigned to {to}" if to else "assigned to nobody")
        await store.set_assignee(session, finding_id, assignee_id)
        await store.add_note(session, actor, there, now, kind="assignment", reason=said, assignee_id=assignee_id)
        record(session, actor, Deed(Action.FINDING_ASSIGNED, "finding", str(finding_id), reason=f"{to or '-'}: {said}"))


async def comment(database: Database, actor: Actor, finding_id: UUID, text: str, now: datetime) -> int:
    """Returns the id of the change. Raises: InvalidRequest, NotFound."""
    _demand_text("text", text)
    async with database.writing() as session:
        there = await _locked(session, actor, finding_id)
        change_id = await store.add_note(session, actor, there, now, kind="comment", reason=text)
        record(session, actor, Deed(Action.FINDING_COMMENTED, "finding", str(finding_id), reason=text))
    return change_id


def _demand_text(field: str, text: str) -> None:
    if not is_text(text):
        raise InvalidRequest(f"visible text of at most {TEXT_MAX:,} characters", field=field)


async def _locked(session: WriteSession, actor: Actor, finding_id: UUID) -> Locked:
    there = await store.lock(session, [finding_id], actor.roles)
    if not there:
        raise NotFound(f"no finding {finding_id}")
    return there[0]


async def _assignee(session: WriteSession, name: str, there: Locked) -> Operator:
    found = await find_operator(session, name)
    if found is None or found.disabled_at:
        raise InvalidRequest(f"no active operator is named {name!r}", field="assignee")
    if not PERMISSIONS[Permission.TRIAGE] & duties_of(found):
        raise InvalidRequest(f"{name} may not triage", field="assignee")
    if found.role_ids is not None and there.role_id not in found.role_ids:
        raise InvalidRequest(f"{name} may not see nodes of this role", field="assignee")
    return found
