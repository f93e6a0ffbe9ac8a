"""The state of an exception: derived from what people did and from the time, so that none has to be kept up to date."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

#: An exception is for so long unless it says otherwise, and never for longer.
LONGEST = timedelta(days=180)
#: An end is announced so long before it.
ANNOUNCED = timedelta(days=14)


class ExceptionState(StrEnum):
    PENDING = "pending"  #: asked for; nobody has decided
    ACTIVE = "active"  #: approved; covers what it speaks of
    REJECTED = "rejected"
    REVOKED = "revoked"  #: taken back before its end, or before anybody decided
    EXPIRED = "expired"  #: its time is over, decided or not


class Risk(StrEnum):
    """What whoever asks thinks of the risk that stays."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Decided(Protocol):
    """What the state is derived from."""

    decision: str | None
    revoked_at: datetime | None
    expires_at: datetime


def state_of(one: Decided, now: datetime) -> ExceptionState:
    """`state_at` of the store says the same in SQL."""
    if one.revoked_at is not None:
        return ExceptionState.REVOKED
    if one.decision == "rejected":
        return ExceptionState.REJECTED
    if one.expires_at <= now:
        return ExceptionState.EXPIRED
    return ExceptionState.ACTIVE if one.decision == "approved" else ExceptionState.PENDING
