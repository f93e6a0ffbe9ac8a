"""The SQL of jobs. All of it is asked by node."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.dialects.postgresql import BIGINT, TEXT, insert
from sqlalchemy.dialects.postgresql import UUID as PG_UUID

from app.analysis.jobs.models import NodeJob
from app.analysis.store import arrays
from app.database import WriteSession
from app.detection.job_parts import JobKind, JobPart, Pair
from app.detection.jobs import Wanted

_COLUMNS = (
    "j.node_id, j.kind, j.label, j.source, j.says, j.before, j.first_seen_at, j.said_at, j.changed_at, j.ended_at"
)

PartKey = tuple[int, UUID]

_PARTS = arrays(
    f"SELECT {_COLUMNS} FROM node_jobs j JOIN unnest(:nodes, :ids) AS w(node_id, part_id) USING (node_id, part_id)",  # noqa: S608 - a constant
    nodes=BIGINT(), ids=PG_UUID(),
)  # fmt: skip


async def parts(session: WriteSession, wanted: Collection[PartKey]) -> dict[PartKey, JobPart]:
    """What is known of the wanted parts; the others are missing."""
    nodes, ids = (list(column) for column in zip(*sorted(wanted), strict=True))
    found = await session.execute(_PARTS, {"nodes": nodes, "ids": ids})
    return {(node, part.part_id): part for node, part in map(_part, found)}


async def keep_parts(session: WriteSession, changed: Mapping[PartKey, JobPart]) -> None:
    if not changed:
        return
    added = insert(NodeJob)
    newer = ("says", "before", "known_by", "said_at", "changed_at", "ended_at")
    values = {name: added.excluded[name] for name in newer}
    statement = added.on_conflict_do_update(index_elements=["node_id", "part_id"], set_=values)
    await session.execute(statement, [_row(node, changed[node, key]) for node, key in sorted(changed)])


_ADD_INVENTORIES = arrays(
    """
    INSERT INTO job_inventories AS i (node_id, kind, since, parts)
    SELECT node_id, kind, min(to_timestamp(first)), count(*)
    FROM unnest(:nodes, :kinds, :firsts) AS w(node_id, kind, first) GROUP BY node_id, kind ORDER BY node_id, kind
    ON CONFLICT (node_id, kind) DO UPDATE SET since = least(i.since, excluded.since), parts = i.parts + excluded.parts
    """,
    nodes=BIGINT(), kinds=TEXT(), firsts=BIGINT(),
)  # fmt: skip


async def count_parts(session: WriteSession, new: Iterable[tuple[int, JobPart]]) -> None:
    """Add parts that were not known before to the inventories of their nodes."""
    rows = [(node, part.kind.value, part.first_seen_at) for node, part in new]
    if rows:
        nodes, kinds, firsts = (list(column) for column in zip(*rows, strict=True))
        await session.execute(_ADD_INVENTORIES, {"nodes": nodes, "kinds": kinds, "firsts": firsts})


_INVENTORIES = arrays(
    "SELECT node_id, kind, since, parts FROM job_inventories WHERE node_id = ANY(:nodes)", nodes=BIGINT()
)


async def inventories(
    session: WriteSession, nodes: Collection[int]
) -> tuple[dict[int, dict[JobKind, int]], dict[int, int]]:
    """Node → since when each of its inventories is known, in unix seconds; and node → parts kept of it."""
    since: defaultdict[int, dict[JobKind, int]] = defaultdict(dict)
    totals: defaultdict[int, int] = defaultdict(int)
    for node, kind, first, count in await session.execute(_INVENTORIES, {"nodes": sorted(nodes)}):
        since[node][JobKind(kind)] = int(first.timestamp())
        totals[node] += count
    return dict(since), dict(totals)


_FORGET_ENDED = arrays(
    """
    WITH gone AS (
      DELETE FROM node_jobs WHERE node_id = ANY(:nodes) AND ended_at IS NOT NULL RETURNING node_id, kind
    ), sums AS (SELECT node_id, kind, count(*) AS parts FROM gone GROUP BY node_id, kind)
    UPDATE job_inventories i SET parts = i.parts - sums.parts FROM sums
    WHERE i.node_id = sums.node_id AND i.kind = sums.kind
    """,
    nodes=BIGINT(),
)


async def forget_ended(session: WriteSession, nodes: Collection[int]) -> None:
    """Make room on nodes whose inventories are full."""
    if nodes:
        await session.execute(_FORGET_ENDED, {"nodes": sorted(nodes)})


#: First what is asked for, by the index that fits, then every other part of the jobs so found.
_AROUND = arrays(
    f"""
    WITH found AS (
      SELECT j.node_id, j.part_id, j.label FROM node_jobs j
      JOIN unnest(:key_nodes, :keys) AS k(node_id, known_by) USING (node_id, known_by) WHERE j.known_by <> ''
      UNION SELECT j.node_id, j.part_id, j.label FROM node_jobs j
      JOIN unnest(:label_nodes, :labels) AS l(node_id, label) USING (node_id, label)
      UNION SELECT j.node_id, j.part_id, j.label FROM node_jobs j
      JOIN unnest(:kind_nodes, :kinds) AS w(node_id, kind) USING (node_id, kind)
      WHERE j.kind IN ('sockets', 'hidden_plist')
    ), jobs AS (
      SELECT node_id, part_id FROM found
      UNION SELECT j.node_id, j.part_id FROM node_jobs j
      JOIN (SELECT DISTINCT node_id, label FROM found WHERE label <> '') l USING (node_id, label)
    )
    SELECT {_COLUMNS} FROM node_jobs j JOIN jobs USING (node_id, part_id)
    """,  # noqa: S608 - a constant
    key_nodes=BIGINT(), keys=TEXT(), label_nodes=BIGINT(), labels=TEXT(), kind_nodes=BIGINT(), kinds=TEXT(),
)  # fmt: skip


async def around(session: WriteSession, wishes: Collection[tuple[int, Wanted]]) -> dict[int, list[JobPart]]:
    """Node → the parts that can bear on its processes, in one statement; nodes without any are missing."""
    asked = {
        "key": {(node, key) for node, wish in wishes for key in wish.keys},
        "label": {(node, label) for node, wish in wishes for label in wish.labels},
        "kind": {(node, kind.value) for node, wish in wishes for kind in wish.kinds},
    }
    values = {f"{name}_nodes": [node for node, _ in sorted(pairs)] for name, pairs in asked.items()}
    values |= {f"{name}s": [text for _, text in sorted(pairs)] for name, pairs in asked.items()}  # type: ignore[misc]
    found: defaultdict[int, list[JobPart]] = defaultdict(list)
    for node, part in map(_part, await session.execute(_AROUND, values)):
        found[node].append(part)
    return dict(found)


def _part(row: Any) -> tuple[int, JobPart]:
    return row.node_id, JobPart(
        kind=JobKind(row.kind),
        label=row.label,
        source=row.source,
        says=_pairs(row.says),
        first_seen_at=int(row.first_seen_at.timestamp()),
        said_at=int(row.said_at.timestamp()),
        changed_at=int(row.changed_at.timestamp()) if row.changed_at else None,
        before=_pairs(row.before),
        ended_at=int(row.ended_at.timestamp()) if row.ended_at else None,
    )


def _row(node: int, part: JobPart) -> dict[str, Any]:
    return {
        "node_id": node,
        "part_id": part.part_id,
        "kind": part.kind.value,
        "label": part.label,
        "source": part.source,
        "known_by": part.known_by,
        "says": sorted(part.says),
        "before": sorted(part.before),
        "first_seen_at": _instant(part.first_seen_at),
        "said_at": _instant(part.said_at),
        "changed_at": _instant(part.changed_at),
        "ended_at": _instant(part.ended_at),
    }


def _instant(at: int | None) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at, UTC)


def _pairs(stored: Iterable[Iterable[str]]) -> frozenset[Pair]:
    return frozenset((name, value) for name, value in stored)
