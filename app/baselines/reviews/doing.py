"""Does a review: every entry in force is confirmed or to go; what should change becomes a draft for somebody else."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from app.access.actor import Actor
from app.access.approving import hold_duty
from app.access.audit.actions import Action
from app.access.audit.deed import Deed
from app.access.audit.record import record
from app.access.duties import Duty
from app.baselines import found
from app.baselines import store as baselines
from app.baselines.drafts import Draft, Origin, draft
from app.baselines.entries import EntriesRefused, NewEntry, as_new
from app.baselines.models import BaselineVersion
from app.baselines.reviews import store
from app.baselines.reviews.models import BaselineReview
from app.baselines.reviews.schedule import Trigger, plan
from app.baselines.reviews.store import Listed
from app.baselines.store import Named
from app.database import Database, ReadSession, WriteSession
from app.detection.evidence import counted
from app.problems import Conflict, InvalidRequest, NotFound


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the reviewer says of the entries in force. `others` confirms those that are not named."""

    version: int  #: that the reviewer looked at
    confirmed: frozenset[UUID] = frozenset()
    remove: frozenset[UUID] = frozenset()
    add: Sequence[NewEntry] = ()
    others: bool = False
    notes: str = ""


async def find_review(session: ReadSession, actor: Actor, review_id: int) -> Listed:
    """Raises: NotFound."""
    listed = await store.find_review(session, review_id)
    if listed is None or (actor.roles is not None and listed[1].role_id not in actor.roles):
        raise NotFound(f"no review {review_id}")
    return listed


async def do(database: Database, actor: Actor, review_id: int, verdict: Verdict, now: datetime) -> Listed:
    """Raises: NotFound, Conflict when it is done or the version is not in force, Forbidden, InvalidRequest."""
    if verdict.notes:
        found.one_line("notes", verdict.notes)
    async with database.writing() as session:
        await store.lock_review(session, review_id)
        review, of, _ = await find_review(session, actor, review_id)
        if review.reviewed_at:
            raise Conflict(f"review {review_id} was done already", field="review_id")
        reviewer = await hold_duty(session, actor, Duty.REVIEWER, field="reviewer")
        named = await found.baseline(session, actor, of.baseline_id)
        await _is_in_force(session, named, verdict.version, now)
        known = await _ids(session, named, verdict.version)
        confirmed = _confirmed(known, verdict)
        made = await _draft(session, actor, named, review, verdict, now)
        await store.finish_review(
            session,
            review_id,
            reviewed_at=now,
            reviewer_id=reviewer,
            version=verdict.version,
            outcome="changes_proposed" if made else "confirmed",
            notes=verdict.notes,
            confirmed=sorted(confirmed),
            removed=sorted(verdict.remove),
            added=sorted(await _ids(session, named, made.number) - known) if made else [],
            draft=made.number if made else None,
            sod_ok=True,  # the database says how it is
        )
        if review.trigger == Trigger.SCHEDULED:
            await plan(session, of.baseline_id, now + timedelta(days=of.review_interval_days), now)
        says = f"{len(confirmed)} confirmed, {len(verdict.remove)} to remove, {len(verdict.add)} to add"
        record(session, actor, Deed(Action.BASELINE_REVIEWED, "baseline_review", str(review_id), reason=says))
        return await find_review(session, actor, review_id)


async def _is_in_force(session: WriteSession, named: Named, seen: int, now: datetime) -> None:
    """Raises: Conflict unless it is the version that the reviewer looked at."""
    baseline_id = named[0].baseline_id
    version = (await baselines.versions_in_force(session, [baseline_id], now)).get(baseline_id)
    if version is None:
        raise Conflict(f"nothing is in force for {found.words(named)}", field="version")
    if version.number != seen:
        raise Conflict(f"version {version.number} is in force by now, not {seen}", field="version")


async def _ids(session: WriteSession, named: Named, number: int) -> set[UUID]:
    entries = await baselines.entries_of(session, named[0].baseline_id, number, found.platform(named))
    return {each.entry_id for each in entries}


def _confirmed(known: set[UUID], verdict: Verdict) -> set[UUID]:
    """Raises: InvalidRequest unless the verdict speaks of every entry once, and of no other."""
    for field, ids in (("confirmed", verdict.confirmed), ("remove", verdict.remove)):
        if strangers := ids - known:
            raise InvalidRequest(f"version {verdict.version} has no entry {min(strangers)}", field=field)
    if both := verdict.confirmed & verdict.remove:
        raise InvalidRequest(f"entry {min(both)} is confirmed and to be removed", field="remove")
    silent = known - verdict.confirmed - verdict.remove
    if silent and not verdict.others:
        number = counted(len(silent), "entry is", "entries are")
        raise InvalidRequest(f"{number} neither confirmed nor to be removed, e.g. {min(silent)}", field="confirmed")
    return known - verdict.remove


async def _draft(
    session: WriteSession, actor: Actor, named: Named, review: BaselineReview, verdict: Verdict, now: datetime
) -> BaselineVersion | None:
    """The draft that the verdict asks for, if it asks for any change. It goes on from what was approved last."""
    newest = await baselines.newest_approved(session, named[0].baseline_id)
    if newest is None or not (verdict.remove or verdict.add):
        return None
    entries = await baselines.entries_of(session, newest.baseline_id, newest.number, found.platform(named))
    kept = [as_new(each) for each in entries if each.entry_id not in verdict.remove]
    origin = Origin.INCIDENT if review.trigger == Trigger.INCIDENT else Origin.REVIEW
    reason = verdict.notes or f"review {review.review_id} of version {verdict.version}"
    wanted = Draft([*kept, *verdict.add], origin, reason, f"review {review.review_id}")
    try:
        return await draft(session, actor, named, wanted, now)
    except EntriesRefused as refused:
        faults = [(index - len(kept), field, said) for index, field, said in refused.faults]
        raise EntriesRefused(faults, under="add") from None
