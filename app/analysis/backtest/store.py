"""The SQL of backtests: scratch tables of the statistics, sightings day by day, and the record of each run."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import BIGINT, TEXT
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import defer

from app.analysis.models import EVERY_ROLE
from app.analysis.standings import arrivals_subject
from app.analysis.store import arrays
from app.database import ReadSession, WriteSession
from app.detection.behaviour import Direction, Platform, digest
from app.detection.context import Signer, Trust
from app.detection.history import LEARNING_DAYS
from app.findings.models import Finding
from app.fleet.models import Node
from app.observations.models import Behaviour, Execution
from app.observations.models import Sighting as StoredSighting
from app.tuning.models import Backtest

#: Names the lock in PostgreSQL, any number that is ours alone.
BACKTEST_LOCK = 0x4261636B74

#: Longest history of a sighting in days, for a bit each; `history_days` is at most 400.
_DAYS_MAX = 512

#: Made under another name, because the real table is read until they are complete.
_SCRATCH = ("tallies", "node_tallies", "images")

#: Node and behaviour.
Key = tuple[int, UUID]


@dataclass(frozen=True, slots=True)
class Sighting:
    """A stored sighting with where its row is."""

    node_id: int
    behaviour_id: UUID
    role_id: int
    seen_at: datetime
    batch_day: date
    batch_id: UUID
    line_number: int
    row_number: int

    @property
    def key(self) -> Key:
        return self.node_id, self.behaviour_id


@dataclass(frozen=True, slots=True)
class Signed:
    """What a node's signature query said of a file, and when it was first said that day."""

    node_id: int
    path: str
    signer: Signer
    at: datetime
    day: date
    batch_id: UUID


@dataclass(frozen=True, slots=True)
class StoredFinding:
    """A finding as people see it; `is_earlier`: days before the period showed it first."""

    score: int
    state: str
    role_id: int
    platform: str
    is_earlier: bool
    knobs_version: int


