"""The SQL of analysis: claim what is new, read the counts that a judgement needs, keep the counts up.

Whatever the size of the history, one sighting reads at most 12 tallies, 6 tallies of its node and 256 ports.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import TextClause, and_, bindparam, delete, func, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import ARRAY, BIGINT, DATE, SMALLINT, TEXT, insert
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.types import TypeEngine

from app.analysis.models import EVERY_ROLE, Image
from app.database import ReadSession, WriteSession
from app.detection.behaviour import Behaviour, Direction, Platform, Program, Transport
from app.detection.context import Signer, Trust
from app.fleet.models import Node
from app.observations import models as observed

FAILURES_MAX = 5
PORTS_MAX = 256

#: Names the lock in PostgreSQL, any number that is ours alone.
JUDGING_LOCK = 0x4A75646765


@dataclass(frozen=True, slots=True)
class Count:
    """Units and nodes of a subject before the judged day, and its first day."""

    units: int
    nodes: int
    first_day: date


@dataclass(frozen=True, slots=True)
class Mark:
    """One subject that one node showed on the day; parent and bucket on the subject of a behaviour only."""

    node_id: int
    subject: UUID
    role_id: int
    parent: UUID | None = None
    bucket: str | None = None


def arrays(statement: str, **types: TypeEngine[Any]) -> TextClause:
    return text(statement).bindparams(*(bindparam(name, type_=ARRAY(type_)) for name, type_ in types.items()))


async def is_alone(session: WriteSession) -> bool:
    """Whether this transaction is the one that judges; another's commit lets the next one in."""
    query = text("SELECT pg_try_advisory_xact_lock(:key)")
    return bool(await session.scalar(query, {"key": JUDGING_LOCK}))


async def claim(session: WriteSession, limit: int) -> Sequence[observed.FreshSightings]:
    """The oldest unread entries of the queue, locked for this transaction."""
    query = select(observed.FreshSightings).where(observed.FreshSightings.failures < FAILURES_MAX)
    query = query.order_by(observed.FreshSightings.fresh_id).limit(limit)
    return (await session.scalars(query.with_for_update(skip_locked=True))).all()


async def claim_facts(session: WriteSession, limit: int) -> Sequence[observed.FreshFacts]:
    query = select(observed.FreshFacts).where(observed.FreshFacts.failures < FAILURES_MAX)
    query = query.order_by(observed.FreshFacts.fresh_id).limit(limit)
    return (await session.scalars(query.with_for_update(skip_locked=True))).all()


async def finish_facts(session: WriteSession, fresh_ids: Collection[int]) -> None:
    await session.execute(delete(observed.FreshFacts).where(observed.FreshFacts.fresh_id.in_(fresh_ids)))


async def note_facts_failure(session: WriteSession, fresh_id: int) -> None:
    failed = update(observed.FreshFacts).where(observed.FreshFacts.fresh_id == fresh_id)
    await session.execute(failed.values(failures=observed.FreshFacts.failures + 1))


async def platforms(session: WriteSession, node_ids: Collection[int]) -> dict[int, str]:
    """Node → platform as enrolled."""
    found = await session.execute(select(Node.node_id, Node.platform).where(Node.node_id.in_(node_ids)))
    return {node_id: platform for node_id, platform in found}  # noqa: C416 - rows are no pairs to the type checker


async def queue_length(session: ReadSession) -> tuple[int, int]:
    """Entries that wait, and entries that were set aside."""
    waiting = set_aside = 0
    for queue in (observed.FreshFacts, observed.FreshSightings):
        given_up = queue.failures >= FAILURES_MAX
        query = select(func.count().filter(~given_up), func.count().filter(given_up)).select_from(queue)
        counts = (await session.execute(query)).one()
        waiting, set_aside = waiting + counts[0], set_aside + counts[1]
    return waiting, set_aside


async def finish(session: WriteSession, fresh_ids: Collection[int]) -> None:
    await session.execute(delete(observed.FreshSightings).where(observed.FreshSightings.fresh_id.in_(fresh_ids)))


async def note_failure(session: WriteSession, fresh_id: int) -> None:
    failed = update(observed.FreshSightings).where(observed.FreshSightings.fresh_id == fresh_id)
    await session.execute(failed.values(failures=observed.FreshSightings.failures + 1))


_BODIES = arrays(
    """
    SELECT b.batch_id, b.body FROM batches b
    JOIN unnest(:days, :nodes, :batches) AS w(day, node_id, batch_id) USING (day, node_id, batch_id)
    """,
    days=DATE(), nodes=BIGINT(), batches=PG_UUID(),
)  # fmt: skip


