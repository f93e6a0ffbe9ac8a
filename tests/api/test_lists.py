"""Lists: filters, sorts, and pages that show everything once while more comes in."""

from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest

from app.analysis.worker import analyse_some
from app.clock import utc_now
from app.collection.schedule import configuration_for
from app.detection.knobs import Knobs
from tests.factories import Server, a_line, a_log, a_name, a_node, an_outbound_row
from tests.observations.stored import ask, node_of, tell

FAKE = "C:\\Users\\bob\\AppData\\Local\\Temp\\{}"
HEARTBEAT = "pack/telemetry/heartbeat"


async def items(server: Server, path: str, **params: Any) -> list[dict[str, Any]]:
    answer = await server.api.get(f"/api/v1/{path}", params=params)
    assert answer.status_code == 200, answer.text
    found = answer.json()["items"]
    assert isinstance(found, list)
    return found


async def a_found_node(server: Server, *ports: int, program: str = "svchost.exe", **given: str) -> str:
    """A node with a finding for each port."""
    key = await a_node(server, **given)
    rows = [an_outbound_row(proc_path=FAKE.format(program), proc_name=program, remote_port=str(port)) for port in ports]
    assert await server.say("log", a_log(key, [a_line(row | {"svchost_hint": ""}) for row in rows])) == {}
    while await analyse_some(server.database, Knobs()):
        pass
    return key


@pytest.mark.parametrize("sort", ["score", "-score", "opened_at", "-opened_at", "last_seen_at", "-last_seen_at"])
async def test_pages_show_every_finding_once_while_more_are_opened(server: Server, sort: str) -> None:
    program = f"{a_name('p')}.exe"
    await a_found_node(server, *range(8000, 8011), program=program)
    there = {each["finding_id"] for each in await items(server, "findings", program=program)}
    assert len(there) == 11
    shown: list[str] = []
    values: list[Any] = []
    params: dict[str, Any] = {"program": program, "sort": sort, "limit": 3}
    for step in range(20):
        page = (await server.api.get("/api/v1/findings", params=params)).json()
        shown += [each["finding_id"] for each in page["items"]]
        values += [each[sort.removeprefix("-")] for each in page["items"]]
        if page["next"] is None:
            break
        params["cursor"] = page["next"]
        await a_found_node(server, 9000 + step, program=program)
    assert len(shown) == len(set(shown))
    assert there <= set(shown)
    assert values == sorted(values, reverse=sort.startswith("-"))


@pytest.mark.parametrize("sort", ["node_id", "-node_id", "hostname", "-hostname", "enrolled_at", "-enrolled_at"])
async def test_pages_show_every_node_once_while_more_enroll(server: Server, sort: str) -> None:
    role = a_name("role")
    there = {await node_of(server.database, await a_node(server, role=role)) for _ in range(7)}
    shown: list[int] = []
    params: dict[str, Any] = {"role": role, "sort": sort, "limit": 2}
    while True:
        page = (await server.api.get("/api/v1/nodes", params=params)).json()
        shown += [each["node_id"] for each in page["items"]]
        if page["next"] is None:
            break
        params["cursor"] = page["next"]
        await a_node(server, role=f"other-{role}")
    assert sorted(shown) == sorted(there)


@pytest.mark.parametrize("sort", ["name", "-name", "behaviour_id"])
async def test_pages_show_every_behaviour_once(server: Server, sort: str) -> None:
    program = f"{a_name('p')}.exe"
    await a_found_node(server, *range(1, 8), program=program)
    shown: list[str] = []
    params: dict[str, Any] = {"program": program, "sort": sort, "limit": 2}
    while True:
        page = (await server.api.get("/api/v1/behaviours", params=params)).json()
        shown += [each["port"] for each in page["items"]]
        if page["next"] is None:
            break
        params["cursor"] = page["next"]
    assert sorted(shown) == [str(port) for port in range(1, 8)]


