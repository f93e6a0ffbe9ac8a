"""The SQL that queues findings to be judged again, with the rows that they quote."""

from collections.abc import Collection
from datetime import date, datetime, timedelta
from typing import Any, LiteralString
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, DateTime, Text, TextClause, Uuid, bindparam, text
from sqlalchemy.types import TypeEngine

from app.database import WriteSession
from app.detection.behaviour import NETWORK

#: An entry of the same batch may wait already, with other behaviours.
ADD_TO_QUEUE = """
    ON CONFLICT (node_id, batch_id, day) DO UPDATE SET
      behaviour_ids = q.behaviour_ids || excluded.behaviour_ids, line_numbers = q.line_numbers || excluded.line_numbers,
      row_numbers = q.row_numbers || excluded.row_numbers, seen_at = q.seen_at || excluded.seen_at
    WHERE NOT q.behaviour_ids @> excluded.behaviour_ids
"""

#: A finding whose batch retention has dropped keeps its judgement: without its row a new one would know less.
_HAS_ROW = "EXISTS (SELECT FROM batches t WHERE (t.day, t.node_id, t.batch_id) = (g.batch_day, g.node_id, g.batch_id))"


#: Also what is excepted, for what it is excepted as may turn out wrong; and what was called false, for it may be
#: graver than that. What was remediated is told by what comes later.
_UNSETTLED = "g.state NOT IN ('withdrawn', 'remediated')"
_OPEN = "g.is_open"


def _judge_again(chosen: LiteralString, which: LiteralString = _UNSETTLED, **types: TypeEngine[Any]) -> TextClause:
    """Queues findings `f` of behaviours `b` with their rows, for the role that the node has now.

    `chosen`: joins, conditions, perhaps a limit.
    """
    statement = f"""
    INSERT INTO fresh_sightings AS q (node_id, batch_id, day, batch_day, role_id,
                                      behaviour_ids, line_numbers, row_numbers, seen_at, again)
    SELECT f.node_id, f.batch_id, f.day, f.batch_day, n.role_id, array_agg(f.behaviour_id),
           array_agg(f.line_number), array_agg(f.row_number), array_agg(f.last_seen_at), true
    FROM (
      SELECT f.* FROM (SELECT * FROM findings g WHERE {which} AND {_HAS_ROW}) f
      JOIN (SELECT * FROM behaviours WHERE direction = ANY(:network)) b USING (behaviour_id)
      {chosen}
    ) f JOIN nodes n USING (node_id)
    GROUP BY f.node_id, f.batch_id, f.day, f.batch_day, n.role_id
    {ADD_TO_QUEUE}
    """  # noqa: S608 - constants
    network = bindparam("network", sorted(NETWORK), type_=ARRAY(Text))
    return text(statement).bindparams(network, *(bindparam(name, type_=ARRAY(type_)) for name, type_ in types.items()))


#: In the place of a program: all of the node.
EVERY_PROGRAM = "*"

_OF_EXPLAINED = _judge_again(
    """
    WHERE f.node_id = ANY(:nodes) AND f.day BETWEEN :day - 1 AND :day + 1 AND EXISTS (
      SELECT FROM unnest(:nodes, :words) AS known(node_id, word)
      WHERE known.node_id = f.node_id AND (
        known.word IN (b.path, '*') OR known.word = ANY(string_to_array(b.unit, ','))
        OR (right(known.word, 4) = '.app' AND starts_with(b.path, known.word || '/')))
    )
    """,
    nodes=BigInteger(), words=Text(),
)  # fmt: skip

_OF_BEGUN = _judge_again(
    """
    WHERE f.node_id = ANY(:nodes) AND f.start_source = '' AND EXISTS (
      SELECT FROM unnest(:nodes, :processes, :paths, :instants) AS began(node_id, process_id, path, at)
      WHERE began.node_id = f.node_id AND began.process_id = f.process_id AND began.path = b.path
        AND f.last_seen_at BETWEEN began.at AND began.at + CAST(:longest AS interval)
    )
    """,
    nodes=BigInteger(), processes=BigInteger(), paths=Text(), instants=DateTime(timezone=True),
)  # fmt: skip

_OF_NODES = _judge_again(
    """
    WHERE f.node_id = ANY(:nodes) AND f.day BETWEEN :day - 1 AND :day + 1
    ORDER BY f.score DESC, f.finding_id LIMIT :most
    """,
    nodes=BigInteger(),
)

_OF_BEHAVIOURS = _judge_again(
    """
    JOIN unnest(:nodes, :behaviours) AS w(node_id, behaviour_id)
      ON w.node_id = f.node_id AND w.behaviour_id = f.behaviour_id
    WHERE f.day >= :first
    """,
    nodes=BigInteger(), behaviours=Uuid(),
)  # fmt: skip

_OF_PROGRAMS = _judge_again(
    """
    JOIN unnest(:platforms, :paths) AS p(platform, path) ON p.platform = b.platform AND p.path = b.path
    ORDER BY f.score DESC, f.finding_id LIMIT :most
    """,
    _OPEN, platforms=Text(), paths=Text(),
)  # fmt: skip


async def judge_again(session: WriteSession, day: date, explained: Collection[tuple[int, str]]) -> None:
    """Queue findings of which something has just become known, as (node, what).

    What is a program's normalised path, a bundle that it lies in, its service or launchd label, or EVERY_PROGRAM.
    Findings of the days beside count too: midnight may lie between a connection and what explains it.
    """
    if explained:
        nodes, words = (list(column) for column in zip(*explained, strict=True))
        await session.execute(_OF_EXPLAINED, {"day": day, "nodes": nodes, "words": words})


async def judge_again_begun(
    session: WriteSession, began: Collection[tuple[int, int, str, datetime]], longest: timedelta
) -> None:
    """Queue findings of processes, as (node, process id, path, start), whose start has just become known.

    `longest`: how long after its start a connection may still be joined with it.
    """
    if began:
        nodes, processes, paths, instants = (list(column) for column in zip(*began, strict=True))
        values = {"nodes": nodes, "processes": processes, "paths": paths, "instants": instants, "longest": longest}
        await session.execute(_OF_BEGUN, values)


async def judge_nodes_again(session: WriteSession, day: date, nodes: Collection[int], most: int) -> None:
    """Queue the heaviest findings of nodes of which something has become known, of the day and those beside it."""
    if nodes:
        await session.execute(_OF_NODES, {"day": day, "nodes": sorted(nodes), "most": most})


async def judge_programs_again(session: WriteSession, programs: Collection[tuple[str, str]], most: int) -> None:
    """Queue the heaviest open findings of programs, as (platform, path), on all nodes."""
    if programs:
        platforms, paths = (list(column) for column in zip(*programs, strict=True))
        await session.execute(_OF_PROGRAMS, {"platforms": platforms, "paths": paths, "most": most})


async def judge_behaviours_again(session: WriteSession, first: date, pairs: Collection[tuple[int, UUID]]) -> None:
    """Queue findings of (node, behaviour) pairs that were seen on `first` or later."""
    if pairs:
        nodes, behaviours = (list(column) for column in zip(*sorted(pairs), strict=True))
        await session.execute(_OF_BEHAVIOURS, {"first": first, "nodes": nodes, "behaviours": behaviours})
