"""The SQL of findings."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Protocol
from uuid import UUID, uuid4

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    ColumnElement,
    Row,
    Text,
    Uuid,
    any_,
    bindparam,
    case,
    func,
    literal,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from app.database import ReadSession, WriteSession
from app.detection.addresses import PeerScope
from app.detection.context import Signer
from app.detection.deviation import Deviation, Severity, Spread
from app.detection.expectations import UNKNOWN_SIGNER
from app.detection.roll_out import Loose, Wave, takes_in
from app.findings.models import Finding, FindingChange, FleetFinding
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
    signer: Signer = UNKNOWN_SIGNER
    peer_scope: PeerScope = PeerScope.UNKNOWN


#: What goes together in a finding: a judgement and the row that it quotes.
_OF_A_JUDGEMENT = (
    *("score", "severity", "evidence", "process_id", "start_source", "knobs_version"),
    *("batch_day", "batch_id", "line_number", "row_number"),
    *("trust", "signer", "peer_scope"),
)


async def open_findings(session: WriteSession, found: Sequence[NewFinding], now: datetime) -> None:
    """Open what is new. What is open already is seen again: it keeps its opening and its heaviest judgement.

    A second judgement of the same day takes the place of the first, for it was asked for by better evidence. Of other
    days the gravest kind stays, so that a program which somebody exchanged later does not hide in a roll-out.
    """
    for each in found:
        added = insert(Finding).values(_row(each, now))
        same_day = added.excluded.day == Finding.day
        replaces = or_(same_day, added.excluded.score > Finding.score)
        judged = {
            name: case((replaces, getattr(added.excluded, name)), else_=getattr(Finding, name))
            for name in _OF_A_JUDGEMENT
        }
        graver = _rank(added.excluded.spread) > _rank(Finding.spread)
        judged["spread"] = case((or_(same_day, graver), added.excluded.spread), else_=Finding.spread)
        seen_again = {
            "day": func.greatest(added.excluded.day, Finding.day),
            "last_seen_at": func.greatest(added.excluded.last_seen_at, Finding.last_seen_at),
            "role_id": case((added.excluded.day >= Finding.day, added.excluded.role_id), else_=Finding.role_id),
            "days_seen": Finding.days_seen + case((same_day, 0), else_=1),
            "judged_at": added.excluded.judged_at,
        }
        statement = added.on_conflict_do_update(
            index_elements=[Finding.node_id, Finding.behaviour_id],
            index_where=text("state <> 'withdrawn'"),
            set_=judged | seen_again,
        )
        await session.execute(statement)


def _rank(spread: Any) -> Any:
    return func.array_position(bindparam(None, [each.value for each in Spread], ARRAY(Text)), spread)


_WITHDRAW = text(
    """
    UPDATE findings f SET state = 'withdrawn', is_open = false, judged_at = :now, exception_id = NULL
    FROM unnest(:nodes, :behaviours) AS light(node_id, behaviour_id)
    WHERE f.node_id = light.node_id AND f.behaviour_id = light.behaviour_id AND f.day = :day
      AND (f.is_open OR f.state = 'excepted')
    RETURNING f.behaviour_id
    """
).bindparams(bindparam("nodes", type_=ARRAY(BigInteger)), bindparam("behaviours", type_=ARRAY(Uuid)))


async def withdraw(session: WriteSession, day: date, light: Collection[tuple[int, UUID]], now: datetime) -> set[UUID]:
    """(node, behaviour) pairs that weigh too little; those that a first judgement of the day opened go.

    Returns the behaviours of which any went.
    """
    if not light:
        return set()
    nodes, behaviours = (list(column) for column in zip(*light, strict=True))
    values = {"day": day, "nodes": nodes, "behaviours": behaviours, "now": now}
    return set(await session.scalars(_WITHDRAW, values))


_SOURCES = text(
    """
    SELECT f.node_id, f.behaviour_id, f.start_source FROM findings f
    JOIN unnest(:nodes, :behaviours) AS w(node_id, behaviour_id) USING (node_id, behaviour_id)
    WHERE f.is_open AND f.day = :day
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
        "new_to_peers": deviation.new_to_peers,
        "spread": deviation.spread.value,
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
        "trust": each.signer.trust.value,
        "signer": each.signer.name,
        "peer_scope": each.peer_scope.value,
        "start_source": each.start_source,
    }


#: Whatever the size of a roll-out, so many of the findings in no fleet finding are looked at, the newest first.
LOOSE_MAX = 10_000

