"""Asks for an exception: checks all that was asked, says what is wide about it, keeps it until somebody decides."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

from app.access.actor import Actor
from app.access.audit.actions import Action
from app.access.audit.deed import Deed
from app.access.audit.record import record
from app.baselines.exceptions import store
from app.baselines.exceptions.covering import shown_in
from app.baselines.exceptions.in_force import in_force
from app.baselines.exceptions.models import RequestedException
from app.baselines.exceptions.states import LONGEST, Risk, state_of
from app.baselines.found import TEXT_MAX
from app.database import Database, ReadSession, WriteSession
from app.detection.expectations import Expectation, breadth, faults
from app.detection.knob_rules import is_line
from app.findings.store import find_finding
from app.fleet.store import get_nodes
from app.problems import Conflict, Forbidden, InvalidRequest, NotFound

TICKET_MAX = 200
NODES_MAX = 100
LAST_NODE = 2**63 - 1  #: that a column can hold

Fault = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Why:
    """What whoever decides must know. `expires_at` None: the longest time there is."""

    reason: str
    business_need: str
    risk: Risk
    compensating_control: str
    ticket: str = ""
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for: a pattern, on the nodes of a role by its name, or on some nodes by their numbers."""

    expectation: Expectation
    why: Why
    role: str | None = None
    node_ids: tuple[int, ...] | None = None
    finding_id: UUID | None = None
    renewal_of: UUID | None = None


async def request(database: Database, actor: Actor, wanted: Wanted, now: datetime) -> UUID:
    """Keep a request; it covers nothing until somebody else approves it.

    Raises: InvalidRequest, naming each wrong field; Forbidden for who is no operator.
    """
    async with database.writing() as session:
        return await _keep(session, actor, wanted, now)


async def renew(database: Database, actor: Actor, exception_id: UUID, why: Why, now: datetime) -> UUID:
    """Ask for the same again, for another time. It needs an approval of its own.

    Raises: NotFound, Conflict for what was never approved or was taken back, and what `request` does.
    """
    async with database.writing() as session:
        old = await store.lock_exception(session, exception_id, actor.roles)
        if old is None:
            raise NotFound(f"no exception {exception_id}")
        if old.decision != "approved" or old.revoked_at is not None:
            state = state_of(old, now).value
            raise Conflict(f"only what was approved can be renewed; this one is {state}", field="exception_id")
        role = await store.role_name(session, old.role_id)
        nodes = None if old.node_ids is None else tuple(old.node_ids)
        wanted = Wanted(old.expectation, why, role, nodes, old.finding_id, exception_id)
        return await _keep(session, actor, wanted, now)


async def _keep(session: WriteSession, actor: Actor, wanted: Wanted, now: datetime) -> UUID:
    if actor.operator_id is None:
        raise Forbidden("an operator asks for an exception; no program and no account does", field="requested_by")
    row = _row(wanted, actor.operator_id, now)
    found = [*faults(wanted.expectation), *_faults_of_why(wanted.why, now)]
    found += await _faults_of_nodes(session, actor, wanted, row)
    if not found:  # a pattern with faults covers nothing
        found += await _faults_of_finding(session, actor, row)
    if found:
        errors = [{"pointer": field, "detail": sentence} for field, sentence in found]
        raise InvalidRequest("; ".join(f"{field}: {said}" for field, said in found), field=found[0][0], errors=errors)
    await store.insert_exception(session, row)
    record(
        session,
        actor,
        Deed(
            Action.EXCEPTION_REQUESTED,
            "exception",
            str(row.exception_id),
            after_sha256=asked_sha256(row),
            reason=wanted.why.reason,
        ),
    )
    return row.exception_id


