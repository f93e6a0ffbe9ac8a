"""The SQL of access."""

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from app.access.models import ApiToken
from app.database import ReadSession, WriteSession


async def insert_token(session: WriteSession, name: str, token_sha256: bytes, now: datetime) -> bool:
    added = insert(ApiToken).values(name=name, token_sha256=token_sha256, created_at=now)
    return await session.scalar(added.on_conflict_do_nothing().returning(ApiToken.name)) is not None


async def find_token(session: ReadSession, token_sha256: bytes) -> ApiToken | None:
    query = select(ApiToken).where(ApiToken.token_sha256 == token_sha256, ApiToken.revoked_at.is_(None))
    return await session.scalar(query)


async def revoke_token(session: WriteSession, name: str, now: datetime) -> bool:
    changed = update(ApiToken).where(ApiToken.name == name, ApiToken.revoked_at.is_(None)).values(revoked_at=now)
    return await session.scalar(changed.returning(ApiToken.name)) is not None