_SPREADING = text(
    """
    SELECT w.behaviour_id FROM unnest(:behaviours) AS w(behaviour_id)
    WHERE EXISTS (SELECT FROM fleet_findings f WHERE f.behaviour_id = w.behaviour_id AND f.is_open)
       OR :enough <= (SELECT count(*) FROM (
            SELECT FROM findings n WHERE n.behaviour_id = w.behaviour_id
              AND n.is_open AND n.new_to_peers AND n.fleet_finding_id IS NULL LIMIT :enough) AS few)
    ORDER BY 1
    """
).bindparams(bindparam("behaviours", type_=ARRAY(Uuid)))


async def spreading(session: WriteSession, behaviours: Collection[UUID], enough: int) -> Sequence[UUID]:
    """Those of the behaviours that have a fleet finding, or as many findings on new nodes as one needs."""
    if not behaviours:
        return ()
    return (await session.scalars(_SPREADING, {"behaviours": list(behaviours), "enough": enough})).all()


async def lock_fleet_finding(session: WriteSession, behaviour_id: UUID) -> FleetFinding | None:
    """The open one of a behaviour; two who gather its nodes at once follow each other."""
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(str(behaviour_id), 0))))
    query = select(FleetFinding).where(FleetFinding.behaviour_id == behaviour_id, FleetFinding.is_open)
    return await session.scalar(query.execution_options(populate_existing=True))


_RELEASE = text(
    """
    UPDATE findings n SET fleet_finding_id = NULL
    FROM unnest(:open, :spreads) AS leaving(is_open, spread)
    WHERE n.fleet_finding_id = :fleet AND n.is_open = leaving.is_open AND n.spread = leaving.spread
      AND (n.is_open OR n.state IN ('withdrawn', 'excepted'))
    """
).bindparams(bindparam("open", type_=ARRAY(Boolean)), bindparam("spreads", type_=ARRAY(Text)))


async def release(session: WriteSession, fleet: UUID, kept: Spread | None) -> int:
    """Let go the members that were withdrawn or excepted, and those that `kept` does not cover. Returns how many."""
    gone = [(False, each) for each in Spread]
    gone += [(True, each) for each in Spread if kept is None or not takes_in(kept, each)]
    is_open, spreads = zip(*gone, strict=True)
    values = {"fleet": fleet, "open": list(is_open), "spreads": [each.value for each in spreads]}
    return (await session.execute(_RELEASE, values)).rowcount  # type: ignore[attr-defined, no-any-return]


_WAVE = text(
    """
    SELECT k.spread, (SELECT count(*) FROM (
             SELECT FROM findings n WHERE n.fleet_finding_id = :fleet AND n.is_open AND n.spread = k.spread
             LIMIT :enough) AS few)
    FROM unnest(:spreads) AS k(spread)
    """
).bindparams(bindparam("spreads", type_=ARRAY(Text)))


async def wave_of(session: WriteSession, fleet: FleetFinding, enough: int) -> Wave:
    """The members by kind, counted up to `enough`."""
    values = {"fleet": fleet.fleet_finding_id, "enough": enough, "spreads": [each.value for each in Spread]}
    nodes = {Spread(spread): total for spread, total in await session.execute(_WAVE, values)}
    return Wave(Spread(fleet.spread), fleet.first_seen_at, fleet.last_seen_at, nodes)


async def loose_findings(session: WriteSession, behaviour_id: UUID) -> list[Loose]:
    columns = (Finding.finding_id, Finding.spread, Finding.first_seen_at, Finding.new_to_peers)
    of_behaviour = (Finding.behaviour_id == behaviour_id, Finding.is_open, stands_alone())
    query = select(*columns).where(*of_behaviour).order_by(Finding.first_seen_at.desc()).limit(LOOSE_MAX)
    return [Loose(key, Spread(spread), seen_at, new) for key, spread, seen_at, new in await session.execute(query)]


async def join(session: WriteSession, fleet: UUID, joined: Sequence[Loose]) -> None:
    ids = [each.finding_id for each in joined]
    await session.execute(update(Finding).where(Finding.finding_id.in_(ids)).values(fleet_finding_id=fleet))


_GRAVEST = text(
    """
    SELECT g.finding_id FROM unnest(:severities, :spreads) WITH ORDINALITY AS k(severity, spread, place)
    CROSS JOIN LATERAL (
      SELECT finding_id, score FROM findings n WHERE n.fleet_finding_id = :fleet AND n.is_open
        AND n.spread = k.spread AND n.severity = k.severity ORDER BY score DESC LIMIT 1) AS g
    ORDER BY array_position(:severities, k.severity), g.score DESC, k.place LIMIT 1
    """
).bindparams(bindparam("severities", type_=ARRAY(Text)), bindparam("spreads", type_=ARRAY(Text)))


