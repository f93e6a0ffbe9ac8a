"""The SQL of the audit log."""

from collections.abc import Iterator

from sqlalchemy import ARRAY, Text, bindparam, event, text
from sqlalchemy.orm import Session, SessionTransaction

from app.database import WriteSession

_PENDING = "audit_lines"
#: In the order in which they were recorded, and in one statement: whoever waits for the lock waits for this.
_APPEND = text(
    "INSERT INTO audit_events (line) SELECT line FROM unnest(:lines) WITH ORDINALITY AS said(line, n) ORDER BY n"
).bindparams(bindparam("lines", type_=ARRAY(Text)))


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
    session.execute(_APPEND, {"lines": [line for _, line in session.info.pop(_PENDING)]})


@event.listens_for(Session, "after_soft_rollback")
def _forget(session: Session, ended: SessionTransaction) -> None:
    pending = session.info.get(_PENDING, [])
    session.info[_PENDING] = [(inside, line) for inside, line in pending if ended not in _with_outer(inside)]


def _with_outer(transaction: SessionTransaction | None) -> Iterator[SessionTransaction]:
    while transaction is not None:
        yield transaction
        transaction = transaction.parent
