"""Runs the detection over captured result lines, without a database."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from msgspec.structs import replace as with_fields

from app.analysis.captures import CapturedRow, Progress, captured_rows
from app.analysis.flow_files import FlowFiles, flows_in
from app.analysis.replay_flows import ReplayFlows
from app.analysis.replay_surroundings import ReplaySurroundings
from app.detection.approved import ApprovedList
from app.detection.behaviour import Behaviour
from app.detection.connection_events import as_socket_row
from app.detection.context import Context, Signer, context_of, more_exposed, told_as_row
from app.detection.deviation import Deviation
from app.detection.facts import FACT_QUERIES, Fact, tells_whole_state
from app.detection.history import History
from app.detection.inventory import signer_of
from app.detection.judgement import judge
from app.detection.knobs import Knobs
from app.detection.queries import UNDERSTOOD
from app.detection.recognition import IDENTITY_COLUMNS, RejectedRow, recognise
from app.detection.scopes import KnobsByScope

SECONDS_OF_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Judged:
    """One deviation of one node and the lines that showed it, numbered from 1 across the judged files."""

    node: str
    deviation: Deviation
    lines: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Skipped:
    """A row that was left out because it could not be understood."""

    path: Path
    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Inputs:
    files: tuple[Path, ...]
    history_files: tuple[Path, ...] = ()
    roles: Mapping[str, str] = field(default_factory=dict)  #: node → role; the others have none
    approved: ApprovedList | None = None
    flows: tuple[Path, ...] = ()  #: files or folders of Zeek's or Suricata's logs


@dataclass(slots=True)
class _Seen:
    behaviour: Behaviour
    context: Context
    seen_at: int
    lines: list[int]


_Key = tuple[str, Behaviour]


class Replay:
    """One run. The files' own earlier days are history too; nobody approved anything of it.

    Raises:
        BadInput: a flow log cannot be used.
    """

    def __init__(self, inputs: Inputs, knobs: Knobs | KnobsByScope, progress: Progress | None = None) -> None:
        self.skipped: list[Skipped] = []
        self._inputs = inputs
        self._knobs = knobs if isinstance(knobs, KnobsByScope) else KnobsByScope({}, knobs)
        self._progress = progress
        self._history = History()
        read = flows_in(inputs.flows, progress) if inputs.flows else FlowFiles()
        self.flow_faults = read.faults
        self.flows = ReplayFlows(read.flows)
        self._surroundings = ReplaySurroundings(self.flows, inputs.approved)
        self._signers: dict[tuple[str, str], Signer] = {}
        self._recognised: dict[tuple[object, ...], Behaviour | None] = {}

    def judged(self) -> Iterator[Judged]:
        """One deviation for each behaviour of each node, the gravest first.

        Raises:
            BadInput: a file or line cannot be used.
        """
        self._learn()
        days = self._days()
        best: dict[_Key, Deviation] = {}
        lines: defaultdict[_Key, set[int]] = defaultdict(set)
        for day in sorted(days):
            for key, seen in days[day].items():
                deviation = self._judge(key[0], seen)
                best[key] = max(best.get(key, deviation), deviation, key=_telling)
                lines[key].update(seen.lines)
            for node, behaviour in days[day]:
                self._history.add(node, self._role(node), day, behaviour)
        result = [Judged(node, best[node, each], tuple(sorted(lines[node, each]))) for node, each in best]
        yield from sorted(result, key=lambda each: (_gravity(each.deviation), each.node), reverse=True)

    def _learn(self) -> None:
        for captured in captured_rows(self._inputs.history_files, self._progress):
            if behaviour := self._behaviour(captured):
                self._history.add(captured.node, self._role(captured.node), _day(captured), behaviour)

    def _days(self) -> Mapping[int, Mapping[_Key, _Seen]]:
        days: defaultdict[int, dict[_Key, _Seen]] = defaultdict(dict)
        for captured in captured_rows(self._inputs.files, self._progress):
            if behaviour := self._behaviour(captured):
                self._note(days[_day(captured)], captured, behaviour)
        return days

    def _note(self, seen: dict[_Key, _Seen], captured: CapturedRow, behaviour: Behaviour) -> None:
        row, key = captured.row, (captured.node, behaviour)
        context = context_of(row.query, row.columns, node=captured.node, signer=Signer())
        _, columns = told_as_row(row.query, row.columns)
        self._surroundings.connect(captured.node, behaviour, columns, row.observed_at_unix)
        known = seen.setdefault(key, _Seen(behaviour, context, row.observed_at_unix, []))
        known.context = more_exposed(known.context, context)
        known.seen_at = min(known.seen_at, row.observed_at_unix)
        known.lines.append(captured.position)

    def _behaviour(self, captured: CapturedRow) -> Behaviour | None:
        row = captured.row
        self._note_fact(captured)
        if row.action == "removed" or row.query not in UNDERSTOOD:
            return None
        if signed := signer_of(row.query, row.columns):
            self._signers[captured.node, signed[0]] = signed[1]
        try:
            return self._recognise(row.query, row.columns)
        except RejectedRow as problem:
            self.skipped.append(Skipped(captured.path, captured.line, str(problem)))
            return None

    def _recognise(self, query: str, columns: Mapping[str, object]) -> Behaviour | None:
        """Raises: RejectedRow."""
        told = as_socket_row(query, columns)
        if told is None:
            return None
        query, columns = told
        identity = (query, *map(columns.get, IDENTITY_COLUMNS[UNDERSTOOD[query][1]]))
        if identity not in self._recognised:
            self._recognised[identity] = recognise(query, columns)
        return self._recognised[identity]

    def _note_fact(self, captured: CapturedRow) -> None:
        row = captured.row
        if row.query in FACT_QUERIES:
            platform, kind = FACT_QUERIES[row.query]
            at, whole = row.observed_at_unix, tells_whole_state(row.epoch, row.counter)
            fact = Fact(captured.node, platform, kind, row.query, row.action, row.columns, at, whole)
            try:
                self._surroundings.add(fact)
            except RejectedRow as problem:
                self.skipped.append(Skipped(captured.path, captured.line, str(problem)))

    def _judge(self, node: str, seen: _Seen) -> Deviation:
        signer = self._signers.get((node, seen.behaviour.program.path), Signer())
        standing = self._history.standing(node, self._role(node), None, seen.behaviour)
        context, knobs = replace(seen.context, signer=signer), self._knobs_of(node, seen.behaviour)
        around = self._surroundings.around(node, seen.behaviour, context, seen.seen_at, knobs)
        return judge(seen.behaviour, context, standing, knobs, around)

    def _knobs_of(self, node: str, behaviour: Behaviour) -> Knobs:
        """Whoever hands in a history says that it is enough to learn from."""
        knobs = self._knobs.of(self._role(node), behaviour.program.platform)
        known = with_fields(knobs.time_window, learning_days=0)
        return with_fields(knobs, time_window=known) if self._inputs.history_files else knobs

    def _role(self, node: str) -> str:
        return self._inputs.roles.get(node, "")


def replay(inputs: Inputs, knobs: Knobs | None = None, progress: Progress | None = None) -> Iterable[Judged]:
    """The deviations of captured lines, the gravest first; see `Replay.judged`."""
    return Replay(inputs, knobs or Knobs(), progress).judged()


def _day(captured: CapturedRow) -> int:
    return captured.row.observed_at_unix // SECONDS_OF_DAY


def _gravity(deviation: Deviation) -> tuple[int, int]:
    gravest_first = list(type(deviation.severity))
    return -gravest_first.index(deviation.severity), deviation.score


def _telling(deviation: Deviation) -> tuple[tuple[int, int], bool]:
    """Of days that weigh the same, the one on which a sensor saw the connection says more."""
    return _gravity(deviation), any(line.reason.startswith("flow_") for line in deviation.evidence)
