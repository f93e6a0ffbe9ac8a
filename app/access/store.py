"""The SQL of access."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Row, column, delete, func, or_, select, table, update
from sqlalchemy.dialects.postgresql import insert

from app.access.models import ApiToken, Attempts, Operator, SignIn
from app.database import ReadSession, WriteSession

#: A last use is kept to the minute, so that who is busy does not write at each request.
USE_KEPT_TO = timedelta(minutes=1)
#: Any number that is ours alone: changes of operators follow one another.
OPERATORS_LOCK = 0x4F706572
#: The fleet's table; the fleet stands above access, so it is named here and not imported.
_ROLES = table("roles", column("role_id"), column("name"))


async def hold_operators(session: WriteSession) -> None:
    """Until the transaction ends nobody else changes who may do what."""
    await session.execute(select(func.pg_advisory_xact_lock(OPERATORS_LOCK)))


async def has_operators(session: ReadSession) -> bool:
    return await session.scalar(select(Operator.operator_id).limit(1)) is not None


async def insert_operator(session: WriteSession, **values: object) -> int | None:
    """None when the name is taken."""
    added = insert(Operator).values(**values).on_conflict_do_nothing().returning(Operator.operator_id)
    operator_id: int | None = await session.scalar(added)
    return operator_id


async def find_operator(session: ReadSession, name: str) -> Operator | None:
    return await session.scalar(select(Operator).where(Operator.name == name))


async def read_operator(session: WriteSession, operator_id: int) -> Operator:
    """As it is by now, and stays until the transaction ends."""
    query = select(Operator).where(Operator.operator_id == operator_id).with_for_update(key_share=True)
    return (await session.scalars(query.execution_options(populate_existing=True))).one()


async def hold_active(session: WriteSession, operator_id: int) -> Operator | None:
    """Who is not disabled, with duties that stay as they are until the transaction ends."""
    query = select(Operator).where(Operator.operator_id == operator_id, Operator.disabled_at.is_(None))
    return await session.scalar(query.with_for_update(read=True).execution_options(populate_existing=True))


async def other_approvers(session: ReadSession, operator_id: int) -> Sequence[str]:
    """Names of a few of the active operators who could decide in somebody's place."""
    can = (Operator.disabled_at.is_(None), Operator.duties.contains(["approver"]))
    query = select(Operator.name).where(*can, Operator.operator_id != operator_id)
    return (await session.scalars(query.order_by(Operator.name).limit(5))).all()


async def list_operators(session: ReadSession) -> Sequence[Operator]:
    return (await session.scalars(select(Operator).order_by(Operator.name))).all()


async def count_active(session: ReadSession, duty: str) -> int:
    query = select(func.count()).where(Operator.duties.contains([duty]), Operator.disabled_at.is_(None))
    return (await session.scalars(query)).one()


async def update_operator(session: WriteSession, operator_id: int, **values: object) -> None:
    await session.execute(update(Operator).where(Operator.operator_id == operator_id).values(**values))


async def role_names(session: ReadSession) -> dict[int, str]:
    return {row.role_id: row.name for row in await session.execute(select(_ROLES))}


async def insert_sign_in(session: WriteSession, **values: object) -> None:
    await session.execute(insert(SignIn).values(**values))


async def find_sign_in(
    session: ReadSession, token_sha256: bytes, *, began_after: datetime, seen_after: datetime
) -> Row[SignIn, Operator] | None:
    """A sign-in that lasts, with its operator; none whose operator is disabled."""
    lasts = (SignIn.created_at > began_after, SignIn.last_seen_at > seen_after, Operator.disabled_at.is_(None))
    query = select(SignIn, Operator).join(Operator, Operator.operator_id == SignIn.operator_id)
    return (await session.execute(query.where(SignIn.token_sha256 == token_sha256, *lasts))).one_or_none()


async def list_sign_ins(
    session: ReadSession, operator_id: int, *, began_after: datetime, seen_after: datetime
) -> Sequence[SignIn]:
    """Those of an operator that last, the latest first."""
    lasts = (SignIn.created_at > began_after, SignIn.last_seen_at > seen_after)
    query = select(SignIn).where(SignIn.operator_id == operator_id, *lasts)
    return (await session.scalars(query.order_by(SignIn.sign_in_id.desc()))).all()


async def note_seen(session: WriteSession, sign_in_id: int, now: datetime) -> None:
    stale = SignIn.last_seen_at < now - USE_KEPT_TO
    await session.execute(update(SignIn).where(SignIn.sign_in_id == sign_in_id, stale).values(last_seen_at=now))


async def delete_sign_in(session: WriteSession, token_sha256: bytes) -> int | None:
    """Whose it was; None when there is no such sign-in."""
    ended = delete(SignIn).where(SignIn.token_sha256 == token_sha256).returning(SignIn.operator_id)
    operator_id: int | None = await session.scalar(ended)
    return operator_id


