"""The SQL of reviews: what is due, what was done, and which entries nobody shows any more."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Row, Text, bindparam, select, text, update
from sqlalchemy.dialects.postgresql import insert

from app.baselines.models import BaselineOfRole
from app.baselines.reviews.models import BaselineReview
from app.database import ReadSession, WriteSession
from app.fleet.models import Role

#: Review, baseline, name of the role.
Listed = Row[BaselineReview, BaselineOfRole, str]


async def insert_review(session: WriteSession, **values: Any) -> int | None:
    """None when the baseline has a scheduled one that waits already."""
    added = insert(BaselineReview).values(**values).on_conflict_do_nothing().returning(BaselineReview.review_id)
    review_id: int | None = await session.scalar(added)
    return review_id


async def list_reviews(
    session: ReadSession, conditions: Sequence[Any], order: Sequence[Any], limit: int
) -> Sequence[Listed]:
    query = (
        select(BaselineReview, BaselineOfRole, Role.name)
        .join(BaselineOfRole, BaselineOfRole.baseline_id == BaselineReview.baseline_id)
        .join(Role, Role.role_id == BaselineOfRole.role_id)
    )
    found = query.where(*conditions).order_by(*order).limit(limit)
    return (await session.execute(found.execution_options(populate_existing=True))).all()


async def find_review(session: ReadSession, review_id: int) -> Listed | None:
    found = await list_reviews(session, [BaselineReview.review_id == review_id], [], 1)
    return found[0] if found else None


def waiting(now: datetime, state: str) -> list[ColumnElement[bool]]:
    """Conditions of `done`, `open`, or `overdue`."""
    if state == "done":
        return [BaselineReview.reviewed_at.is_not(None)]
    overdue = [BaselineReview.due_at < now] if state == "overdue" else []
    return [BaselineReview.reviewed_at.is_(None), *overdue]


async def lock_review(session: WriteSession, review_id: int) -> None:
    """Two who do one review at once follow each other."""
    query = select(BaselineReview.review_id).where(BaselineReview.review_id == review_id)
    await session.execute(query.with_for_update())


async def finish_review(session: WriteSession, review_id: int, **values: Any) -> None:
    await session.execute(update(BaselineReview).where(BaselineReview.review_id == review_id).values(**values))


async def next_due(session: ReadSession, baseline_ids: Collection[int]) -> dict[int, datetime]:
    """Baseline → when its next review of whatever kind is due."""
    query = select(BaselineReview.baseline_id, BaselineReview.due_at).where(
        BaselineReview.baseline_id.in_(baseline_ids), BaselineReview.reviewed_at.is_(None)
    )
    rows = await session.execute(query.order_by(BaselineReview.due_at.desc()))
    return {baseline_id: due_at for baseline_id, due_at in rows}  # noqa: C416


_LAST_SHOWN = text(
    """
    SELECT b.path, b.name, b.unit, b.direction, b.transport, b.bucket, t.day
    FROM behaviours b JOIN tallies t ON t.role_id = :role AND t.subject = b.behaviour_id
    WHERE b.platform = :platform AND (:every OR b.name = ANY(:programs))
    """
).bindparams(bindparam("programs", type_=ARRAY(Text)))


async def last_shown(
    session: ReadSession, role_id: int, platform: str, programs: Collection[str] | None
) -> Sequence[Row[Any]]:
    """Behaviours of a role, each with the newest day on which a node of it showed it. `programs` None: any."""
    values = {"role": role_id, "platform": platform, "every": programs is None, "programs": sorted(programs or ())}
    return (await session.execute(_LAST_SHOWN, values)).all()


_SIGNED_BY = text(
    "SELECT DISTINCT path, signer FROM images WHERE trust = 'trusted' AND signer = ANY(:signers)"
).bindparams(bindparam("signers", type_=ARRAY(Text)))


async def signed_by(session: ReadSession, signers: Collection[str]) -> set[tuple[str, str]]:
    """(normalised path, signer) of the files that some node said these signed."""
    found = await session.execute(_SIGNED_BY, {"signers": sorted(signers)}) if signers else ()
    return {(path, signer) for path, signer in found}


async def known_since(session: ReadSession, role_id: int) -> date | None:
    """The first day of a role's history; None without any."""
    query = text("SELECT min(first_day) FROM tallies WHERE role_id = :role")
    day: date | None = await session.scalar(query, {"role": role_id})
    return day
