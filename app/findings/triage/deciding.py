"""Gives findings the states that people decide on: one, many alike, or a fleet finding with those of its nodes.

All or nothing, each with its row; one event in the audit log holds the hash of these rows.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

from app.access.actor import Actor
from app.access.audit.actions import Action
from app.access.audit.deed import Deed
from app.access.audit.record import record
from app.database import Database, WriteSession
from app.findings.changes import StateChange, change_states
from app.findings.models import FleetFinding
from app.findings.states import BY_PEOPLE, CLOSED, State, impossible, refusal, words
from app.findings.triage import store
from app.findings.triage.checks import faults
from app.findings.triage.store import Locked
from app.findings.triage.words import REFERENCE_MAX, TEXT_MAX, is_reference, is_text
from app.problems import Conflict, InvalidRequest, NotFound

#: Findings of one decision.
BULK_MAX = 500
#: So many that refuse are named in the sentence; `errors` has all.
_SAID_MAX = 5


@dataclass(frozen=True, slots=True)
class Decision:
    """`seen`: the state in which whoever decides saw the finding. `reference`: a ticket or an incident."""

    state: State
    reason: str
    checks: dict[str, Any] | None = None
    seen: State | None = None
    reference: str = ""


async def decide(database: Database, actor: Actor, finding_id: UUID, decision: Decision, now: datetime) -> None:
    """Raises: InvalidRequest, NotFound, Conflict that names the state now."""
    _check(decision)
    async with database.writing() as session:
        there = await store.lock(session, [finding_id], actor.roles)
        if not there:
            raise NotFound(f"no finding {finding_id}")
        _demand(there[0].state, decision)
        await _change(session, actor, there, decision, ("finding", finding_id), now)


async def decide_many(
    database: Database, actor: Actor, finding_ids: Sequence[UUID], decision: Decision, now: datetime
) -> UUID:
    """One decision on like findings, all or none. Returns what their changes have in common.

    Raises: InvalidRequest, NotFound, Conflict; the last two name each finding that stands in the way.
    """
    _check(decision, *_faults_of(finding_ids))
    bulk = uuid4()
    async with database.writing() as session:
        there = await store.lock(session, finding_ids, actor.roles)
        states = {each.finding_id: each.state for each in there}
        if missing := [(each, "there is no such finding") for each in finding_ids if each not in states]:
            raise NotFound(f"{len(missing)} of the findings are not there", errors=_named(finding_ids, missing))
        judged = [(each, _refused(states[each], decision)) for each in finding_ids]
        if refusing := [(each, why) for each, why in judged if why]:
            first = "; ".join(f"{each}: {why}" for each, why in refusing[:_SAID_MAX])
            text = f"{len(refusing)} of {len(finding_ids)} refuse, and nothing was changed: {first}"
            raise Conflict(text, errors=_named(finding_ids, refusing))
        await _change(session, actor, there, decision, ("finding_bulk", bulk), now)
    return bulk


async def decide_fleet(database: Database, actor: Actor, fleet_id: UUID, decision: Decision, now: datetime) -> int:
    """A fleet finding, and whichever of its nodes' findings may become the same. Returns how many of these did.

    Raises: InvalidRequest, NotFound, Conflict.
    """
    _check(decision)
    async with database.writing() as session:
        fleet = await store.lock_fleet(session, fleet_id)
        if fleet is None:
            raise NotFound(f"no fleet finding {fleet_id}")
        _demand(State(fleet.state), decision)
        if decision.state is State.REOPENED:
            await _demand_place(session, fleet)
        from_states = [state for state, after in BY_PEOPLE.items() if decision.state in after]
        members = await store.lock_members(session, fleet_id, from_states)
        await _change(session, actor, members, decision, ("fleet_finding", fleet_id), now)
        if decision.state is State.REOPENED:
            await store.rejoin(session, fleet_id, [each.finding_id for each in members])
        await store.set_fleet_state(session, fleet_id, decision.state)
    return len(members)


async def _change(
    session: WriteSession,
    actor: Actor,
    there: Sequence[Locked],
    decision: Decision,
    what: tuple[str, UUID],
    now: datetime,
) -> None:
    """Change the rows and log it as one deed on `what`, which the rows of several findings name."""
    of_one = what[0] == "finding"
    reference = " ".join(filter(None, ("" if of_one else f"{what[0]} {what[1]}", decision.reference)))
    checks = decision.checks if decision.state in CLOSED else None
    changes = [
        StateChange(each.finding_id, each.node_id, each.state, decision.state, decision.reason, checks, None, reference)
        for each in there
    ]
    await change_states(session, actor, changes, now)
    said = f"{decision.state.value}{'' if of_one else f', {len(there)} findings'}: {decision.reason}"
    deed = Deed(Action.FINDING_TRIAGED, what[0], str(what[1]), after_sha256=_hash(changes), reason=said)
    record(session, actor, deed)


def _hash(changes: Sequence[StateChange]) -> bytes:
    """Of the rows as compact JSON, a line each, in the order of the findings."""
    rows = sorted(
        (str(each.finding_id), each.before.value, each.after.value, each.reason, each.checks, each.reference)
        for each in changes
    )
    lines = (json.dumps(row, separators=(",", ":"), sort_keys=True) for row in rows)
    return sha256("\n".join(lines).encode()).digest()


def _check(decision: Decision, *more: tuple[str, str]) -> None:
    errors = [{"pointer": pointer, "detail": detail} for pointer, detail in (*more, *_faults(decision))]
    if errors:
        raise InvalidRequest("; ".join(f"{each['pointer']}: {each['detail']}" for each in errors), errors=errors)


def _faults(decision: Decision) -> Iterator[tuple[str, str]]:
    if why := impossible(decision.state):
        yield "state", f"no person gives {words(decision.state)}: {why}"
    if not is_text(decision.reason):
        yield "reason", f"say why, in visible text of at most {TEXT_MAX:,} characters"
    if not is_reference(decision.reference):
        yield "reference", f"one visible line of at most {REFERENCE_MAX} characters"
    if decision.state in CLOSED:
        yield from faults(decision.checks)
    elif decision.checks is not None:
        yield "checks", f"they belong to a closing, and {words(decision.state)} is none"


def _faults_of(finding_ids: Sequence[UUID]) -> Iterator[tuple[str, str]]:
    if not 1 <= len(finding_ids) <= BULK_MAX:
        yield "finding_ids", f"name 1 to {BULK_MAX}"
    elif len(set(finding_ids)) < len(finding_ids):
        yield "finding_ids", "one of them stands there twice"


def _refused(state: State, decision: Decision) -> str:
    if decision.seen not in {None, state}:
        return f"it is {words(state)} by now"
    return refusal(state, decision.state)


def _demand(state: State, decision: Decision) -> None:
    """Raises: Conflict."""
    if why := _refused(state, decision):
        raise Conflict(why, field="state", state=state.value)


async def _demand_place(session: WriteSession, fleet: FleetFinding) -> None:
    """Raises: Conflict when another fleet finding has taken its place since."""
    if other := await store.open_fleet_of(session, fleet.behaviour_id):
        raise Conflict(f"fleet finding {other} has taken its place since", field="state", state=fleet.state)


def _named(finding_ids: Sequence[UUID], faulty: Sequence[tuple[UUID, str]]) -> list[dict[str, str]]:
    place = {each: number for number, each in enumerate(finding_ids)}
    return [
        {"pointer": f"finding_ids/{place[each]}", "finding_id": str(each), "detail": detail} for each, detail in faulty
    ]
