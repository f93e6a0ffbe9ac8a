"""When reviews are due: by the interval of a baseline, or because something happened."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from app.access.actor import Actor
from app.access.audit.actions import Action
from app.access.audit.deed import Deed
from app.access.audit.record import record
from app.baselines import found
from app.baselines import store as baselines
from app.baselines.reviews import store
from app.database import Database, WriteSession
from app.problems import Conflict, InvalidRequest

DUE_DAYS_MAX = 400
SCHEDULER = "portbook"


class Trigger(StrEnum):
    SCHEDULED = "scheduled"
    CHANGE = "change"  #: what the role is for, or its software, changed
    INCIDENT = "incident"


@dataclass(frozen=True, slots=True)
class Occasion:
    """Why somebody asks for a review out of turn."""

    trigger: Trigger
    reason: str
    reference: str = ""  #: a finding, an incident, a ticket
    due_days: int = 7


async def plan(session: WriteSession, baseline_id: int, due_at: datetime, now: datetime) -> None:
    """The next scheduled review; one that waits already stays as it is, or approvals could put it off for ever."""
    values = {"trigger": Trigger.SCHEDULED.value, "opened_at": now, "opened_by": SCHEDULER, "due_at": due_at}
    await store.insert_review(session, baseline_id=baseline_id, **values)


async def open_review(database: Database, actor: Actor, baseline_id: int, why: Occasion, now: datetime) -> int:
    """Returns its number. Raises: NotFound, Conflict where nothing was ever approved, InvalidRequest."""
    found.one_line("reason", why.reason)
    if why.reference:
        found.one_line("reference", why.reference)
    if not 0 <= why.due_days <= DUE_DAYS_MAX:
        raise InvalidRequest(f"a review is due within {DUE_DAYS_MAX} days", field="due_days")
    async with database.writing() as session:
        named = await found.baseline(session, actor, baseline_id)
        if not await baselines.versions_in_force(session, [baseline_id], now):
            raise Conflict(f"nothing is in force for {found.words(named)}: there is nothing to review")
        review_id = await store.insert_review(
            session,
            baseline_id=baseline_id,
            trigger=why.trigger.value,
            reason=why.reason,
            reference=why.reference,
            opened_at=now,
            opened_by=actor.name,
            due_at=now + timedelta(days=why.due_days),
        )
        assert review_id is not None
        deed = Deed(Action.BASELINE_REVIEW_OPENED, "baseline_review", str(review_id), reason=why.reason)
        record(session, actor, deed)
        return review_id


async def set_interval(database: Database, actor: Actor, baseline_id: int, days: int) -> None:
    """From the next scheduled review on. Raises: NotFound."""
    async with database.writing() as session:
        await found.baseline(session, actor, baseline_id)
        await baselines.set_interval(session, baseline_id, days)
        deed = Deed(Action.BASELINE_INTERVAL_CHANGED, "baseline", str(baseline_id), reason=f"{days} days")
        record(session, actor, deed)
