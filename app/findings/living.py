"""What a sighting that is judged now makes of the living finding of its node and behaviour. Pure."""

from dataclasses import dataclass
from datetime import date, datetime

from app.detection.addresses import PeerScope
from app.detection.context import Signer, Trust
from app.detection.deviation import Severity, Spread
from app.findings.states import State

_KINDS = tuple(Spread)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found, as a finding keeps it or as it was just made."""

    day: date
    score: int
    severity: Severity
    spread: Spread
    signer: Signer
    peer_scope: PeerScope


@dataclass(frozen=True, slots=True)
class Heeded:
    """`replaces`: the new judgement takes the place of the kept one. `reopens`: why; empty where the state stays."""

    replaces: bool
    spread: Spread
    reopens: str = ""


def heed(state: State, kept: Judgement, now: Judgement, closed_at: datetime | None, seen_at: datetime) -> Heeded:
    """Counted it is in any state. A finding that a person closed as false keeps the judgement it was closed on.

    A second judgement of the same day takes the place of the first, for it was asked for by better evidence. Of other
    days the heaviest stays, and the gravest kind, so that a program which somebody exchanged later does not hide in a
    roll-out.
    """
    why = _reopens(state, kept, now, closed_at, seen_at)
    if state is State.FALSE_POSITIVE:
        return Heeded(bool(why), now.spread if why else kept.spread, why)
    same_day = kept.day == now.day
    spread = now.spread if same_day or is_graver(now.spread, kept.spread) else kept.spread
    return Heeded(same_day or now.score > kept.score, spread, why)


def is_graver(spread: Spread, other: Spread) -> bool:
    return _KINDS.index(spread) > _KINDS.index(other)


def _reopens(state: State, kept: Judgement, now: Judgement, closed_at: datetime | None, seen_at: datetime) -> str:
    if state is State.REMEDIATED and closed_at and seen_at > closed_at:
        return f"seen again on {seen_at:%Y-%m-%d %H:%M} UTC"
    if state is State.FALSE_POSITIVE:
        return _outgrown(kept, now)
    return ""


def _outgrown(kept: Judgement, now: Judgement) -> str:
    """What speaks against it now that did not when a person called it false."""
    if now.severity is not kept.severity and now.severity.reaches(kept.severity):
        return f"judged {now.severity.value} ({now.score}); it was closed as {kept.severity.value} ({kept.score})"
    if is_graver(now.spread, kept.spread):
        return f"judged to be of the kind {now.spread.value}; it was closed as {kept.spread.value}"
    if kept.signer.trust is now.signer.trust is Trust.TRUSTED and kept.signer.name != now.signer.name:
        return f"signed {now.signer.name}; it was closed as signed {kept.signer.name}"
    if now.peer_scope is PeerScope.PUBLIC and kept.peer_scope not in {PeerScope.PUBLIC, PeerScope.UNKNOWN}:
        return f"connects to a public peer; it was closed on a {kept.peer_scope.value} one"
    return ""
