"""Decides on exceptions: approves, rejects, takes back. Each in one transaction with what it does to findings."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.access.actor import Actor
from app.access.approving import hold_approver, hold_duty
from app.access.audit.actions import Action
from app.access.audit.deed import Deed
from app.access.audit.record import denials_recorded, record
from app.access.duties import Duty
from app.baselines.exceptions import store
from app.baselines.exceptions.asking import asked_sha256
from app.baselines.exceptions.covering import LetGo, cover, coverable, let_go, named
from app.baselines.exceptions.models import RequestedException
from app.baselines.exceptions.states import ExceptionState, state_of
from app.baselines.exceptions.store import Candidate
from app.baselines.found import one_line
from app.database import Database, WriteSession
from app.findings.states import State
from app.findings.turns.store import hold_judging
from app.problems import Conflict, Forbidden, NotFound


@dataclass(frozen=True, slots=True)
class Decision:
    """`override_reason`: why the only approver of a team decides on a request of their own."""

    reason: str
    override_reason: str | None = None

    def check(self) -> None:
        """Raises: InvalidRequest, naming the field."""
        for name, text in (("reason", self.reason), ("override_reason", self.override_reason)):
            if text is not None:
                one_line(name, text)


Covered = list[tuple[Candidate, State]]


async def approve(database: Database, actor: Actor, exception_id: UUID, decision: Decision, now: datetime) -> Covered:
    """It is in force when this returns. Returns the findings that it excepts, each with its state before.

    Raises: NotFound, InvalidRequest, Forbidden where duties must be separate, Conflict when it is not pending.
    """
    decision.check()
    async with _deciding(database, actor, exception_id) as session:
        await hold_judging(session)
        one = await _lock_pending(session, actor, exception_id, now)
        await _hold_approver(session, actor, one, decision)
        found = await coverable(session, one, now)
        await _closed_none(session, actor, one, decision, [each[0].finding_id for each in found])
        await _decide(session, actor, one, "approved", decision, now)
        return await cover(session, actor, one, found, f"{named(exception_id)} approved: {decision.reason}", now)


async def reject(database: Database, actor: Actor, exception_id: UUID, decision: Decision, now: datetime) -> None:
    """Raises: what `approve` does."""
    decision.check()
    async with _deciding(database, actor, exception_id) as session:
        one = await _lock_pending(session, actor, exception_id, now)
        await _hold_approver(session, actor, one, decision)
        await _decide(session, actor, one, "rejected", decision, now)


async def revoke(
    database: Database, actor: Actor, exception_id: UUID, reason: str, now: datetime, *, own: bool = False
) -> LetGo:
    """Take an active one back, or a request before anybody decides; what it covered is open again at once.

    `own`: by who asked for it; else by an approver.

    Raises: NotFound, InvalidRequest, Forbidden for who may not, Conflict when it is over.
    """
    Decision(reason).check()
    async with _deciding(database, actor, exception_id) as session:
        await hold_judging(session)
        one = await _lock(session, actor, exception_id)
        if (state := state_of(one, now)) not in {ExceptionState.ACTIVE, ExceptionState.PENDING}:
            raise Conflict(f"it is {state.value} already", field="exception_id", state=state.value)
        await _may_revoke(session, actor, one, own=own)
        await store.set_values(
            session, exception_id, revoked_by=actor.operator_id, revoked_at=now, revoked_reason=reason
        )
        became = await let_go(session, one, f"{named(exception_id)} taken back by {actor.name}: {reason}", now)
        deed = Deed(Action.EXCEPTION_REVOKED, "exception", str(exception_id), reason=f"{reason} ({became})")
        record(session, actor, deed)
        return became


@asynccontextmanager
async def _deciding(database: Database, actor: Actor, exception_id: UUID) -> AsyncIterator[WriteSession]:
    """A transaction; a refusal for separation of duties goes into the audit log by one of its own."""
    tried = Deed(Action.EXCEPTION_DECIDED, "exception", str(exception_id))
    async with denials_recorded(database, actor, tried), database.writing() as session:
        yield session


async def _lock(session: WriteSession, actor: Actor, exception_id: UUID) -> RequestedException:
    """Raises: NotFound."""
    one = await store.lock_exception(session, exception_id, actor.roles)
    if one is None:
        raise NotFound(f"no exception {exception_id}")
    return one


async def _lock_pending(session: WriteSession, actor: Actor, exception_id: UUID, now: datetime) -> RequestedException:
    """Raises: NotFound, Conflict."""
    one = await _lock(session, actor, exception_id)
    state = state_of(one, now)
    if state is ExceptionState.EXPIRED and one.decision is None:
        at = f"{one.expires_at:%Y-%m-%d %H:%M} UTC"
        raise Conflict(f"it would have ended {at}; ask for a new one", field="expires_at", state=state.value)
    if state is not ExceptionState.PENDING:
        said = one.decision if state is ExceptionState.EXPIRED else state.value
        raise Conflict(f"somebody was faster: it is {said} already", field="exception_id", state=state.value)
    return one


async def _hold_approver(session: WriteSession, actor: Actor, one: RequestedException, decision: Decision) -> None:
    """Raises: Forbidden, InvalidRequest."""
    is_own = one.requested_by == actor.operator_id
    await hold_approver(session, actor, is_own=is_own, override_reason=decision.override_reason)


async def _closed_none(
    session: WriteSession, actor: Actor, one: RequestedException, decision: Decision, findings: Sequence[UUID]
) -> None:
    """Who called a finding a false positive does not also accept it. Raises: Forbidden."""
    assert actor.operator_id is not None
    concerned = {*findings, *([one.finding_id] if one.finding_id else [])}
    closed = await store.closed_as_false(session, actor.operator_id, concerned)
    if closed and decision.override_reason is None:
        said = f"you closed finding {closed} as a false positive, so another approver must decide"
        raise Forbidden(said, field="decided_by")


async def _may_revoke(session: WriteSession, actor: Actor, one: RequestedException, *, own: bool) -> None:
    """Raises: Forbidden."""
    if own and one.requested_by != actor.operator_id:
        raise Forbidden("you did not ask for it; an approver can revoke it", field="requested_by")
    await hold_duty(session, actor, None if own else Duty.APPROVER)


async def _decide(
    session: WriteSession, actor: Actor, one: RequestedException, said: str, decision: Decision, now: datetime
) -> None:
    await store.set_values(
        session,
        one.exception_id,
        decided_by=actor.operator_id,
        decided_at=max(now, one.requested_at),
        decision=said,
        decision_reason=decision.reason,
        override_reason=decision.override_reason,
    )
    action = Action.EXCEPTION_APPROVED if said == "approved" else Action.EXCEPTION_REJECTED
    overridden = f"; OVERRIDE by the only approver: {decision.override_reason}" if decision.override_reason else ""
    deed = Deed(
        action,
        "exception",
        str(one.exception_id),
        after_sha256=asked_sha256(one),
        reason=f"{decision.reason}{overridden}",
    )
    record(session, actor, deed)