class InBatch(Protocol):
    """What came in a batch: an entry of a queue, a sighting."""

    @property
    def node_id(self) -> Any: ...
    @property
    def batch_day(self) -> Any: ...
    @property
    def batch_id(self) -> Any: ...


async def bodies(session: ReadSession, fresh: Iterable[InBatch]) -> dict[UUID, bytes]:
    """Batch id → stored gzip body; batches that retention has dropped are missing."""
    keys = sorted({(each.batch_day, each.node_id, each.batch_id) for each in fresh})
    days, nodes, batches = (list(column) for column in zip(*keys, strict=True))
    found = await session.execute(_BODIES, {"days": days, "nodes": nodes, "batches": batches})
    return {row.batch_id: row.body for row in found}


async def behaviours(session: WriteSession, ids: Collection[UUID]) -> dict[UUID, Behaviour]:
    found = await session.scalars(select(observed.Behaviour).where(observed.Behaviour.behaviour_id.in_(ids)))
    return {row.behaviour_id: _behaviour(row) for row in found}


def _behaviour(row: observed.Behaviour) -> Behaviour:
    program = Program(Platform(row.platform), row.path, row.name, row.unit)
    return Behaviour(program, Direction(row.direction), Transport(row.transport), row.bucket)


_COUNTS = arrays(
    """
    SELECT t.role_id, t.subject, t.first_day,
           t.units + CASE WHEN t.day < :day THEN t.day_units ELSE 0 END,
           t.nodes + CASE WHEN t.day < :day THEN t.day_nodes ELSE 0 END
    FROM tallies t JOIN unnest(:roles, :subjects) AS w(role_id, subject) USING (role_id, subject)
    """,
    roles=SMALLINT(), subjects=PG_UUID(),
)  # fmt: skip


async def counts(session: WriteSession, day: date, wanted: set[tuple[int, UUID]]) -> dict[tuple[int, UUID], Count]:
    """(role, subject) → counts before `day`; subjects never seen are missing."""
    roles, subjects = (list(column) for column in zip(*wanted, strict=True))
    found = await session.execute(_COUNTS, {"day": day, "roles": roles, "subjects": subjects})
    return {(role, subject): Count(units, nodes, first) for role, subject, first, units, nodes in found}


_OWN_DAYS = arrays(
    """
    SELECT n.node_id, n.subject, n.days - CASE WHEN n.day >= :day THEN 1 ELSE 0 END
    FROM node_tallies n JOIN unnest(:nodes, :subjects) AS w(node_id, subject) USING (node_id, subject)
    """,
    nodes=BIGINT(), subjects=PG_UUID(),
)  # fmt: skip


async def own_days(session: WriteSession, day: date, wanted: set[tuple[int, UUID]]) -> dict[tuple[int, UUID], int]:
    """(node, subject) → days before `day` on which the node itself showed it."""
    nodes, subjects = (list(column) for column in zip(*wanted, strict=True))
    found = await session.execute(_OWN_DAYS, {"day": day, "nodes": nodes, "subjects": subjects})
    return {(node, subject): days for node, subject, days in found}


_PORTS = arrays(
    f"""
    SELECT w.node_id, w.role_id, w.program, t.bucket,
           t.units + CASE WHEN t.day < :day THEN t.day_units ELSE 0 END
           - coalesce(own.days - CASE WHEN own.day >= :day THEN 1 ELSE 0 END, 0)
    FROM unnest(:nodes, :roles, :programs) AS w(node_id, role_id, program)
    CROSS JOIN LATERAL (
      SELECT subject, bucket, day, units, day_units FROM tallies
      WHERE role_id = w.role_id AND parent = w.program LIMIT {PORTS_MAX}
    ) t
    LEFT JOIN node_tallies own ON own.node_id = w.node_id AND own.subject = t.subject
    """,  # noqa: S608 - a constant
    nodes=BIGINT(), roles=SMALLINT(), programs=PG_UUID(),
)  # fmt: skip

Ports = tuple[tuple[str, int], ...]


async def ports(
    session: WriteSession, day: date, wanted: set[tuple[int, int, UUID]]
) -> dict[tuple[int, int, UUID], Ports]:
    """(node, role, program subject) → buckets and units of the other nodes, most used first."""
    nodes, roles, programs = (list(column) for column in zip(*wanted, strict=True))
    found = await session.execute(_PORTS, {"day": day, "nodes": nodes, "roles": roles, "programs": programs})
    used: dict[tuple[int, int, UUID], list[tuple[str, int]]] = {}
    for node, role, program, bucket, units in found:
        if units > 0:
            used.setdefault((node, role, program), []).append((bucket, units))
    return {key: tuple(sorted(each, key=lambda port: (-port[1], port[0]))) for key, each in used.items()}


