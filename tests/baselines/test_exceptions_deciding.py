"""Two people, one decision; a refusal says which separation stands in the way and changes nothing."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.access.actor import Actor, AuthMethod, os_account
from app.access.duties import Duty
from app.baselines.exceptions.deciding import Decision, approve, reject, revoke
from app.clock import utc_now
from app.database import Database
from app.findings.changes import StateChange, change_states
from app.findings.models import Finding
from app.findings.states import State
from app.findings.store import lock_findings
from app.problems import Conflict, Forbidden, InvalidRequest, NotFound, Problem
from tests.baselines.excepting import (
    DAY,
    a_person,
    asked,
    audited,
    changes_of,
    finding_of,
    granted,
    judge,
    show,
    state_of_finding,
)
from tests.factories import Server, a_line, a_log, a_node, an_outbound_row
from tests.findings.found import CHECKS
from tests.observations.stored import ask, node_of, tell

YES = Decision("seen with its owners")


@pytest.fixture
async def key(server: Server) -> str:
    """A node with a finding."""
    key = await a_node(server)
    await show(server, key)
    return key


async def for_node(server: Server, key: str, **given: Any) -> UUID:
    now = given.pop("now", utc_now())
    return await asked(server.database, now, node_ids=(await node_of(server.database, key),), **given)


async def row(database: Database, exception_id: UUID) -> tuple[Any, ...]:
    columns = "decision, decided_by, override_reason, revoked_by"
    return (await ask(database, f"SELECT {columns} FROM exceptions WHERE exception_id = :id", id=exception_id))[0]


async def refused(server: Server, by: Actor, made: UUID, decision: Decision = YES, field: str = "decided_by") -> None:
    """Nothing changes, and the audit log says who tried."""
    with pytest.raises(Forbidden) as refusal:
        await approve(server.database, by, made, decision, utc_now())
    assert refusal.value.extra["field"] == field
    assert (await row(server.database, made))[0] is None
    assert (await audited(server.database, made))[-1] == ("exception_decided", "denied")


async def test_an_approval_excepts_what_is_open_and_names_it(server: Server, key: str) -> None:
    made, by = await for_node(server, key), await a_person(server.database, Duty.APPROVER)
    assert await state_of_finding(server, key) == "open"
    found = await approve(server.database, by, made, YES, utc_now())
    assert [(each[0].node_id, before) for each, before in found] == [(await node_of(server.database, key), State.OPEN)]
    said = (by.name, "excepted", f"exception {made} approved: {YES.reason}")
    assert await changes_of(server, key) == [said]
    assert [action for action, _ in await audited(server.database, made)] == [
        "exception_requested", "exception_approved"
    ]  # fmt: skip


async def test_the_audit_log_shows_that_just_what_was_asked_for_was_approved(server: Server, key: str) -> None:
    made = await for_node(server, key)
    await approve(server.database, await a_person(server.database, Duty.APPROVER), made, YES, utc_now())
    hashes = "SELECT count(DISTINCT line::jsonb->>'after_sha256'), count(*) FROM audit_events WHERE object_id = :id"
    assert await ask(server.database, hashes, id=str(made)) == [(1, 2)]


async def test_a_rejection_covers_nothing(server: Server, key: str) -> None:
    made, by = await for_node(server, key), await a_person(server.database, Duty.APPROVER)
    await reject(server.database, by, made, YES, utc_now())
    assert await row(server.database, made) == ("rejected", by.operator_id, None, None)
    assert await state_of_finding(server, key) == "open"
    with pytest.raises(Conflict):
        await approve(server.database, await a_person(server.database, Duty.APPROVER), made, YES, utc_now())


async def test_of_two_approvers_at_once_one_decides(server: Server, key: str) -> None:
    made = await for_node(server, key)
    people = [await a_person(server.database, Duty.APPROVER) for _ in range(4)]
    verbs = (approve, reject, approve, reject)
    now = utc_now()
    done = await asyncio.gather(
        *(verb(server.database, by, made, YES, now) for verb, by in zip(verbs, people, strict=True)),
        return_exceptions=True,
    )
    assert sorted(type(each).__name__ for each in done if isinstance(each, Problem)) == ["Conflict"] * 3
    [winner] = [number for number, each in enumerate(done) if not isinstance(each, Problem)]
    assert (await row(server.database, made))[1] == people[winner].operator_id
    assert await state_of_finding(server, key) == ("excepted" if verbs[winner] is approve else "open")


async def test_who_asked_does_not_decide(server: Server, key: str) -> None:
    ada = await a_person(server.database, Duty.ANALYST, Duty.APPROVER)
    made = await for_node(server, key, by=ada)
    await refused(server, ada, made)
    await refused(server, ada, made, Decision("x", "I am in a hurry"), field="override_reason")


@pytest.fixture
async def alone(server: Server) -> AsyncIterator[Actor]:
    """The one approver there is, who asks as well."""
    away = "UPDATE operators SET disabled_at = now() WHERE 'approver' = ANY(duties)"
    await tell(server.database, away)
    yield await a_person(server.database, Duty.ANALYST, Duty.APPROVER)
    await tell(server.database, "UPDATE operators SET disabled_at = NULL")


async def test_the_only_approver_may_override_aloud(server: Server, key: str, alone: Actor) -> None:
    made = await for_node(server, key, by=alone)
    await approve(server.database, alone, made, Decision("x", "there is nobody else"), utc_now())
    assert await row(server.database, made) == ("approved", alone.operator_id, "there is nobody else", None)
    reason = "SELECT line::jsonb->>'reason' FROM audit_events WHERE object_id = :id AND action = 'exception_approved'"
    assert await ask(server.database, reason, id=str(made)) == [
        ("x; OVERRIDE by the only approver: there is nobody else",)
    ]


async def test_there_is_nothing_to_override_in_anothers_request(server: Server, key: str, alone: Actor) -> None:
    made = await for_node(server, key)
    with pytest.raises(InvalidRequest) as refusal:
        await approve(server.database, alone, made, Decision("x", "to be sure"), utc_now())
    assert refusal.value.extra["field"] == "override_reason"


@pytest.mark.parametrize("change", ["duties = '{analyst}'", "disabled_at = now()"])
async def test_who_lost_the_duty_meanwhile_does_not_decide(server: Server, key: str, change: str) -> None:
    made, by = await for_node(server, key), await a_person(server.database, Duty.APPROVER)
    await tell(server.database, f"UPDATE operators SET {change} WHERE operator_id = :by", by=by.operator_id)
    await refused(server, by, made)


@pytest.mark.parametrize("nobody", [os_account("root"), Actor("token ci", AuthMethod.TOKEN)])
async def test_no_program_and_no_account_decides(server: Server, key: str, nobody: Actor) -> None:
    await refused(server, nobody, await for_node(server, key))


async def test_who_closed_a_finding_as_false_does_not_accept_it(server: Server, key: str) -> None:
    ada = await a_person(server.database, Duty.ANALYST, Duty.APPROVER)
    found = await finding_of(server, key)
    async with server.database.writing() as session:
        [locked] = await lock_findings(session, [Finding.finding_id == found["finding_id"]])
        states = [State.OPEN, State.FALSE_POSITIVE, State.REOPENED]
        for before, after in pairwise(states):
            checks = CHECKS if after is State.FALSE_POSITIVE else None
            change = StateChange(locked.finding_id, locked.node_id, before, after, "x", checks=checks)
            await change_states(session, ada, [change], utc_now())
    await refused(server, ada, await for_node(server, key, finding_id=found["finding_id"]))
    await refused(server, ada, await for_node(server, key))
    made = await for_node(server, key, finding_id=found["finding_id"])
    await approve(server.database, await a_person(server.database, Duty.APPROVER), made, YES, utc_now())
    assert await state_of_finding(server, key) == "excepted"


@pytest.mark.parametrize("text", ["", "  ", "two\nlines", "x" * 1001])
async def test_a_decision_says_why(server: Server, key: str, text: str) -> None:
    made, by = await for_node(server, key), await a_person(server.database, Duty.APPROVER)
    for decision, field in ((Decision(text), "reason"), (Decision("x", text), "override_reason")):
        with pytest.raises(InvalidRequest) as refusal:
            await approve(server.database, by, made, decision, utc_now())
        assert refusal.value.extra["field"] == field
    assert (await row(server.database, made))[0] is None


async def test_what_would_have_ended_is_not_approved(server: Server, key: str) -> None:
    start = utc_now() - 3 * DAY
    made = await for_node(server, key, now=start, until=start + DAY)
    by = await a_person(server.database, Duty.APPROVER)
    with pytest.raises(Conflict) as refusal:
        await approve(server.database, by, made, YES, start + DAY)
    assert refusal.value.extra["field"] == "expires_at"
    await approve(server.database, by, made, YES, start + DAY - timedelta(microseconds=1))


async def test_nobody_decides_on_what_is_not_there(server: Server) -> None:
    by = await a_person(server.database, Duty.APPROVER)
    with pytest.raises(NotFound):
        await approve(server.database, by, uuid4(), YES, utc_now())


async def test_who_asked_takes_it_back_before_and_after_a_decision(server: Server, key: str) -> None:
    ada = await a_person(server.database, Duty.ANALYST)
    made, other = [await for_node(server, key, by=ada) for _ in range(2)]
    await approve(server.database, await a_person(server.database, Duty.APPROVER), other, YES, utc_now())
    for each in (made, other):
        await revoke(server.database, ada, each, "not needed", utc_now(), own=True)
        assert (await row(server.database, each))[3] == ada.operator_id
        with pytest.raises(Conflict):
            await revoke(server.database, ada, each, "again", utc_now(), own=True)
    with pytest.raises(Conflict):
        await approve(server.database, await a_person(server.database, Duty.APPROVER), made, YES, utc_now())
    assert await state_of_finding(server, key) == "reopened"


async def test_another_analyst_takes_nothing_back(server: Server, key: str) -> None:
    node = await node_of(server.database, key)
    made, bob = (
        await granted(server.database, utc_now(), node_ids=(node,)),
        await a_person(server.database, Duty.ANALYST),
    )
    for own in (True, False):
        with pytest.raises(Forbidden):
            await revoke(server.database, bob, made, "x", utc_now(), own=own)
    assert await state_of_finding(server, key) == "excepted"
    assert (await row(server.database, made))[3] is None


async def test_a_finding_that_is_being_opened_misses_no_approval(server: Server) -> None:
    """Judging and deciding take turns: whichever comes first, the finding ends excepted."""
    keys = [await a_node(server) for _ in range(6)]
    nodes = tuple([await node_of(server.database, key) for key in keys])
    made = await asked(server.database, utc_now(), node_ids=nodes)
    row = an_outbound_row(
        proc_path="C:\\Users\\bob\\AppData\\Local\\Temp\\odd.exe", proc_name="odd.exe", remote_port="4444",
        svchost_hint="", remote_address="8.8.8.8",
    )  # fmt: skip
    for key in keys:
        assert await server.say("log", a_log(key, [a_line(row)])) == {}
    by = await a_person(server.database, Duty.APPROVER)
    await asyncio.gather(judge(server.database), approve(server.database, by, made, YES, utc_now()))
    await judge(server.database)
    assert [await state_of_finding(server, key) for key in keys] == ["excepted"] * 6
