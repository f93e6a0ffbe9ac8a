"""The SQL of triage."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Row,
    SmallInteger,
    bindparam,
    func,
    insert,
    select,
    text,
    tuple_,
    update,
)

from app.access.actor import Actor
from app.access.models import Operator
from app.database import ReadSession, WriteSession
from app.detection.behaviour import NETWORK
from app.findings.models import Finding, FindingChange, FleetFinding
from app.findings.states import OPEN, State
from app.findings.store import among, of_roles
from app.findings.triage.similar import Likeness
from app.findings.turns.store import take_turn
from app.fleet.models import Node, Role
from app.observations.models import Behaviour


@dataclass(frozen=True, slots=True)
class Locked:
    """What triage has to know of a finding that is locked by this transaction."""

    finding_id: UUID
    node_id: int
    role_id: int  #: of its node now
    state: State
    assignee_id: int | None


async def lock(session: WriteSession, finding_ids: Collection[UUID], roles: Collection[int] | None) -> list[Locked]:
    """Those of them that are of these roles, in the order of their ids."""
    return await _lock(session, Finding.finding_id == among(finding_ids), *of_roles(roles))


async def lock_members(session: WriteSession, fleet_id: UUID, states: Collection[State]) -> list[Locked]:
    """Those of a fleet finding's members that are in these states."""
    return await _lock(session, Finding.fleet_finding_id == fleet_id, Finding.state.in_(sorted(states)))


async def _lock(session: WriteSession, *conditions: ColumnElement[bool]) -> list[Locked]:
    await take_turn(session)
    query = select(Finding.finding_id, Finding.node_id, Node.role_id, Finding.state, Finding.assignee_id)
    query = query.join(Node, Node.node_id == Finding.node_id).where(*conditions).order_by(Finding.finding_id)
    return [
        Locked(finding_id, node_id, role_id, State(state), assignee_id)
        for finding_id, node_id, role_id, state, assignee_id in await session.execute(query.with_for_update(of=Finding))
    ]


async def lock_fleet(session: WriteSession, fleet_id: UUID) -> FleetFinding | None:
    await take_turn(session)
    query = select(FleetFinding).where(FleetFinding.fleet_finding_id == fleet_id).with_for_update()
    return await session.scalar(query)


async def open_fleet_of(session: ReadSession, behaviour_id: UUID) -> UUID | None:
    query = select(FleetFinding.fleet_finding_id).where(FleetFinding.behaviour_id == behaviour_id)
    found: UUID | None = await session.scalar(query.where(FleetFinding.is_open))
    return found


async def set_fleet_state(session: WriteSession, fleet_id: UUID, state: State) -> None:
    changed = update(FleetFinding).where(FleetFinding.fleet_finding_id == fleet_id)
    values = {"state": state.value, "is_open": state in OPEN}
    await session.execute(changed.values(**values).execution_options(synchronize_session=False))


async def rejoin(session: WriteSession, fleet_id: UUID, finding_ids: Sequence[UUID]) -> None:
    """Reopened together with their fleet finding, they belong to it again."""
    those = update(Finding).where(Finding.finding_id == among(finding_ids))
    fleet = update(FleetFinding).where(FleetFinding.fleet_finding_id == fleet_id)
    for statement in (those.values(fleet_finding_id=fleet_id), fleet.values(nodes=len(finding_ids))):
        await session.execute(statement.execution_options(synchronize_session=False))


async def set_assignee(session: WriteSession, finding_id: UUID, operator_id: int | None) -> None:
    await session.execute(update(Finding).where(Finding.finding_id == finding_id).values(assignee_id=operator_id))


async def add_note(session: WriteSession, actor: Actor, there: Locked, now: datetime, **values: Any) -> int:
    """An assignment or a comment. Returns the id of the change."""
    row = {"finding_id": there.finding_id, "node_id": there.node_id, "at": now, "actor_name": actor.name} | values
    added = insert(FindingChange).values(operator_id=actor.operator_id, **row)
    return (await session.scalars(added.returning(FindingChange.change_id))).one()


async def list_changes(
    session: ReadSession, conditions: Sequence[Any], order: Sequence[Any], limit: int
) -> Sequence[Row[FindingChange, str | None]]:
    """Each with the name of whom it made the finding the work of."""
    query = select(FindingChange, Operator.name).outerjoin(Operator, Operator.operator_id == FindingChange.assignee_id)
    return (await session.execute(query.where(*conditions).order_by(*order).limit(limit))).all()


