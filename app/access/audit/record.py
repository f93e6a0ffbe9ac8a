"""Writes deeds into the audit log, each in the transaction of what it tells of."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from app.access.actor import Actor
from app.access.audit import store
from app.access.audit.deed import Deed, Outcome
from app.access.audit.line import line_of
from app.clock import utc_now
from app.database import Database, WriteSession
from app.problems import Forbidden, Problem


def record(session: WriteSession, actor: Actor, deed: Deed) -> None:
    """Log it if, and only if, this transaction commits.

    It is written as the transaction's last statement: the lock that keeps the chain one is held from then until the
    commit, and whoever takes it last cannot wait for another while holding it.
    """
    store.append_at_commit(session, line_of(actor, deed, utc_now()))


async def record_alone(database: Database, actor: Actor, deed: Deed) -> None:
    """Log what changes nothing, or what was committed in pieces."""
    async with database.writing() as session:
        record(session, actor, deed)


@asynccontextmanager
async def denials_recorded(database: Database, actor: Actor, deed: Deed) -> AsyncIterator[None]:
    """Log that somebody may not do what the block tries, although nothing of it was done."""
    try:
        yield
    except Forbidden as denied:
        await record_alone(database, actor, replace(deed, outcome=Outcome.DENIED, reason=denied.detail))
        raise


@asynccontextmanager
async def recorded(database: Database, actor: Actor, deed: Deed) -> AsyncIterator[Callable[[str], None]]:
    """Log the block when it ends, well or with a problem. It may say what came of it, which becomes the reason."""
    said: list[str] = []
    try:
        yield said.append
    except Problem as problem:
        await record_alone(database, actor, replace(deed, outcome=Outcome.ERROR, reason=str(problem)))
        raise
    await record_alone(database, actor, replace(deed, reason="; ".join(said)))
