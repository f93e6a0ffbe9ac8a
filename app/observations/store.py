"""The SQL of intake: one statement a kind for a whole group of batches. Keys are sorted, so writers cannot deadlock."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any, LiteralString, Protocol
from uuid import UUID

import psycopg
from psycopg import AsyncCursor
from psycopg.adapt import Dumper
from psycopg.pq import Format
from sqlalchemy import ARRAY, BigInteger, ColumnElement, Date, Uuid, and_, bindparam, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection
from typing_extensions import override

from app.clock import utc_now
from app.database import Database, ReadSession, WriteSession
from app.detection.behaviour import Behaviour, Direction, Platform, Program, Transport
from app.detection.standing import Subjects
from app.observations import models
from app.observations.packed import PackedArray

RECENT_DAYS = 31
PARTITION_LOCK = 0x506172


INSERT_BATCHES = """
INSERT INTO batches (day, node_id, batch_id, received_at, kind, lines, rows, body, body_sha256)
SELECT * FROM unnest(%b::date[], %b::bigint[], %b::uuid[], %b::timestamptz[], %b::text[], %b::int[], %b::int[],
                     %b::bytea[], %b::bytea[])
"""

INSERT_BEHAVIOURS = """
INSERT INTO behaviours (behaviour_id, program_id, platform, path, name, unit, direction, transport, bucket, subjects)
SELECT id, program, platform, path, name, unit, direction, transport, bucket, ARRAY[s1, s2, s3, s4, s5, s6]
FROM unnest(%b::uuid[], %b::uuid[], %b::text[], %b::text[], %b::text[], %b::text[], %b::text[], %b::text[], %b::text[],
            %b::uuid[], %b::uuid[], %b::uuid[], %b::uuid[], %b::uuid[], %b::uuid[])
     AS new(id, program, platform, path, name, unit, direction, transport, bucket, s1, s2, s3, s4, s5, s6)
ON CONFLICT DO NOTHING
"""

#: Only sightings that nobody wrote yet reach the queue of analysis.
INSERT_SIGHTINGS = """
WITH new AS (
  INSERT INTO sightings (day, node_id, behaviour_id, role_id, first_seen_at,
                         batch_day, batch_id, line_number, row_number)
  SELECT * FROM unnest(%b::date[], %b::bigint[], %b::uuid[], %b::smallint[], %b::timestamptz[], %b::date[], %b::uuid[],
                       %b::int[], %b::int[])
  ORDER BY 1, 2, 3
  ON CONFLICT DO NOTHING
  RETURNING *
)
INSERT INTO fresh_sightings (node_id, batch_id, day, batch_day, role_id,
                             behaviour_ids, line_numbers, row_numbers, seen_at)
SELECT node_id, batch_id, day, min(batch_day), min(role_id),
       array_agg(behaviour_id), array_agg(line_number), array_agg(row_number), array_agg(first_seen_at)
FROM new GROUP BY node_id, batch_id, day
"""

INSERT_FRESH_FACTS = """
INSERT INTO fresh_facts (node_id, batch_id, batch_day, line_numbers)
SELECT node_id, batch_id, batch_day, lines::int[]
FROM unnest(%b::bigint[], %b::uuid[], %b::date[], %b::text[]) AS new(node_id, batch_id, batch_day, lines)
ON CONFLICT DO NOTHING
"""

END_SIGHTINGS = """
UPDATE sightings AS s SET ended_at = gone.at
FROM unnest(%b::bigint[], %b::uuid[], %b::timestamptz[]) AS gone(node_id, behaviour_id, at)
WHERE s.day = %b AND s.node_id = gone.node_id AND s.behaviour_id = gone.behaviour_id
  AND (s.ended_at IS NULL OR s.ended_at < gone.at)
"""

#: A counter that jumps within an epoch means executions that never arrived; one that falls back, a wiped agent.
#: A batch may begin with executions that were stored already, so what is missing for certain is what lies between the
#: last counter stored and its own, less what it has.
UPSERT_EXECUTIONS = """
INSERT INTO executions AS e (node_id, query, epoch, counter, observed_at, received_at,
                             rows_total, executions_total, missing_total, restarts_total, resyncs_total)
SELECT new.*, 0, 0
FROM unnest(%b::bigint[], %b::text[], %b::bigint[], %b::bigint[], %b::timestamptz[], %b::timestamptz[],
            %b::bigint[], %b::bigint[], %b::bigint[]) AS new
