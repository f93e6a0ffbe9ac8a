"""Flow logs over HTTP: streams in, pages out."""

import gzip
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from app.database import Database
from app.flows.keeping import Days, make_days
from tests.factories import Server
from tests.flows.logs import CONN, DAY, SSL, STARTED_AT, eve, recorded, text
from tests.observations.stored import ask

FLOWS = "/api/v1/flows"


@pytest.fixture
async def door(server: Server, clean: Database) -> Server:
    """A server on the day of the recording, with no flow in it."""
    await make_days(clean, Days.now(DAY, 4))
    flow_door = server.app.state.flow_door
    server.app.state.flow_door = replace(flow_door, now=lambda: DAY)
    return server


async def post(door: Server, content: Any, *, sensor: str = "edge", status: int = 200) -> dict[str, Any]:
    answer = await door.api.post(FLOWS, params={"sensor": sensor}, content=content)
    assert answer.status_code == status, answer.text
    document = answer.json()
    assert isinstance(document, dict)
    return document


async def items(door: Server, **params: Any) -> list[dict[str, Any]]:
    answer = await door.api.get(FLOWS, params=params)
    assert answer.status_code == 200, answer.text
    found = answer.json()["items"]
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
async def test_a_stream_is_taken_in_and_again_changes_nothing(door: Server, compress: Any) -> None:
    content = compress(recorded("conn", "ssl", "weird"))
    receipt = await post(door, content)
    assert receipt == {
        "lines": 139, "new": 111, "changed": 0, "same": 0, "logs": {"zeek/conn": 111, "zeek/ssl": 5},
        "ignored": {"zeek/conn: neither TCP nor UDP": 1, "zeek/weird": 22}, "skipped": 0, "faults": [],
    }  # fmt: skip
    assert (await post(door, content)) == receipt | {"new": 0, "same": 111}
    assert await ask(door.database, "SELECT count(*) FROM flows") == [(111,)]


async def test_a_body_may_come_in_pieces_without_a_length(door: Server) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(whole), 1000):
            yield whole[start : start + 1000]

    whole = recorded("conn")
    assert (await post(door, pieces()))["new"] == 111


async def test_skipped_lines_are_told_by_number_and_field(door: Server) -> None:
    receipt = await post(door, text("conn", CONN, CONN | {"id.resp_p": "70000"}) + b"cut")
    assert (receipt["lines"], receipt["new"], receipt["skipped"]) == (3, 1, 2)
    assert receipt["faults"][0] == {
        "lines": 1, "first_line": 10, "field": "id.resp_p", "problem": "not a port from 0 to 65535",
        "sample": "'70000'",
    }  # fmt: skip


async def test_what_is_no_flow_log_is_a_problem_and_nothing_is_stored(door: Server) -> None:
    problem = await post(door, b'{"level": "info"}\n' * 50, status=422)
    assert problem["title"] == "Invalid request"
    assert "not a Zeek log" in problem["detail"]
    assert await ask(door.database, "SELECT * FROM flow_sensors") == []


async def test_a_stream_that_ends_badly_keeps_what_came_before(door: Server) -> None:
    settings = door.app.state.flow_door.settings.model_copy(update={"flow_body_max_bytes": 300_000})
    door.app.state.flow_door = replace(door.app.state.flow_door, settings=settings)
    problem = await post(door, gzip.compress(recorded("conn") + b"\n" * 400_000), status=422)
    assert "more than 300,000 bytes, inflated; the lines up to there are kept" in problem["detail"]
    assert await ask(door.database, "SELECT count(*) FROM flows") == [(111,)]


async def test_only_with_a_token_and_a_name(door: Server) -> None:
    assert (await door.agents.post(FLOWS, params={"sensor": "edge"}, content=eve())).status_code == 401
    assert (await door.agents.get(FLOWS)).status_code == 401
    assert (await door.agents.get(f"{FLOWS}/sensors")).status_code == 401
    assert "sensor" in (await post(door, eve(), sensor="no name", status=422))["detail"]
    assert (await door.api.post(FLOWS, content=eve())).status_code == 422


async def test_a_flow_is_shown_with_all_that_is_known(door: Server) -> None:
    await post(door, text("conn", CONN) + text("ssl", SSL))
    (flow,) = await items(door)
    assert flow == {
        "sensor": "edge", "tool": "zeek", "flow_id": CONN["uid"], "started_at": "2023-08-16T04:54:34.550755Z",
        "transport": "tcp", "origin_address": "192.168.1.41", "origin_port": 51129, "responder_address": "10.0.5.13",
        "responder_port": 8080, "community_id": "1:Tc7zlXS4CYRGQX8HT7crX0ryHB0=", "duration": 3.516797,
        "services": ["tls"], "failed_services": [], "violations": [], "tls_version": "TLSv12",
        "server_name": "c2.example", "state": "SF", "bytes_out": 517, "bytes_in": 1386, "packets_out": 7,
        "packets_in": 4, "one_sided": False,
    }  # fmt: skip


async def test_flows_are_found_by_either_end_port_sensor_name_and_time(door: Server) -> None:
    await post(door, recorded("conn"))
    await post(door, eve(), sensor="core")
    everything = await items(door, limit=500)
    assert len(everything) == 112
    for filters, expected in (
        ({"address": "10.0.5.13"}, lambda flow: "10.0.5.13" in {flow["origin_address"], flow["responder_address"]}),
        ({"port": 8080}, lambda flow: flow["responder_port"] == 8080),
        ({"port": 8080, "sensor": "core"}, lambda flow: flow["sensor"] == "core"),
        ({"community_id": "1:Tc7zlXS4CYRGQX8HT7crX0ryHB0="}, lambda flow: flow["origin_port"] == 51129),
        ({"since": "2023-08-16T04:58:00Z"}, lambda flow: flow["started_at"] >= "2023-08-16T04:58"),
        ({"until": "2023-08-16T04:58:00Z"}, lambda flow: flow["started_at"] < "2023-08-16T04:58"),
    ):
        wanted = [flow for flow in everything if expected(flow)]
        assert wanted
        assert await items(door, limit=500, **filters) == wanted


@pytest.mark.parametrize("sort", ["started_at", "-started_at"])
async def test_pages_show_every_flow_once_even_of_one_instant(door: Server, sort: str) -> None:
    rows = [CONN | {"uid": f"C{number:02}", "ts": str(STARTED_AT + number // 4)} for number in range(11)]
    await post(door, text("conn", *rows))
    await post(door, text("conn", *rows[:3]), sensor="core")
    shown: list[tuple[str, str]] = []
    params: dict[str, Any] = {"sort": sort, "limit": 3}
    while True:
        page = (await door.api.get(FLOWS, params=params)).json()
        shown += [(flow["sensor"], flow["flow_id"]) for flow in page["items"]]
        if page["next"] is None:
            break
        params["cursor"] = page["next"]
    assert len(shown) == len(set(shown)) == 14


async def test_sensors_are_listed_with_what_they_ever_wrote(door: Server) -> None:
    await post(door, recorded("conn", "ssl"))
    (sensor,) = (await door.api.get(f"{FLOWS}/sensors")).json()
    assert sensor["logs"] == ["conn", "ssl"]
    assert "tls" in sensor["services"]
    assert sensor["received_at"] == "2023-08-16T12:00:00Z"
