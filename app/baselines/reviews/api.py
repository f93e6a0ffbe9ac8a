"""Reviews of baselines as JSON: due, overdue, done; and the entries that nobody shows any more."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from app.access.actor import Actor
from app.access.api import Reading, may
from app.access.duties import Permission
from app.baselines import found
from app.baselines import store as baselines
from app.baselines.forms import EntryIn, EntryOut
from app.baselines.reviews import store
from app.baselines.reviews.doing import Verdict, do, find_review
from app.baselines.reviews.models import BaselineReview
from app.baselines.reviews.schedule import DUE_DAYS_MAX, Occasion, Trigger, open_review
from app.baselines.reviews.store import Listed
from app.baselines.reviews.unused import last_shown
from app.clock import utc_now
from app.database import Database, ReadSession
from app.detection.behaviour import Platform
from app.keyset import Cursor, Limit, Page, Sorting, instant, keyset
from app.problems import Conflict
from app.request_body import json_body, read_json

router = APIRouter(prefix="/baselines", tags=["baselines"])
reviews = APIRouter(prefix="/baseline-reviews", tags=["baselines"])

Reader = Annotated[Actor, may(Permission.READ, heeds_roles=True)]
Reviewer = Annotated[Actor, may(Permission.REVIEW, heeds_roles=True)]

SORTS = {"due_at": Sorting(BaselineReview.due_at, BaselineReview.review_id, instant, int)}
Text = Annotated[str, Field(min_length=1, max_length=found.TEXT_MAX)]
Reference = Annotated[str, Field(max_length=found.TEXT_MAX)]


class ReviewOut(BaseModel):
    review_id: int
    baseline_id: int
    role: str
    platform: Platform
    state: Literal["due", "overdue", "done"]
    trigger: Trigger
    reason: str
    reference: str
    opened_at: datetime
    opened_by: str
    due_at: datetime
    reviewed_at: datetime | None
    reviewer: str | None
    version: int | None
    """In force when it was reviewed."""
    outcome: str | None
    notes: str
    confirmed: list[UUID]
    removed: list[UUID]
    added: list[UUID]
    draft: int | None
    """The version that its removals and additions became."""
    sod_ok: bool | None
    """False: the reviewer alone had written the version."""


class OccasionIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    trigger: Literal["change", "incident"]
    reason: Text
    reference: Reference = ""
    """A finding, an incident, a ticket."""
    due_days: Annotated[int, Field(ge=0, le=DUE_DAYS_MAX)] = 7


class VerdictIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: Annotated[int, Field(ge=1)]
    """That you looked at: 409 when another is in force by now."""
    confirmed: list[UUID] = []
    others_confirmed: bool = False
    """Confirms every entry that is not named; without it each must be."""
    remove: list[UUID] = []
    add: list[EntryIn] = []
    notes: Reference = ""


class UnusedOut(BaseModel):
    entry: EntryOut
    last_shown: date | None
    """Newest day on which a node of the role showed what it covers; null: never, as far as history reaches."""


class UnusedListOut(BaseModel):
    version: int
    days: int
    known_since: date | None
    """First day of the role's history: what is younger than `days` cannot say that something is unused."""
    items: list[UnusedOut]


@router.get("/{baseline_id}/unused")
async def get_unused(
    session: Reading,
    actor: Reader,
    baseline_id: int,
    days: Annotated[int, Query(ge=1, le=400, description="not shown by any node of the role for so long")] = 30,
) -> UnusedListOut:
    """Entries in force that no node of the role has shown for so many days."""
    now = utc_now()
    named = await found.baseline(session, actor, baseline_id)
    version = (await baselines.versions_in_force(session, [baseline_id], now)).get(baseline_id)
    if version is None:
        raise Conflict(f"nothing is in force for {found.words(named)}")
    entries = await baselines.entries_of(session, baseline_id, version.number, found.platform(named))
    shown = await last_shown(session, named, entries)
    unused = [each for each in shown if each.day is None or (now.date() - each.day).days >= days]
    unused.sort(key=lambda each: (each.day or date.min, str(each.entry.expects)))
    return UnusedListOut(
        version=version.number,
        days=days,
        known_since=await store.known_since(session, named[0].role_id),
        items=[UnusedOut(entry=EntryOut.of(each.entry), last_shown=each.day) for each in unused],
    )


