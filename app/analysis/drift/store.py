"""The SQL of drift: ranges of the tallies' days, and a bounded look at the sightings of what is listed.

What is read grows with what changed in the asked days, not with the history or the fleet.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import ARRAY, Date, Row, Uuid, bindparam, exists, func, or_, select, text
from sqlalchemy.orm import aliased
from sqlalchemy.sql import Select

from app.analysis.models import EVERY_ROLE, Tally
from app.database import ReadSession
from app.detection.behaviour import Direction, Platform, digest
from app.observations.models import Behaviour

#: Sightings of one behaviour on one day that are looked at, at most.
SAMPLE = 200
#: Regular is what its nodes showed on so many days each, on the average.
REGULAR_DAYS = 3

Listed = Row[Tally, Behaviour]

NODES = Tally.nodes + Tally.day_nodes
UNITS = Tally.units + Tally.day_units
#: Nodes a day before the newest day of a behaviour, by which that day is measured.
BEFORE = Tally.units * 1.0 / func.greatest(Tally.day - Tally.first_day, 1)
GROWTH = Tally.day_units - BEFORE


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose drift is asked for: a role, or every role under `EVERY_ROLE`; and before which day nothing is news."""

    role_id: int
    platform: Platform | None
    since: date
    today: date
    limit: int

    @property
    def days(self) -> int:
        return (self.today - self.since).days


@dataclass(frozen=True, slots=True)
class FirstNode:
    node_id: int
    hostname: str
    first_seen_at: datetime
    trust: str | None  #: what the node's signature query said of the program; None when it said nothing
    signer: str | None


def _tallies(asked: Asked) -> Select[Tally, Behaviour]:
    query = select(Tally, Behaviour).join(Behaviour, Behaviour.behaviour_id == Tally.subject)
    query = query.where(Tally.role_id == asked.role_id, Tally.parent.is_not(None)).limit(asked.limit)
    return query.where(Behaviour.platform == asked.platform) if asked.platform else query


def _newcomers(asked: Asked) -> Select[Tally, Behaviour]:
    """First shown in the asked days. That a new program is signed at all is no news of its own; another signer is."""
    signed = aliased(Tally)
    known = exists().where(
        signed.role_id == Tally.role_id, signed.subject == Tally.parent, signed.first_day < Tally.first_day
    )
    is_news = or_(Behaviour.direction != Direction.SIGNATURE, known)
    return _tallies(asked).where(Tally.first_day > asked.since, is_news)


async def new(session: ReadSession, asked: Asked) -> Sequence[Listed]:
    """The newest first, of a day the most widely shown first."""
    query = _newcomers(asked)
    return (await session.execute(query.order_by(Tally.first_day.desc(), NODES.desc(), Tally.subject))).all()


async def spreading(session: ReadSession, asked: Asked) -> Sequence[Listed]:
    """New, and shown yesterday or today by more nodes than a day before that on the average; most growth first."""
    recent = Tally.day >= asked.today - timedelta(days=1)
    query = _newcomers(asked).where(recent, NODES > 1, GROWTH > 0)
    return (await session.execute(query.order_by(GROWTH.desc(), Tally.subject))).all()


async def unseen(session: ReadSession, asked: Asked, nodes: int) -> Sequence[Listed]:
    """Shown regularly by at least so many nodes, and by none in the asked days; the last to go first."""
    regular = (nodes <= NODES, UNITS >= REGULAR_DAYS * NODES)
    query = _tallies(asked).where(Tally.day <= asked.since, *regular)
    return (await session.execute(query.order_by(Tally.day.desc(), NODES.desc(), Tally.subject))).all()


async def known_since(session: ReadSession, asked: Asked) -> date | None:
    """The first day of the role's history."""
    groups = [digest("group", each) for each in ([asked.platform] if asked.platform else Platform)]
    query = select(func.min(Tally.first_day)).where(Tally.role_id == asked.role_id, Tally.subject.in_(groups))
    return await session.scalar(query)


_OF_ROLE = f"(:role = {EVERY_ROLE} OR s.role_id = :role)"

_FIRST_NODES = text(
    f"""
    SELECT w.behaviour_id, n.node_id, n.hostname, first.first_seen_at, i.trust, i.signer
    FROM unnest(:behaviours, :days) AS w(behaviour_id, day) JOIN behaviours b USING (behaviour_id)
    CROSS JOIN LATERAL (
      SELECT node_id, first_seen_at FROM (
        SELECT s.node_id, s.first_seen_at FROM sightings s
        WHERE s.behaviour_id = w.behaviour_id AND s.day = w.day AND {_OF_ROLE} LIMIT {SAMPLE}) AS few
      ORDER BY first_seen_at, node_id LIMIT 1) AS first
    JOIN nodes n USING (node_id) LEFT JOIN images i ON i.node_id = n.node_id AND i.path = b.path
    """  # noqa: S608 - constants
).bindparams(bindparam("behaviours", type_=ARRAY(Uuid)), bindparam("days", type_=ARRAY(Date)))


async def first_nodes(session: ReadSession, asked: Asked, listed: Sequence[Listed]) -> Mapping[UUID, FirstNode]:
    """The node that showed each first on its first day; of very many, one of the first."""
    values = {
        "role": asked.role_id,
        "behaviours": [tally.subject for tally, _ in listed],
        "days": [tally.first_day for tally, _ in listed],
    }
    return {behaviour: FirstNode(*node) for behaviour, *node in await session.execute(_FIRST_NODES, values)}


#: A node speaks when it said anything of the same direction and transport in the asked days.
_SILENT = text(
    f"""
    SELECT w.behaviour_id, count(*), count(*) FILTER (WHERE spoke.day IS NULL OR spoke.day <= :since)
    FROM unnest(:behaviours, :days) AS w(behaviour_id, day) JOIN behaviours b USING (behaviour_id)
    CROSS JOIN LATERAL (
      SELECT DISTINCT few.node_id FROM generate_series(0, :span - 1) AS back
      CROSS JOIN LATERAL (
        SELECT s.node_id FROM sightings s
        WHERE s.behaviour_id = w.behaviour_id AND s.day = w.day - back AND {_OF_ROLE} LIMIT {SAMPLE}) AS few
    ) AS shown
    LEFT JOIN node_tallies spoke ON spoke.node_id = shown.node_id AND spoke.subject = b.subjects[4]
    GROUP BY w.behaviour_id
    """  # noqa: S608 - constants
).bindparams(
    bindparam("behaviours", type_=ARRAY(Uuid)), bindparam("days", type_=ARRAY(Date)), bindparam("since", type_=Date)
)


async def silent_nodes(session: ReadSession, asked: Asked, listed: Sequence[Listed]) -> Mapping[UUID, tuple[int, int]]:
    """Of the nodes that showed each in the last days of it: how many were looked at, and how many are silent now."""
    values = {
        "role": asked.role_id,
        "since": asked.since,
        "span": asked.days,
        "behaviours": [tally.subject for tally, _ in listed],
        "days": [tally.day for tally, _ in listed],
    }
    return {behaviour: (nodes, silent) for behaviour, nodes, silent in await session.execute(_SILENT, values)}
