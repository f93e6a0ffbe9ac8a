"""The lock under which findings are judged, for those who decide on many findings at once."""

from sqlalchemy import text

from app.database import WriteSession

#: Names the lock in PostgreSQL, any number that is ours alone.
JUDGING_LOCK = 0x4A75646765


async def await_turn(session: WriteSession) -> None:
    """Wait until nobody judges, and keep it so until this transaction ends.

    Otherwise a finding that is being opened could miss a decision that is being made, and the decision the finding.
    """
    await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": JUDGING_LOCK})