ON CONFLICT (node_id, query) DO UPDATE SET
  epoch = CASE WHEN excluded.observed_at < e.observed_at THEN e.epoch ELSE excluded.epoch END,
  counter = CASE WHEN excluded.observed_at < e.observed_at THEN e.counter ELSE excluded.counter END,
  observed_at = greatest(e.observed_at, excluded.observed_at),
  received_at = excluded.received_at,
  rows_total = e.rows_total + excluded.rows_total,
  executions_total = e.executions_total + excluded.executions_total,
  missing_total = e.missing_total + CASE
    WHEN excluded.observed_at < e.observed_at THEN 0
    WHEN excluded.epoch <> e.epoch OR excluded.counter < e.counter THEN excluded.missing_total
    ELSE greatest(0, excluded.counter - excluded.executions_total - e.counter) END,
  restarts_total = e.restarts_total
    + (excluded.epoch = e.epoch AND excluded.counter < e.counter AND excluded.observed_at > e.observed_at)::int,
  resyncs_total = e.resyncs_total + (excluded.epoch > e.epoch)::int
"""

INSERT_QUARANTINED = """
INSERT INTO quarantined_lines (day, node_id, batch_id, reason, lines, first_line, query)
SELECT * FROM unnest(%b::date[], %b::bigint[], %b::uuid[], %b::text[], %b::int[], %b::int[], %b::text[])
"""

UPSERT_NOTICES = """
INSERT INTO notices AS n (node_id, kind, total, last_received_at, last_text)
SELECT * FROM unnest(%b::bigint[], %b::text[], %b::bigint[], %b::timestamptz[], %b::text[])
ON CONFLICT (node_id, kind) DO UPDATE SET
  total = n.total + excluded.total, last_received_at = excluded.last_received_at, last_text = excluded.last_text
"""

#: Intake finds all it needs by key. Plans are kept, and one made while a day was young would read that whole day.
KEYS_ONLY = (
    "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_bitmapscan = off"
)

Rows = Sequence[tuple[object, ...]]


class _PackedDumper(Dumper):
    """For psycopg: such an array is what it sends already; its type is said in the statement."""

    format = Format.BINARY

    @override
    def dump(self, obj: PackedArray) -> bytes:
        return bytes(obj)


psycopg.adapters.register_dumper(PackedArray, _PackedDumper)


class Writer:
    """A connection kept for one writer after the other's transactions; a new one after any failure."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept: AsyncConnection | None = None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncCursor[Any]]:
        """Commits at the end. Statements are sent without waiting for answers: the whole takes one round trip.

        BEGIN and COMMIT are statements like the others: psycopg's own commit() would wait within the pipeline, and for
        ever if more is to be sent than the socket holds.
        """
        try:
            driver = await self._driver()
            async with driver.pipeline(), driver.cursor() as cursor:
                await cursor.execute("BEGIN")
                yield cursor
                await cursor.execute("COMMIT")
        except BaseException:
            await self.close()
            raise

    async def _driver(self) -> psycopg.AsyncConnection[Any]:
        if self._kept is None:
            connection = await self._database.engine.connect()
            self._kept = await connection.execution_options(isolation_level="AUTOCOMMIT")
            await self._kept.exec_driver_sql(KEYS_ONLY)
        driver = (await self._kept.get_raw_connection()).driver_connection
        assert isinstance(driver, psycopg.AsyncConnection)
        return driver

    async def close(self) -> None:
        """Whatever state it is in, the connection is not used again."""
        if self._kept is not None:
            kept, self._kept = self._kept, None
            await kept.invalidate()
            await kept.close()


async def write(cursor: AsyncCursor[Any], statement: LiteralString, rows: Rows, *also: object) -> None:
    """Run a statement of unnested arrays over the rows, if there are any; `also` are its further parameters."""
    if rows:
        await cursor.execute(statement, [*map(list, zip(*rows, strict=True)), *also])


def behaviour_row(behaviour: Behaviour) -> tuple[object, ...]:
    program = behaviour.program
    what = (program.platform.value, program.path, program.name, program.unit)
    how = (behaviour.direction.value, behaviour.transport.value, behaviour.bucket)
    return (behaviour.behaviour_id, program.program_id, *what, *how, *Subjects.of(behaviour).all)


def behaviour_of(row: models.Behaviour) -> Behaviour:
    """What `behaviour_row` was made of."""
    program = Program(Platform(row.platform), row.path, row.name, row.unit)
    return Behaviour(program, Direction(row.direction), Transport(row.transport), row.bucket)


