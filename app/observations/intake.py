"""Accept batches: requests that wait share one transaction, and each is answered only after the commit."""

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

import structlog
from prometheus_client import Counter, Histogram
from psycopg import AsyncCursor

from app.database import Database
from app.fleet.nodes import KnownNode
from app.fleet.store import UPDATE_HEARTBEATS
from app.observations import store
from app.observations.known import KnownSightings, RecentEnds
from app.observations.packed import Origin, PackedSightings
from app.observations.reduction import DAY_SECONDS, BehaviourId, Day, Reduced, Sighted
from app.observations.store import Writer

GROUP_MAX_BATCHES = 256
GROUP_MAX_BYTES = 16 * 1024 * 1024
#: New behaviours one node may show on one day. A node that invents names cannot fill the tables; the batch is kept.
NODE_DAY_MAX = 20_000
KNOWN_BEHAVIOURS_MAX = 1_000_000

log = structlog.get_logger()

ROWS = Counter("portbook_intake_rows", "Rows acknowledged")
BATCHES = Counter("portbook_intake_batches", "Batches acknowledged")
NEW_SIGHTINGS = Counter("portbook_intake_new_sightings", "Sightings handed to the database as new today")
QUARANTINED = Counter("portbook_intake_quarantined_lines", "Lines not understood", ["reason"])
SKEWED = Counter("portbook_intake_skewed_lines", "Lines dated by our clock because the node's is not credible")
FAILED = Counter("portbook_intake_failed_batches", "Batches answered with an error after a failed commit")
GROUP_SIZE = Histogram(
    "portbook_intake_group_batches", "Batches that shared one transaction", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256)
)


class IntakeFull(Exception):
    """More bytes wait for a commit than are allowed; the agent keeps its lines and comes again."""


@dataclass(slots=True)
class Submission:
    """One batch on its way into the database."""

    node: KnownNode
    batch_id: UUID
    received_at: datetime
    kind: str
    body: bytes
    reduced: Reduced
    notices: dict[str, tuple[int, str]] = field(default_factory=dict)
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def day(self) -> date:
        return self.received_at.date()


class Intake:
    """The queue and the one writer of a worker process."""

    def __init__(self, database: Database, *, queue_max_bytes: int, known_sightings_max: int) -> None:
        self._database = database
        self._queue_max_bytes = queue_max_bytes
        self._known = KnownSightings(known_sightings_max)
        self._known_behaviours: set[bytes] = set()
        self._recent_ends = RecentEnds()
        self._waiting: deque[Submission] = deque()
        self._waiting_bytes = 0
        self._wake = asyncio.Event()

    async def accept(self, submission: Submission) -> None:
        """Return when the batch is committed.

        Raises: IntakeFull; or whatever kept the database from committing this batch.
        """
        if self._waiting_bytes + len(submission.body) > self._queue_max_bytes:
            raise IntakeFull
        self._waiting.append(submission)
        self._waiting_bytes += len(submission.body)
        self._wake.set()
        await submission.done

    async def run(self) -> None:
        """Write until cancelled. What still waits then is answered with an error by its request's end."""
        writer = Writer(self._database)
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while group := self._take_group():
                    await self._commit_group(group, writer)
        finally:
            await writer.close()

    def _take_group(self) -> list[Submission]:
        group: list[Submission] = []
        size = 0
        while self._waiting and len(group) < GROUP_MAX_BATCHES and size < GROUP_MAX_BYTES:
            submission = self._waiting.popleft()
            size += len(submission.body)
            if not submission.done.cancelled():
                group.append(submission)
        self._waiting_bytes -= size
        return group

    async def _commit_group(self, group: list[Submission], writer: Writer) -> None:
        """All together; if that fails, each once more alone, so that one bad batch cannot hold up the others."""
        try:
            await self._commit(group, writer)
        except Exception as error:  # noqa: BLE001 - it may be a bad batch or a lost connection
            log.info("group_not_stored", batches=len(group), error=str(error), kind=type(error).__name__)
            for submission in group:
                await self._commit_alone(submission, writer)
        else:
            GROUP_SIZE.observe(len(group))
            _answer(group, None)

    async def _commit_alone(self, submission: Submission, writer: Writer) -> None:
        try:
            await self._commit([submission], writer)
        except Exception as error:  # noqa: BLE001 - whatever it is, the request must hear of it
            FAILED.inc()
            log.warning(
                "batch_not_stored", node_id=submission.node.node_id, error=str(error), kind=type(error).__name__
            )
            _answer([submission], error)
        else:
            GROUP_SIZE.observe(1)
            _answer([submission], None)

    async def _commit(self, group: list[Submission], writer: Writer) -> None:
        writing = _Group(group, self._known, self._known_behaviours, self._recent_ends)
        async with writer.transaction() as cursor:
            await writing.write(cursor)
        writing.remember()


