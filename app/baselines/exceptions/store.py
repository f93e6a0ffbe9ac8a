"""The SQL of exceptions."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    DateTime,
    Row,
    Uuid,
    and_,
    bindparam,
    case,
    exists,
    false,
    func,
    or_,
    select,
    text,
    true,
    update,
)
from sqlalchemy.orm import aliased

from app.access.models import Operator
from app.baselines.exceptions.models import ExceptionDay, RequestedException
from app.baselines.exceptions.states import ExceptionState
from app.database import ReadSession, WriteSession
from app.detection.expectations import ANY_PROGRAM, Expectation
from app.findings.models import Finding, FindingChange
from app.findings.states import State
from app.findings.store import among
from app.fleet.models import Node, Role
from app.observations.models import Behaviour

_DUTY = "approver"
_Requester, _Decider, _Revoker = aliased(Operator), aliased(Operator), aliased(Operator)


def state_at(now: datetime) -> ColumnElement[str]:
    """`state_of` in SQL."""
    one = RequestedException
    return case(
        (one.revoked_at.is_not(None), ExceptionState.REVOKED.value),
        (one.decision == "rejected", ExceptionState.REJECTED.value),
        (one.expires_at <= now, ExceptionState.EXPIRED.value),
        (one.decision == "approved", ExceptionState.ACTIVE.value),
        else_=ExceptionState.PENDING.value,
    )


def is_granted() -> ColumnElement[bool]:
    """Approved, and not taken back."""
    return and_(RequestedException.decision == "approved", RequestedException.revoked_at.is_(None))


def of_roles(roles: Collection[int] | None) -> list[ColumnElement[bool]]:
    """What keeps a list to exceptions for nothing but nodes of some roles; nothing for who may see every one."""
    if roles is None:
        return []
    theirs = select(func.array_agg(Node.node_id)).where(Node.role_id.in_(roles)).scalar_subquery()
    return [or_(RequestedException.role_id.in_(roles), RequestedException.node_ids.contained_by(theirs))]


def speaks_of(node_id: int) -> ColumnElement[bool]:
    """Exceptions for a node, by its number or by its role and platform now."""
    its = exists().where(
        Node.node_id == node_id,
        Node.role_id == RequestedException.role_id,
        Node.platform == RequestedException.platform,
    )
    return or_(RequestedException.node_ids.contains([node_id]), its)


Listed = Row[RequestedException, str, str | None, str | None, str | None]


async def list_exceptions(
    session: ReadSession, conditions: Sequence[Any], order: Sequence[Any], limit: int
) -> Sequence[Listed]:
    """Each with the names of who asked, who decided, who took it back, and of the role."""
    one = RequestedException
    query = (
        select(one, _Requester.name, _Decider.name, _Revoker.name, Role.name)
        .join(_Requester, _Requester.operator_id == one.requested_by)
        .outerjoin(_Decider, _Decider.operator_id == one.decided_by)
        .outerjoin(_Revoker, _Revoker.operator_id == one.revoked_by)
        .outerjoin(Role, Role.role_id == one.role_id)
    )
    return (await session.execute(query.where(*conditions).order_by(*order).limit(limit))).all()


def asked_by(name: str) -> ColumnElement[bool]:
    return _Requester.name == name


async def lock_exception(
    session: WriteSession, exception_id: UUID, roles: Collection[int] | None
) -> RequestedException | None:
    query = select(RequestedException).where(RequestedException.exception_id == exception_id, *of_roles(roles))
    return await session.scalar(query.with_for_update().execution_options(populate_existing=True))


async def insert_exception(session: WriteSession, row: RequestedException) -> None:
    session.add(row)
    await session.flush()


async def set_values(session: WriteSession, exception_id: UUID, **values: object) -> None:
    one = RequestedException
    await session.execute(update(one).where(one.exception_id == exception_id).values(**values))


async def closed_as_false(session: ReadSession, operator_id: int, findings: Collection[UUID]) -> UUID | None:
    """One of the findings that an operator closed as a false positive at some time."""
    query = select(FindingChange.finding_id).where(
        FindingChange.operator_id == operator_id,
        FindingChange.to_state == State.FALSE_POSITIVE.value,
        FindingChange.finding_id == among(findings),
    )
    return await session.scalar(query.limit(1))


async def nodes_in(session: ReadSession, platform: str, node_ids: Collection[int] | None, role_id: int | None) -> int:
    """Nodes of the platform that an exception for these nodes, or for this role, speaks of now."""
    query = select(func.count()).select_from(Node).where(Node.platform == platform)
    if node_ids is None:
        return await session.scalar(query.where(Node.role_id == role_id)) or 0
    return await session.scalar(query.where(Node.node_id.in_(node_ids))) or 0


async def find_role(session: ReadSession, name: str) -> int | None:
    return await session.scalar(select(Role.role_id).where(Role.name == name))


async def role_name(session: ReadSession, role_id: int | None) -> str | None:
    return await session.scalar(select(Role.name).where(Role.role_id == role_id)) if role_id is not None else None


Candidate = Row[Finding, Behaviour, str]


async def candidates(session: ReadSession, one: RequestedException, conditions: Sequence[Any]) -> Sequence[Candidate]:
    """Findings that an exception may cover, by what can be looked up fast; each with its behaviour and host name."""
    wanted = one.expectation
    of_nodes = Finding.role_id == one.role_id if one.node_ids is None else Finding.node_id.in_(one.node_ids)
    query = (
        select(Finding, Behaviour, Node.hostname)
        .join(Behaviour, Behaviour.behaviour_id == Finding.behaviour_id)
        .join(Node, Node.node_id == Finding.node_id)
        .where(of_nodes, *_may_show(wanted), *conditions)
    )
    return (await session.execute(query.order_by(Finding.score.desc(), Finding.finding_id))).all()


def _may_show(wanted: Expectation) -> list[ColumnElement[bool]]:
    return [
        Behaviour.platform == wanted.platform.value,
        Behaviour.direction == wanted.direction.value,
        Behaviour.transport == wanted.transport.value,
        true() if wanted.program == ANY_PROGRAM else Behaviour.name == wanted.program,
        Finding.signer == wanted.signer if wanted.signer else true(),
    ]


def is_open_or_covered_by(exception_id: UUID | None) -> ColumnElement[bool]:
    return or_(Finding.is_open, false() if exception_id is None else covered_by(exception_id))


def covered_by(exception_id: UUID) -> ColumnElement[bool]:
    """Findings that are excepted by just this one."""
    return and_(Finding.exception_id == exception_id, Finding.state == State.EXCEPTED.value)


_LAST_BY_A_PERSON = """(
    SELECT c.operator_id IS NOT NULL FROM finding_changes c WHERE c.finding_id = f.finding_id AND c.kind = 'state'
    ORDER BY c.change_id DESC LIMIT 1)"""

_SHOWN = text(
    f"""
    SELECT f.finding_id FROM unnest(:nodes, :behaviours) AS w(node_id, behaviour_id)
    JOIN findings f ON f.node_id = w.node_id AND f.behaviour_id = w.behaviour_id AND f.state <> 'withdrawn'
    WHERE f.state = 'excepted' OR (f.state IN ('open', 'reopened') AND {_LAST_BY_A_PERSON} IS NOT TRUE)
    """  # noqa: S608 - a constant
).bindparams(bindparam("nodes", type_=ARRAY(BigInteger)), bindparam("behaviours", type_=ARRAY(Uuid)))


async def findings_shown(session: WriteSession, pairs: Collection[tuple[int, UUID]]) -> Sequence[UUID]:
    """Of (node, behaviour) pairs the findings whose state is no person's: excepted ones, and open ones as they came."""
    nodes, behaviours = (list(column) for column in zip(*pairs, strict=True))
    return (await session.scalars(_SHOWN, {"nodes": nodes, "behaviours": behaviours})).all()


