"""From verdicts to the document: what is gained, lost and shifted, by whom, with examples."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import date

from app.analysis.backtest.document import (
    Agreement,
    ChangedLine,
    Changes,
    DayLine,
    Example,
    FalsePositives,
    Levels,
    Said,
    Shift,
    Shifts,
    Side,
    Triaged,
)
from app.analysis.backtest.store import Key, StoredFinding
from app.analysis.backtest.verdicts import Contrast, Found, Verdict, Verdicts
from app.detection.deviation import Deviation, Evidence, Severity
from app.findings.states import CLOSED, State

EXAMPLES_MAX = 200
PROGRAMS_MAX = 50
_NODES = 100

Pair = tuple[Key, Found]
Chosen = Callable[[Found], Verdict | None]
GRAVEST_FIRST = [each.value for each in Severity]


def current(found: Found) -> Verdict | None:
    return found.current


def candidate(found: Found) -> Verdict | None:
    return found.candidate


class Summary:
    """Reads the findings of both settings.

    `roles` and `hostnames` put names to numbers; `version` is that of the knobs in force for a role and platform.
    """

    def __init__(
        self,
        verdicts: Verdicts,
        roles: Mapping[int, str],
        stored: Mapping[Key, StoredFinding],
        version: Callable[[str, str], int],
    ) -> None:
        self._verdicts, self._roles, self._stored, self._version = verdicts, roles, stored, version
        self._pairs: list[Pair] = list(verdicts.found.items())

    def side(self, chosen: Chosen) -> Side:
        levels = _levels(map(chosen, self._verdicts.found.values()))
        days = self.node_days
        return Side(levels, round(_NODES * levels.alerts / days, 3) if days else 0.0)

    @property
    def node_days(self) -> int:
        return sum(len(totals.nodes) for totals in self._verdicts.days.values())

    @property
    def nodes(self) -> int:
        return len(set().union(*(totals.nodes for totals in self._verdicts.days.values())))

    def days(self) -> list[DayLine]:
        """Findings by the day that opens them; one pass for any number of days."""
        opened: dict[str, Counter[tuple[date, str]]] = {"current": Counter(), "candidate": Counter()}
        for found in self._verdicts.found.values():
            for side, verdict in (("current", found.current), ("candidate", found.candidate)):
                if verdict:
                    opened[side][verdict.opened_on, verdict.severity.value] += 1

        def levels(side: str, day: date) -> Levels:
            return Levels(*(opened[side][day, level] for level in GRAVEST_FIRST[:3]))

        return [
            DayLine(
                day, len(each.nodes), each.sightings, each.without_row, levels("current", day), levels("candidate", day)
            )
            for day, each in sorted(self._verdicts.days.items())
        ]

    def gained(self, hostnames: Mapping[int, str]) -> Changes:
        return self._changes([pair for pair in self._pairs if pair[1].candidate and not pair[1].current], hostnames)

    def lost(self, hostnames: Mapping[int, str]) -> Changes:
        return self._changes([pair for pair in self._pairs if pair[1].current and not pair[1].candidate], hostnames)

    def shifts(self, hostnames: Mapping[int, str]) -> Shifts:
        both = [pair for pair in self._pairs if pair[1].current and pair[1].candidate]
        shifted = [pair for pair in both if _severities(pair[1])[0] != _severities(pair[1])[1]]
        counts = Counter(_severities(found) for _, found in shifted)
        ordered = sorted(counts.items(), key=lambda each: [GRAVEST_FIRST.index(level) for level in each[0]])
        return Shifts(
            total=len(shifted),
            shifts=[Shift(before, after, total) for (before, after), total in ordered],
            score_only=sum(_is_rescored(found) for _, found in both),
            examples=self._examples(shifted, hostnames),
            examples_max=EXAMPLES_MAX,
        )

    def false_positives(self) -> FalsePositives:
        """Only closings say what a finding was; what is open, excepted or handed on is not judged yet."""
        judged = {key: each.state for key, each in self._stored.items() if each.state in CLOSED}
        if not judged:
            return FalsePositives("no triaged findings yet", 0)
        sides = (self._triaged(judged, current), self._triaged(judged, candidate))
        return FalsePositives("of the findings of the period that people have closed", len(judged), *sides)

    def agreement(self) -> Agreement:
        """Findings of earlier days are left out: their heaviest judgement may be one of these days, or of none."""
        stored = {key: each.score for key, each in self._stored.items() if not each.is_earlier}
        earlier = self._stored.keys() - stored.keys()
        now = {key: found.current.score for key, found in self._pairs if found.current and key not in earlier}
        both = now.keys() & stored.keys()
        same = sum(now[key] == stored[key] for key in both)
        return Agreement(
            stored=len(stored),
            same=same,
            other_score=len(both) - same,
            not_found_again=len(stored) - len(both),
            found_only_now=len(now) - len(both),
            other_settings=sum(self._is_otherwise_judged(self._stored[key]) for key in stored),
        )

    def _is_otherwise_judged(self, each: StoredFinding) -> bool:
        return each.knobs_version != self._version(self._roles.get(each.role_id, ""), each.platform)

    def _triaged(self, judged: Mapping[Key, str], chosen: Chosen) -> Triaged:
        found = [judged[key] for key, each in self._pairs if key in judged and chosen(each)]
        false = found.count(State.FALSE_POSITIVE.value)
        return Triaged(len(found), false, round(false / len(found), 4) if found else None)

    def _changes(self, pairs: list[Pair], hostnames: Mapping[int, str]) -> Changes:
        programs = Counter(found.behaviour.program.name for _, found in pairs)
        listed = programs.most_common(PROGRAMS_MAX)
        return Changes(
            total=len(pairs),
            by_analytic=dict(Counter(found.analytic for _, found in pairs).most_common()),
            by_role=dict(Counter(self._role(found) for _, found in pairs).most_common()),
            by_program=dict(listed),
            programs_not_listed=len(programs) - len(listed),
            examples=self._examples(pairs, hostnames),
            examples_max=EXAMPLES_MAX,
        )

    def _role(self, found: Found) -> str:
        return self._roles.get(found.role_id, "")

    def _examples(self, pairs: Iterable[Pair], hostnames: Mapping[int, str]) -> list[Example]:
        known = [(key, found, found.contrast) for key, found in pairs if found.contrast]
        known.sort(key=lambda each: (_gravity(each[2]), each[0][0], each[1].behaviour.program.name))
        return [
            self._example(key, found, contrast, hostnames.get(key[0], ""))
            for key, found, contrast in known[:EXAMPLES_MAX]
        ]

    def _example(self, key: Key, found: Found, contrast: Contrast, hostname: str) -> Example:
        behaviour, before, after = found.behaviour, contrast.current, contrast.candidate
        return Example(
            node_id=key[0],
            hostname=hostname,
            role=self._role(found),
            program=behaviour.program.name,
            unit=behaviour.program.unit,
            path=behaviour.program.path,
            direction=behaviour.direction.value,
            transport=behaviour.transport.value,
            port=behaviour.bucket,
            analytic=found.analytic,
            day=contrast.day,
            seen_at=contrast.seen_at,
            score_before=before.score,
            score_after=after.score,
            severity_before=before.severity.value,
            severity_after=after.severity.value,
            changed_lines=changed_lines(before, after),
        )


def changed_lines(before: Deviation, after: Deviation) -> list[ChangedLine]:
    """The lines that are not the same in both, by their reason; one that comes twice is told apart by its place."""
    said = {True: _by_reason(before.evidence), False: _by_reason(after.evidence)}
    reasons = dict.fromkeys([*said[True], *said[False]])
    pairs = ((reason, said[True].get(reason), said[False].get(reason)) for reason in reasons)
    return [ChangedLine(reason[0], first, second) for reason, first, second in pairs if first != second]


def _by_reason(evidence: Iterable[Evidence]) -> dict[tuple[str, int], Said]:
    places: Counter[str] = Counter()
    found = {}
    for each in evidence:
        found[each.reason, places[each.reason]] = Said(each.points, each.text)
        places[each.reason] += 1
    return found


def _levels(verdicts: Iterable[Verdict | None]) -> Levels:
    counts = Counter(each.severity.value for each in verdicts if each)
    return Levels(*(counts[level] for level in GRAVEST_FIRST[:3]))


def _severities(found: Found) -> tuple[str, str]:
    assert found.current
    assert found.candidate
    return found.current.severity.value, found.candidate.severity.value


def _is_rescored(found: Found) -> bool:
    same_level = found.current and found.candidate and found.current.severity is found.candidate.severity
    return bool(same_level and found.current and found.candidate and found.current.score != found.candidate.score)


def _gravity(contrast: Contrast) -> tuple[int, int]:
    both = (contrast.current, contrast.candidate)
    return min(GRAVEST_FIRST.index(each.severity.value) for each in both), -max(each.score for each in both)
