"""The SQL of process starts."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import BIGINT, DATE, TEXT, TIMESTAMP

from app.analysis.starts.models import StartTally
from app.analysis.store import arrays
from app.clock import utc_now
from app.database import ReadSession, WriteSession
from app.detection.process_start import KEPT_DAYS
from app.detection.reported_starts import ReportedStart

#: Rows that one question may get of a day: at most one process lives under an id, and few sources tell of its start.
STARTS_MAX = 8

Key = tuple[int, int]  #: node, process id
Span = tuple[int, int, float, float]  #: node, process id, first and last second

_ADD = arrays(
    """
    INSERT INTO process_starts
      (day, node_id, process_id, started_at, source, path, parent, command_line, username, guid)
    SELECT * FROM unnest(:days, :nodes, :processes, :instants, :sources, :paths, :parents, :commands, :users, :guids)
    ORDER BY 1, 2, 3, 4
    ON CONFLICT DO NOTHING
    RETURNING node_id, process_id, started_at
    """,
    days=DATE(), nodes=BIGINT(), processes=BIGINT(), instants=TIMESTAMP(timezone=True), sources=TEXT(), paths=TEXT(),
    parents=TEXT(), commands=TEXT(), users=TEXT(), guids=TEXT(),
)  # fmt: skip


async def add(session: WriteSession, starts: Iterable[ReportedStart]) -> list[ReportedStart]:
    """Keep starts. Returns those that nobody had told in the same words before."""
    by_key = {(int(each.node), each.process_id, at(each)): each for each in starts}
    if not by_key:
        return []
    rows = [
        (day_of(each), *key, each.source, each.path, each.parent, each.command_line, each.user, each.guid)
        for key, each in by_key.items()
    ]
    found = await session.execute(_ADD, _columns(_ADD_NAMES, rows))
    return [by_key[node, process, instant] for node, process, instant in found]


_ADD_NAMES = ["days", "nodes", "processes", "instants", "sources", "paths", "parents", "commands", "users", "guids"]


_TRIM = arrays(
    """
    DELETE FROM process_starts p
    USING (
      SELECT w.day, w.node_id, (
        SELECT s.started_at FROM process_starts s WHERE s.day = w.day AND s.node_id = w.node_id
        ORDER BY s.started_at DESC OFFSET :most LIMIT 1
      ) AS at FROM unnest(:days, :nodes) AS w(day, node_id)
    ) AS last
    WHERE p.day = last.day AND p.node_id = last.node_id AND p.started_at <= last.at
    """,
    days=DATE(), nodes=BIGINT(),
)  # fmt: skip


async def trim(session: WriteSession, days: Collection[tuple[date, int]], most: int) -> None:
    """Keep the newest starts of the given days and nodes only."""
    if days:
        await session.execute(_TRIM, _columns(("days", "nodes"), sorted(days)) | {"most": most})


_FIND = arrays(
    f"""
    SELECT DISTINCT s.node_id, s.process_id, extract(epoch FROM s.started_at)::float8 AS started_at, s.path, s.source,
           s.parent, s.command_line, s.username, s.guid
    FROM unnest(:days, :nodes, :processes, :firsts, :lasts) AS w(day, node_id, process_id, first, last)
    CROSS JOIN LATERAL (
      SELECT * FROM process_starts p
      WHERE p.day = w.day AND p.node_id = w.node_id AND p.process_id = w.process_id
        AND p.started_at BETWEEN w.first AND w.last
      ORDER BY p.started_at DESC LIMIT {STARTS_MAX}
    ) s
    """,  # noqa: S608 - a constant
    days=DATE(), nodes=BIGINT(), processes=BIGINT(), firsts=TIMESTAMP(timezone=True), lasts=TIMESTAMP(timezone=True),
)  # fmt: skip


async def find(session: ReadSession, spans: Collection[Span]) -> dict[Key, list[ReportedStart]]:
    """(node, process id) → the newest starts within each span."""
    rows = [
        (day, node, process, _instant(first), _instant(last))
        for node, process, first, last in spans
        for day in _kept_days(_instant(first).date(), _instant(last).date())
    ]
    if not rows:
        return {}
    found: dict[Key, list[ReportedStart]] = {}
    for row in await session.execute(_FIND, _columns(("days", "nodes", "processes", "firsts", "lasts"), rows)):
        start = ReportedStart(
            str(row.node_id), row.process_id, row.started_at, row.path, row.source,
            row.parent, row.command_line, row.username, row.guid,
        )  # fmt: skip
        found.setdefault((row.node_id, row.process_id), []).append(start)
    return found


_COUNT = arrays(
    """
    INSERT INTO start_tallies AS t (day, node_id, source, starts, connections)
    SELECT * FROM unnest(:days, :nodes, :sources, :starts, :connections) ORDER BY 1, 2, 3
    ON CONFLICT (day, node_id, source) DO UPDATE SET
      starts = t.starts + excluded.starts, connections = greatest(0, t.connections + excluded.connections)
    RETURNING day, node_id, starts
    """,
    days=DATE(), nodes=BIGINT(), sources=TEXT(), starts=BIGINT(), connections=BIGINT(),
)  # fmt: skip

TallyKey = tuple[date, int, str]  #: day, node, source


async def count_starts(session: WriteSession, totals: Mapping[TallyKey, int]) -> dict[tuple[date, int], int]:
    """Returns (day, node) → the starts told of so far by the sources that were counted."""
    so_far: dict[tuple[date, int], int] = {}
    for day, node, starts in await _count(session, [(*key, total, 0) for key, total in totals.items()]):
        so_far[day, node] = so_far.get((day, node), 0) + starts
    return so_far


async def count_connections(session: WriteSession, totals: Mapping[TallyKey, int]) -> None:
    """Totals may be negative: a connection that has been explained since."""
    await _count(session, [(*key, 0, total) for key, total in totals.items()])


async def _count(session: WriteSession, rows: Sequence[tuple[Any, ...]]) -> list[tuple[date, int, int]]:
    if not rows:
        return []
    names = ("days", "nodes", "sources", "starts", "connections")
    found = await session.execute(_COUNT, _columns(names, rows))
    return [(day, node, starts) for day, node, starts in found]


async def tallies(session: ReadSession, nodes: Collection[int], since: date) -> dict[int, dict[str, tuple[int, int]]]:
    """Node → source → starts and connections since a day."""
    starts, connections = func.sum(StartTally.starts), func.sum(StartTally.connections)
    query = select(StartTally.node_id, StartTally.source, starts, connections)
    query = query.where(StartTally.node_id.in_(nodes), StartTally.day >= since)
    found: dict[int, dict[str, tuple[int, int]]] = {}
    for node, source, told, joined in await session.execute(query.group_by(StartTally.node_id, StartTally.source)):
        found.setdefault(node, {})[source] = (int(told), int(joined))
    return found


def is_kept(day: date) -> bool:
    """Whether there is a partition for it: a node's clock, or an old file, may say any day."""
    return bool(_kept_days(day, day))


def _kept_days(first: date, last: date) -> list[date]:
    today = utc_now().date()
    kept = (today + timedelta(days=n) for n in range(-KEPT_DAYS, 2))
    return [day for day in kept if first <= day <= last]


def at(start: ReportedStart) -> datetime:
    return _instant(start.started_at)


def day_of(start: ReportedStart) -> date:
    return at(start).date()


def _instant(unix: float) -> datetime:
    """To the microsecond, like the database; `datetime.fromtimestamp` rounds as it does."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=round(max(unix, 0.0) * 1_000_000))


def _columns(names: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> dict[str, Any]:
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