class InBatch(Protocol):
    """What came in a batch: an entry of a queue, a sighting, the row that a finding quotes."""

    @property
    def node_id(self) -> Any: ...
    @property
    def batch_day(self) -> Any: ...
    @property
    def batch_id(self) -> Any: ...


_BODIES = text(
    """
    SELECT b.batch_id, b.body FROM batches b
    JOIN unnest(:days, :nodes, :batches) AS w(day, node_id, batch_id) USING (day, node_id, batch_id)
    """
).bindparams(
    bindparam("days", type_=ARRAY(Date)),
    bindparam("nodes", type_=ARRAY(BigInteger)),
    bindparam("batches", type_=ARRAY(Uuid)),
)


async def bodies(session: ReadSession, wanted: Iterable[InBatch]) -> dict[UUID, bytes]:
    """Batch id → stored gzip body; batches that retention has dropped are missing."""
    keys = sorted({(each.batch_day, each.node_id, each.batch_id) for each in wanted})
    if not keys:
        return {}
    days, nodes, batches = (list(column) for column in zip(*keys, strict=True))
    found = await session.execute(_BODIES, {"days": days, "nodes": nodes, "batches": batches})
    return {row.batch_id: row.body for row in found}


async def ensure_partitions(session: WriteSession, table: str, days: Iterable[date]) -> None:
    """Make the day partitions that are not there yet. Two workers at once are safe: they take a lock."""
    await lock_partitions(session)
    present = await _partitions(session, table)
    for day in days:
        name = partition_name(table, day)
        if name not in present:
            span = f"FROM ('{day}') TO ('{day + timedelta(days=1)}')"
            await session.execute(text(f"CREATE TABLE {name} PARTITION OF {table} FOR VALUES {span}"))


async def lock_partitions(session: WriteSession) -> None:
    await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": PARTITION_LOCK})


async def days_before(database: Database, table: str, first: date) -> list[date]:
    """The days older than `first` that have a partition."""
    async with database.reading() as session:
        names = await _partitions(session, table)
    days = (datetime.strptime(name[-8:], "%Y%m%d").replace(tzinfo=UTC).date() for name in names)
    return sorted(day for day in days if day < first)


async def drop_partition(session: WriteSession, table: str, day: date) -> None:
    await session.execute(text(f"DROP TABLE IF EXISTS {partition_name(table, day)}"))


async def _partitions(session: ReadSession, table: str) -> set[str]:
    query = text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = CAST(:parent AS regclass)")
    return set((await session.scalars(query, {"parent": table})).all())


def partition_name(table: str, day: date) -> str:
    return f"{table}_p{day:%Y%m%d}"


async def list_behaviours(
    session: ReadSession, conditions: Sequence[Any], order: Sequence[Any], limit: int
) -> Sequence[models.Behaviour]:
    return (await session.scalars(select(models.Behaviour).where(*conditions).order_by(*order).limit(limit))).all()


def shown_by(node_id: int) -> ColumnElement[bool]:
    sighting = models.Sighting
    shown = select(sighting.behaviour_id).where(sighting.node_id == node_id, sighting.day >= _recent())
    return models.Behaviour.behaviour_id.in_(shown)


async def days_of(session: ReadSession, behaviour_id: UUID) -> Sequence[tuple[date, int]]:
    sighting = models.Sighting
    query = select(sighting.day, func.count()).where(sighting.behaviour_id == behaviour_id, sighting.day >= _recent())
    found = await session.execute(query.group_by(sighting.day).order_by(sighting.day.desc()))
    return [(day, nodes) for day, nodes in found]


async def list_sightings_with_batches(
    session: ReadSession, node_id: int, behaviour_id: UUID, limit: int
) -> Sequence[tuple[models.Sighting, models.Batch | None]]:
    """Newest day first; None where retention has dropped the batch."""
    sighting, batch = models.Sighting, models.Batch
    same = and_(batch.day == sighting.batch_day, batch.node_id == sighting.node_id, batch.batch_id == sighting.batch_id)
    query = select(sighting, batch).outerjoin(batch, same).order_by(sighting.day.desc()).limit(limit)
    found = await session.execute(query.where(sighting.node_id == node_id, sighting.behaviour_id == behaviour_id))
    return [(seen, kept) for seen, kept in found]


def _recent() -> date:
    return utc_now().date() - timedelta(days=RECENT_DAYS)
