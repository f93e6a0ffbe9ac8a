"""The SQL of findings."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any, LiteralString, Protocol
from uuid import UUID, uuid4

from sqlalchemy import (
    ARRAY,
    BigInteger,
    DateTime,
    Row,
    Text,
    TextClause,
    Uuid,
    bindparam,
    case,
    func,
    or_,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.types import TypeEngine

from app.database import ReadSession, WriteSession
from app.detection.deviation import Deviation
from app.findings.models import Finding
from app.fleet.models import Node, Role
from app.observations.models import Behaviour


class Where(Protocol):
    """The queue entry a finding came from."""

    node_id: Any
    role_id: Any
    day: Any
    batch_day: Any
    batch_id: Any
    again: Any


@dataclass(frozen=True, slots=True)
class NewFinding:
    where: Where
    deviation: Deviation
    first_seen_at: datetime
    line_number: int
    row_number: int
    process_id: int | None = None
    start_source: str = ""  #: which event told how the process began; empty if none did
    knobs_version: int = 0


#: What goes together in a finding: a judgement and the row that it quotes.
_OF_A_JUDGEMENT = (
    *("score", "severity", "evidence", "process_id", "start_source", "knobs_version"),
    *("batch_day", "batch_id", "line_number", "row_number"),
)


async def open_findings(session: WriteSession, found: Sequence[NewFinding], now: datetime) -> None:
    """Open what is new. What is open already is seen again: it keeps its opening and its heaviest judgement.

    A second judgement of the same day takes the place of the first, for it was asked for by better evidence.
    """
    for each in found:
        added = insert(Finding).values(_row(each, now))
        same_day = added.excluded.day == Finding.day
        replaces = or_(same_day, added.excluded.score > Finding.score)
        judged = {
            name: case((replaces, getattr(added.excluded, name)), else_=getattr(Finding, name))
            for name in _OF_A_JUDGEMENT
        }
        seen_again = {
            "day": func.greatest(added.excluded.day, Finding.day),
            "last_seen_at": func.greatest(added.excluded.last_seen_at, Finding.last_seen_at),
            "days_seen": Finding.days_seen + case((same_day, 0), else_=1),
            "judged_at": added.excluded.judged_at,
        }
        statement = added.on_conflict_do_update(
            index_elements=[Finding.node_id, Finding.behaviour_id],
            index_where=text("state = 'open'"),
            set_=judged | seen_again,
        )
        await session.execute(statement)


_WITHDRAW = text(
    """
    UPDATE findings f SET state = 'withdrawn', judged_at = :now
    FROM unnest(:nodes, :behaviours) AS light(node_id, behaviour_id)
    WHERE f.node_id = light.node_id AND f.behaviour_id = light.behaviour_id AND f.state = 'open' AND f.day = :day
    """
).bindparams(bindparam("nodes", type_=ARRAY(BigInteger)), bindparam("behaviours", type_=ARRAY(Uuid)))


async def withdraw(session: WriteSession, day: date, light: Collection[tuple[int, UUID]], now: datetime) -> None:
    """(node, behaviour) pairs that weigh too little; those that a first judgement of the day opened go."""
    if light:
        nodes, behaviours = (list(column) for column in zip(*light, strict=True))
        await session.execute(_WITHDRAW, {"day": day, "nodes": nodes, "behaviours": behaviours, "now": now})


#: An entry of the same batch may wait already, with other behaviours.
ADD_TO_QUEUE = """
    ON CONFLICT (node_id, batch_id, day) DO UPDATE SET
      behaviour_ids = q.behaviour_ids || excluded.behaviour_ids, line_numbers = q.line_numbers || excluded.line_numbers,
      row_numbers = q.row_numbers || excluded.row_numbers, seen_at = q.seen_at || excluded.seen_at
    WHERE NOT q.behaviour_ids @> excluded.behaviour_ids