async def delete_sign_ins(session: WriteSession, operator_id: int, *, but_newest: int = 0) -> None:
    """All of an operator, but perhaps the newest few."""
    query = select(SignIn.sign_in_id).where(SignIn.operator_id == operator_id)
    newest = query.order_by(SignIn.sign_in_id.desc()).limit(but_newest)
    await session.execute(
        delete(SignIn).where(SignIn.operator_id == operator_id, SignIn.sign_in_id.not_in(newest.scalar_subquery()))
    )


async def delete_old_sign_ins(session: WriteSession, before: datetime) -> None:
    await session.execute(delete(SignIn).where(SignIn.created_at < before))


async def hold_attempts(session: WriteSession, whose_sha256: bytes, now: datetime) -> Attempts:
    """Until the transaction ends nobody else counts these."""
    new = insert(Attempts).values(whose_sha256=whose_sha256, count=0, forgotten_at=now)
    await session.execute(new.on_conflict_do_nothing())
    query = select(Attempts).where(Attempts.whose_sha256 == whose_sha256).with_for_update()
    return (await session.scalars(query.execution_options(populate_existing=True))).one()


async def find_attempts(session: ReadSession, whose_sha256: Sequence[bytes]) -> dict[bytes, Attempts]:
    query = select(Attempts).where(Attempts.whose_sha256.in_(whose_sha256))
    return {each.whose_sha256: each for each in await session.scalars(query)}


async def update_attempts(session: WriteSession, whose_sha256: bytes, **values: object) -> None:
    await session.execute(update(Attempts).where(Attempts.whose_sha256 == whose_sha256).values(**values))


async def delete_attempts(session: WriteSession, whose_sha256: bytes) -> None:
    await session.execute(delete(Attempts).where(Attempts.whose_sha256 == whose_sha256))


async def delete_old_attempts(session: WriteSession, now: datetime, most: int) -> None:
    """Some of those that no longer count; those that somebody counts just now are passed over."""
    over = or_(Attempts.blocked_until.is_(None), Attempts.blocked_until <= now)
    old = select(Attempts.whose_sha256).where(Attempts.forgotten_at <= now, over)
    chosen = old.order_by(Attempts.forgotten_at).limit(most).with_for_update(skip_locked=True)
    await session.execute(delete(Attempts).where(Attempts.whose_sha256.in_(chosen.scalar_subquery())))


async def insert_token(session: WriteSession, **values: object) -> bool:
    """False when the name is taken."""
    added = insert(ApiToken).values(**values).on_conflict_do_nothing().returning(ApiToken.name)
    return await session.scalar(added) is not None


async def find_token(session: ReadSession, token_sha256: bytes, now: datetime) -> Row[ApiToken, Operator | None] | None:
    """A valid token with the operator for whom it acts; none whose operator is disabled."""
    query = select(ApiToken, Operator).outerjoin(Operator, Operator.operator_id == ApiToken.operator_id)
    valid = (ApiToken.token_sha256 == token_sha256, ApiToken.revoked_at.is_(None), ApiToken.expires_at > now)
    return (await session.execute(query.where(*valid, Operator.disabled_at.is_(None)))).one_or_none()


async def find_token_name(session: ReadSession, token_sha256: bytes) -> str | None:
    """Of a token that was added at some time, whether it is still valid or not."""
    name: str | None = await session.scalar(select(ApiToken.name).where(ApiToken.token_sha256 == token_sha256))
    return name


async def list_tokens(session: ReadSession, operator_id: int | None = None) -> Sequence[Row[ApiToken, str | None]]:
    """Each with the name of its operator; of one operator where one is named."""
    query = select(ApiToken, Operator.name).outerjoin(Operator, Operator.operator_id == ApiToken.operator_id)
    wanted = [] if operator_id is None else [ApiToken.operator_id == operator_id]
    return (await session.execute(query.where(*wanted).order_by(ApiToken.name))).all()


async def note_use(session: WriteSession, name: str, now: datetime) -> None:
    stale = or_(ApiToken.last_used_at.is_(None), ApiToken.last_used_at < now - USE_KEPT_TO)
    await session.execute(update(ApiToken).where(ApiToken.name == name, stale).values(last_used_at=now))


async def revoke_token(session: WriteSession, name: str, now: datetime, operator_id: int | None = None) -> bool:
    """Of one operator only where one is named."""
    wanted = [] if operator_id is None else [ApiToken.operator_id == operator_id]
    changed = update(ApiToken).where(ApiToken.name == name, ApiToken.revoked_at.is_(None), *wanted)
    return await session.scalar(changed.values(revoked_at=now).returning(ApiToken.name)) is not None