#: A node's first mark of a day counts a node-day, its first mark ever a node; late days are not counted twice.
_ADD_MARKS = arrays(
    f"""
    WITH input AS (
      SELECT * FROM unnest(:nodes, :subjects, :roles, :parents, :buckets)
                    AS i(node_id, subject, role_id, parent, bucket)
    ), marks AS (
      INSERT INTO node_tallies AS n (node_id, subject, first_day, day, days)
      SELECT node_id, subject, :day, :day, 1 FROM input ORDER BY node_id, subject
      ON CONFLICT (node_id, subject) DO UPDATE SET days = n.days + 1, day = excluded.day WHERE n.day < excluded.day
      RETURNING node_id, subject, days
    ), sums AS (
      SELECT peers.role_id, i.subject, (array_agg(i.parent))[1] AS parent, min(i.bucket) AS bucket,
             count(*) AS units, count(*) FILTER (WHERE marks.days = 1) AS nodes
      FROM marks JOIN input i USING (node_id, subject)
      CROSS JOIN LATERAL (VALUES (i.role_id), ({EVERY_ROLE}::smallint)) AS peers(role_id)
      GROUP BY peers.role_id, i.subject
    )
    INSERT INTO tallies AS t (role_id, subject, first_day, day, units, nodes, day_units, day_nodes, parent, bucket)
    SELECT role_id, subject, :day, :day, 0, 0, units, nodes, parent, bucket FROM sums ORDER BY role_id, subject
    ON CONFLICT (role_id, subject) DO UPDATE SET
      first_day = least(t.first_day, excluded.day),
      day = greatest(t.day, excluded.day),
      units = t.units + CASE WHEN excluded.day > t.day THEN t.day_units
                             WHEN excluded.day < t.day THEN excluded.day_units ELSE 0 END,
      nodes = t.nodes + CASE WHEN excluded.day > t.day THEN t.day_nodes
                             WHEN excluded.day < t.day THEN excluded.day_nodes ELSE 0 END,
      day_units = CASE WHEN excluded.day > t.day THEN excluded.day_units
                       WHEN excluded.day = t.day THEN t.day_units + excluded.day_units ELSE t.day_units END,
      day_nodes = CASE WHEN excluded.day > t.day THEN excluded.day_nodes
                       WHEN excluded.day = t.day THEN t.day_nodes + excluded.day_nodes ELSE t.day_nodes END
    RETURNING role_id, subject, xmax = 0
    """,  # noqa: S608 - a constant
    nodes=BIGINT(), subjects=PG_UUID(), roles=SMALLINT(), parents=PG_UUID(), buckets=TEXT(),
)  # fmt: skip


async def add_marks(session: WriteSession, day: date, marks: Sequence[Mark]) -> set[tuple[int, UUID]]:
    """Count a day's marks, one a node and subject. Returns the (role, subject) pairs that were never seen before."""
    if not marks:
        return set()
    values = {
        "day": day,
        "nodes": [mark.node_id for mark in marks],
        "subjects": [mark.subject for mark in marks],
        "roles": [mark.role_id for mark in marks],
        "parents": [mark.parent for mark in marks],
        "buckets": [mark.bucket for mark in marks],
    }
    return {(role, subject) for role, subject, is_new in await session.execute(_ADD_MARKS, values) if is_new}


_ADD_ARRIVALS = arrays(
    """
    INSERT INTO tallies AS t (role_id, subject, first_day, day, units, nodes, day_units, day_nodes)
    SELECT role_id, subject, :day, :day, 0, 0, total, 0
    FROM unnest(:roles, :subjects, :totals) AS a(role_id, subject, total) ORDER BY role_id, subject
    ON CONFLICT (role_id, subject) DO UPDATE SET
      day = greatest(t.day, excluded.day),
      units = t.units + CASE WHEN excluded.day > t.day THEN t.day_units
                             WHEN excluded.day < t.day THEN excluded.day_units ELSE 0 END,
      day_units = CASE WHEN excluded.day > t.day THEN excluded.day_units
                       WHEN excluded.day = t.day THEN t.day_units + excluded.day_units ELSE t.day_units END
    """,
    roles=SMALLINT(), subjects=PG_UUID(), totals=BIGINT(),
)  # fmt: skip


async def add_arrivals(session: WriteSession, day: date, totals: Mapping[tuple[int, UUID], int]) -> None:
    """Count programs that a peer group had never shown: how often that happens says how little it means."""
    if totals:
        roles, subjects = (list(column) for column in zip(*totals, strict=True))
        values = {"day": day, "roles": roles, "subjects": subjects, "totals": list(totals.values())}
        await session.execute(_ADD_ARRIVALS, values)


