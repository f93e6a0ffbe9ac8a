"""Decides on submitted versions: somebody else approves or rejects, from a time, once."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from app.access.actor import Actor
from app.access.approving import hold_approver
from app.access.audit.actions import Action
from app.baselines import found, store
from app.baselines.drafts import locked, note, still_newest
from app.baselines.effects import Expectable, apply
from app.baselines.models import BaselineVersion
from app.baselines.reviews.schedule import plan
from app.database import Database, WriteSession
from app.findings.turns.store import hold_judging
from app.problems import Conflict, InvalidRequest

#: A version that comes into force later than this is a mistake.
LATEST = timedelta(days=400)


@dataclass(frozen=True, slots=True)
class Decision:
    """`in_force_from` None: at once. `override_reason`: why the only approver there is decides on their own work."""

    reason: str
    in_force_from: datetime | None = None
    override_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Approved:
    """`closed`: None where the version comes into force later."""

    version: BaselineVersion
    closed: list[Expectable] | None


async def approve(
    database: Database, actor: Actor, baseline_id: int, number: int, decision: Decision, now: datetime
) -> Approved:
    """In force from then on, or nothing changed.

    Raises: NotFound, Conflict when somebody was faster, Forbidden, InvalidRequest.
    """
    found.one_line("reason", decision.reason)
    if decision.override_reason is not None:
        found.one_line("override_reason", decision.override_reason)
    logged = found.denials_logged(database, actor, baseline_id, number)
    async with logged, database.writing() as session:
        await hold_judging(session)  # before any row: whoever waits for the judge holds up nobody else
        named, version = await locked(session, actor, baseline_id, number)
        _is_submitted(version)
        by = await _hold_approver(session, actor, version, decision.override_reason)
        before = await still_newest(session, version)
        at = _in_force_from(decision.in_force_from, before, now)
        if before:
            await store.update_version(session, baseline_id, before.number, superseded_at=at)
        await store.update_version(
            session,
            baseline_id,
            number,
            state="approved",
            decided_by=by,
            decided_at=now,
            decision_reason=decision.reason,
            override_reason=decision.override_reason,
            in_force_from=at,
            applied_at=now if at <= now else None,
        )
        closed = await apply(session, actor, named, number, now) if at <= now else None
        await plan(session, baseline_id, at + timedelta(days=named[0].review_interval_days), now)
        made = await found.version(session, baseline_id, number)
        sha256 = before.content_sha256 if before else None
        note(session, actor, Action.BASELINE_APPROVED, made, reason=_said(decision), before_sha256=sha256)
    return Approved(made, closed)


async def reject(
    database: Database, actor: Actor, baseline_id: int, number: int, reason: str, now: datetime
) -> BaselineVersion:
    """Raises: NotFound, Conflict, Forbidden, InvalidRequest."""
    found.one_line("reason", reason)
    logged = found.denials_logged(database, actor, baseline_id, number)
    async with logged, database.writing() as session:
        _, version = await locked(session, actor, baseline_id, number)
        _is_submitted(version)
        by = await _hold_approver(session, actor, version, None)
        values = {"state": "rejected", "decided_by": by, "decided_at": now, "decision_reason": reason}
        await store.update_version(session, baseline_id, number, **values)
        rejected = await found.version(session, baseline_id, number)
        note(session, actor, Action.BASELINE_REJECTED, rejected, reason=reason)
        return rejected


def _is_submitted(version: BaselineVersion) -> None:
    if version.state in {"approved", "rejected"}:
        raise Conflict(f"somebody was faster: version {version.number} is {version.state}", field="state")
    if version.state != "submitted":
        raise Conflict(
            f"version {version.number} is {version.state}; only a submitted one is decided on", field="state"
        )


async def _hold_approver(session: WriteSession, actor: Actor, version: BaselineVersion, override: str | None) -> int:
    """Raises: Forbidden, InvalidRequest."""
    is_own = actor.operator_id in {*version.editors, version.author_id, version.submitted_by}
    return await hold_approver(session, actor, is_own=is_own, override_reason=override)


def _in_force_from(wanted: datetime | None, before: BaselineVersion | None, now: datetime) -> datetime:
    """Raises: InvalidRequest, naming the field."""
    at = wanted or now
    if at < now:
        raise InvalidRequest(f"{at.isoformat()} has passed: a version never rewrites the past", field="in_force_from")
    if at > now + LATEST:
        raise InvalidRequest(f"at most {LATEST.days} days ahead", field="in_force_from")
    if before and before.in_force_from and before.in_force_from > at:
        text = f"version {before.number} comes into force at {before.in_force_from.isoformat()}: say then, or later"
        raise InvalidRequest(text, field="in_force_from")
    return at


def _said(decision: Decision) -> str:
    """In the words of the exceptions, so that one search finds both."""
    overridden = f"; OVERRIDE by the only approver: {decision.override_reason}" if decision.override_reason else ""
    return f"{decision.reason}{overridden}"
