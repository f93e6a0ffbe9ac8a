"""Keeps the process starts that nodes report, within limits, and has what they explain judged again."""

from collections import Counter as Counts
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from heapq import nlargest

import structlog
from prometheus_client import Counter

from app.analysis.starts import store
from app.database import WriteSession
from app.detection.columns import RejectedRow
from app.detection.facts import Fact
from app.detection.process_start import KEPT_DAYS
from app.detection.reported_starts import ReportedStart, reported_start
from app.findings.again.store import judge_again_begun

#: Starts of one node on one day that are kept, the newest: a build server makes more, an office host about 3,000.
NODE_DAY_MAX = 10_000

log = structlog.get_logger()
SKIPPED = Counter("portbook_analysis_starts_skipped", "Process starts not kept", ["reason"])


async def keep(session: WriteSession, facts: Sequence[Fact]) -> None:
    """A row that cannot be understood is counted and left to the stored batch."""
    new = await store.add(session, _newest(_within_days(_understood(facts))))
    totals = Counts((store.day_of(each), int(each.node), each.source) for each in new)
    so_far = await store.count_starts(session, totals)
    await store.trim(session, [day for day, starts in so_far.items() if starts > NODE_DAY_MAX], NODE_DAY_MAX)
    began = {(int(each.node), each.process_id, each.path, store.at(each)) for each in new}
    await judge_again_begun(session, began, timedelta(days=KEPT_DAYS))


def _understood(facts: Iterable[Fact]) -> Iterator[ReportedStart]:
    for fact in facts:
        try:
            start = reported_start(fact)
        except RejectedRow as rejected:
            SKIPPED.labels(rejected.reason).inc()
        else:
            if start is not None:
                yield start


def _within_days(starts: Iterable[ReportedStart]) -> Iterator[ReportedStart]:
    for each in starts:
        if store.is_kept(store.day_of(each)):
            yield each
        else:
            SKIPPED.labels("not_of_these_days").inc()


def _newest(starts: Iterable[ReportedStart]) -> list[ReportedStart]:
    by_day: defaultdict[tuple[str, date], list[ReportedStart]] = defaultdict(list)
    for each in starts:
        by_day[each.node, store.day_of(each)].append(each)
    return [
        each for group in by_day.values() for each in nlargest(NODE_DAY_MAX, group, key=lambda start: start.started_at)
    ]