async def test_nodes_can_be_filtered(server: Server) -> None:
    role, host = a_name("role"), a_name("host")
    await a_node(server, role=role, platform="macos")
    await a_node(server, role=role, platform="windows", host=host)
    assert [each["platform"] for each in await items(server, "nodes", role=role, platform="macos")] == ["macos"]
    [found] = await items(server, "nodes", hostname=host)
    assert (found["role"], found["osquery_version"], found["revoked_at"]) == (role, "5.23.1", None)
    assert (await server.api.get(f"/api/v1/nodes/{found['node_id']}")).json() == found
    assert not await items(server, "nodes", role=role, platform="other")


async def test_findings_can_be_filtered(server: Server) -> None:
    program, role = f"{a_name('p')}.exe", a_name("role")
    key = await a_found_node(server, 8088, 8089, program=program, role=role)
    node = await node_of(server.database, key)
    [one, two] = await items(server, "findings", program=program)
    everything: list[dict[str, Any]] = [
        {"role": role}, {"node_id": node}, {"analytic": "AN0633", "program": program},
        {"severity": [one["severity"], "high"], "node_id": node},
        {"since": (utc_now() - timedelta(hours=1)).isoformat(), "node_id": node},
    ]  # fmt: skip
    for params in everything:
        assert len(await items(server, "findings", **params)) == 2
    nothing: list[dict[str, Any]] = [
        {"role": "nobody"}, {"node_id": node, "analytic": "AN0635"}, {"node_id": node, "severity": "high"},
        {"since": (utc_now() + timedelta(hours=1)).isoformat()}, {"program": program.upper()},
    ]  # fmt: skip
    for params in nothing:
        assert not await items(server, "findings", **params)
    assert (await server.api.get(f"/api/v1/findings/{two['finding_id']}")).json() == two


async def test_the_rows_behind_a_finding_are_quoted_with_the_hash_of_their_batch(server: Server) -> None:
    program = f"{a_name('p')}.exe"
    key = await a_found_node(server, 8088, program=program)
    [finding] = await items(server, "findings", program=program)
    [row] = (await server.api.get(f"/api/v1/findings/{finding['finding_id']}/rows")).json()
    assert row["columns"]["proc_name"] == program
    assert row["columns"]["remote_port"] == "8088"
    assert (row["query"], row["action"], row["line"]) == ("pack/windows_network/outbound", "added", 1)
    [(body,)] = await ask(
        server.database, "SELECT body FROM batches WHERE node_id = :n", n=await node_of(server.database, key)
    )
    assert row["body_sha256"] == sha256(body).hexdigest()


async def test_a_behaviour_tells_on_how_many_nodes_it_was_seen(server: Server) -> None:
    program = f"{a_name('p')}.exe"
    keys = [await a_found_node(server, 8088, program=program) for _ in range(3)]
    [behaviour] = await items(server, "behaviours", program=program, port="8088", platform="windows")
    days = (await server.api.get(f"/api/v1/behaviours/{behaviour['behaviour_id']}/days")).json()
    assert days == [{"day": str(utc_now().date()), "nodes": 3}]
    node = await node_of(server.database, keys[0])
    assert await items(server, "behaviours", node_id=node) == [behaviour]


async def coverage_of(server: Server, key: str) -> dict[str, Any]:
    [found] = await items(server, "coverage", node_id=await node_of(server.database, key))
    return found


async def test_a_node_that_never_spoke_is_silent_in_everything(server: Server) -> None:
    found = await coverage_of(server, await a_node(server))
    assert (found["is_silent"], found["configuration"], found["heartbeat_at"]) == (True, "unknown", None)
    assert {each["query"] for each in found["queries"]} >= {HEARTBEAT, "pack/windows_network/outbound"}
    assert all(each["is_silent"] and each["received_at"] is None for each in found["queries"])
    assert not [each for each in found["queries"] if each["query"].startswith("pack/macos")]