"""


def _judge_again(chosen: LiteralString, **types: TypeEngine[Any]) -> TextClause:
    """Queues open findings `f` of behaviours `b` with their rows. `chosen`: joins, conditions, perhaps a limit."""
    statement = f"""
    INSERT INTO fresh_sightings AS q (node_id, batch_id, day, batch_day, role_id,
                                      behaviour_ids, line_numbers, row_numbers, seen_at, again)
    SELECT f.node_id, f.batch_id, f.day, f.batch_day, f.role_id, array_agg(f.behaviour_id),
           array_agg(f.line_number), array_agg(f.row_number), array_agg(f.last_seen_at), true
    FROM (
      SELECT f.* FROM (SELECT * FROM findings WHERE state = 'open') f
      JOIN (SELECT * FROM behaviours WHERE direction IN ('outbound', 'listening', 'loopback')) b USING (behaviour_id)
      {chosen}
    ) f
    GROUP BY f.node_id, f.batch_id, f.day, f.batch_day, f.role_id
    {ADD_TO_QUEUE}
    """  # noqa: S608 - constants
    return text(statement).bindparams(*(bindparam(name, type_=ARRAY(type_)) for name, type_ in types.items()))


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

#: A finding whose batch retention has dropped keeps its judgement: without its row a new one would know less.
_OF_PROGRAMS = _judge_again(
    """
    JOIN unnest(:platforms, :paths) AS p(platform, path) ON p.platform = b.platform AND p.path = b.path
    WHERE EXISTS (SELECT FROM batches t WHERE t.day = f.batch_day AND t.node_id = f.node_id AND t.batch_id = f.batch_id)
    ORDER BY f.score DESC, f.finding_id LIMIT :most
    """,
    platforms=Text(), paths=Text(),
)  # fmt: skip


async def judge_again(session: WriteSession, day: date, explained: Collection[tuple[int, str]]) -> None:
    """Queue open findings of which something has just become known, as (node, what).

    What is a program's normalised path, a bundle that it lies in, its service or launchd label, or EVERY_PROGRAM.
    Findings of the days beside count too: midnight may lie between a connection and what explains it.
    """
    if explained:
        nodes, words = (list(column) for column in zip(*explained, strict=True))
        await session.execute(_OF_EXPLAINED, {"day": day, "nodes": nodes, "words": words})


async def judge_again_begun(
    session: WriteSession, began: Collection[tuple[int, int, str, datetime]], longest: timedelta
) -> None:
    """Queue open findings of processes, as (node, process id, path, start), whose start has just become known.

    `longest`: how long after its start a connection may still be joined with it.
    """
    if began:
        nodes, processes, paths, instants = (list(column) for column in zip(*began, strict=True))
        values = {"nodes": nodes, "processes": processes, "paths": paths, "instants": instants, "longest": longest}
        await session.execute(_OF_BEGUN, values)


_SOURCES = text(
    """
    SELECT f.node_id, f.behaviour_id, f.start_source FROM findings f
    JOIN unnest(:nodes, :behaviours) AS w(node_id, behaviour_id) USING (node_id, behaviour_id)
    WHERE f.state = 'open' AND f.day = :day
    """
).bindparams(bindparam("nodes", type_=ARRAY(BigInteger)), bindparam("behaviours", type_=ARRAY(Uuid)))


async def start_sources(
    session: WriteSession, day: date, wanted: Collection[tuple[int, UUID]]
) -> dict[tuple[int, UUID], str]:
    """(node, behaviour) → which event told how the process of its open finding began; empty if none did."""
    if not wanted:
        return {}
    nodes, behaviours = (list(column) for column in zip(*wanted, strict=True))
    found = await session.execute(_SOURCES, {"day": day, "nodes": nodes, "behaviours": behaviours})
    return {(node, behaviour): source for node, behaviour, source in found}


async def judge_nodes_again(session: WriteSession, day: date, nodes: Collection[int], most: int) -> None:
    """Queue the heaviest open findings of nodes of which something has become known, of the day and those beside it."""
    if nodes:
        await session.execute(_OF_NODES, {"day": day, "nodes": sorted(nodes), "most": most})


async def judge_programs_again(session: WriteSession, programs: Collection[tuple[str, str]], most: int) -> None:
    """Queue the heaviest open findings of programs, as (platform, path), on all nodes."""
    if programs:
        platforms, paths = (list(column) for column in zip(*programs, strict=True))
        await session.execute(_OF_PROGRAMS, {"platforms": platforms, "paths": paths, "most": most})


async def judge_behaviours_again(session: WriteSession, first: date, pairs: Collection[tuple[int, UUID]]) -> None:
    """Queue open findings of (node, behaviour) pairs that were seen on `first` or later."""
    if pairs:
        nodes, behaviours = (list(column) for column in zip(*sorted(pairs), strict=True))
        await session.execute(_OF_BEHAVIOURS, {"first": first, "nodes": nodes, "behaviours": behaviours})


def _row(each: NewFinding, now: datetime) -> dict[str, Any]:
    deviation = each.deviation
    return {
        "finding_id": uuid4(),
        "node_id": each.where.node_id,
        "role_id": each.where.role_id,
        "behaviour_id": deviation.behaviour.behaviour_id,
        "severity": deviation.severity.value,
        "score": deviation.score,
        "analytic": deviation.analytic.value,
        "evidence": [asdict(line) for line in deviation.evidence],
        "knobs_version": each.knobs_version,
        "day": each.where.day,
        "opened_at": now,
        "judged_at": now,
        "first_seen_at": each.first_seen_at,
        "last_seen_at": each.first_seen_at,
        "batch_day": each.where.batch_day,
        "batch_id": each.where.batch_id,
        "line_number": each.line_number,
        "row_number": each.row_number,
        "process_id": each.process_id,
        "start_source": each.start_source,
    }


Listed = Row[Finding, Behaviour, Node, str]


async def list_findings(
    session: ReadSession, conditions: Sequence[Any], order: Sequence[Any], limit: int
) -> Sequence[Listed]:
    query = (
        select(Finding, Behaviour, Node, Role.name)
        .join(Behaviour, Behaviour.behaviour_id == Finding.behaviour_id)
        .join(Node, Node.node_id == Finding.node_id)
        .join(Role, Role.role_id == Finding.role_id)
    )
    return (await session.execute(query.where(*conditions).order_by(*order).limit(limit))).all()


async def find_finding(session: ReadSession, finding_id: UUID) -> Listed | None:
    found = await list_findings(session, [Finding.finding_id == finding_id], [], 1)
    return found[0] if found else None
