"""Judges each sighting twice, and keeps what either settings would show a person."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID

from app.analysis.backtest.rows import Row
from app.detection.behaviour import Behaviour, Direction, Platform
from app.detection.context import Context
from app.detection.deviation import Deviation, Severity
from app.detection.judgement import judge
from app.detection.knobs import Knobs
from app.detection.standing import Standing
from app.detection.surroundings import Surroundings
from app.problems import InvalidRequest

#: Findings in memory. Nobody reads so many: the candidate is no use, and the run ends by saying so.
FINDINGS_MAX = 200_000
#: Of so many changed findings the evidence is kept, to be shown; of the others the scores.
CONTRASTS_MAX = 5_000
_REMEMBERED_MAX = 5_000

#: Role and platform of a node → the knobs it is judged by.
Rules = Callable[[str, Platform], Knobs]


class TooManyFindings(InvalidRequest):
    """A candidate that calls everything a finding."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The heaviest judgement of a behaviour on a node, as an open finding keeps it, and the day that opened it."""

    score: int
    severity: Severity
    opened_on: date


@dataclass(frozen=True, slots=True)
class Contrast:
    """Both judgements of the day on which they differed most gravely."""

    day: date
    seen_at: datetime
    current: Deviation
    candidate: Deviation


@dataclass(slots=True)
class Found:
    """A behaviour on a node that is a finding under one of the settings at least; None: none under these."""

    role_id: int
    behaviour: Behaviour
    analytic: str
    current: Verdict | None = None
    candidate: Verdict | None = None
    contrast: Contrast | None = None


@dataclass(slots=True)
class DayTotals:
    """`without_row`: judged without context, because the batch that showed them is gone."""

    sightings: int = 0
    without_row: int = 0
    nodes: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Starts:
    """How many network connections could be joined with the start of their process, by who said so."""

    connections: int = 0
    joined: Counter[str] = field(default_factory=Counter)


class Verdicts:
    """What came of the days judged so far; holds findings and totals, no sightings."""

    def __init__(self, current: Rules, candidate: Rules, covers: Callable[[str, Platform], bool]) -> None:
        self.found: dict[tuple[int, UUID], Found] = {}
        self.days: dict[date, DayTotals] = {}
        self.starts = Starts()
        self._rules = (current, candidate)
        self._covers = covers
        self._contrasts = 0
        self._remembered: dict[tuple[object, ...], Deviation] = {}

    def join_seconds(self, role: str, platform: Platform) -> float:
        """Of the settings in force: both are judged with what surrounds a row now."""
        return self._rules[0](role, platform).time_window.join_seconds

    def take(self, day: date, row: Row, roles: Mapping[int, str]) -> None:
        """Judge one sighting of the day; one that the candidate's scope does not cover is left out.

        Raises: TooManyFindings.
        """
        role, platform = roles.get(row.seen.role_id, ""), row.seen.behaviour.program.platform
        if not self._covers(role, platform):
            return
        self._count(day, row)
        current, candidate = (self._judge(row, rules(role, platform)) for rules in self._rules)
        if current.severity is not Severity.NONE or candidate.severity is not Severity.NONE:
            self._keep(day, row, current, candidate)

    def _judge(self, row: Row, knobs: Knobs) -> Deviation:
        """As the worker does: what is a finding is judged again when a signature comes."""
        deviation = self._judged(row.seen.behaviour, row.asked.context, row.standing, row.around, knobs)
        if row.asked_again is None or row.around_again is None or deviation.severity is Severity.NONE:
            return deviation
        return self._judged(row.seen.behaviour, row.asked_again.context, row.standing, row.around_again, knobs)

    def _judged(
        self, behaviour: Behaviour, context: Context, standing: Standing, around: Surroundings, knobs: Knobs
    ) -> Deviation:
        """Nodes that are alike are judged once. Rules hand out the same knobs again, so their identity tells."""
        question = (behaviour, context, standing, around, id(knobs))
        if question not in self._remembered:
            if len(self._remembered) >= _REMEMBERED_MAX:
                self._remembered.clear()
            self._remembered[question] = judge(behaviour, context, standing, knobs, around)
        return self._remembered[question]

    def _count(self, day: date, row: Row) -> None:
        totals = self.days.setdefault(day, DayTotals())
        totals.sightings += 1
        totals.without_row += not row.has_row
        totals.nodes.add(row.seen.node_id)
        if row.has_row and row.seen.behaviour.direction is Direction.OUTBOUND:
            self.starts.connections += 1
            if row.around.start and row.around.start.event:
                self.starts.joined[row.around.start.event] += 1

    def _keep(self, day: date, row: Row, current: Deviation, candidate: Deviation) -> None:
        key = row.sighting.key
        if key not in self.found and len(self.found) >= FINDINGS_MAX:
            raise TooManyFindings(
                f"more than {FINDINGS_MAX:,} findings by {day}: try fewer days, a narrower scope or other settings"
            )
        found = self.found.setdefault(key, Found(row.seen.role_id, row.seen.behaviour, current.analytic.value))
        found.current = _heavier(found.current, current, day)
        found.candidate = _heavier(found.candidate, candidate, day)
        if current.severity is not candidate.severity:
            self._contrast(found, Contrast(day, row.sighting.seen_at, current, candidate))

    def _contrast(self, found: Found, contrast: Contrast) -> None:
        if found.contrast is None and self._contrasts >= CONTRASTS_MAX:
            return
        self._contrasts += found.contrast is None
        if found.contrast is None or _gravity(contrast) > _gravity(found.contrast):
            found.contrast = contrast


def _heavier(known: Verdict | None, deviation: Deviation, day: date) -> Verdict | None:
    """An open finding keeps its opening and its heaviest judgement."""
    if deviation.severity is Severity.NONE or (known and known.score >= deviation.score):
        return known
    return Verdict(deviation.score, deviation.severity, known.opened_on if known else day)


def _gravity(contrast: Contrast) -> tuple[int, int]:
    gravest_first = list(Severity)
    both = (contrast.current, contrast.candidate)
    return -min(gravest_first.index(each.severity) for each in both), max(each.score for each in both)