async def behaviours_of(session: ReadSession, findings: Sequence[Finding]) -> dict[UUID, Behaviour]:
    ids = {each.behaviour_id for each in findings}
    found = await session.scalars(select(Behaviour).where(Behaviour.behaviour_id == among(ids)))
    return {each.behaviour_id: each for each in found}


async def decisions_made(session: ReadSession) -> tuple[int, int, int]:
    """How many were ever approved, taken back and over; whoever saw the same numbers before has missed nothing."""
    one = RequestedException
    query = select(
        func.count().filter(one.decision == "approved"),
        func.count().filter(one.decision == "approved", one.revoked_at.is_not(None)),
        func.count(one.expired_noted_at),
    )
    approved, revoked, over = (await session.execute(query)).one()
    return approved, revoked, over


async def active(session: ReadSession, now: datetime) -> Sequence[RequestedException]:
    """An end that was noted stands, also where another worker's clock is behind."""
    one = RequestedException
    query = select(one).where(is_granted(), one.expires_at > now, one.expired_noted_at.is_(None))
    return (await session.scalars(query)).all()


async def expired_unnoted(session: ReadSession, now: datetime, limit: int) -> Sequence[UUID]:
    one = RequestedException
    query = select(one.exception_id).where(is_granted(), one.expires_at <= now, one.expired_noted_at.is_(None))
    return (await session.scalars(query.order_by(one.expires_at, one.exception_id).limit(limit))).all()


