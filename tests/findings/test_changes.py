"""A state that somebody gives a finding leaves a row that nobody can take away."""

import pytest
from sqlalchemy.exc import IntegrityError

from app.access.actor import PORTBOOK, Actor, AuthMethod
from app.access.duties import Duty
from app.analysis.worker import analyse_some
from app.clock import utc_now
from app.detection.knobs import Knobs
from app.findings.changes import StateChange, change_states
from app.findings.models import Finding
from app.findings.states import State
from app.findings.store import lock_findings
from tests.factories import Server, a_line, a_log, a_node, an_operator, an_outbound_row
from tests.findings.found import CHECKS
from tests.observations.stored import ask, node_of, tell

ODD = "C:\\Users\\bob\\AppData\\Local\\Temp\\odd.exe"


async def a_finding(server: Server) -> Finding:
    key = await a_node(server)
    row = an_outbound_row(proc_path=ODD, proc_name="odd.exe", remote_port="4444", svchost_hint="")
    assert await server.say("log", a_log(key, [a_line(row)])) == {}
    while await analyse_some(server.database, Knobs()):
        pass
    async with server.database.writing() as session:
        return (await lock_findings(session, [Finding.node_id == await node_of(server.database, key)]))[0]


async def change(server: Server, actor: Actor, found: Finding, before: State, after: State, **given: object) -> None:
    async with server.database.writing() as session:
        await lock_findings(session, [Finding.finding_id == found.finding_id])
        wanted = StateChange(found.finding_id, found.node_id, before, after, "seen", **given)  # type: ignore[arg-type]
        await change_states(session, actor, [wanted], utc_now())


async def test_states_times_and_rows_follow_each_other(server: Server) -> None:
    found = await a_finding(server)
    name = await an_operator(server.database, Duty.ANALYST)
    ((operator_id,),) = await ask(server.database, "SELECT operator_id FROM operators WHERE name = :name", name=name)
    ada = Actor(name, AuthMethod.PASSWORD, operator_id)
    await change(server, ada, found, State.OPEN, State.ACKNOWLEDGED)
    await change(server, ada, found, State.ACKNOWLEDGED, State.REMEDIATED, checks=CHECKS)
    query = "SELECT state, is_open, acknowledged_at < closed_at, due_since FROM findings WHERE finding_id = :id"
    assert await ask(server.database, query, id=found.finding_id) == [("remediated", False, True, None)]
    await change(server, PORTBOOK, found, State.REMEDIATED, State.REOPENED)
    ((state, is_open, later, due_since),) = await ask(server.database, query, id=found.finding_id)
    assert (state, is_open, later, due_since is not None) == ("reopened", True, None, True)
    rows = "SELECT actor_name, from_state, to_state FROM finding_changes WHERE finding_id = :id ORDER BY change_id"
    assert await ask(server.database, rows, id=found.finding_id) == [
        (name, "open", "acknowledged"),
        (name, "acknowledged", "remediated"),
        ("portbook", "remediated", "reopened"),
    ]


async def test_nobody_closes_without_checks_and_portbook_closes_nothing(server: Server) -> None:
    found = await a_finding(server)
    with pytest.raises(IntegrityError, match="closing"):
        await change(server, PORTBOOK, found, State.OPEN, State.REMEDIATED, checks=CHECKS)


@pytest.mark.parametrize("statement", ["UPDATE finding_changes SET reason = 'x'", "DELETE FROM finding_changes"])
async def test_rows_are_kept_as_they_are(server: Server, statement: str) -> None:
    await change(server, PORTBOOK, await a_finding(server), State.OPEN, State.WITHDRAWN)
    with pytest.raises(IntegrityError, match="kept as it is"):
        await tell(server.database, statement)
