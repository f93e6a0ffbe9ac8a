"""Takes lines of the log away, byte for byte and without a gap, and says so in the log first."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from app.access.actor import Actor
from app.access.audit import store
from app.access.audit.actions import Action
from app.access.audit.deed import Deed, Outcome
from app.access.audit.record import record_alone
from app.access.auditor.checking import PIECE
from app.database import Database
from app.problems import NotFound


@dataclass(frozen=True, slots=True)
class Stretch:
    """Lines from the first to the last, both with them."""

    first: int
    last: int


async def stretch_of(database: Database, since: datetime | None, until: datetime | None) -> Stretch:
    """From the first event of a time to its last; events between them that were told late are with them.

    Raises: NotFound.
    """
    async with database.reading() as session:
        found = await store.find_bounds(session, store.between(since, until))
    if found is None:
        raise NotFound("the audit log has no event of that time")
    return Stretch(*found)


async def record_export(
    database: Database, actor: Actor, stretch: Stretch, outcome: Outcome = Outcome.SUCCESS, reason: str = ""
) -> None:
    what = f"{stretch.first}-{stretch.last}"
    deed = Deed(Action.AUDIT_LOG_EXPORTED, "audit_log", what, outcome=outcome, reason=reason)
    await record_alone(database, actor, deed)


async def lines_of(database: Database, stretch: Stretch) -> AsyncIterator[bytes]:
    """Pieces of JSON Lines, each of whole lines."""
    after = stretch.first - 1
    while after < stretch.last:
        async with database.reading() as session:
            rows = await store.read_on(session, after, stretch.last, PIECE)
        if not rows:
            return
        yield "".join(f"{row.line}\n" for row in rows).encode()
        after = rows[-1].seq