class _Group:
    """The rows of one transaction, gathered from its batches."""

    def __init__(
        self, group: list[Submission], known: KnownSightings, known_behaviours: set[bytes], recent_ends: RecentEnds
    ) -> None:
        self._group = group
        self._known = known
        self._known_behaviours = known_behaviours
        self._recent_ends = recent_ends
        self._new_behaviours: dict[bytes, tuple[object, ...]] = {}
        self._sightings = PackedSightings()
        self._ends: dict[tuple[int, BehaviourId], float] = {}
        self._fresh: dict[tuple[Day, int], set[bytes]] = {}
        for submission in group:
            self._gather_sightings(submission)
            self._gather_ends(submission)

    def _gather_sightings(self, submission: Submission) -> None:
        node_id = submission.node.node_id
        for day, sighted in submission.reduced.sightings.items():
            known = self._known.of(day, node_id)
            if new := sighted.keys() - known:
                fresh = self._fresh.setdefault((day, node_id), set())
                kept = self._within_limit(submission, sighted, new - fresh, len(known) + len(fresh))
                fresh.update(kept)
                self._add_sightings(submission, _date(day), {behaviour: sighted[behaviour] for behaviour in kept})

    def _add_sightings(self, submission: Submission, day: date, sighted: dict[BehaviourId, Sighted]) -> None:
        node, batch_id = submission.node, submission.batch_id
        self._sightings.add(
            Origin(day, node.node_id, node.role_id, submission.day, batch_id),
            list(sighted),
            [(observed, line, row) for observed, line, row, _ in sighted.values()],
        )
        for behaviour in sighted.keys() - self._known_behaviours:
            self._new_behaviours[behaviour] = store.behaviour_row(sighted[behaviour][3])

    def _within_limit(
        self, submission: Submission, sighted: dict[BehaviourId, Sighted], new: set[BehaviourId], kept: int
    ) -> Iterable[BehaviourId]:
        """As many as the node may still show today; the others are left to the stored batch, and counted."""
        if kept + len(new) <= NODE_DAY_MAX:
            return new
        in_order = [behaviour for behaviour in sighted if behaviour in new]
        free = max(0, NODE_DAY_MAX - kept)
        for behaviour in in_order[free:]:
            submission.reduced.quarantine("too_many_new_behaviours", sighted[behaviour][1], "")
        return in_order[:free]

    def _gather_ends(self, submission: Submission) -> None:
        node_id = submission.node.node_id
        for behaviour, observed in self._recent_ends.due(node_id, submission.reduced.ended):
            key = (node_id, behaviour)
            self._ends[key] = max(observed, self._ends.get(key, 0.0))

    def _end_rows(self) -> dict[Day, list[tuple[Any, ...]]]:
        """By day of a sighting: what ended may have begun the day before."""
        rows: dict[Day, list[tuple[Any, ...]]] = {}
        for (node_id, behaviour), observed in sorted(self._ends.items()):
            row = (node_id, UUID(bytes=behaviour), _instant(observed))
            today = int(observed // DAY_SECONDS)
            for day in (today, today - 1):
                rows.setdefault(day, []).append(row)
        return rows

    async def write(self, cursor: AsyncCursor[Any]) -> None:
        await store.write(cursor, store.INSERT_BATCHES, [_batch_row(each) for each in self._group])
        await store.write(cursor, store.INSERT_BEHAVIOURS, sorted(self._new_behaviours.values()))
        if self._sightings:
            await cursor.execute(store.INSERT_SIGHTINGS, self._sightings.columns)
        facts = [_facts_row(each) for each in self._group if each.reduced.fact_lines]
        await store.write(cursor, store.INSERT_FRESH_FACTS, facts)
        for day, ends in sorted(self._end_rows().items()):
            await store.write(cursor, store.END_SIGHTINGS, ends, _date(day))
        for spans in _rounds(self._group):
            await store.write(cursor, store.UPSERT_EXECUTIONS, spans)
        await store.write(cursor, store.INSERT_QUARANTINED, list(_quarantine_rows(self._group)))
        await store.write(cursor, store.UPSERT_NOTICES, sorted(_notice_rows(self._group)))
        await store.write(cursor, UPDATE_HEARTBEATS, sorted(_heartbeat_rows(self._group)))

    def remember(self) -> None:
        """Only after the commit: a memory of what was rolled back would lose it."""
        if len(self._known_behaviours) > KNOWN_BEHAVIOURS_MAX:
            self._known_behaviours.clear()
        self._known_behaviours.update(self._new_behaviours)
        for (day, node_id), behaviours in self._fresh.items():
            self._known.add(day, node_id, behaviours)
        for (node_id, behaviour), observed in self._ends.items():
            self._recent_ends.add(node_id, behaviour, observed)
        BATCHES.inc(len(self._group))
        ROWS.inc(sum(each.reduced.rows for each in self._group))
        NEW_SIGHTINGS.inc(len(self._sightings))
        SKEWED.inc(sum(each.reduced.skewed for each in self._group))
        for submission in self._group:
            for reason, quarantined in submission.reduced.quarantined.items():
                QUARANTINED.labels(reason).inc(quarantined.lines)


def _answer(group: list[Submission], error: Exception | None) -> None:
    for submission in group:
        if submission.done.done():
            continue
        if error is None:
            submission.done.set_result(None)
        else:
            submission.done.set_exception(error)


def _batch_row(each: Submission) -> tuple[object, ...]:
    counts = (each.reduced.lines, each.reduced.rows)
    return (each.day, each.node.node_id, each.batch_id, each.received_at, each.kind, *counts, each.body,
            sha256(each.body).digest())  # fmt: skip


def _facts_row(each: Submission) -> tuple[object, ...]:
    lines = "{" + ",".join(map(str, each.reduced.fact_lines)) + "}"
    return (each.node.node_id, each.batch_id, each.day, lines)


def _rounds(group: list[Submission]) -> list[list[tuple[object, ...]]]:
    """Execution rows such that no round names a node and query twice: a statement may touch a row once."""
    queues: dict[tuple[int, str], list[tuple[object, ...]]] = {}
    for each in group:
        for (query, epoch), span in sorted(each.reduced.executions.items(), key=lambda item: item[1].observed):
            row = (each.node.node_id, query, epoch, max(span.counters), _instant(span.observed), each.received_at)
            queues.setdefault((each.node.node_id, query), []).append(
                (*row, span.rows, len(span.counters), span.missing)
            )
    depth = max(map(len, queues.values()), default=0)
    keys = sorted(queues)
    return [[queues[key][step] for key in keys if step < len(queues[key])] for step in range(depth)]


def _quarantine_rows(group: list[Submission]) -> Iterable[tuple[object, ...]]:
    for each in group:
        for reason, quarantined in each.reduced.quarantined.items():
            where = (each.day, each.node.node_id, each.batch_id, reason)
            yield (*where, quarantined.lines, quarantined.first_line, quarantined.query.replace("\0", "\ufffd"))


def _notice_rows(group: list[Submission]) -> Iterable[tuple[object, ...]]:
    merged: dict[tuple[int, str], tuple[int, datetime, str]] = {}
    for each in group:
        for kind, (total, message) in each.notices.items():
            before = merged.get((each.node.node_id, kind), (0,))[0]
            merged[each.node.node_id, kind] = (before + total, each.received_at, message)
    for (node_id, kind), rest in merged.items():
        yield (node_id, kind, *rest)


def _heartbeat_rows(group: list[Submission]) -> list[tuple[object, ...]]:
    newest = {each.node.node_id: each for each in group if each.reduced.heartbeat is not None}
    return [(node_id, each.received_at, *(each.reduced.heartbeat or ())) for node_id, each in newest.items()]


def _date(day: Day) -> date:
    return date.fromordinal(719163 + day)  # 719163 is 1970-01-01


def _instant(unix: float) -> datetime:
    return datetime.fromtimestamp(unix, UTC)
