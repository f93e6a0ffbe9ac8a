"""The SQL of the audit log."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, event, func, select, text
from sqlalchemy.orm import Session, SessionTransaction

from app.access.audit.models import AuditEvent
from app.database import ReadSession, WriteSession

_PENDING = "audit_lines"
#: In the order in which they were recorded, and in one statement: whoever waits for the lock waits for this.
_APPEND = "INSERT INTO audit_events (line) SELECT line FROM unnest(%s::text[]) WITH ORDINALITY AS t(line, n) ORDER BY n"


def append_at_commit(session: WriteSession, line: str) -> None:
    """Kept with the savepoint in which it was recorded, for that may be rolled back alone."""
    inside = session.sync_session.get_nested_transaction() or session.sync_session.get_transaction()
    session.info.setdefault(_PENDING, []).append((inside, line))


@event.listens_for(Session, "before_commit")
def _append(session: Session) -> None:
    """Also called for savepoints, which are not the end yet."""
    if session.in_nested_transaction() or not session.info.get(_PENDING):
        return
    session.flush()
    lines = [line for _, line in session.info.pop(_PENDING)]
    session.connection().exec_driver_sql(_APPEND, (lines,))


@event.listens_for(Session, "after_soft_rollback")
def _forget(session: Session, ended: SessionTransaction) -> None:
    pending = session.info.get(_PENDING, [])
    session.info[_PENDING] = [(inside, line) for inside, line in pending if ended not in _with_outer(inside)]


def _with_outer(transaction: SessionTransaction | None) -> Iterator[SessionTransaction]:
    while transaction is not None:
        yield transaction
        transaction = transaction.parent


#: Any number that is ours alone: one process at a time checks the chain by itself.
CHECKING_LOCK = 0x43686B44


async def is_alone(session: WriteSession) -> bool:
    """Whether this connection is now the one that checks; it is until it is closed."""
    return bool(await session.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": CHECKING_LOCK}))


async def newest(session: ReadSession) -> AuditEvent | None:
    return await session.scalar(select(AuditEvent).order_by(AuditEvent.seq.desc()).limit(1))


async def newest_of(session: ReadSession, action: str, object_type: str, object_id: str) -> AuditEvent | None:
    query = select(AuditEvent).where(
        AuditEvent.action == action, AuditEvent.object_type == object_type, AuditEvent.object_id == object_id
    )
    return await session.scalar(query.order_by(AuditEvent.seq.desc()).limit(1))


async def list_events(
    session: ReadSession, conditions: Sequence[Any], order: Sequence[Any], limit: int
) -> Sequence[AuditEvent]:
    return (await session.scalars(select(AuditEvent).where(*conditions).order_by(*order).limit(limit))).all()


def between(since: datetime | None, until: datetime | None) -> list[ColumnElement[bool]]:
    """At or after `since`, before `until`."""
    return ([AuditEvent.at >= since] if since else []) + ([AuditEvent.at < until] if until else [])


async def find_bounds(session: ReadSession, conditions: Sequence[Any]) -> tuple[int, int] | None:
    """First and last sequence of the events that meet the conditions."""
    first = await session.scalar(select(func.min(AuditEvent.seq)).where(*conditions))
    last = await session.scalar(select(func.max(AuditEvent.seq)).where(*conditions))
    return (first, last) if first is not None and last is not None else None


async def read_on(session: ReadSession, after: int, until: int, limit: int) -> Sequence[Any]:
    """The lines that follow, with the columns beside them, as rows."""
    columns = (AuditEvent.seq, AuditEvent.at, AuditEvent.actor_name, AuditEvent.action, AuditEvent.object_type)
    query = select(*columns, AuditEvent.object_id, AuditEvent.outcome, AuditEvent.sha256, AuditEvent.line)
    query = query.where(AuditEvent.seq > after, AuditEvent.seq <= until).order_by(AuditEvent.seq).limit(limit)
    return (await session.execute(query)).all()