def alike(likeness: Likeness, finding: Finding, behaviour: Behaviour) -> list[Any] | None:
    """What makes other open findings like this one; None where it has nothing to be alike in."""
    others: list[Any] = [Finding.is_open, Finding.finding_id != finding.finding_id]
    other_program = Behaviour.program_id != behaviour.program_id
    if likeness is Likeness.SAME_BEHAVIOUR:
        return [*others, Finding.behaviour_id == behaviour.behaviour_id]
    if likeness is Likeness.SAME_PROGRAM:
        of_it = (Behaviour.program_id == behaviour.program_id, Behaviour.behaviour_id != behaviour.behaviour_id)
        return [*others, *of_it]
    if likeness is Likeness.SAME_PORT and behaviour.direction in NETWORK:
        names = ("direction", "transport", "bucket")
        return [*others, other_program, *(getattr(Behaviour, each) == getattr(behaviour, each) for each in names)]
    if likeness is Likeness.SAME_SIGNER and finding.signer:
        names = ("signer", "trust", "peer_scope")
        return [*others, other_program, *(getattr(Finding, each) == getattr(finding, each) for each in names)]
    return None


async def count_findings(session: ReadSession, conditions: Sequence[Any], most: int) -> int:
    """At most `most`: counting stops there."""
    there = select(Finding.finding_id).join(Behaviour, Behaviour.behaviour_id == Finding.behaviour_id)
    few = there.where(*conditions).limit(most).subquery()
    return int(await session.scalar(select(func.count()).select_from(few)) or 0)


#: Out of the rows, so that what was measured stays what it was when a finding is reopened later. A row's finding has
#: waited since it was last reopened before that, or since it was opened.
_TIMES = text(
    """
    WITH told AS (
      SELECT c.finding_id, c.change_id, c.to_state, f.severity, r.name AS role, coalesce(began.change_id, 0) AS began,
             extract(epoch FROM c.at - coalesce(began.at, f.opened_at)) AS seconds
      FROM finding_changes c JOIN findings f USING (finding_id) JOIN nodes n ON n.node_id = f.node_id
      JOIN roles r ON r.role_id = n.role_id
      LEFT JOIN LATERAL (
        SELECT x.at, x.change_id FROM finding_changes x
        WHERE x.finding_id = c.finding_id AND x.change_id < c.change_id AND x.to_state = 'reopened'
        ORDER BY x.change_id DESC LIMIT 1) AS began ON true
      WHERE c.at >= :since AND c.at < :until AND c.kind = 'state' AND c.operator_id IS NOT NULL
        AND c.to_state <> 'reopened' AND (CAST(:roles AS smallint[]) IS NULL OR n.role_id = ANY(:roles))
    ), measured AS (
      SELECT t.*, t.to_state IN ('remediated', 'false_positive') AS closes, NOT EXISTS (
        SELECT FROM finding_changes y WHERE y.finding_id = t.finding_id AND y.change_id > t.began
          AND y.change_id < t.change_id AND y.kind = 'state' AND y.operator_id IS NOT NULL) AS acknowledges
      FROM told t
    )
    SELECT severity, role, count(DISTINCT finding_id) AS findings,
           count(*) FILTER (WHERE acknowledges) AS acknowledged,
           percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY seconds) FILTER (WHERE acknowledges) AS until_seen,
           count(*) FILTER (WHERE closes) AS closed,
           percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY seconds) FILTER (WHERE closes) AS until_closed
    FROM measured GROUP BY GROUPING SETS ((severity, role), (severity), ())
    """
).bindparams(bindparam("roles", type_=ARRAY(SmallInteger)))


async def times(
    session: ReadSession, since: datetime, until: datetime, roles: Collection[int] | None
) -> Sequence[Row[Any]]:
    """By severity and role, by severity (role is null), and of all (both are null)."""
    values = {"since": since, "until": until, "roles": None if roles is None else sorted(roles)}
    return (await session.execute(_TIMES, values)).all()


async def waiting(session: ReadSession, roles: Collection[int] | None) -> Sequence[Row[str, str, int, int]]:
    """By the same: open findings now, and those of them that nobody has acknowledged."""
    unseen = func.count().filter(Finding.acknowledged_at.is_(None))
    query = select(Finding.severity, Role.name, func.count(), unseen)
    query = query.join(Node, Node.node_id == Finding.node_id).join(Role, Role.role_id == Node.role_id)
    sets = func.grouping_sets(tuple_(Finding.severity, Role.name), tuple_(Finding.severity), text("()"))
    return (await session.execute(query.where(Finding.is_open, *of_roles(roles)).group_by(sets))).all()
