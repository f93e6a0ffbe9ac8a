"""What an exception covers is seen, scored and counted all the same, and shown as excepted."""

from datetime import timedelta

import pytest

from app.access.duties import Duty
from app.baselines.exceptions.calendar import keep
from app.baselines.exceptions.deciding import Decision, approve
from app.clock import utc_now
from app.database import Database
from app.detection.addresses import PeerScope
from app.findings.changes import StateChange, change_states
from app.findings.models import Finding
from app.findings.states import State
from app.findings.store import lock_findings
from tests.baselines.excepting import (
    DAY,
    a_pattern,
    a_person,
    asked,
    changes_of,
    finding_of,
    granted,
    show,
    state_of_finding,
)
from tests.factories import Server, a_name, a_node
from tests.observations.stored import ask, node_of, tell


@pytest.fixture(autouse=True)
async def quiet(database: Database) -> None:
    """Nothing left in the queue, no history."""
    await tell(database, "TRUNCATE fresh_sightings, tallies, node_tallies, findings, fleet_findings")


async def test_what_is_covered_is_a_finding_with_its_full_score_and_excepted(server: Server) -> None:
    other, key = await a_node(server), await a_node(server)
    await show(server, other)
    covering = await granted(server.database, utc_now(), node_ids=(await node_of(server.database, key),))
    await show(server, key)
    found = await finding_of(server, key)
    assert (found["state"], found["is_open"], found["exception_id"]) == ("excepted", False, covering)
    assert found["score"] == (await finding_of(server, other))["score"] > 0
    assert await changes_of(server, key) == [("portbook", "excepted", f"covered by exception {covering}")]
    assert await state_of_finding(server, other) == "open"


async def test_what_is_covered_goes_on_being_counted(server: Server) -> None:
    key = await a_node(server)
    node = await node_of(server.database, key)
    covering = await granted(server.database, utc_now() - 3 * DAY, node_ids=(node,))
    for days_ago in (2, 1, 0):
        await show(server, key, days_ago=days_ago)
    found = await finding_of(server, key)
    assert (found["state"], found["days_seen"]) == ("excepted", 3)
    counted = "SELECT count(*), sum(sightings), max(last_seen_at) FROM exception_days WHERE exception_id = :id"
    seen = "SELECT max(first_seen_at) FROM sightings WHERE node_id = :node"
    ((last,),) = await ask(server.database, seen, node=node)
    assert await ask(server.database, counted, id=covering) == [(3, 3, last)]
    assert len(await changes_of(server, key)) == 1


async def test_another_port_program_or_peer_is_not_covered(server: Server) -> None:
    key = await a_node(server)
    nodes = (await node_of(server.database, key),)
    other = a_pattern(first_port=5555, last_port=5555, path="c:\\x.exe", program="x.exe")
    private = a_pattern(first_port=6666, last_port=6666, peer_scope=PeerScope.PRIVATE)
    for pattern in (a_pattern(), other, private):
        await granted(server.database, utc_now(), node_ids=nodes, pattern=pattern)
    for port in (4445, 5555, 6666):
        await show(server, key, port=port)
        assert await state_of_finding(server, key, port) == "open"


async def test_the_role_that_counts_is_that_of_the_sighting(server: Server) -> None:
    role, other = a_name("role"), a_name("role")
    key, there = await a_node(server, role=role), await a_node(server, role=other)
    await granted(server.database, utc_now() - 3 * DAY, role=role)
    await show(server, key, days_ago=1)
    assert await state_of_finding(server, key) == "excepted"
    ((role_id,),) = await ask(server.database, "SELECT role_id FROM roles WHERE name = :name", name=other)
    node = await node_of(server.database, key)
    await tell(server.database, "UPDATE nodes SET role_id = :role WHERE node_id = :node", role=role_id, node=node)
    assert await state_of_finding(server, key) == "excepted"
    await show(server, key)
    found = await finding_of(server, key)
    assert (found["state"], found["role_id"], found["exception_id"]) == ("reopened", role_id, None)
    assert (await changes_of(server, key))[-1][2].endswith("does not cover what was seen")
    await granted(server.database, utc_now(), role=other)
    await show(server, there)
    assert await state_of_finding(server, key) == await state_of_finding(server, there) == "excepted"


