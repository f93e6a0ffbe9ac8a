"""Reduce one decoded batch to what it says anew: behaviours by day, ends, executions, lines not understood.

This is the hot path. Rows that say the same thing differ only in pid, time, ephemeral port and peer, so what a row
means is remembered by the columns that its identity is made of, and most rows cost one look-up. Lines that follow each
other mostly are of one execution of a query, so what these share is looked up once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby
from operator import attrgetter
from typing import Any, cast

from app.detection.behaviour import DYNAMIC_PORT, Behaviour, Platform
from app.detection.columns import LAST_PORT
from app.detection.connection_events import as_socket_row
from app.detection.facts import FACT_QUERIES
from app.detection.queries import UNDERSTOOD, QueryKind
from app.detection.recognition import IDENTITY_COLUMNS, RejectedRow, recognise
from app.osquery.protocol import Cell, Columns, DiffResults, ResultLine
from app.osquery.results import clean, result_name

DAY_SECONDS = 86400
#: A listener that takes loopback first must not hide behind that row: the one that others can reach is judged.
EXPOSED = ("any", "specific")
#: Under which executions of queries that are not ours are counted together, so that names cannot fill a table.
OTHER_QUERIES = "(other)"
#: Epochs of one query that a batch may tell apart: each costs a statement. A daily resync makes one a day.
EPOCHS_MAX = 16
#: A thousand years of executions; sums of gaps in it stay inside a bigint.
COUNTER_MAX = 2**40
NAME_CHARACTERS = 200
#: Distinct meanings a worker remembers; past it the memory starts anew.
MEANINGS_MAX = 200_000
#: Characters of identity columns past which a row is understood anew each time, so that long texts fill no memory.
REMEMBERED_MAX_CHARACTERS = 2048

#: Dynamic ports as agents spell them, which are all one to a behaviour.
_DYNAMIC = frozenset(spelling for port in range(DYNAMIC_PORT, LAST_PORT + 1) for spelling in (port, str(port)))
_IDENTITY_PORTS = ("local_port", "remote_port")

_EXECUTION = attrgetter("name", "unixTime", "epoch", "counter")

Row = tuple[int, int, str, Columns]  #: line number, row number within the line, action, columns
Day = int  #: days since 1970-01-01 UTC
BehaviourId = bytes  #: 16 bytes; hashes and compares faster than a UUID
Meaning = tuple[BehaviourId, Behaviour] | RejectedRow | None
#: The row that showed a behaviour first in a batch: its time, line and row numbers, and the behaviour.
Sighted = tuple[float, int, int, Behaviour]


@dataclass(frozen=True, slots=True)
class Clock:
    """What counts as a credible time of a node, in unix seconds, around the time of receipt."""

    received: float
    earliest: float
    latest: float

    def credible(self, observed: float) -> float:
        return observed if self.earliest <= observed <= self.latest else self.received


@dataclass(slots=True)
class Span:
    """The executions of one query in one batch and epoch."""

    epoch: int
    counters: set[int]
    observed: float
    rows: int = 0

    @property
    def missing(self) -> int:
        return max(self.counters) - min(self.counters) + 1 - len(self.counters)


@dataclass(slots=True)
class Quarantined:
    lines: int
    first_line: int
    query: str


@dataclass(slots=True)
class Reduced:
    """What one batch says. Times are unix seconds of the node's clock where credible."""

    lines: int = 0
    rows: int = 0
    skewed: int = 0
    sightings: dict[Day, dict[BehaviourId, Sighted]] = field(default_factory=dict)
    ended: dict[BehaviourId, float] = field(default_factory=dict)
    executions: dict[tuple[str, int], Span] = field(default_factory=dict)
    quarantined: dict[str, Quarantined] = field(default_factory=dict)
    heartbeat: tuple[str, str, str] | None = None
    fact_lines: list[int] = field(default_factory=list)  #: read by analysis, from the stored batch

    def quarantine(self, reason: str, line_number: int, query: str) -> None:
        kept = self.quarantined.setdefault(reason, Quarantined(0, line_number, query))
        kept.lines += 1


@dataclass(frozen=True, slots=True)
class _Known:
    """How to read the rows of a query of ours."""

    name: str
    platform: Platform | None
    kind: QueryKind
    identity: Callable[[Columns], Any] | None
    has_facts: bool


