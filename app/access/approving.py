"""Who may decide: an operator with the duty at this moment, and never alone on their own work while another could."""

from app.access import store
from app.access.actor import Actor
from app.access.duties import Duty
from app.database import WriteSession
from app.problems import Forbidden, InvalidRequest


async def hold_duty(session: WriteSession, actor: Actor, duty: Duty | None, *, field: str = "decided_by") -> int:
    """Number of the operator, who keeps the duty until the transaction ends, whatever a token says. None: any duty.

    Raises: Forbidden.
    """
    found = await store.hold_active(session, actor.operator_id) if actor.operator_id is not None else None
    if found is None:
        raise Forbidden("only an active operator does this; no program and no account does", field=field)
    if duty is not None and duty not in found.duties:
        raise Forbidden(f"{found.name} has not the duty {duty.value}", field=field)
    return found.operator_id


async def hold_approver(session: WriteSession, actor: Actor, *, is_own: bool, override_reason: str | None) -> int:
    """Number of the operator. `override_reason`: why the only approver there is decides on their own work.

    Raises: Forbidden; InvalidRequest for an override without need. Triggers refuse the same by themselves.
    """
    by = await hold_duty(session, actor, Duty.APPROVER)
    if not is_own:
        if override_reason is not None:
            raise InvalidRequest("this is not your own work: there is nothing to override", field="override_reason")
        return by
    others = await store.other_approvers(session, by)
    if override_reason is None:
        way = "another approver decides" if others else "say why you decide on it yourself in override_reason"
        raise Forbidden(f"this is the work of {actor.name}: {way}", field="decided_by")
    if others:
        named = ", ".join(others)
        raise Forbidden(f"nobody decides on their own work while there is {named}", field="override_reason")
    return by
