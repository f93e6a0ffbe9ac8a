"""The SQL of investigations. Whoever changes one locks it first, by its id, so that answers follow each other."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, and_, exists, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert

from app.database import ReadSession, WriteSession
from app.findings.investigations.models import Investigation, InvestigationAnswer
from app.findings.models import Finding
from app.findings.store import of_roles
from app.fleet.models import Node, NodeKey

#: Any number that is ours alone: one worker at a time asks by itself.
OWN_LOCK = 0x496E7671


async def has_key(session: ReadSession, node_id: int, now: datetime) -> bool:
    """Whether the node is an agent of ours. What another manager's agents told has no key."""
    valid = or_(NodeKey.retires_at.is_(None), NodeKey.retires_at >= now)
    return bool(await session.scalar(select(exists().where(NodeKey.node_id == node_id, valid))))


async def insert_investigation(
    session: WriteSession, values: dict[str, Any], answers: Sequence[dict[str, Any]]
) -> bool:
    """False when another one of the finding runs."""
    added = insert(Investigation).values(**values)
    added = added.on_conflict_do_nothing(index_elements=["finding_id"], index_where=text("ended_at IS NULL"))
    if await session.scalar(added.returning(Investigation.investigation_id)) is None:
        return False
    await session.execute(insert(InvestigationAnswer), answers)
    return True


async def running_of(session: ReadSession, finding_id: UUID) -> UUID | None:
    query = select(Investigation.investigation_id)
    return await session.scalar(query.where(Investigation.finding_id == finding_id, Investigation.ended_at.is_(None)))


async def nodes_that_wait(session: ReadSession) -> Sequence[int]:
    """Of every investigation that runs; by an index that holds no others."""
    query = select(Investigation.node_id).distinct().where(Investigation.ended_at.is_(None))
    return (await session.scalars(query)).all()


async def lock_running(session: WriteSession, *conditions: Any, limit: int) -> Sequence[Investigation]:
    """Those that run, but for those that somebody else has in hand."""
    query = select(Investigation).where(Investigation.ended_at.is_(None), *conditions)
    query = query.order_by(Investigation.investigation_id).limit(limit).with_for_update(skip_locked=True)
    return (await session.scalars(query.execution_options(populate_existing=True))).all()


def of_node(node_id: int, now: datetime) -> Any:
    """What a node is still asked."""
    return and_(Investigation.node_id == node_id, Investigation.expires_at > now)


def overdue(now: datetime, silent_since: datetime, times: int) -> Any:
    """Expired; or all that is not answered was sent often enough, and the last time is long ago."""
    answer = InvestigationAnswer
    hopeful = exists().where(
        answer.investigation_id == Investigation.investigation_id,
        answer.answered_at.is_(None),
        or_(answer.times_sent < times, answer.sent_at >= silent_since),
    )
    return or_(Investigation.expires_at <= now, ~hopeful)


async def lock_asked(session: WriteSession, node_id: int, answer_ids: Collection[UUID]) -> Sequence[Investigation]:
    """The investigations in which the node was asked so, whether they run or not."""
    asked = select(InvestigationAnswer.investigation_id).where(
        InvestigationAnswer.node_id == node_id, InvestigationAnswer.answer_id.in_(answer_ids)
    )
    query = select(Investigation).where(Investigation.investigation_id.in_(asked))
    query = query.order_by(Investigation.investigation_id).with_for_update()
    return (await session.scalars(query.execution_options(populate_existing=True))).all()


async def answers_of(
    session: ReadSession, investigations: Collection[UUID], *conditions: Any
) -> Sequence[InvestigationAnswer]:
    """With their rows, by investigation and question."""
    query = select(InvestigationAnswer).where(InvestigationAnswer.investigation_id.in_(investigations), *conditions)
    query = query.order_by(InvestigationAnswer.investigation_id, InvestigationAnswer.question)
    return (await session.scalars(query.execution_options(populate_existing=True))).all()


def unanswered() -> Any:
    return InvestigationAnswer.answered_at.is_(None)


def named(answer_ids: Collection[UUID]) -> Any:
    return InvestigationAnswer.answer_id.in_(answer_ids)


def due(silent_since: datetime, times: int) -> Any:
    """Not sent yet, or so long ago that the agent must have lost it."""
    answer = InvestigationAnswer
    again = and_(answer.sent_at < silent_since, answer.times_sent < times)
    return and_(answer.answered_at.is_(None), or_(answer.sent_at.is_(None), again))


async def mark_sent(session: WriteSession, answer_ids: Collection[UUID], now: datetime) -> None:
    answer = InvestigationAnswer
    sent = update(answer).where(answer.answer_id.in_(answer_ids))
    await session.execute(sent.values(sent_at=now, times_sent=answer.times_sent + 1))


async def file_answer(session: WriteSession, answer_id: UUID, values: dict[str, Any]) -> None:
    await session.execute(
        update(InvestigationAnswer).where(InvestigationAnswer.answer_id == answer_id).values(**values)
    )


async def set_state(session: WriteSession, investigation_id: UUID, state: str, ended_at: datetime | None) -> None:
    changed = update(Investigation).where(Investigation.investigation_id == investigation_id)
    await session.execute(changed.values(state=state, ended_at=ended_at))


Listed = Row[Investigation, Node]


async def list_investigations(
    session: ReadSession, conditions: Sequence[Any], order: Sequence[Any], limit: int, roles: Collection[int] | None
) -> Sequence[Listed]:
    """`roles`: of the finding, as the operator may see them."""
    query = (
        select(Investigation, Node)
        .join(Node, Node.node_id == Investigation.node_id)
        .join(Finding, Finding.finding_id == Investigation.finding_id)
    )
    return (await session.execute(query.where(*conditions, *of_roles(roles)).order_by(*order).limit(limit))).all()


async def is_alone(session: WriteSession) -> bool:
    """Whether nobody else asks by itself, until this transaction ends."""
    return bool(await session.scalar(select(func.pg_try_advisory_xact_lock(OWN_LOCK))))


_NEW_HIGH = text(
    """
    SELECT DISTINCT ON (f.node_id) f.finding_id
    FROM findings f JOIN nodes n USING (node_id)
    WHERE f.opened_at > :since AND f.severity = 'high' AND f.is_open AND f.fleet_finding_id IS NULL
      AND n.platform IN ('windows', 'macos') AND n.revoked_at IS NULL
      AND EXISTS (SELECT FROM node_keys k WHERE k.node_id = f.node_id
                  AND (k.retires_at IS NULL OR k.retires_at >= :now))
      AND NOT EXISTS (SELECT FROM investigations i WHERE i.finding_id = f.finding_id)
      AND :per_node > (SELECT count(*) FROM investigations i
                       WHERE i.node_id = f.node_id AND i.operator_id IS NULL AND i.asked_at > :since)
    ORDER BY f.node_id, f.score DESC, f.finding_id
    LIMIT greatest(0, :per_day - (SELECT count(*) FROM investigations i
                                  WHERE i.operator_id IS NULL AND i.asked_at > :since))
    """
)


async def new_high_findings(
    session: ReadSession, now: datetime, since: datetime, *, per_node: int, per_day: int
) -> Sequence[UUID]:
    """High findings that nobody investigated, of nodes that can be asked, one a node; bounded since `since`."""
    values = {"now": now, "since": since, "per_node": per_node, "per_day": per_day}
    return (await session.scalars(_NEW_HIGH, values)).all()