#: Of each subject that a node showed on the day: one node-day less, and one node less if it was the node's only one.
#: A day from before the node's first counted one came late and was never counted.
_FORGET_DAY = text(
    f"""
    WITH gone AS (
      SELECT DISTINCT s.node_id, s.role_id, u.subject
      FROM sightings s JOIN behaviours b USING (behaviour_id) CROSS JOIN LATERAL unnest(b.subjects) AS u(subject)
      JOIN node_tallies n ON n.node_id = s.node_id AND n.subject = u.subject AND n.first_day <= s.day
      WHERE s.day = :day
    ), fewer AS (
      UPDATE node_tallies n SET days = n.days - 1 FROM gone g
      WHERE n.node_id = g.node_id AND n.subject = g.subject AND n.days > 1
    ), none_left AS (
      DELETE FROM node_tallies n USING gone g
      WHERE n.node_id = g.node_id AND n.subject = g.subject AND n.days <= 1
      RETURNING n.node_id, n.subject
    ), sums AS (
      SELECT peers.role_id, g.subject, count(*) AS units, count(none_left.node_id) AS nodes
      FROM gone g LEFT JOIN none_left USING (node_id, subject)
      CROSS JOIN LATERAL (VALUES (g.role_id), ({EVERY_ROLE}::smallint)) AS peers(role_id)
      GROUP BY peers.role_id, g.subject
    )
    UPDATE tallies t SET units = greatest(0, t.units - sums.units), nodes = greatest(0, t.nodes - sums.nodes)
    FROM sums WHERE t.role_id = sums.role_id AND t.subject = sums.subject
    """  # noqa: S608 - a constant
)


async def forget_day(session: WriteSession, day: date) -> None:
    """Take a day's sightings out of the statistics, before they are dropped."""
    await session.execute(_FORGET_DAY, {"day": day})
    await session.execute(text("DELETE FROM tallies WHERE day <= :day"), {"day": day})


_SIGNERS = arrays(
    """
    SELECT i.node_id, i.path, i.trust, i.signer FROM images i
    JOIN unnest(:nodes, :paths) AS w(node_id, path) USING (node_id, path)
    """,
    nodes=BIGINT(), paths=TEXT(),
)  # fmt: skip


async def signers(session: WriteSession, wanted: set[tuple[int, str]]) -> dict[tuple[int, str], Signer]:
    """(node, normalised path) → what its signature query last said."""
    nodes, paths = (list(column) for column in zip(*wanted, strict=True))
    found = await session.execute(_SIGNERS, {"nodes": nodes, "paths": paths})
    return {(node, path): Signer(Trust(trust), name) for node, path, trust, name in found}


async def keep_signers(
    session: WriteSession, images: Mapping[tuple[int, str], tuple[Signer, datetime]]
) -> set[tuple[int, str]]:
    """The newest word on each image wins. Returns the (node, path) of those that were unknown or are signed anew."""
    if not images:
        return set()
    rows = [
        {"node_id": node, "path": path, "trust": signer.trust.value, "signer": signer.name, "observed_at": at}
        for (node, path), (signer, at) in sorted(images.items())
    ]
    added = insert(Image).values(rows)
    newer = {"trust": added.excluded.trust, "signer": added.excluded.signer, "observed_at": added.excluded.observed_at}
    is_newer = Image.observed_at < added.excluded.observed_at
    is_other = tuple_(Image.trust, Image.signer) != tuple_(added.excluded.trust, added.excluded.signer)
    keys = ("node_id", "path")
    changed = added.on_conflict_do_update(index_elements=keys, set_=newer, where=and_(is_newer, is_other))
    found = await session.execute(changed.returning(Image.node_id, Image.path))
    return {(node, path) for node, path in found}


async def executions(session: ReadSession, nodes: Collection[int]) -> dict[tuple[int, str], observed.Execution]:
    found = await session.scalars(select(observed.Execution).where(observed.Execution.node_id.in_(nodes)))
    return {(row.node_id, row.query): row for row in found}


async def notices(session: ReadSession, nodes: Collection[int]) -> dict[int, dict[str, int]]:
    found: dict[int, dict[str, int]] = {}
    for row in await session.scalars(select(observed.Notice).where(observed.Notice.node_id.in_(nodes))):
        found.setdefault(row.node_id, {})[row.kind] = row.total
    return found


async def quarantined(session: ReadSession, nodes: Collection[int]) -> dict[int, int]:
    lines = observed.QuarantinedLines
    query = select(lines.node_id, func.sum(lines.lines)).where(lines.node_id.in_(nodes)).group_by(lines.node_id)
    return {node: int(total) for node, total in await session.execute(query)}
