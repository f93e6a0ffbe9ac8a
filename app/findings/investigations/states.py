"""The states of an investigation, which follow from its answers."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class InvestigationState(StrEnum):
    WAITING = "waiting"  #: the node has not fetched it yet
    SENT = "sent"  #: fetched; not every answer has come
    ANSWERED = "answered"  #: every question, without an error
    PARTIAL = "partial"  #: over: some questions
    FAILED = "failed"  #: over: the node fetched it, and no question was answered without an error
    EXPIRED = "expired"  #: over: the node never fetched it


#: In these the node is still asked.
RUNNING = frozenset({InvestigationState.WAITING, InvestigationState.SENT})


@dataclass(frozen=True, slots=True)
class Standing:
    """How far one question is. `status` is osquery's: 0 is good; None while there is no answer."""

    was_sent: bool
    status: int | None


def state_of(standings: Iterable[Standing], *, is_over: bool) -> InvestigationState:
    """`is_over`: nobody waits for what has not come yet."""
    every = list(standings)
    some_good = any(each.status == 0 for each in every)
    was_sent = any(each.was_sent for each in every)
    if all(each.status == 0 for each in every):
        return InvestigationState.ANSWERED
    if not is_over and any(each.status is None for each in every):
        return InvestigationState.SENT if was_sent else InvestigationState.WAITING
    if some_good:
        return InvestigationState.PARTIAL
    return InvestigationState.FAILED if was_sent else InvestigationState.EXPIRED
