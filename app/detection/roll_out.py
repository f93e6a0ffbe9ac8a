"""Roll-outs: the same new behaviour on many nodes within a day is one finding of the fleet in place of many."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from app.detection.deviation import Evidence, Severity, Spread
from app.detection.evidence import counted, line
from app.detection.judgement import level_of, score_of
from app.detection.knobs import Knobs, RollOuts

_KINDS = tuple(Spread)
_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Loose:
    """An open finding on one node, in no fleet finding yet."""

    finding_id: UUID
    spread: Spread
    seen_at: datetime  #: when the node first showed it
    new_to_peers: bool = True


@dataclass(frozen=True, slots=True)
class Wave:
    """The nodes of a fleet finding, by kind; who counts may stop at `RollOuts.nodes`, for more says no more."""

    spread: Spread
    first_seen_at: datetime
    last_seen_at: datetime  #: when the newest node came to show it
    nodes: Mapping[Spread, int]


@dataclass(frozen=True, slots=True)
class RollOut:
    """A behaviour's fleet finding as it ought to be: its kind, and the findings that it takes in."""

    spread: Spread
    joined: tuple[Loose, ...]


@dataclass(frozen=True, slots=True)
class Spreading:
    """What a fleet finding is judged by: its nodes, and the gravest of their findings."""

    spread: Spread
    nodes: int
    first_seen_at: datetime
    last_seen_at: datetime
    severity: Severity
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class FleetJudgement:
    score: int
    severity: Severity
    evidence: tuple[Evidence, ...]


def gather(wave: Wave | None, loose: Sequence[Loose], limits: RollOuts) -> RollOut | None:
    """The fleet finding that a behaviour has from now on, or None while too few nodes are alike.

    Its kind is the gravest that at least `limits.nodes` nodes are, or are worse than. It takes in every node of that
    kind and of lighter ones; fewer nodes that are graver stay findings of their own. Late nodes join as long as no
    more than `limits.hours` lie between them and one that shows it already.
    """
    ordered = sorted(loose, key=lambda each: each.seen_at)
    window = timedelta(hours=limits.hours)
    begun = wave or _first_wave([each for each in ordered if each.new_to_peers], limits.nodes, window)
    if begun is None:
        return None
    near = _near(begun, ordered, window)
    nodes = Counter(begun.nodes) + Counter(each.spread for each in near)
    spread = _kind(nodes, limits.nodes, begun.spread)
    return RollOut(spread, tuple(each for each in near if takes_in(spread, each.spread))) if spread else None


def takes_in(spread: Spread, other: Spread) -> bool:
    """Whether a fleet finding of kind `spread` covers a node of kind `other`."""
    return _KINDS.index(other) <= _KINDS.index(spread)


def _kind(nodes: Mapping[Spread, int], enough: int, present: Spread) -> Spread | None:
    """Where too few are left for the kind that it ought to be, nodes that lack a signature only, or `present`, do."""
    for spread in (_gravest(nodes, enough), Spread.NOVEL, present):
        if spread and sum(number for each, number in nodes.items() if takes_in(spread, each)) >= enough:
            return spread
    return None


def _gravest(nodes: Mapping[Spread, int], enough: int) -> Spread | None:
    """The gravest kind that enough nodes are, or are worse than."""
    for spread in reversed(_KINDS):
        if sum(number for each, number in nodes.items() if takes_in(each, spread)) >= enough:
            return spread
    return None


def _first_wave(ordered: Sequence[Loose], enough: int, window: timedelta) -> Wave | None:
    """The earliest time within which enough nodes came to show it."""
    end = 0
    for start, first in enumerate(ordered):
        while end < len(ordered) and ordered[end].seen_at <= first.seen_at + window:
            end += 1
        within = Counter(each.spread for each in ordered[start:end]) if end - start >= enough else Counter()
        if _kind(within, enough, Spread.SIGNED):
            return Wave(Spread.SIGNED, first.seen_at, ordered[end - 1].seen_at, {})
    return None


def _near(wave: Wave, ordered: Sequence[Loose], window: timedelta) -> list[Loose]:
    """Those of the wave's time, and those that follow or lead at no greater distance from each other."""
    near, first, last = [], wave.first_seen_at, wave.last_seen_at
    for each in (later for later in ordered if later.seen_at >= wave.first_seen_at):
        if each.seen_at <= last + window:
            near.append(each)
            last = max(last, each.seen_at)
    for each in (earlier for earlier in reversed(ordered) if earlier.seen_at < wave.first_seen_at):
        if each.seen_at >= first - window:
            near.append(each)
            first = each.seen_at
    return near


def judge_roll_out(found: Spreading, knobs: Knobs) -> FleetJudgement:
    """The gravest node's evidence under a line on the whole, which weighs when nobody signed the program."""
    says = _line(found, knobs)
    evidence = (says, *found.evidence)
    score = score_of(evidence)
    held = found.severity is not level_of(score_of(found.evidence), knobs.severities)
    if found.spread is Spread.SIGNED:
        severity = Severity.LOW
    else:
        severity = found.severity if held else level_of(score, knobs.severities)
    return FleetJudgement(score, severity, evidence)


def _line(found: Spreading, knobs: Knobs) -> Evidence:
    new = f"new on {counted(found.nodes, 'node')} within {_duration(found.last_seen_at - found.first_seen_at)}"
    if found.spread is Spread.SIGNED:
        text = f"Roll-out of a signed program, held at low: {new}, and nothing but its novelty speaks against it."
        return line("roll_out_signed", 0, text)
    text, gravest = f"The same behaviour is {new}", "the lines below are those of the node that weighs most"
    if found.spread is Spread.UNSIGNED:
        text = f"{text}, by a program that nobody signed there or on some of them: so spreads a worm; {gravest}."
        return line("unsigned_spread", knobs.weights.unsigned_spread, text)
    return line("spread", 0, f"{text}; {gravest}.")


def _duration(span: timedelta) -> str:
    """In words, e.g. `3 hours`; rounded up."""
    unit, name = (_DAY, "day") if span > 2 * _DAY else (_HOUR, "hour")
    return counted(max(-(-span // unit), 1), name)
