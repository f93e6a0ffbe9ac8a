"""What nodes show after people have decided: counted always, reopened where the decision does not hold any more."""

from typing import Any

import pytest

from app.access.actor import PORTBOOK
from app.analysis.worker import analyse_some
from app.clock import utc_now
from app.database import Database
from app.findings.changes import StateChange, change_states
from app.findings.models import Finding
from app.findings.states import State
from app.findings.store import lock_findings
from tests.factories import Server, a_line, a_log
from tests.findings.found import DAY, ODD, a_finding, changes, decide, found, judge, knobs, show, the
from tests.observations.stored import tell

pytestmark = pytest.mark.usefixtures("quiet")


@pytest.fixture
async def quiet(database: Database) -> Database:
    await tell(database, "TRUNCATE fresh_sightings, tallies, node_tallies, findings, fleet_findings, images")
    return database


#: As what becomes known later queues it; some days later than it was, if wanted.
AGAIN = """
INSERT INTO fresh_sightings (node_id, batch_id, day, batch_day, role_id, behaviour_ids, line_numbers, row_numbers,
                             seen_at, again)
SELECT node_id, batch_id, day + :later, batch_day, role_id, ARRAY[behaviour_id], ARRAY[line_number], ARRAY[row_number],
       ARRAY[last_seen_at + :later * interval '1 day'], :later = 0 FROM findings WHERE finding_id = :finding
"""


async def queue(server: Server, finding: dict[str, Any], later: int = 0) -> None:
    await tell(server.database, AGAIN, finding=finding["finding_id"], later=later)


async def has_state(server: Server, finding: dict[str, Any], state: str) -> dict[str, Any]:
    assert (await decide(server, finding, state)).status_code == 200
    return await the(server, finding)


async def by_portbook(server: Server, finding: dict[str, Any], after: State) -> None:
    async with server.database.writing() as session:
        [there] = await lock_findings(session, [Finding.finding_id == finding["finding_id"]])
        change = StateChange(there.finding_id, there.node_id, State(there.state), after, "an exception")
        await change_states(session, PORTBOOK, [change], utc_now())


async def test_what_people_work_on_is_seen_again_in_the_same_state(server: Server) -> None:
    for state in ("acknowledged", "investigating", "escalated"):
        finding = await a_finding(server)
        await has_state(server, finding, state)
        await show(server, finding["key"])
        again = await the(server, finding)
        assert (again["state"], again["days_seen"], again["is_open"]) == (state, 2, True)
        assert len(await found(server, finding["key"])) == 1


async def test_what_was_remediated_comes_back_when_it_is_seen_after_that(server: Server) -> None:
    finding = await a_finding(server)
    await has_state(server, finding, "remediated")
    await show(server, finding["key"], seconds_ago=3 * DAY)  # an old row that was sent late
    assert (await the(server, finding))["state"] == "remediated"
    await show(server, finding["key"], seconds_ago=-5)
    again = await the(server, finding)
    assert (again["state"], again["is_open"], again["days_seen"]) == ("reopened", True, 3)
    assert (again["acknowledged_at"], again["closed_at"], again["seconds_to_close"]) == (None, None, None)
    assert again["due_since"] > again["opened_at"]
    assert (await changes(server, finding))[-1] == ("portbook", "remediated", "reopened")
    assert [each["finding_id"] for each in await found(server, finding["key"])] == [finding["finding_id"]]


async def test_a_false_positive_stays_closed_and_is_counted(server: Server) -> None:
    finding = await a_finding(server)
    before = await has_state(server, finding, "false_positive")
    await show(server, finding["key"])
    again = await the(server, finding)
    assert (again["state"], again["days_seen"]) == ("false_positive", 2)
    assert again["last_seen_at"] > before["last_seen_at"]
    assert (again["score"], again["severity"], again["evidence"]) == tuple(
        before[each] for each in ("score", "severity", "evidence")
    )


async def test_a_false_positive_comes_back_when_it_is_judged_graver(server: Server) -> None:
    finding = await a_finding(server)
    assert finding["severity"] == "low"
    await has_state(server, finding, "false_positive")
    await show(server, finding["key"], by=knobs(high=13, medium=13))
    again = await the(server, finding)
    assert (again["state"], again["severity"]) == ("reopened", "high")
    [*_, last] = (await server.api.get(f"/api/v1/findings/{finding['finding_id']}/changes")).json()["items"]
    assert last["reason"].startswith("judged high (")
    await show(server, finding["key"], 4445)  # another behaviour is another finding
    assert len(await found(server, finding["key"])) == 2


async def test_what_becomes_known_of_a_false_positive_on_its_day_is_heeded(server: Server) -> None:
    finding = await a_finding(server)
    await has_state(server, finding, "false_positive")
    said = {"path": ODD.format("odd.exe"), "sign_status": "missing", "subject_name": ""}
    then = int(utc_now().timestamp()) - DAY
    line = a_line(said, query="pack/windows_context/signatures", unix_time=then)
    assert await server.say("log", a_log(finding["key"], [line])) == {}
    await judge(server)
    again = await the(server, finding)
    assert again["state"] == "reopened"
    assert "unsigned" in {each["reason"] for each in again["evidence"]}


async def test_what_is_excepted_is_counted_and_its_judgement_kept_up(server: Server) -> None:
    finding = await a_finding(server)
    await by_portbook(server, finding, State.EXCEPTED)
    await show(server, finding["key"], by=knobs(high=13, medium=13))
    again = await the(server, finding)
    assert (again["state"], again["is_open"], again["days_seen"]) == ("excepted", False, 2)
    assert len(await found(server, finding["key"])) == 1
    await by_portbook(server, finding, State.REOPENED)
    assert (await the(server, finding))["is_open"]


async def test_a_light_judgement_takes_only_what_nobody_works_on(server: Server) -> None:
    for state, then in (
        ("open", "withdrawn"),
        ("acknowledged", "withdrawn"),
        ("investigating", "investigating"),
        ("escalated", "escalated"),
        ("false_positive", "false_positive"),
    ):
        finding = await a_finding(server)
        if state != "open":
            await has_state(server, finding, state)
        await queue(server, finding)
        assert await analyse_some(server.database, knobs(low=101, medium=101, high=101)) == 1
        after = await the(server, finding)
        assert after["state"] == then
        assert (after["evidence"], after["score"]) == (finding["evidence"], finding["score"])
        last = (await changes(server, finding))[-1:]
        assert (last == [("portbook", state, "withdrawn")]) == (then == "withdrawn")


async def test_what_was_withdrawn_is_a_new_finding_when_it_is_shown_again(server: Server) -> None:
    finding = await a_finding(server)
    await queue(server, finding)
    await judge(server, knobs(low=101, medium=101, high=101))
    await show(server, finding["key"])
    states = {each["finding_id"]: each["state"] for each in await found(server, finding["key"])}
    assert len(states) == 2
    assert states.pop(finding["finding_id"]) == "withdrawn"
    assert list(states.values()) == ["open"]


async def test_days_that_are_judged_in_one_claim_reopen_it_once(server: Server) -> None:
    finding = await a_finding(server)
    await has_state(server, finding, "remediated")
    for later in (2, 3):
        await queue(server, finding, later)
    assert await analyse_some(server.database, knobs()) == 2
    again = await the(server, finding)
    assert (again["state"], again["days_seen"]) == ("reopened", 3)
    assert [each[2] for each in await changes(server, finding)] == ["remediated", "reopened"]