@lru_cache(maxsize=4096)
def _known(name: str) -> _Known | None:
    canonical = result_name(name)
    has_facts = canonical in FACT_QUERIES
    platform, kind = UNDERSTOOD.get(canonical, (FACT_QUERIES[canonical][0] if has_facts else None, QueryKind.CONTEXT))
    if not has_facts and kind is QueryKind.CONTEXT:
        return None
    columns = [column for column in IDENTITY_COLUMNS.get(kind, ()) if column not in _IDENTITY_PORTS]
    return _Known(canonical, platform, kind, attrgetter(*columns) if columns else None, has_facts)


class Reducer:
    """Reduces batches; keeps the meanings of rows between them. One per worker process."""

    def __init__(self, pack_queries: frozenset[str]) -> None:
        self._pack_queries = pack_queries
        self._meanings: dict[tuple[object, ...], Meaning] = {}

    def reduce(self, data: list[ResultLine | None], platform: str, clock: Clock) -> Reduced:
        reduced = Reduced(lines=len(data))
        number = 0
        for execution, group in groupby(data, _execution):
            lines = list(group)
            if execution is None:
                for place in range(len(lines)):
                    reduced.quarantine("unreadable_line", number + place, "")
            else:
                self._reduce_execution(reduced, number, cast("list[ResultLine]", lines), platform, clock)
            number += len(lines)
        return reduced

    def _reduce_execution(
        self, reduced: Reduced, number: int, lines: list[ResultLine], platform: str, clock: Clock
    ) -> None:
        """`number` is that of the first line."""
        said, known = _unix(lines[0].unixTime), _known(lines[0].name[:NAME_CHARACTERS])
        observed = clock.credible(said)
        if observed != said:
            reduced.skewed += len(lines)
        rows = _rows(reduced, number, lines)
        reduced.rows += len(rows)
        self._span(reduced, lines[0], known, observed).rows += len(rows)
        if known is None:
            return
        if known.platform is not None and known.platform != platform:
            for place in range(len(lines)):
                reduced.quarantine("other_platform", number + place, known.name)
            return
        if known.has_facts:
            reduced.fact_lines += range(number, number + len(lines))
        self._read_rows(reduced, rows, known, observed)

    def _read_rows(self, reduced: Reduced, rows: list[Row], known: _Known, observed: float) -> None:
        if known.identity is not None:
            self._recognise_rows(reduced, rows, known, observed)
        elif known.kind is QueryKind.CONNECTION_EVENT:
            for name, told in _socket_rows(reduced, rows, known).items():
                self._recognise_rows(reduced, told, _socket_query(name), observed)
        elif known.kind is QueryKind.HEARTBEAT:
            _note_heartbeat(reduced, rows)

    def _span(self, reduced: Reduced, line: ResultLine, known: _Known | None, observed: float) -> Span:
        name = known.name if known else result_name(line.name[:NAME_CHARACTERS])
        if name not in self._pack_queries:
            name = OTHER_QUERIES
        epoch = _number(line.epoch)
        span = reduced.executions.get((name, epoch)) or _new_span(reduced, name, epoch, observed)
        span.counters.add(min(_number(line.counter), COUNTER_MAX))
        span.observed = max(span.observed, observed)
        return span

    def _recognise_rows(self, reduced: Reduced, rows: list[Row], known: _Known, observed: float) -> None:
        sighted = reduced.sightings.setdefault(int(observed // DAY_SECONDS), {})
        for number, position, action, columns in rows:
            meaning = self._meaning(known, columns)
            if meaning is None:
                continue
            if isinstance(meaning, RejectedRow):
                reduced.quarantine(meaning.reason, number, known.name)
            elif action == "removed":
                reduced.ended[meaning[0]] = max(observed, reduced.ended.get(meaning[0], 0.0))
            elif meaning[0] not in sighted or columns.bind_scope in EXPOSED:
                sighted[meaning[0]] = (observed, number, position, meaning[1])

    def _meaning(self, known: _Known, columns: Columns) -> Meaning:
        local, remote = columns.local_port, columns.remote_port
        identity = known.identity(columns) if known.identity else None
        key = (
            known.name,
            identity,
            DYNAMIC_PORT if local in _DYNAMIC else local,
            DYNAMIC_PORT if remote in _DYNAMIC else remote,
        )
        try:
            return self._meanings[key]
        except KeyError:
            return self._remember(key, _recognised(known.name, columns))

    def _remember(self, key: tuple[object, ...], meaning: Meaning) -> Meaning:
        if len(str(key)) > REMEMBERED_MAX_CHARACTERS:
            return meaning
        if len(self._meanings) >= MEANINGS_MAX:
            self._meanings.clear()
        self._meanings[key] = meaning
        return meaning


def _new_span(reduced: Reduced, name: str, epoch: int, observed: float) -> Span:
    """Past the limit, the query's last one."""
    spans = [span for (query, _), span in reduced.executions.items() if query == name]
    if len(spans) >= EPOCHS_MAX:
        return spans[-1]
    return reduced.executions.setdefault((name, epoch), Span(epoch, set(), observed))


def _execution(line: ResultLine | None) -> object:
    """What lines of one execution of a query have in common; None for one that could not be read."""
    return None if line is None else _EXECUTION(line)


def _rows(reduced: Reduced, number: int, lines: list[ResultLine]) -> list[Row]:
    rows: list[Row] = []
    for line in lines:
        if line.columns is not None:
            rows.append((number, 0, line.action, line.columns))
        elif line.snapshot is None and line.diffResults is None:
            reduced.quarantine("missing_rows", number, clean(line.name[:NAME_CHARACTERS]))
        else:
            rows += [(number, place, action, columns) for place, (action, columns) in enumerate(_listed(line))]
        number += 1
    return rows


def _listed(line: ResultLine) -> list[tuple[str, Columns]]:
    """The rows of a line that is a snapshot or holds differences, in the order in which they are numbered."""
    if line.snapshot is not None:
        return [("snapshot", columns) for columns in line.snapshot]
    changes = line.diffResults or DiffResults()
    removed = [("removed", columns) for columns in changes.removed or ()]
    return removed + [("added", columns) for columns in changes.added or ()]


def _socket_rows(reduced: Reduced, rows: list[Row], known: _Known) -> dict[str, list[Row]]:
    """What connection events say, by the query that would say it, in the few columns of which memory is made."""
    told: dict[str, list[Row]] = {}
    for number, position, action, columns in rows:
        try:
            said = as_socket_row(known.name, _cells(columns))
        except RejectedRow as rejected:
            reduced.quarantine(rejected.reason, number, known.name)
            continue
        if said is not None:
            told.setdefault(said[0], []).append((number, position, action, _identity_columns(*said)))
    return told


def _identity_columns(query: str, row: Mapping[str, object]) -> Columns:
    names = (*IDENTITY_COLUMNS[UNDERSTOOD[query][1]], "bind_scope")
    return Columns(**{name: str(row[name]) for name in names if name in row})


def _socket_query(name: str) -> _Known:
    known = _known(name)
    assert known is not None
    return known


def _cells(columns: Columns) -> dict[str, Cell]:
    return {name: cell for name in columns.__struct_fields__ if (cell := getattr(columns, name)) is not None}


def _recognised(query: str, columns: Columns) -> Meaning:
    try:
        behaviour = recognise(query, _cells(columns))
    except RejectedRow as rejected:
        return RejectedRow(rejected.reason, rejected.column)  # without the frames that the raised one holds
    return None if behaviour is None else (behaviour.behaviour_id.bytes, behaviour)


def _note_heartbeat(reduced: Reduced, rows: list[Row]) -> None:
    for _, _, action, row in rows:
        if action != "removed":
            reduced.heartbeat = (_short(row.version), _short(row.instance_id), _short(row.config_hash))


def _short(cell: Cell) -> str:
    return clean(str(cell or "")[:NAME_CHARACTERS])


def _unix(value: int | str) -> float:
    try:
        return float(value)
    except (ValueError, OverflowError):
        return 0.0


def _number(value: int | str) -> int:
    """An epoch or counter, kept inside a bigint whatever the agent says."""
    try:
        return max(-1, min(int(value), 2**62))
    except (ValueError, OverflowError):
        return -1