async def gravest_member(session: WriteSession, fleet: UUID) -> Finding:
    """By severity, then score; a dozen rows are looked at, however many members there are."""
    pairs = [(severity, spread) for severity in Severity for spread in reversed(Spread)]
    severities, spreads = ([each.value for each in column] for column in zip(*pairs, strict=True))
    values = {"fleet": fleet, "severities": severities, "spreads": spreads}
    finding_id = (await session.scalars(_GRAVEST, values)).one()
    query = select(Finding).where(Finding.finding_id == finding_id)
    return (await session.scalars(query.execution_options(populate_existing=True))).one()


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


async def lock_findings(session: WriteSession, conditions: Sequence[Any]) -> Sequence[Finding]:
    """In one order, so that two who change many at once follow each other."""
    query = select(Finding).where(*conditions).order_by(Finding.finding_id).with_for_update()
    return (await session.scalars(query.execution_options(populate_existing=True))).all()


async def set_states(session: WriteSession, ids: Sequence[UUID], values: dict[str, Any]) -> None:
    chosen = Finding.finding_id == any_(literal(list(ids), ARRAY(Uuid)))
    await session.execute(update(Finding).where(chosen).values(**values).execution_options(synchronize_session=False))


def first_of_acknowledged(now: datetime) -> Any:
    return func.coalesce(Finding.acknowledged_at, now)


async def insert_changes(session: WriteSession, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        await session.execute(insert(FindingChange), rows)


def of_roles(roles: Collection[int] | None) -> list[ColumnElement[bool]]:
    """What keeps a list of findings to some roles; nothing for who may see every one."""
    return [] if roles is None else [Finding.role_id.in_(roles)]


def stands_alone() -> ColumnElement[bool]:
    """No fleet finding speaks for it."""
    return Finding.fleet_finding_id.is_(None)


async def find_finding(session: ReadSession, finding_id: UUID, roles: Collection[int] | None = None) -> Listed | None:
    found = await list_findings(session, [Finding.finding_id == finding_id, *of_roles(roles)], [], 1)
    return found[0] if found else None


ListedFleet = Row[FleetFinding, Behaviour]


async def list_fleet_findings(
    session: ReadSession, conditions: Sequence[Any], order: Sequence[Any], limit: int
) -> Sequence[ListedFleet]:
    query = select(FleetFinding, Behaviour).join(Behaviour, Behaviour.behaviour_id == FleetFinding.behaviour_id)
    return (await session.execute(query.where(*conditions).order_by(*order).limit(limit))).all()


_FIRST_NODES = text(
    """
    SELECT w.fleet, m.node_id, n.hostname, m.first_seen_at FROM unnest(:fleets) AS w(fleet)
    CROSS JOIN LATERAL (
      SELECT node_id, first_seen_at FROM findings WHERE fleet_finding_id = w.fleet
      ORDER BY first_seen_at, finding_id LIMIT :limit) AS m
    JOIN nodes n USING (node_id) ORDER BY w.fleet, m.first_seen_at
    """
).bindparams(bindparam("fleets", type_=ARRAY(Uuid)))


async def first_nodes(
    session: ReadSession, fleets: Sequence[UUID], limit: int
) -> dict[UUID, list[tuple[int, str, datetime]]]:
    """Fleet finding → node, host name and first sight of those that came first."""
    found: dict[UUID, list[tuple[int, str, datetime]]] = {}
    for fleet, *node in await session.execute(_FIRST_NODES, {"fleets": list(fleets), "limit": limit}):
        found.setdefault(fleet, []).append((node[0], node[1], node[2]))
    return found


Judged = tuple[Severity | None, UUID | None]

_JUDGED_AS = text(
    """
    SELECT w.behaviour_id, f.severity, (
             SELECT fleet_finding_id FROM fleet_findings g
             WHERE g.behaviour_id = w.behaviour_id AND g.is_open)
    FROM unnest(:behaviours) AS w(behaviour_id)
    CROSS JOIN LATERAL (
      SELECT k.severity FROM unnest(:severities) WITH ORDINALITY AS k(severity, place)
      WHERE EXISTS (SELECT FROM findings n
                    WHERE n.behaviour_id = w.behaviour_id AND n.severity = k.severity AND n.is_open)
      ORDER BY k.place LIMIT 1) AS f
    """
).bindparams(bindparam("behaviours", type_=ARRAY(Uuid)), bindparam("severities", type_=ARRAY(Text)))


async def judged_as(session: ReadSession, behaviours: Collection[UUID]) -> dict[UUID, Judged]:
    """Behaviour → the gravest of its open findings, and its fleet finding; those without any are missing."""
    values = {"behaviours": list(behaviours), "severities": [each.value for each in Severity]}
    found = await session.execute(_JUDGED_AS, values)
    return {behaviour: (Severity(severity), fleet) for behaviour, severity, fleet in found}