async def lock_unannounced(session: WriteSession, now: datetime, until: datetime) -> Sequence[RequestedException]:
    """Active ones that end by then. What another worker announces just now is left to it."""
    one = RequestedException
    ending = (is_granted(), one.expires_at > now, one.expires_at <= until, one.announced_at.is_(None))
    query = select(one).where(*ending).order_by(one.exception_id)
    return (await session.scalars(query.with_for_update(skip_locked=True))).all()


async def count_active(session: ReadSession, now: datetime, until: datetime) -> tuple[int, int]:
    """Active ones, and those among them that end by then."""
    one = RequestedException
    query = select(func.count(), func.count().filter(one.expires_at <= until)).where(is_granted(), one.expires_at > now)
    total, ending = (await session.execute(query)).one()
    return total, ending


_COUNT = text(
    """
    INSERT INTO exception_days AS d (exception_id, day, sightings, last_seen_at)
    SELECT e, :day, count(*), max(at) FROM unnest(:exceptions, :instants) AS w(e, at) GROUP BY e ORDER BY e
    ON CONFLICT (exception_id, day) DO UPDATE SET sightings = d.sightings + excluded.sightings,
      last_seen_at = greatest(d.last_seen_at, excluded.last_seen_at)
    """
).bindparams(
    bindparam("exceptions", type_=ARRAY(Uuid)),
    bindparam("instants", type_=ARRAY(DateTime(timezone=True))),
)


async def count_days(session: WriteSession, day: date, seen: Sequence[tuple[UUID, datetime]]) -> None:
    """Add sightings of a day, as (exception, when)."""
    if seen:
        exceptions, instants = (list(column) for column in zip(*seen, strict=True))
        await session.execute(_COUNT, {"day": day, "exceptions": exceptions, "instants": instants})


async def count_seen(session: ReadSession, exception_id: UUID) -> tuple[int, datetime | None]:
    """Sightings that it covered, and the last of them."""
    query = select(func.coalesce(func.sum(ExceptionDay.sightings), 0), func.max(ExceptionDay.last_seen_at))
    total, last = (await session.execute(query.where(ExceptionDay.exception_id == exception_id))).one()
    return int(total), last


async def count_findings(session: ReadSession, exception_id: UUID) -> int:
    """Findings that are excepted by it now."""
    return await session.scalar(select(func.count()).select_from(Finding).where(covered_by(exception_id))) or 0
