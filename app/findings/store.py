"""The SQL of findings."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Protocol
from uuid import UUID, uuid4

from sqlalchemy import ARRAY, BigInteger, Row, Text, Uuid, bindparam, case, func, or_, select, text
from sqlalchemy.dialects.postgresql import insert

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


@dataclass(frozen=True, slots=True)
class NewFinding:
    where: Where
    deviation: Deviation
    first_seen_at: datetime
    line_number: int
    row_number: int
    knobs_version: int = 0


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
            for name in ("score", "severity", "evidence", "knobs_version")
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


_JUDGE_AGAIN = text(
    """
    INSERT INTO fresh_sightings (node_id, batch_id, day, batch_day, role_id,
                                 behaviour_ids, line_numbers, row_numbers, seen_at)
    SELECT f.node_id, f.batch_id, f.day, f.batch_day, f.role_id, array_agg(f.behaviour_id),
           array_agg(f.line_number), array_agg(f.row_number), array_agg(f.last_seen_at)
    FROM findings f JOIN behaviours b USING (behaviour_id)
    JOIN unnest(:nodes, :paths) AS signed(node_id, path) ON signed.node_id = f.node_id AND signed.path = b.path
    WHERE f.state = 'open' AND f.day BETWEEN :day - 1 AND :day + 1 AND b.direction IN ('outbound', 'listening')
    GROUP BY f.node_id, f.batch_id, f.day, f.batch_day, f.role_id
    ON CONFLICT DO NOTHING
    """
).bindparams(bindparam("nodes", type_=ARRAY(BigInteger)), bindparam("paths", type_=ARRAY(Text)))


async def judge_again(session: WriteSession, day: date, signed: Collection[tuple[int, str]]) -> None:
    """Queue open findings of programs, as (node, path), whose signer has just become known or another.

    Those of the days beside count too: midnight may lie between a connection and the signature of its program.
    """
    if signed:
        nodes, paths = (list(column) for column in zip(*signed, strict=True))
        await session.execute(_JUDGE_AGAIN, {"day": day, "nodes": nodes, "paths": paths})


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
