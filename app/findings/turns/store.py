"""The two locks of findings, always taken in this order and held until the transaction ends."""

from sqlalchemy import text

from app.database import WriteSession

#: Name the locks in PostgreSQL, any numbers that are ours alone. Whoever holds the first is the only one who judges.
JUDGING_LOCK = 0x4A75646765
TURN_LOCK = 0x66696E64

_LOCK = text("SELECT pg_advisory_xact_lock(:key)")


async def hold_judging(session: WriteSession) -> None:
    """Wait until nobody judges. For who decides what is expected or excepted.

    Otherwise a finding that is being opened could miss a decision that is being made, and the decision the finding.
    """
    await session.execute(_LOCK, {"key": JUDGING_LOCK})


async def take_turn(session: WriteSession) -> None:
    """Whoever changes many findings waits for who does so now: orders of locks cannot cross, so nobody is sent away."""
    await session.execute(_LOCK, {"key": TURN_LOCK})
