"""The SQL of the audit log."""

from sqlalchemy import event, text
from sqlalchemy.orm import Session

from app.database import WriteSession

_PENDING = "audit_lines"
_APPEND = text("INSERT INTO audit_events (line) VALUES (:line)")


def append_at_commit(session: WriteSession, line: str) -> None:
    session.info.setdefault(_PENDING, []).append(line)


@event.listens_for(Session, "before_commit")
def _append(session: Session) -> None:
    """Also called for savepoints, which are not the end yet."""
    if session.in_nested_transaction() or _PENDING not in session.info:
        return
    session.flush()
    for line in session.info.pop(_PENDING):
        session.execute(_APPEND, {"line": line})


@event.listens_for(Session, "after_rollback")
def _forget(session: Session) -> None:
    session.info.pop(_PENDING, None)
