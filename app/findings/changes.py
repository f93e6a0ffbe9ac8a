"""Changes the state of findings, each with a row that says who, when and why, in the caller's transaction."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from app.access.actor import Actor
from app.database import WriteSession
from app.findings import store
from app.findings.states import CLOSED, OPEN, State


@dataclass(frozen=True, slots=True)
class StateChange:
    """`checks` belong to a closing; `exception_id` to the state excepted; `reference` names what stands behind it."""

    finding_id: UUID
    node_id: int
    before: State
    after: State
    reason: str
    checks: dict[str, Any] | None = None
    exception_id: UUID | None = None
    reference: str = ""


async def change_states(session: WriteSession, actor: Actor, changes: Sequence[StateChange], now: datetime) -> None:
    """The findings must be locked by this transaction, and in the state `before`."""
    alike: dict[tuple[State, UUID | None], list[StateChange]] = defaultdict(list)
    for each in changes:
        alike[each.after, each.exception_id].append(each)
    for those in alike.values():
        await store.set_states(session, [each.finding_id for each in those], _values(actor, those[0], now))
    await store.insert_changes(session, [_row(actor, each, now) for each in changes])


def _values(actor: Actor, change: StateChange, now: datetime) -> dict[str, Any]:
    values: dict[str, Any] = {
        "state": change.after.value,
        "is_open": change.after in OPEN,
        "exception_id": change.exception_id,
        "closed_at": now if change.after in CLOSED else None,
    }
    if change.after is State.REOPENED:
        return values | {"due_since": now, "acknowledged_at": None}
    return values | ({"acknowledged_at": store.first_of_acknowledged(now)} if actor.operator_id else {})


def _row(actor: Actor, change: StateChange, now: datetime) -> dict[str, Any]:
    return {
        "finding_id": change.finding_id,
        "node_id": change.node_id,
        "at": now,
        "kind": "state",
        "operator_id": actor.operator_id,
        "actor_name": actor.name,
        "from_state": change.before.value,
        "to_state": change.after.value,
        "reason": change.reason,
        "checks": change.checks,
        "reference": change.reference,
    }
