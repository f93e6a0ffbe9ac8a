"""The SQL of access."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Row, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from app.access.models import ApiToken, Operator
from app.database import ReadSession, WriteSession

#: A token's last use is kept to the minute, so that a busy program does not write at each request.
USE_KEPT_TO = timedelta(minutes=1)


async def insert_operator(session: WriteSession, **values: object) -> int | None:
    """None when the name is taken."""
    added = insert(Operator).values(**values).on_conflict_do_nothing().returning(Operator.operator_id)
    operator_id: int | None = await session.scalar(added)
    return operator_id


async def find_operator(session: ReadSession, name: str) -> Operator | None:
    return await session.scalar(select(Operator).where(Operator.name == name))


async def insert_token(session: WriteSession, **values: object) -> bool:
    """False when the name is taken."""
    added = insert(ApiToken).values(**values).on_conflict_do_nothing().returning(ApiToken.name)
    return await session.scalar(added) is not None


async def find_token(session: ReadSession, token_sha256: bytes, now: datetime) -> Row[ApiToken, Operator | None] | None:
    """A valid token with the operator for whom it acts; none whose operator is disabled."""
    query = select(ApiToken, Operator).outerjoin(Operator, Operator.operator_id == ApiToken.operator_id)
    valid = (ApiToken.token_sha256 == token_sha256, ApiToken.revoked_at.is_(None), ApiToken.expires_at > now)
    return (await session.execute(query.where(*valid, Operator.disabled_at.is_(None)))).one_or_none()


async def list_tokens(session: ReadSession) -> Sequence[Row[ApiToken, str | None]]:
    """Each with the name of its operator."""
    query = select(ApiToken, Operator.name).outerjoin(Operator, Operator.operator_id == ApiToken.operator_id)
    return (await session.execute(query.order_by(ApiToken.name))).all()


async def note_use(session: WriteSession, name: str, now: datetime) -> None:
    stale = or_(ApiToken.last_used_at.is_(None), ApiToken.last_used_at < now - USE_KEPT_TO)
    await session.execute(update(ApiToken).where(ApiToken.name == name, stale).values(last_used_at=now))


async def revoke_token(session: WriteSession, name: str, now: datetime) -> bool:
    changed = update(ApiToken).where(ApiToken.name == name, ApiToken.revoked_at.is_(None)).values(revoked_at=now)
    return await session.scalar(changed.returning(ApiToken.name)) is not None
