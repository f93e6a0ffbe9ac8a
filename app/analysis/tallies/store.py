"""The SQL of the counts: read what a judgement needs, add a day's sightings, forget a day.

Whatever the size of the history, one sighting reads at most 12 tallies, 6 tallies of its node, 256 ports, 256 owners.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import BIGINT, SMALLINT, TEXT
from sqlalchemy.dialects.postgresql import UUID as PG_UUID

from app.analysis.models import EVERY_ROLE
from app.analysis.store import arrays
from app.database import WriteSession

PORTS_MAX = 256


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


_OWNERS = arrays(
    f"""
    SELECT w.node_id, w.role_id, mine.behaviour_id, o.name, o.nodes
    FROM unnest(:nodes, :roles, :behaviours) AS w(node_id, role_id, behaviour_id)
    JOIN behaviours mine USING (behaviour_id)
    CROSS JOIN LATERAL (
      SELECT b.name, t.nodes + CASE WHEN t.day < :day THEN t.day_nodes ELSE 0 END
             - (coalesce(own.days - CASE WHEN own.day >= :day THEN 1 ELSE 0 END, 0) > 0)::int AS nodes
      FROM (
        SELECT behaviour_id, name FROM behaviours
        WHERE bucket = mine.bucket AND platform = mine.platform AND transport = mine.transport
          AND direction = 'listening' AND behaviour_id <> mine.behaviour_id
        LIMIT {PORTS_MAX}
      ) b
      JOIN tallies t ON t.role_id = w.role_id AND t.subject = b.behaviour_id
      LEFT JOIN node_tallies own ON own.node_id = w.node_id AND own.subject = b.behaviour_id
      ORDER BY nodes DESC, b.name DESC LIMIT 1
    ) o
    WHERE mine.direction = 'listening' AND mine.bucket <> 'dynamic' AND o.nodes > 0
    """,  # noqa: S608 - a constant
    nodes=BIGINT(), roles=SMALLINT(), behaviours=PG_UUID(),
)  # fmt: skip

Owner = tuple[str, int]
NOBODY: Owner = ("", 0)


async def owners(
    session: WriteSession, day: date, wanted: set[tuple[int, int, UUID]]
) -> dict[tuple[int, int, UUID], Owner]:
    """(node, role, listening behaviour) → the other program that most other nodes show on its port, and on how many."""
    nodes, roles, behaviours = (list(column) for column in zip(*wanted, strict=True))
    found = await session.execute(_OWNERS, {"day": day, "nodes": nodes, "roles": roles, "behaviours": behaviours})
    return {(node, role, behaviour): (name, count) for node, role, behaviour, name, count in found}


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
