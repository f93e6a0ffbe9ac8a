"""Denials in the audit log, few enough that nobody fills it by trying again."""

from dataclasses import replace
from datetime import datetime

from app.access import attempts
from app.access.actor import Actor
from app.access.audit.deed import Deed, Outcome
from app.access.audit.record import record
from app.database import Database


async def tell_denial(database: Database, whose: str, actor: Actor, deed: Deed, now: datetime) -> None:
    """Log it a few times a minute of each `whose`."""
    async with database.writing() as session:
        counted = await attempts.count(session, attempts.DENIED, whose, now)
        if not counted.is_refused:
            record(session, actor, replace(deed, outcome=Outcome.DENIED))
