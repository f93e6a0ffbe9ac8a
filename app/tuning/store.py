"""The SQL of tuning."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import distinct_on

from app.database import ReadSession, WriteSession
from app.tuning.models import Backtest, KnobVersion

#: Any number that is ours alone: one change of the knobs at a time, so that versions rise in the order of commits.
CHANGING_LOCK = 0x4B6E6F62


async def hold_changes(session: WriteSession) -> None:
    """Wait until nobody else changes knobs, and keep it so until this transaction ends."""
    await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": CHANGING_LOCK})


async def newest_version(session: ReadSession) -> int:
    return await session.scalar(select(func.coalesce(func.max(KnobVersion.version), 0))) or 0


async def in_force(session: ReadSession) -> Sequence[KnobVersion]:
    return (await session.scalars(select(KnobVersion).where(KnobVersion.superseded_at.is_(None)))).all()


async def in_force_at(session: ReadSession, version: int) -> Sequence[KnobVersion]:
    """Of each scope the one that was in force when `version` had just been made."""
    query = select(KnobVersion).where(KnobVersion.version <= version).ext(distinct_on(KnobVersion.scope))
    return (await session.scalars(query.order_by(KnobVersion.scope, KnobVersion.version.desc()))).all()


async def find_version(session: ReadSession, version: int) -> KnobVersion | None:
    return await session.get(KnobVersion, version)


async def list_versions(
    session: ReadSession, conditions: Sequence[Any], order: Sequence[Any], limit: int
) -> Sequence[KnobVersion]:
    return (await session.scalars(select(KnobVersion).where(*conditions).order_by(*order).limit(limit))).all()


async def supersede(session: WriteSession, version: int, at: datetime) -> None:
    changed = update(KnobVersion).where(KnobVersion.version == version).values(superseded_at=at)
    await session.execute(changed)


async def insert_version(session: WriteSession, version: KnobVersion) -> None:
    """Gives it its number."""
    session.add(version)
    await session.flush()


async def find_backtest(
    session: ReadSession, candidate_sha256: bytes, scope: str, backtest_id: UUID | None = None
) -> UUID | None:
    """The newest finished run of exactly these settings for this scope, or the named one if it is one."""
    query = select(Backtest.backtest_id).where(
        Backtest.candidate_sha256 == candidate_sha256, Backtest.scope == scope, Backtest.state == "finished"
    )
    if backtest_id is not None:
        query = query.where(Backtest.backtest_id == backtest_id)
    return await session.scalar(query.order_by(Backtest.finished_at.desc()).limit(1))
