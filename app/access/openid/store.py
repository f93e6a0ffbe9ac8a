"""The SQL of sign-ins by OpenID Connect."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from app.access.models import Operator
from app.access.openid.models import OpenidAttempt
from app.database import ReadSession, WriteSession


async def insert_attempt(session: WriteSession, **values: object) -> None:
    await session.execute(insert(OpenidAttempt).values(**values))


async def take_attempt(session: WriteSession, state_sha256: bytes) -> OpenidAttempt | None:
    taken = delete(OpenidAttempt).where(OpenidAttempt.state_sha256 == state_sha256).returning(OpenidAttempt)
    return await session.scalar(taken)


async def drop_attempts(session: WriteSession, *, before: datetime, most: int) -> None:
    """Those that are too old, and the oldest of those that are too many."""
    newest_first = select(OpenidAttempt.state_sha256).order_by(OpenidAttempt.created_at.desc())
    too_many = OpenidAttempt.state_sha256.in_(newest_first.offset(most))
    dropped = select(OpenidAttempt.state_sha256).where(or_(OpenidAttempt.created_at <= before, too_many))
    free = dropped.with_for_update(skip_locked=True)  # two that drop at once wait for neither
    await session.execute(delete(OpenidAttempt).where(OpenidAttempt.state_sha256.in_(free)))


async def find_linked(session: ReadSession, key: str) -> Operator | None:
    return await session.scalar(select(Operator).where(Operator.openid_subject == key))


async def hold_named(session: WriteSession, names: Sequence[str]) -> Sequence[Operator]:
    """Until the transaction ends nobody else links them."""
    query = select(Operator).where(Operator.name.in_(names)).order_by(Operator.operator_id).with_for_update()
    return (await session.scalars(query.execution_options(populate_existing=True))).all()


async def link(session: WriteSession, operator_id: int, key: str | None) -> None:
    await session.execute(update(Operator).where(Operator.operator_id == operator_id).values(openid_subject=key))
