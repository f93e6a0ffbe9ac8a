"""The SQL of findings."""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    ColumnElement,
    Row,
    Text,
    Uuid,
    and_,
    any_,
    bindparam,
    case,
    func,
    insert,
    literal,
    literal_column,
    select,
    text,
    update,
)
from sqlalchemy.orm import defer

from app.access.models import Operator
from app.database import ReadSession, WriteSession
from app.detection.addresses import PeerScope
from app.detection.context import Signer, Trust
from app.detection.deviation import Severity, Spread
from app.detection.expectations import Observed
from app.detection.roll_out import Loose, Wave, takes_in
from app.findings.models import Finding, FindingChange, FleetFinding
from app.findings.states import State
from app.findings.turns.store import take_turn
from app.fleet.models import Node, Role
from app.observations.models import Behaviour
from app.observations.store import behaviour_of

Pair = tuple[int, UUID]  #: node, behaviour


def among(ids: Collection[UUID]) -> Any:
    """Any number of them as one parameter."""
    return any_(literal(list(ids), ARRAY(Uuid)))


def observed_in(finding: Finding, row: Behaviour) -> Observed:
    """What the judgement of a finding speaks of; `row` is its behaviour's."""
    signer = Signer(Trust(finding.trust), finding.signer)
    return Observed(behaviour_of(row), signer, PeerScope(finding.peer_scope))


#: Spelled out, so that PostgreSQL sees that the index of living findings has them all.
_IS_LIVING = Finding.state != literal_column("'withdrawn'")


async def lock_living(session: WriteSession, pairs: Collection[Pair], *conditions: Any) -> Sequence[Finding]:
    """The living findings of (node, behaviour) pairs, without their evidence."""
    if not pairs:
        return ()
    await take_turn(session)
    nodes, behaviours = (list(column) for column in zip(*pairs, strict=True))
    wanted = func.unnest(literal(nodes, ARRAY(BigInteger)), literal(behaviours, ARRAY(Uuid)))
    of = wanted.table_valued("node_id", "behaviour_id").render_derived(name="w")
    query = select(Finding).join(of, and_(Finding.node_id == of.c.node_id, Finding.behaviour_id == of.c.behaviour_id))
    query = query.where(_IS_LIVING, *conditions).with_for_update(of=Finding).options(defer(Finding.evidence))
    return (await session.scalars(query.execution_options(populate_existing=True))).all()


_SOURCES = text(
    """
    SELECT f.node_id, f.behaviour_id, f.start_source FROM findings f
    JOIN unnest(:nodes, :behaviours) AS w(node_id, behaviour_id) USING (node_id, behaviour_id)
    WHERE f.state <> 'withdrawn' AND f.day = :day
    """
).bindparams(bindparam("nodes", type_=ARRAY(BigInteger)), bindparam("behaviours", type_=ARRAY(Uuid)))


async def start_sources(session: WriteSession, day: date, wanted: Collection[Pair]) -> dict[Pair, str]:
    """(node, behaviour) → which event told how the process of its living finding began; empty if none did."""
    if not wanted:
        return {}
    nodes, behaviours = (list(column) for column in zip(*wanted, strict=True))
    found = await session.execute(_SOURCES, {"day": day, "nodes": nodes, "behaviours": behaviours})
    return {(node, behaviour): source for node, behaviour, source in found}


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
      AND (n.is_open OR n.state = 'withdrawn')
    RETURNING n.is_open
    """
).bindparams(bindparam("open", type_=ARRAY(Boolean)), bindparam("spreads", type_=ARRAY(Text)))


async def release(session: WriteSession, fleet: UUID, kept: Spread | None) -> int:
    """Let go the members that were withdrawn, and open ones that `kept` does not cover. Returns how many were open."""
    gone = [(False, each) for each in Spread]
    gone += [(True, each) for each in Spread if kept is None or not takes_in(kept, each)]
    is_open, spreads = zip(*gone, strict=True)
    values = {"fleet": fleet, "open": list(is_open), "spreads": [each.value for each in spreads]}
    return sum(await session.scalars(_RELEASE, values))


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


Listed = Row[Finding, Behaviour, Node, str, str | None]


async def list_findings(
    session: ReadSession, conditions: Sequence[Any], order: Sequence[Any], limit: int
) -> Sequence[Listed]:
    """Each with its behaviour, node, and the names of its role and of whose work it is."""
    query = (
        select(Finding, Behaviour, Node, Role.name, Operator.name)
        .join(Behaviour, Behaviour.behaviour_id == Finding.behaviour_id)
        .join(Node, Node.node_id == Finding.node_id)
        .join(Role, Role.role_id == Node.role_id)
        .outerjoin(Operator, Operator.operator_id == Finding.assignee_id)
    )
    return (await session.execute(query.where(*conditions).order_by(*order).limit(limit))).all()


async def lock_findings(session: WriteSession, conditions: Sequence[Any]) -> Sequence[Finding]:
    """In one order, so that two who change many at once follow each other."""
    await take_turn(session)
    query = select(Finding).where(*conditions).order_by(Finding.finding_id).with_for_update()
    return (await session.scalars(query.execution_options(populate_existing=True))).all()


async def set_states(session: WriteSession, finding_ids: Sequence[UUID], values: dict[str, Any]) -> Counter[UUID]:
    """Returns the fleet findings that they belong to, with how many do."""
    those = Finding.finding_id == among(finding_ids)
    changed = update(Finding).where(those).values(**values)
    members = changed.returning(Finding.fleet_finding_id).execution_options(synchronize_session=False)
    return Counter(fleet for fleet in await session.scalars(members) if fleet)


async def leave_fleet(session: WriteSession, fleet: UUID, members: int, state: State) -> None:
    """So many open ones became no longer open. With the last of them, the fleet finding gets their state."""
    left = FleetFinding.nodes - members
    ends = left <= 0
    values = {
        "nodes": case((ends, FleetFinding.nodes), else_=left),
        "state": case((ends, state.value), else_=FleetFinding.state),
        "is_open": ~ends,
    }
    there = update(FleetFinding).where(FleetFinding.fleet_finding_id == fleet, FleetFinding.is_open)
    await session.execute(there.values(**values).execution_options(synchronize_session=False))


def first_of_acknowledged(now: datetime) -> Any:
    return func.coalesce(Finding.acknowledged_at, now)


async def insert_changes(session: WriteSession, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        await session.execute(insert(FindingChange), rows)


def of_roles(roles: Collection[int] | None) -> list[ColumnElement[bool]]:
    """What keeps a list of findings to some roles; nothing for who may see every one."""
    return [] if roles is None else [Finding.node_id.in_(select(Node.node_id).where(Node.role_id.in_(roles)))]


def stands_alone() -> ColumnElement[bool]:
    """No fleet finding speaks for it."""
    return Finding.fleet_finding_id.is_(None)


def assigned_to(name: str) -> ColumnElement[bool]:
    """Whose work it is; `-` for nobody's."""
    return Finding.assignee_id.is_(None) if name == "-" else Operator.name == name


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
