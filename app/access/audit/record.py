"""Writes deeds into the audit log, each in the transaction of what it tells of."""

from app.access.actor import Actor
from app.access.audit import store
from app.access.audit.deed import Deed
from app.access.audit.line import line_of
from app.clock import utc_now
from app.database import WriteSession


def record(session: WriteSession, actor: Actor, deed: Deed) -> None:
    """Log it if, and only if, this transaction commits.

    It is written as the transaction's last statement: the lock that keeps the chain one is held from then until the
    commit, and whoever takes it last cannot wait for another while holding it.
    """
    store.append_at_commit(session, line_of(actor, deed, utc_now()))
