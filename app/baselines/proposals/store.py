"""The SQL of proposals: a role's sightings day by day, and the few that need a closer look."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Date, Row, Text, Uuid, bindparam, func, select, text

from app.database import ReadSession
from app.detection.behaviour import Behaviour
from app.detection.context import Signer, Trust
from app.findings.models import Finding
from app.fleet.models import Node
from app.observations import models as observed
from app.observations.store import behaviour_of

_NODES = text(
    """
    SELECT count(*) FROM nodes n WHERE n.platform = :platform AND EXISTS (
      SELECT FROM sightings s
      WHERE s.node_id = n.node_id AND s.role_id = :role AND s.day BETWEEN :since AND :until)
    """
)


async def nodes_that_spoke(session: ReadSession, role_id: int, platform: str, since: date, until: date) -> int:
    values = {"role": role_id, "platform": platform, "since": since, "until": until}
    return int(await session.scalar(_NODES, values) or 0)


async def nodes_by_behaviour(session: ReadSession, role_id: int, day: date) -> Sequence[Row[UUID, int]]:
    """(behaviour, nodes of the role that showed it that day)."""
    shown = observed.Sighting
    query = select(shown.behaviour_id, func.count()).where(shown.day == day, shown.role_id == role_id)
    return (await session.execute(query.group_by(shown.behaviour_id))).all()


async def distinct_nodes(
    session: ReadSession, role_id: int, behaviours: Collection[UUID], since: date, until: date
) -> dict[UUID, int]:
    """Nodes over all the days. For behaviours that few nodes show a day: it reads each sighting of them."""
    shown = observed.Sighting
    query = select(shown.behaviour_id, func.count(shown.node_id.distinct())).where(
        shown.behaviour_id.in_(behaviours), shown.role_id == role_id, shown.day.between(since, until)
    )
    rows = await session.execute(query.group_by(shown.behaviour_id)) if behaviours else ()
    return {behaviour: nodes for behaviour, nodes in rows}  # noqa: C416


async def behaviours(session: ReadSession, ids: Collection[UUID], platform: str) -> dict[UUID, Behaviour]:
    """Those of the platform."""
    shown = observed.Behaviour
    rows = await session.scalars(select(shown).where(shown.behaviour_id.in_(ids), shown.platform == platform))
    return {row.behaviour_id: behaviour_of(row) for row in rows}


_SIGNERS = text(
    """
    SELECT i.path, i.trust, i.signer, count(*) FROM images i JOIN nodes n USING (node_id)
    WHERE n.role_id = :role AND i.path = ANY(:paths) GROUP BY i.path, i.trust, i.signer
    """
).bindparams(bindparam("paths", type_=ARRAY(Text)))


async def signers(session: ReadSession, role_id: int, paths: Collection[str]) -> Mapping[str, Mapping[Signer, int]]:
    """Path → who signed it, on how many nodes of the role that said so."""
    found: dict[str, dict[Signer, int]] = {}
    for path, trust, signer, nodes in await session.execute(_SIGNERS, {"role": role_id, "paths": sorted(paths)}):
        found.setdefault(path, {})[Signer(Trust(trust), signer)] = nodes
    return found


async def open_findings(session: ReadSession, role_id: int, ids: Collection[UUID]) -> dict[UUID, int]:
    """Behaviour → open findings on it on nodes of the role."""
    query = select(Finding.behaviour_id, func.count()).join(Node, Node.node_id == Finding.node_id)
    query = query.where(Finding.is_open, Node.role_id == role_id, Finding.behaviour_id.in_(ids))
    rows = await session.execute(query.group_by(Finding.behaviour_id)) if ids else ()
    return {behaviour: total for behaviour, total in rows}  # noqa: C416


_ROWS = text(
    """
    SELECT w.behaviour_id, few.* FROM unnest(:behaviours, :days) AS w(behaviour_id, day)
    CROSS JOIN LATERAL (
      SELECT s.node_id, s.batch_day, s.batch_id, s.line_number, s.row_number FROM sightings s
      WHERE s.behaviour_id = w.behaviour_id AND s.day = w.day AND s.role_id = :role LIMIT :most) AS few
    ORDER BY few.batch_id, few.line_number
    """
).bindparams(bindparam("behaviours", type_=ARRAY(Uuid)), bindparam("days", type_=ARRAY(Date)))


async def some_sightings(
    session: ReadSession, role_id: int, newest: Mapping[UUID, date], most: int
) -> Sequence[Row[Any]]:
    """At most so many of each behaviour on its newest day, those of one batch after each other."""
    values = {"behaviours": list(newest), "days": list(newest.values()), "role": role_id, "most": most}
    return (await session.execute(_ROWS, values)).all()
