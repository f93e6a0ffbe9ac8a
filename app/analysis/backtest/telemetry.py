"""How well the period could be seen at all: what each query can see, who does not report it, which days are bare."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from app.analysis.backtest.document import Joined, QueryLine, Telemetry
from app.analysis.backtest.engine import Period
from app.analysis.backtest.verdicts import DayTotals, Starts, Verdicts
from app.analysis.coverage import asked_of
from app.collection.packs import Mode, Pack, Query
from app.detection.behaviour import Platform

#: Seconds that a connection lasts.
LENGTHS = (1, 5, 60)
#: Queries of connections and processes, which are gone when they are not looked at in time.
_FLEETING = frozenset({"outbound", "listening", "process_events", "socket_events", "sysmon_connections", "wfp_events"})

Reporting = tuple[Mapping[str, int], Mapping[tuple[str, str], int]]


def telemetry(packs: Sequence[Pack], reporting: Reporting, period: Period, verdicts: Verdicts) -> Telemetry:
    nodes, by_query = reporting
    lines = [
        _line(query, platform, nodes.get(platform, 0), by_query.get((platform, query.result_name), 0))
        for platform in map(str, Platform)
        for query in asked_of(packs, platform)
        if nodes.get(platform)
    ]
    return Telemetry(
        queries=lines,
        process_starts=_joined(verdicts.starts),
        days_without_sightings=[day for day in period.days if day not in verdicts.days],
        days_without_batches=_bare(verdicts.days),
    )


def seen_share(length_seconds: float, interval_seconds: float) -> float:
    """The chance that a poll falls into a connection. Source: an instant uniform in the interval."""
    return min(1.0, length_seconds / interval_seconds)


def _line(query: Query, platform: str, nodes: int, reporting: int) -> QueryLine:
    is_event = query.mode is Mode.EVENT
    sees = {str(length): 1.0 if is_event else seen_share(length, query.interval_seconds) for length in LENGTHS}
    return QueryLine(
        query=query.result_name,
        platform=platform,
        mode=query.mode.value,
        interval_seconds=query.interval_seconds,
        sees_short=is_event and query.name in _FLEETING,
        sees=sees if query.name in _FLEETING else None,
        nodes=nodes,
        nodes_reporting=reporting,
    )


def _joined(starts: Starts) -> Joined:
    joined = starts.joined.total()
    rate = round(joined / starts.connections, 4) if starts.connections else None
    return Joined(starts.connections, joined, rate, dict(starts.joined.most_common()))


def _bare(days: Mapping[date, DayTotals]) -> list[date]:
    return sorted(_all_bare(days.items()))


def _all_bare(days: Iterable[tuple[date, DayTotals]]) -> Iterable[date]:
    return (day for day, totals in days if totals.sightings and totals.without_row == totals.sightings)
