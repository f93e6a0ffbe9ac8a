"""Findings of the same new behaviour on many nodes become one fleet finding, in however many transactions they come."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from app.analysis.worker import analyse_some
from app.clock import utc_now
from app.database import Database
from app.detection.knobs import Knobs, RollOuts, Severities, TimeWindow
from app.findings.roll_outs import gather_roll_outs
from tests.factories import Server, a_line, a_log, a_node, an_outbound_row
from tests.observations.stored import ask, node_of, tell

HOUR = 3600
TOOL = "C:\\Program Files\\Tool\\tool.exe"
#: Without history nothing but the uncommon port has points; it shall be an alert here.
LOUD = Knobs(time_window=TimeWindow(learning_days=0), severities=Severities(high=15, medium=12, low=10))


@pytest.fixture
async def quiet(database: Database) -> Database:
    await tell(database, "TRUNCATE fresh_sightings, tallies, node_tallies, findings, fleet_findings, images")
    return database


async def judge(server: Server, knobs: Knobs = LOUD) -> None:
    while await analyse_some(server.database, knobs):
        pass


async def show(
    server: Server, *keys: str, status: str = "", hours_ago: float = 0, path: str = TOOL, knobs: Knobs = LOUD
) -> None:
    """Each node shows the tool on port 8531, with what its signature query said first, and is judged."""
    then = int(utc_now().timestamp() - hours_ago * HOUR)
    row = an_outbound_row(proc_path=path, proc_name="tool.exe", svchost_hint="", remote_port="8531")
    for key in keys:
        signed = {"path": path, "sign_status": status, "subject_name": "Tool Makers Ltd" if status == "trusted" else ""}
        lines = [a_line(signed, query="pack/windows_context/signatures", unix_time=then)] if status else []
        assert await server.say("log", a_log(key, [*lines, a_line(row, unix_time=then)])) == {}
    await judge(server, knobs)


async def a_fleet(server: Server, nodes: int) -> list[str]:
    return [await a_node(server) for _ in range(nodes)]


async def items(server: Server, path: str, **params: Any) -> list[dict[str, Any]]:
    answer = await server.api.get(f"/api/v1/{path}", params=params)
    assert answer.status_code == 200, answer.text
    found = answer.json()["items"]
    assert isinstance(found, list)
    return found


async def alone(server: Server) -> int:
    """Findings of connections that no fleet finding speaks for."""
    return sum(each["behaviour"]["direction"] == "outbound" for each in await items(server, "findings", limit=500))


async def the_fleet_finding(server: Server) -> dict[str, Any]:
    [found] = await items(server, "fleet-findings")
    return found


async def members(server: Server, found: dict[str, Any]) -> int:
    return len(await items(server, f"fleet-findings/{found['fleet_finding_id']}/nodes", limit=500))


@pytest.mark.usefixtures("quiet")
async def test_four_nodes_alert_singly_and_the_fifth_makes_a_fleet_finding_of_them(server: Server) -> None:
    fleet = await a_fleet(server, 7)
    for number, key in enumerate(fleet[:4], 1):
        await show(server, key, hours_ago=(8 - number) / 100)
        assert (await alone(server), await items(server, "fleet-findings")) == (number, [])
    for number, key in enumerate(fleet[4:], 5):
        await show(server, key, hours_ago=(8 - number) / 100)
        found = await the_fleet_finding(server)
        assert (found["nodes"], await members(server, found), await alone(server)) == (number, number, 0)
    assert (found["spread"], found["severity"], found["score"], found["state"]) == ("novel", "high", 15, "open")
    assert found["evidence"][0]["text"].startswith("The same behaviour is new on 7 nodes within 1 hour")
    assert [each["node_id"] for each in found["first_nodes"]] == [await node_of(server.database, k) for k in fleet[:5]]
    assert (await server.api.get(f"/api/v1/fleet-findings/{found['fleet_finding_id']}")).json() == found
    of_nodes = await items(server, "findings", members=True, program="tool.exe")
    assert {each["fleet_finding_id"] for each in of_nodes} == {found["fleet_finding_id"]}
    assert all(each["evidence"] for each in of_nodes)


@pytest.mark.usefixtures("quiet")
async def test_in_one_transaction_or_said_twice_it_is_the_same(server: Server) -> None:
    fleet = await a_fleet(server, 6)
    await show(server, *fleet)
    found = await the_fleet_finding(server)
    [(behaviour,)] = await ask(server.database, "SELECT DISTINCT behaviour_id FROM findings")
    async with server.database.writing() as session:
        await gather_roll_outs(session, {behaviour}, LOUD, utc_now())
    assert await the_fleet_finding(server) == found
    assert (found["nodes"], await members(server, found)) == (6, 6)


@pytest.mark.usefixtures("quiet")
async def test_a_signed_program_that_is_rolled_out_is_one_line_on_the_hunt_list(server: Server) -> None:
    await show(server, *await a_fleet(server, 6), status="trusted")
    found = await the_fleet_finding(server)
    assert (found["spread"], found["severity"], found["nodes"]) == ("signed", "low", 6)
    assert found["evidence"][0]["reason"] == "roll_out_signed"
    assert await alone(server) == 0
    assert await items(server, "fleet-findings", severity="high") == []


@pytest.mark.usefixtures("quiet")
async def test_what_nobody_signed_spreads_louder(server: Server) -> None:
    await show(server, *await a_fleet(server, 5), status="missing")
    found = await the_fleet_finding(server)
    [member, *_] = await items(server, f"fleet-findings/{found['fleet_finding_id']}/nodes")
    assert (found["spread"], found["severity"], found["score"]) == ("unsigned", "high", member["score"] + 10)
    assert sum(each["points"] for each in found["evidence"]) == found["score"]


@pytest.mark.usefixtures("quiet")
async def test_an_unsigned_copy_stays_an_alert_of_its_own_until_there_are_five(server: Server) -> None:
    signed, copies = await a_fleet(server, 6), await a_fleet(server, 5)
    await show(server, *signed, status="trusted")
    await show(server, *copies[:4], status="missing")
    found = await the_fleet_finding(server)
    assert (found["spread"], found["nodes"], await alone(server)) == ("signed", 6, 4)
    await show(server, copies[4], status="missing")
    found = await the_fleet_finding(server)
    assert (found["spread"], found["severity"], found["nodes"], await alone(server)) == ("unsigned", "high", 11, 0)


@pytest.mark.usefixtures("quiet")
async def test_when_signatures_come_later_the_roll_out_becomes_quiet(server: Server) -> None:
    fleet = await a_fleet(server, 6)
    await show(server, *fleet)
    assert (await the_fleet_finding(server))["severity"] == "high"
    for number, key in enumerate(fleet, 1):
        await show(server, key, status="trusted")
        found = await the_fleet_finding(server)
        assert found["spread"] == ("signed" if number >= 5 else "novel")
        assert (found["nodes"], await alone(server)) == ((5, 1) if number == 5 else (6, 0))
    assert found["severity"] == "low"


@pytest.mark.usefixtures("quiet")
async def test_withdrawn_nodes_leave_and_with_too_few_left_the_fleet_finding_is_withdrawn(server: Server) -> None:
    fleet = await a_fleet(server, 6)
    temp = "C:\\Users\\bob\\AppData\\Local\\Temp\\tool.exe"
    loud = Knobs(time_window=TimeWindow(learning_days=0), severities=Severities(high=30, medium=25, low=20))
    await show(server, *fleet, path=temp, knobs=loud)
    assert ((await the_fleet_finding(server))["nodes"], await alone(server)) == (6, 0)
    known = {"path": temp, "sign_status": "trusted", "subject_name": "Google LLC"}
    for left, key in ((5, fleet[0]), (4, fleet[1])):
        await server.say("log", a_log(key, [a_line(known, query="pack/windows_context/signatures")]))
        await judge(server, loud)
        state = "open" if left == 5 else "withdrawn"
        [found] = await items(server, "fleet-findings", state=state)
        assert (await members(server, found), await alone(server)) == ((5, 0) if left == 5 else (0, 4))
    assert await items(server, "fleet-findings") == []
    late = await a_node(server)
    await show(server, late, path=temp, knobs=loud)
    again = await the_fleet_finding(server)
    assert (again["nodes"], again["fleet_finding_id"] == found["fleet_finding_id"]) == (5, False)


@pytest.mark.usefixtures("quiet")
async def test_a_node_that_was_offline_joins_late(server: Server) -> None:
    fleet = await a_fleet(server, 7)
    await show(server, *fleet[:5])
    await show(server, fleet[5], hours_ago=20)
    found = await the_fleet_finding(server)
    assert (found["nodes"], await alone(server)) == (6, 0)
    assert found["first_nodes"][0]["node_id"] == await node_of(server.database, fleet[5])


@pytest.mark.usefixtures("quiet")
async def test_a_node_that_is_exchanged_on_a_later_day_leaves_the_roll_out(server: Server) -> None:
    fleet = await a_fleet(server, 6)
    await show(server, *fleet, status="trusted", hours_ago=24)
    await show(server, fleet[0], status="missing")
    found = await the_fleet_finding(server)
    assert (found["spread"], found["nodes"], await members(server, found)) == ("signed", 5, 5)
    [mine] = [each for each in await items(server, "findings") if each["behaviour"]["direction"] == "outbound"]
    assert (mine["node_id"], mine["days_seen"]) == (await node_of(server.database, fleet[0]), 2)


@pytest.mark.usefixtures("quiet")
async def test_a_roll_out_that_takes_days_is_still_one(server: Server) -> None:
    fleet = await a_fleet(server, 9)
    await show(server, *fleet[:5], status="missing", hours_ago=72)
    for number, hours_ago in ((5, 50), (6, 27), (7, 4)):
        await show(server, fleet[number], status="missing", hours_ago=hours_ago)
    found = await the_fleet_finding(server)
    assert (found["nodes"], await alone(server)) == (8, 0)
    assert "new on 8 nodes within 3 days" in found["evidence"][0]["text"]


@pytest.mark.usefixtures("quiet")
async def test_what_the_peers_have_long_known_is_no_roll_out(server: Server) -> None:
    old, fleet = await a_node(server), await a_fleet(server, 6)
    await show(server, old, hours_ago=3 * 24)
    await show(server, *fleet)
    assert await items(server, "fleet-findings") == []
    assert await alone(server) > 0


@pytest.mark.usefixtures("quiet")
async def test_who_gather_at_once_make_one_fleet_finding(server: Server) -> None:
    patient = Knobs(time_window=LOUD.time_window, severities=LOUD.severities, roll_outs=RollOuts(nodes=1000))
    await show(server, *await a_fleet(server, 6), knobs=patient)
    assert (await alone(server), await items(server, "fleet-findings")) == (6, [])
    [(behaviour,)] = await ask(server.database, "SELECT DISTINCT behaviour_id FROM findings")

    async def gather_once() -> None:
        async with server.database.writing() as session:
            await gather_roll_outs(session, {behaviour}, LOUD, utc_now())

    await asyncio.gather(*(gather_once() for _ in range(4)))
    found = await the_fleet_finding(server)
    assert (found["nodes"], await members(server, found), await alone(server)) == (6, 6, 0)


@pytest.mark.parametrize(
    ("path", "signer", "fleet_findings"),
    [
        (r"C:\Users\bob\AppData\Roaming\Zoom\bin\Zoom.exe", "Zoom Video Communications, Inc.", []),  # its own port
        (r"C:\Program Files\Agent\agent.exe", "Agent Makers Ltd", [("signed", "low", 6)]),
    ],
)
@pytest.mark.usefixtures("quiet")
async def test_a_signed_roll_out_within_two_hours_is_at_most_on_the_hunt_list(
    server: Server, path: str, signer: str, fleet_findings: list[tuple[str, str, int]]
) -> None:
    """In a settled fleet to which new programs seldom come, so that each node would be an alert."""
    fleet = await a_fleet(server, 8)
    for days_ago in range(9, 0, -1):
        then = int(utc_now().timestamp()) - days_ago * 24 * HOUR
        for key in fleet:
            await server.say("log", a_log(key, [a_line(unix_time=then)]))
        await judge(server, Knobs())
    signed = {"path": path, "sign_status": "trusted", "subject_name": signer}
    row = an_outbound_row(proc_path=path, proc_name=path.rpartition("\\")[2], svchost_hint="", remote_port="8801")
    for key in fleet[:6]:
        lines = [a_line(signed, query="pack/windows_context/signatures"), a_line(row)]
        await server.say("log", a_log(key, lines))
        await judge(server, Knobs())
    found = [(each["spread"], each["severity"], each["nodes"]) for each in await items(server, "fleet-findings")]
    assert (found, await alone(server)) == (fleet_findings, 0)
    node_findings = await items(server, "findings", members=True)
    assert {each["severity"] for each in node_findings} <= {"high", "medium"}


async def shown_programs(server: Server, path: str, **params: Any) -> Sequence[str]:
    return [each["behaviour"]["program"] for each in await items(server, path, **params)]


@pytest.mark.usefixtures("quiet")
async def test_fleet_findings_are_listed_in_pages_and_can_be_filtered(server: Server) -> None:
    fleet = await a_fleet(server, 5)
    names = [f"tool{n}.exe" for n in range(5)]
    for name in names:
        row = an_outbound_row(proc_path=f"C:\\Program Files\\{name}", svchost_hint="", remote_port="8531")
        for key in fleet:
            await server.say("log", a_log(key, [a_line(row)]))
    await judge(server)
    for sort in ("score", "-opened_at", "last_seen_at"):
        shown: list[str] = []
        params: dict[str, Any] = {"sort": sort, "limit": 2}
        while True:
            page = (await server.api.get("/api/v1/fleet-findings", params=params)).json()
            shown += [each["behaviour"]["program"] for each in page["items"]]
            if page["next"] is None:
                break
            params["cursor"] = page["next"]
        assert sorted(shown) == names
    assert await shown_programs(server, "fleet-findings", program="tool3.exe", platform="windows") == ["tool3.exe"]
    for params in ({"platform": "macos"}, {"spread": "signed"}, {"severity": "low"}, {"state": "withdrawn"}):
        assert await shown_programs(server, "fleet-findings", **params) == []
    [one] = await items(server, "fleet-findings", program="tool3.exe")
    path = f"fleet-findings/{one['fleet_finding_id']}/nodes"
    page = (await server.api.get(f"/api/v1/{path}", params={"limit": 3})).json()
    rest = (await server.api.get(f"/api/v1/{path}", params={"limit": 3, "cursor": page["next"]})).json()
    nodes = [each["node_id"] for each in (*page["items"], *rest["items"])]
    assert sorted(nodes) == sorted([await node_of(server.database, key) for key in fleet])
    missing = "/api/v1/fleet-findings/00000000-0000-0000-0000-000000000000"
    assert (await server.api.get(missing)).status_code == 404