@router.post("/{baseline_id}/reviews", status_code=201, openapi_extra=json_body(OccasionIn))
async def post_review(request: Request, actor: Reviewer, baseline_id: int) -> ReviewOut:
    """Ask for a review out of turn: something changed, or there was an incident."""
    asked = await read_json(request, OccasionIn)
    occasion = Occasion(Trigger(asked.trigger), asked.reason, asked.reference, asked.due_days)
    database: Database = request.app.state.database
    review_id = await open_review(database, actor, baseline_id, occasion, utc_now())
    async with database.reading() as session:
        return await _review_out(session, await find_review(session, actor, review_id), utc_now())


@reviews.get("")
async def list_reviews(  # noqa: PLR0913, PLR0917 - filters of a list
    session: Reading,
    actor: Reader,
    state: Literal["open", "overdue", "done"] | None = None,
    baseline_id: int | None = None,
    due_before: datetime | None = None,
    sort: str = "due_at",
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[ReviewOut]:
    """What is due, overdue, or done, the longest due first."""
    now = utc_now()
    conditions = [*baselines.of_roles(actor.roles), *(store.waiting(now, state) if state else [])]
    conditions += [BaselineReview.baseline_id == baseline_id] if baseline_id is not None else []
    conditions += [BaselineReview.due_at < due_before] if due_before else []
    pages = keyset(sort, cursor, SORTS)
    rows = await store.list_reviews(session, conditions + pages.conditions, pages.order, limit + 1)
    following = pages.next(rows, limit, lambda row: (row[0].due_at, row[0].review_id))
    names = await baselines.names_of(session, {review.reviewer_id for review, _, _ in rows})
    return Page(items=[_out(row, names, now) for row in rows[:limit]], next=following)


@reviews.get("/{review_id}")
async def get_review(session: Reading, actor: Reader, review_id: int) -> ReviewOut:
    return await _review_out(session, await find_review(session, actor, review_id), utc_now())


@reviews.post("/{review_id}/done", openapi_extra=json_body(VerdictIn))
async def post_done(request: Request, actor: Reviewer, review_id: int) -> ReviewOut:
    """Say of every entry in force whether it stays. What should change becomes a draft that somebody else approves."""
    asked = await read_json(request, VerdictIn)
    database: Database = request.app.state.database
    async with database.reading() as session:
        platform = Platform((await find_review(session, actor, review_id))[1].platform)
    verdict = Verdict(
        version=asked.version,
        confirmed=frozenset(asked.confirmed),
        remove=frozenset(asked.remove),
        add=[each.new(platform) for each in asked.add],
        others=asked.others_confirmed,
        notes=asked.notes,
    )
    done = await do(database, actor, review_id, verdict, utc_now())
    async with database.reading() as session:
        return await _review_out(session, done, utc_now())


async def _review_out(session: ReadSession, listed: Listed, now: datetime) -> ReviewOut:
    return _out(listed, await baselines.names_of(session, {listed[0].reviewer_id}), now)


_NAMED = {"role", "platform", "state", "reviewer"}


def _out(listed: Listed, names: Mapping[int, str], now: datetime) -> ReviewOut:
    review, of, role = listed
    same = {name: getattr(review, name) for name in ReviewOut.model_fields if name not in _NAMED}
    waits: Literal["due", "overdue"] = "overdue" if review.due_at < now else "due"
    return ReviewOut(
        **same,
        role=role,
        platform=Platform(of.platform),
        state="done" if review.reviewed_at else waits,
        reviewer=names.get(review.reviewer_id or 0),
    )