async def test_a_role_may_get_another_name(server: Server) -> None:
    role, later = a_name("role"), a_name("role")
    key = await a_node(server, role=role)
    await granted(server.database, utc_now(), role=role)
    await tell(server.database, "UPDATE roles SET name = :later WHERE name = :role", later=later, role=role)
    await show(server, key)
    assert await state_of_finding(server, key) == "excepted"


async def test_what_is_seen_after_the_end_is_opened_again_though_no_loop_ran(server: Server) -> None:
    key = await a_node(server)
    nodes = (await node_of(server.database, key),)
    start = utc_now() - 3 * DAY
    await show(server, key, days_ago=1)
    expired = await granted(server.database, start, until=start + DAY, node_ids=nodes)
    assert await state_of_finding(server, key) == "excepted"
    await show(server, key)
    assert (await finding_of(server, key))["state"] == "reopened"
    await keep(server.database, utc_now())
    assert [state for _, state, _ in await changes_of(server, key)] == ["excepted", "reopened"]
    assert await ask(server.database, "SELECT count(*) FROM exception_days WHERE exception_id = :id", id=expired) == [
        (0,)
    ]


async def test_what_a_person_works_on_stays_theirs(server: Server) -> None:
    key = await a_node(server)
    nodes = (await node_of(server.database, key),)
    start = utc_now() - 3 * DAY
    await granted(server.database, start, until=start + 4 * DAY, node_ids=nodes)
    await show(server, key, days_ago=1)
    await investigate(server, key)
    await show(server, key)
    assert await state_of_finding(server, key) == "investigating"
    await keep(server.database, start + 4 * DAY)
    assert await state_of_finding(server, key) == "investigating"


async def investigate(server: Server, key: str) -> None:
    ada, now = await a_person(server.database, Duty.ANALYST), utc_now()
    found = await finding_of(server, key)
    async with server.database.writing() as session:
        [locked] = await lock_findings(session, [Finding.finding_id == found["finding_id"]])
        change = StateChange(
            locked.finding_id, locked.node_id, State(locked.state), State.INVESTIGATING, "looks odd to me"
        )
        await change_states(session, ada, [change], now)


async def test_a_graver_finding_is_not_covered_because_of_a_harmless_day(server: Server) -> None:
    key = await a_node(server)
    await show(server, key, days_ago=1)
    nodes = (await node_of(server.database, key),)
    await granted(server.database, utc_now(), node_ids=nodes, pattern=a_pattern(peer_scope=PeerScope.PRIVATE))
    await show(server, key, peer="10.1.2.3")
    found = await finding_of(server, key)
    assert (found["state"], found["days_seen"]) == ("open", 2)


async def test_covered_findings_raise_no_roll_out_and_leave_one(server: Server) -> None:
    role = a_name("role")
    keys = [await a_node(server, role=role) for _ in range(6)]
    await show(server, *keys)
    fleet = "SELECT nodes, is_open FROM fleet_findings ORDER BY opened_at DESC LIMIT 1"
    assert await ask(server.database, fleet) == [(6, True)]
    covering = await asked(server.database, utc_now(), node_ids=(await node_of(server.database, keys[0]),))
    await approve(server.database, await a_person(server.database, Duty.APPROVER), covering, Decision("x"), utc_now())
    assert await ask(server.database, fleet) == [(5, True)]
    assert await state_of_finding(server, keys[0]) == "excepted"
    end = utc_now() + timedelta(hours=1)
    await granted(server.database, utc_now(), until=end, role=role)
    assert await ask(server.database, fleet) == [(5, False)]
    more = [await a_node(server, role=role) for _ in range(6)]
    await show(server, *more)
    assert await ask(server.database, fleet) == [(5, False)]
    await keep(server.database, end)
    assert await ask(server.database, fleet) == [(11, True)]
