"""Brings fleet findings up to date after a decision took open findings away, or gave them back."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from app.database import WriteSession
from app.detection.behaviour import Platform
from app.findings.roll_outs import gather_roll_outs
from app.tuning.in_force import KnobsInForce


async def regather(session: WriteSession, platform: Platform, behaviours: Collection[UUID], now: datetime) -> None:
    """A fleet finding speaks for open findings only, and too few may be left. It belongs into the same transaction."""
    knobs = KnobsInForce()
    await knobs.refresh(session)
    settings, _ = knobs.of("", platform)  # a roll-out knows no roles
    await gather_roll_outs(session, behaviours, settings, now)
