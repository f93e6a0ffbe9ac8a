"""A fleet finding is triaged with the findings of its nodes, and follows them."""

from typing import Any

import pytest

from app.database import Database
from tests.factories import Server, a_node
from tests.findings.found import CHECKS, DAY, changes, decide, found, show
from tests.observations.stored import ask, tell

pytestmark = pytest.mark.usefixtures("quiet")


@pytest.fixture
async def quiet(database: Database) -> Database:
    await tell(database, "TRUNCATE fresh_sightings, tallies, node_tallies, findings, fleet_findings, images")
    return database


async def a_roll_out(server: Server, nodes: int = 6) -> tuple[list[str], dict[str, Any]]:
    """Nodes that showed the same new behaviour yesterday, and the fleet finding of it."""
    keys = [await a_node(server) for _ in range(nodes)]
    for key in keys:
        await show(server, key, seconds_ago=DAY)
    [fleet] = await fleets(server)
    assert fleet["nodes"] == nodes
    return keys, fleet


async def fleets(server: Server, **params: Any) -> list[dict[str, Any]]:
    answer = await server.api.get("/api/v1/fleet-findings", params=params)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def decide_fleet(server: Server, fleet: dict[str, Any], state: str, **given: Any) -> tuple[int, dict[str, Any]]:
    closing = {"checks": CHECKS} if state in {"remediated", "false_positive"} else {}
    body = {"state": state, "reason": "ours"} | closing | given
    answer = await server.api.post(f"/api/v1/fleet-findings/{fleet['fleet_finding_id']}/state", json=body)
    return answer.status_code, answer.json()


async def states(server: Server, keys: list[str]) -> list[str]:
    return [each["state"] for key in keys for each in await found(server, key)]


async def test_it_is_closed_with_its_nodes_each_with_its_row_and_they_stay_quiet(server: Server) -> None:
    keys, fleet = await a_roll_out(server)
    assert (await decide_fleet(server, fleet, "acknowledged"))[1]["findings"] == 6
    status, answer = await decide_fleet(server, fleet, "false_positive", seen_state="acknowledged")
    assert (status, answer["findings"]) == (200, 6)
    assert (answer["fleet_finding"]["state"], answer["fleet_finding"]["nodes"]) == ("false_positive", 6)
    [member] = await found(server, keys[3])
    assert [each[2] for each in await changes(server, member)] == ["acknowledged", "false_positive"]
    rows = await ask(server.database, "SELECT DISTINCT reference FROM finding_changes")
    assert (f"fleet_finding {fleet['fleet_finding_id']}",) in rows
    for key in keys:
        await show(server, key)
    assert await states(server, keys) == ["false_positive"] * 6
    assert await fleets(server) == []
    [(events, said)] = await ask(
        server.database,
        "SELECT count(*), max(line) FROM audit_events WHERE object_id = :f AND line LIKE '%false_positive%'",
        f=fleet["fleet_finding_id"],
    )
    assert (events, "false_positive, 6 findings: ours" in said) == (1, True)


async def test_nodes_that_come_later_make_a_new_one(server: Server) -> None:
    keys, fleet = await a_roll_out(server)
    await decide_fleet(server, fleet, "remediated")
    late = [await a_node(server) for _ in range(5)]
    for key in late:
        await show(server, key, seconds_ago=DAY)
    [new] = await fleets(server)
    assert (new["nodes"], new["fleet_finding_id"] == fleet["fleet_finding_id"]) == (5, False)
    assert await states(server, late) == ["open"] * 5
    assert await states(server, keys) == ["remediated"] * 6


async def test_a_node_that_shows_it_again_stands_alone_and_is_not_hidden(server: Server) -> None:
    keys, fleet = await a_roll_out(server)
    await decide_fleet(server, fleet, "remediated")
    await show(server, keys[0], seconds_ago=-5)
    listed = (await server.api.get("/api/v1/findings")).json()["items"]
    assert [(each["state"], each["fleet_finding_id"]) for each in listed] == [("reopened", None)]
    assert [each["state"] for each in await fleets(server, is_open=False)] == ["remediated"]


async def test_nodes_that_are_triaged_alone_leave_it_and_with_the_last_it_follows(server: Server) -> None:
    keys, fleet = await a_roll_out(server)
    members = [(await found(server, key))[0] for key in keys]
    for number, each in enumerate(members, 1):
        assert (await decide(server, each, "remediated")).status_code == 200
        [left] = await fleets(server, state=["open", "remediated"])
        assert (left["nodes"], left["state"]) == ((6 - number, "open") if number < 6 else (1, "remediated"))
    assert (await decide_fleet(server, fleet, "remediated"))[0] == 409


async def test_a_member_that_is_handed_on_is_left_as_it_is_until_all_is_closed(server: Server) -> None:
    keys, fleet = await a_roll_out(server)
    [first] = await found(server, keys[0])
    await decide(server, first, "escalated")
    assert (await decide_fleet(server, fleet, "acknowledged"))[1]["findings"] == 5
    assert sorted(await states(server, keys)) == ["acknowledged"] * 5 + ["escalated"]
    assert (await decide_fleet(server, fleet, "remediated"))[1]["findings"] == 6


async def test_it_keeps_its_state_and_its_nodes_while_somebody_works_on_it(server: Server) -> None:
    keys, fleet = await a_roll_out(server)
    await decide_fleet(server, fleet, "investigating")
    late = await a_node(server)
    await show(server, late, seconds_ago=DAY)
    [now] = await fleets(server, state="investigating")
    assert now["nodes"] == 7
    for key in keys[:4]:
        await decide(server, (await found(server, key))[0], "remediated")
    await show(server, keys[5])
    [now] = await fleets(server)
    assert (now["state"], now["nodes"]) == ("investigating", 3)


async def test_it_is_reopened_with_its_nodes_unless_another_took_its_place(server: Server) -> None:
    keys, fleet = await a_roll_out(server)
    await decide_fleet(server, fleet, "remediated")
    assert (await decide_fleet(server, fleet, "acknowledged"))[0] == 409
    status, answer = await decide_fleet(server, fleet, "reopened")
    assert (status, answer["findings"], answer["fleet_finding"]["nodes"]) == (200, 6, 6)
    assert await states(server, keys) == ["reopened"] * 6
    assert (await server.api.get("/api/v1/findings")).json()["items"] == []
    await decide_fleet(server, fleet, "remediated")
    for key in keys:
        await show(server, key, seconds_ago=-5)
    [other] = await fleets(server)
    status, answer = await decide_fleet(server, fleet, "reopened")
    assert (status, other["fleet_finding_id"] in answer["detail"]) == (409, True)