def _row(wanted: Wanted, operator_id: int, now: datetime) -> RequestedException:
    pattern, why = wanted.expectation, wanted.why
    return RequestedException(
        exception_id=uuid4(),
        platform=pattern.platform.value,
        program=pattern.program,
        path=pattern.path,
        signer=pattern.signer,
        direction=pattern.direction.value,
        transport=pattern.transport.value,
        first_port=pattern.first_port,
        last_port=pattern.last_port,
        unit=pattern.unit,
        peer_scope=pattern.peer_scope.value if pattern.peer_scope else None,
        node_ids=None if wanted.node_ids is None else sorted(set(wanted.node_ids)),
        reason=why.reason,
        business_need=why.business_need,
        risk=why.risk.value,
        compensating_control=why.compensating_control,
        ticket=why.ticket,
        wide=list(breadth(pattern)),
        finding_id=wanted.finding_id,
        renewal_of=wanted.renewal_of,
        requested_by=operator_id,
        requested_at=now,
        expires_at=why.expires_at or now + LONGEST,
    )


#: What a decision is about: none of it changes afterwards.
_DECIDED_ON = (
    *("exception_id", "platform", "program", "path", "signer", "direction", "transport", "first_port", "last_port"),
    *("unit", "peer_scope", "role_id", "node_ids", "reason", "business_need", "risk", "compensating_control", "ticket"),
    *("finding_id", "renewal_of", "requested_by", "expires_at"),
)


def asked_sha256(row: RequestedException) -> bytes:
    """Of what was asked for, as canonical JSON: the audit log shows that just this was approved."""
    asked: dict[str, Any] = {name: getattr(row, name) for name in _DECIDED_ON}
    asked["expires_at"] = row.expires_at.astimezone(UTC).isoformat(timespec="microseconds")
    return sha256(json.dumps(asked, sort_keys=True, separators=(",", ":"), default=str).encode()).digest()


def _faults_of_why(why: Why, now: datetime) -> Iterator[Fault]:
    for field in ("reason", "business_need", "compensating_control"):
        if not is_line(getattr(why, field), TEXT_MAX):
            yield field, f"one visible line of at most {TEXT_MAX:,} characters that says something"
    if why.ticket and not is_line(why.ticket, TICKET_MAX):
        yield "ticket", f"one visible line of at most {TICKET_MAX} characters, or nothing"
    if why.expires_at is not None and why.expires_at <= now:
        yield "expires_at", f"{why.expires_at.isoformat()} is past"
    if why.expires_at is not None and why.expires_at > now + LONGEST:
        yield "expires_at", f"an exception is for {LONGEST.days} days at most, then somebody must look at it again"


async def _faults_of_nodes(session: ReadSession, actor: Actor, wanted: Wanted, row: RequestedException) -> list[Fault]:
    """Also gives the row its role."""
    if (wanted.role is None) == (wanted.node_ids is None):
        return [("role", "say for which role, or for which nodes, and not both")]
    if wanted.role is not None:
        row.role_id = await store.find_role(session, wanted.role)
        hidden = actor.roles is not None and row.role_id not in actor.roles
        return [("role", f"no role {wanted.role[:100]!r}")] if row.role_id is None or hidden else []
    return await _faults_of_list(session, actor, row)


async def _faults_of_list(session: ReadSession, actor: Actor, row: RequestedException) -> list[Fault]:
    ids = row.node_ids or []
    if not 1 <= len(ids) <= NODES_MAX:
        return [("node_ids", f"1 to {NODES_MAX} nodes; for more there are roles")]
    nodes = {
        each.node_id: each.platform
        for each in await get_nodes(session, [each for each in ids if 0 < each <= LAST_NODE])
        if actor.roles is None or each.role_id in actor.roles
    }
    if unknown := [each for each in ids if each not in nodes]:
        return [("node_ids", f"no node {', '.join(map(str, unknown[:5]))[:TICKET_MAX]}")]
    others = [each for each in ids if nodes[each] != row.platform]
    return [("node_ids", f"no {row.platform}: {', '.join(map(str, others[:5]))}")] if others else []


async def _faults_of_finding(session: ReadSession, actor: Actor, row: RequestedException) -> list[Fault]:
    if row.finding_id is None or row.renewal_of is not None:
        return []
    found = await find_finding(session, row.finding_id, actor.roles)
    if found is None:
        return [("finding_id", f"no finding {row.finding_id}")]
    covers = in_force(row).covers(shown_in(found[0], found[1]), row.requested_at)
    return [] if covers else [("finding_id", "this would not cover the finding that it is asked from")]