async def is_alone(session: WriteSession) -> bool:
    """Whether this connection is now the one that backtests; it is until it is closed."""
    return bool(await session.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": BACKTEST_LOCK}))


async def make_scratch(session: WriteSession, first: date) -> None:
    """From now on the names of the statistics mean temporary tables on this connection."""
    for name in _SCRATCH:
        await session.execute(text(f"CREATE TEMP TABLE {name}_then (LIKE {name} INCLUDING ALL)"))
    await session.execute(_LANDMARKS, {"first": first} | _platform_subjects())
    for name in _SCRATCH:
        await session.execute(text(f"ALTER TABLE {name}_then RENAME TO {name}"))


def _platform_subjects() -> dict[str, list[Any]]:
    platforms = list(Platform)
    groups = [digest("group", each) for each in platforms]
    return {"platforms": platforms, "groups": groups, "arrivals": [arrivals_subject(each) for each in platforms]}


#: What sightings no longer tell: since when a peer group is known, and how many new programs it had had until then,
#: which is all it ever had less those that came later.
_LANDMARKS = arrays(
    f"""
    WITH kind AS (
      SELECT * FROM unnest(:platforms, :groups, :arrivals) AS k(platform, group_subject, arrivals_subject)
    ), known AS (
      SELECT g.role_id, kind.*, g.first_day FROM tallies g JOIN kind ON g.subject = kind.group_subject
      WHERE g.first_day < :first
    ), later AS (
      SELECT t.role_id, p.platform, count(*) AS programs
      FROM (SELECT DISTINCT program_id, platform FROM behaviours) p
      JOIN tallies t ON t.subject = p.program_id AND t.first_day >= :first
      JOIN known ON known.role_id = t.role_id AND known.platform = p.platform
      WHERE t.first_day - known.first_day >= {LEARNING_DAYS}
      GROUP BY t.role_id, p.platform
    )
    INSERT INTO tallies_then (role_id, subject, first_day, day, units, nodes, day_units, day_nodes)
    SELECT role_id, group_subject, first_day, first_day, 0, 0, 0, 0 FROM known
    UNION ALL
    SELECT known.role_id, arrivals_subject, a.first_day, a.first_day,
           greatest(0, a.units + a.day_units - coalesce(later.programs, 0)), 0, 0, 0
    FROM known JOIN tallies a ON a.role_id = known.role_id AND a.subject = known.arrivals_subject
    LEFT JOIN later ON later.role_id = known.role_id AND later.platform = known.platform
    WHERE a.first_day < :first
    """,  # noqa: S608 - a constant
    platforms=TEXT(), groups=PG_UUID(), arrivals=PG_UUID(),
)  # fmt: skip


#: The days of each subject as bits, so that a day counts once however many behaviours showed the subject on it.
_SEED = arrays(
    f"""
    WITH shown AS (
      SELECT node_id, role_id, behaviour_id, min(day) AS first_day, max(day) AS day,
             bit_or(B'1'::bit({_DAYS_MAX}) >> (day - :earliest)) AS days
      FROM sightings WHERE day >= :earliest AND day < :first AND node_id = ANY(:nodes)
      GROUP BY node_id, role_id, behaviour_id
    ), spread AS (
      SELECT s.node_id, s.role_id, u.subject, min(s.first_day) AS first_day, max(s.day) AS day, bit_or(s.days) AS days,
             (array_agg(b.subjects[2]) FILTER (WHERE u.place = 1))[1] AS parent,
             min(b.bucket) FILTER (WHERE u.place = 1) AS bucket
      FROM shown s JOIN behaviours b USING (behaviour_id)
      CROSS JOIN LATERAL unnest(b.subjects) WITH ORDINALITY AS u(subject, place)
      GROUP BY s.node_id, s.role_id, u.subject
    ), of_nodes AS (
      INSERT INTO node_tallies (node_id, subject, first_day, day, days)
      SELECT node_id, subject, min(first_day), max(day), bit_count(bit_or(days)) FROM spread GROUP BY node_id, subject
    ), ranked AS (
      SELECT *, row_number() OVER (PARTITION BY node_id, subject ORDER BY first_day) = 1 AS is_first FROM spread
    )
    INSERT INTO tallies AS t (role_id, subject, first_day, day, units, nodes, day_units, day_nodes, parent, bucket)
    SELECT peers.role_id, r.subject, min(r.first_day), max(r.day), sum(bit_count(r.days)),
           count(*) FILTER (WHERE r.is_first), 0, 0, (array_agg(r.parent))[1], min(r.bucket)
    FROM ranked r CROSS JOIN LATERAL (VALUES (r.role_id), ({EVERY_ROLE}::smallint)) AS peers(role_id)
    GROUP BY peers.role_id, r.subject
    ON CONFLICT (role_id, subject) DO UPDATE SET
      first_day = least(t.first_day, excluded.first_day), day = greatest(t.day, excluded.day),
      units = t.units + excluded.units, nodes = t.nodes + excluded.nodes
    """,  # noqa: S608 - constants
    nodes=BIGINT(),
)  # fmt: skip

#: A signature's own bucket says the signer, see `signed_by`; so batches need not be there any more.
_SAID = """
  CASE split_part(b.bucket, ': ', 1) WHEN 'untrusted' THEN 'broken' ELSE split_part(b.bucket, ': ', 1) END AS trust,
  CASE WHEN strpos(b.bucket, ': ') = 0 THEN '' ELSE substr(b.bucket, strpos(b.bucket, ': ') + 2) END AS signer
"""

_SEED_IMAGES = arrays(
    f"""
    INSERT INTO images (node_id, path, trust, signer, observed_at)
    SELECT DISTINCT ON (s.node_id, b.path) s.node_id, b.path, {_SAID}, s.first_seen_at
    FROM sightings s JOIN behaviours b USING (behaviour_id)
    WHERE b.direction = '{Direction.SIGNATURE.value}' AND s.day < :first AND s.node_id = ANY(:nodes)
    ORDER BY s.node_id, b.path, s.first_seen_at DESC
    """,  # noqa: S608 - constants
    nodes=BIGINT(),
)  # fmt: skip


async def seed(session: WriteSession, nodes: Sequence[int], earliest: date, first: date) -> None:
    """What these nodes showed from `earliest` until the day before `first`, into the scratch tables."""
    values = {"nodes": list(nodes), "earliest": earliest, "first": first}
    await session.execute(_SEED, values)
    await session.execute(_SEED_IMAGES, values)


async def settle(session: WriteSession) -> None:
    """Temporary tables are no business of autovacuum, and plans want to know how large they are."""
    for name in _SCRATCH:
        await session.execute(text(f"ANALYZE {name}"))


async def earliest_day(session: ReadSession) -> date | None:
    day: date | None = await session.scalar(select(func.min(StoredSighting.day)))
    return day


async def node_ids(session: ReadSession) -> Sequence[int]:
    return (await session.scalars(select(Node.node_id).order_by(Node.node_id))).all()


async def hostnames(session: ReadSession, wanted: Collection[int]) -> dict[int, str]:
    found = await session.execute(select(Node.node_id, Node.hostname).where(Node.node_id.in_(wanted)))
    return {node_id: hostname for node_id, hostname in found}  # noqa: C416 - rows are no pairs to the type checker


async def sightings_a_day(session: ReadSession, first: date, last: date) -> dict[date, int]:
    day = StoredSighting.day
    found = await session.execute(select(day, func.count()).where(day.between(first, last)).group_by(day))
    return {each: total for each, total in found}  # noqa: C416 - as above


_SIGHTINGS = text(
    """
    SELECT node_id, behaviour_id, role_id, first_seen_at, batch_day, batch_id, line_number, row_number
    FROM sightings WHERE day = :day AND (node_id, behaviour_id) > (:node, :behaviour)
    ORDER BY node_id, behaviour_id LIMIT :limit
    """
)


async def sightings(session: ReadSession, day: date, after: Key, limit: int) -> list[Sighting]:
    """The next sightings of a day by node; the last node's are complete, unless it alone has more than `limit`."""
    values = {"day": day, "node": after[0], "behaviour": after[1], "limit": limit}
    found = [Sighting(*row) for row in await session.execute(_SIGHTINGS, values)]
    if len(found) == limit and found[0].node_id != found[-1].node_id:
        last = found[-1].node_id
        return [each for each in found if each.node_id != last]
    return found


_SIGNATURES = arrays(
    f"""
    SELECT s.node_id, b.path, {_SAID}, s.first_seen_at, s.day, s.batch_id
    FROM sightings s JOIN behaviours b USING (behaviour_id)
    WHERE s.day BETWEEN :day AND :until AND s.node_id = ANY(:nodes) AND b.direction = '{Direction.SIGNATURE.value}'
    ORDER BY s.first_seen_at
    """,  # noqa: S608 - constants
    nodes=BIGINT(),
)  # fmt: skip


async def signatures(session: ReadSession, day: date, nodes: Collection[int]) -> list[Signed]:
    """What was said on the day and on the one after it, in the order of time."""
    values = {"day": day, "until": day + timedelta(days=1), "nodes": list(nodes)}
    found = await session.execute(_SIGNATURES, values)
    return [
        Signed(row.node_id, row.path, Signer(Trust(row.trust), row.signer), row.first_seen_at, row.day, row.batch_id)
        for row in found
    ]


async def stored_findings(session: ReadSession, first: date, last: date, limit: int) -> dict[Key, StoredFinding]:
    """By node and behaviour, the findings that were seen in these days; of several the newest.

    Withdrawn ones are left out: they were found light before their day was over.
    """
    seen_on = func.date(func.timezone("UTC", Finding.first_seen_at))
    columns = (
        Finding.score,
        Finding.state,
        Finding.role_id,
        Behaviour.platform,
        seen_on < first,
        Finding.knobs_version,
    )
    query = select(Finding.node_id, Finding.behaviour_id, *columns)
    query = query.join(Behaviour, Behaviour.behaviour_id == Finding.behaviour_id)
    query = query.where(Finding.day >= first, seen_on <= last, Finding.state != "withdrawn")
    found = await session.execute(query.order_by(Finding.opened_at).limit(limit))
    return {(row[0], row[1]): StoredFinding(*row[2:]) for row in found}


async def reporting(session: ReadSession, since: datetime) -> tuple[dict[str, int], dict[tuple[str, str], int]]:
    """Nodes by platform that reported anything since then, and by (platform, query) those that reported it."""
    recent = Execution.received_at >= since
    joined = select(Node.platform, func.count(Execution.node_id.distinct())).join(
        Node, Node.node_id == Execution.node_id
    )
    nodes = await session.execute(joined.where(recent).group_by(Node.platform))
    queries = await session.execute(
        joined.add_columns(Execution.query).where(recent).group_by(Node.platform, Execution.query)
    )
    by_query = {(platform, query): total for platform, total, query in queries}
    return {platform: total for platform, total in nodes}, by_query  # noqa: C416 - rows are no pairs to the type checker


async def add(session: WriteSession, record: Backtest) -> None:
    session.add(record)
    await session.flush()


async def find(session: ReadSession, backtest_id: UUID) -> Backtest | None:
    return await session.get(Backtest, backtest_id)


async def list_backtests(
    session: ReadSession, conditions: Sequence[Any], order: Sequence[Any], limit: int
) -> Sequence[Backtest]:
    """Without their results, which may be long."""
    query = select(Backtest).options(defer(Backtest.result), defer(Backtest.candidate))
    return (await session.scalars(query.where(*conditions).order_by(*order).limit(limit))).all()


async def queued(session: ReadSession) -> int:
    waiting = select(func.count()).select_from(Backtest).where(Backtest.state == "queued")
    return int(await session.scalar(waiting) or 0)


async def claim(session: WriteSession, now: datetime) -> Backtest | None:
    """The oldest that waits, which now runs. Only who is alone may ask."""
    oldest = select(Backtest.backtest_id).where(Backtest.state == "queued")
    oldest = oldest.order_by(Backtest.requested_at, Backtest.backtest_id).limit(1).with_for_update(skip_locked=True)
    chosen = update(Backtest).where(Backtest.backtest_id == oldest.scalar_subquery())
    return await session.scalar(chosen.values(state="running", started_at=now, progress=0).returning(Backtest))


async def give_up_stale(session: WriteSession, now: datetime) -> None:
    """Only who is alone may ask: then what is said to run has lost the process that ran it."""
    stale = update(Backtest).where(Backtest.state == "running")
    why = "the process that ran it ended before it was done"
    await session.execute(stale.values(state="failed", finished_at=now, error=why))


async def note_progress(session: WriteSession, backtest_id: UUID, progress: float) -> bool:
    """Whether it is still to run; false once somebody has cancelled it."""
    running = update(Backtest).where(Backtest.backtest_id == backtest_id, Backtest.state == "running")
    changed = await session.scalar(running.values(progress=progress).returning(Backtest.backtest_id))
    return changed is not None


async def settle_record(session: WriteSession, backtest_id: UUID, **values: object) -> None:
    """What came of it, unless somebody cancelled it meanwhile."""
    running = update(Backtest).where(Backtest.backtest_id == backtest_id, Backtest.state == "running")
    await session.execute(running.values(**values))


async def cancel(session: WriteSession, backtest_id: UUID, now: datetime) -> bool:
    """Whether it waited or ran until now."""
    under_way = Backtest.state.in_(("queued", "running"))
    changed = update(Backtest).where(Backtest.backtest_id == backtest_id, under_way)
    values = {"state": "cancelled", "finished_at": now}
    return await session.scalar(changed.values(**values).returning(Backtest.backtest_id)) is not None