async def test_what_a_node_told_and_missed_and_could_not_say_is_shown(server: Server) -> None:
    key = await a_node(server)
    now = int(utc_now().timestamp())
    lines = [a_line(counter=1, unix_time=now - 20), a_line(counter=4, unix_time=now - 10), "?"]
    await server.say("log", a_log(key, lines))
    await server.say("log", a_log(key, [{"message": "Purging buffered logs limit"}] * 2, log_type="status"))
    found = await coverage_of(server, key)
    assert (found["quarantined_lines"], found["notices"]) == (1, {"lines_purged_from_full_buffer": 2})
    [outbound] = [each for each in found["queries"] if each["query"].endswith("windows_network/outbound")]
    assert (outbound["is_silent"], outbound["epoch"], outbound["counter"], outbound["rows_total"]) == (False, 1, 4, 2)
    asked = next(
        query for pack in server.app.state.agent_door.packs for query in pack.queries
        if query.result_name == outbound["query"]
    )  # fmt: skip
    assert outbound["missing_executions"] == (2 if asked.removed else None)


async def heartbeat(server: Server, key: str, config_hash: str) -> None:
    row = {"version": "5.24.0", "instance_id": "i", "config_hash": config_hash}
    await server.say("log", a_log(key, [a_line(row, query=HEARTBEAT)]))


async def test_the_configuration_that_a_node_runs_is_told_by_its_hash(server: Server) -> None:
    key = await a_node(server)
    node = await node_of(server.database, key)
    packs = server.app.state.agent_door.packs

    def served(hours_ago: int) -> str:
        then = utc_now() - timedelta(hours=hours_ago)
        return configuration_for(packs, "windows", node_phase=node, now=then).config_hash

    for config_hash, said in ((served(0), "current"), ("0" * 40, "other"), (served(24 * 30), "other"), ("", "unknown")):
        await heartbeat(server, key, config_hash)
        found = await coverage_of(server, key)
        assert (found["configuration"], found["is_silent"]) == (said, False)
    [shown] = await items(server, "nodes", hostname=found["hostname"])
    assert shown["osquery_version"] == "5.24.0"


async def test_the_configuration_before_todays_resync_is_called_previous(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node's own hour has just struck; it fetches the new configuration at its next refresh."""
    key = await a_node(server)
    node = await node_of(server.database, key)
    packs = server.app.state.agent_door.packs
    now = utc_now()
    while (
        configuration_for(packs, "windows", node_phase=node, now=now).epoch
        == configuration_for(packs, "windows", node_phase=node, now=now - timedelta(hours=1)).epoch
    ):
        now += timedelta(hours=1)
    before = configuration_for(packs, "windows", node_phase=node, now=now - timedelta(hours=1)).config_hash
    await heartbeat(server, key, before)
    monkeypatch.setattr("app.analysis.api.utc_now", lambda: now)
    assert (await coverage_of(server, key))["configuration"] == "previous"


async def test_a_node_whose_heartbeat_stopped_is_silent(server: Server) -> None:
    key = await a_node(server)
    await heartbeat(server, key, "x")
    old = "UPDATE nodes SET heartbeat_at = heartbeat_at - interval '11 minutes' WHERE node_id = :n"
    assert not (await coverage_of(server, key))["is_silent"]
    await tell(server.database, old, n=await node_of(server.database, key))
    assert (await coverage_of(server, key))["is_silent"]


async def test_the_queue_says_what_waits(server: Server) -> None:
    while await analyse_some(server.database, Knobs()):
        pass
    assert (await server.api.get("/api/v1/coverage/queue")).json() == {"waiting": 0, "set_aside": 0}
    key = await a_node(server)
    await server.say("log", a_log(key, [a_line()]))
    assert (await server.api.get("/api/v1/coverage/queue")).json() == {"waiting": 1, "set_aside": 0}
