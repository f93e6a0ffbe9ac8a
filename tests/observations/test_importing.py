"""Lines that another manager kept are taken in as if their nodes had posted them."""

import gzip
import json
from typing import Any

import httpx

from tests.factories import Server, a_line, a_name, a_node, an_outbound_row
from tests.observations.stored import ask, node_of, ports_of


async def send(server: Server, *lines: object, role: str = "laptop", compress: bool = False) -> httpx.Response:
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines).encode()
    headers = {"Content-Encoding": "gzip"} if compress else {}
    content = gzip.compress(text) if compress else text
    return await server.api.post("/api/v1/results", params={"role": role}, content=content, headers=headers)


def line(host: str, port: int, **fields: object) -> dict[str, Any]:
    return a_line(an_outbound_row(remote_port=str(port)), hostIdentifier=host, **fields)


async def node_named(server: Server, host: str) -> int:
    found = await ask(server.database, "SELECT node_id FROM nodes WHERE host_identifier = :host", host=host)
    return int(found[0][0])


async def test_a_host_that_is_no_node_becomes_one_of_the_role(server: Server) -> None:
    host = a_name("host")
    answer = await send(server, line(host, 443), line(host, 8088), role="build-server", compress=True)
    assert answer.json() == {"lines": 2, "rows": 2, "nodes": 1, "quarantined": 0, "unreadable_lines": []}
    assert await ports_of(server.database, await node_named(server, host)) == {"443", "8088"}
    node = (await server.api.get("/api/v1/nodes", params={"hostname": host})).json()["items"][0]
    assert (node["platform"], node["role"]) == ("windows", "build-server")


async def test_an_enrolled_agent_keeps_its_node_and_its_role(server: Server) -> None:
    host = a_name("host")
    key = await a_node(server, role="laptop", host=host)
    await send(server, line(host, 8088), role="build-server")
    assert await node_named(server, host) == await node_of(server.database, key)
    assert await ports_of(server.database, await node_of(server.database, key)) == {"8088"}


async def test_sending_it_again_shows_nothing_new(server: Server) -> None:
    host = a_name("host")
    for _ in range(2):
        assert (await send(server, line(host, 8088))).status_code == 200
    fresh = "SELECT count(*) FROM fresh_sightings WHERE node_id = :node"
    assert await ask(server.database, fresh, node=await node_named(server, host)) == [(1,)]


async def test_lines_that_are_none_are_named_and_spoil_no_other(server: Server) -> None:
    host = a_name("host")
    answer = await send(server, line(host, 443), "", "no json", '{"name": "x"}', line(host, 8088))
    receipt = answer.json()
    assert (receipt["lines"], receipt["rows"], receipt["unreadable_lines"]) == (4, 2, [3, 4])
    assert await ports_of(server.database, await node_named(server, host)) == {"443", "8088"}


async def test_what_holds_no_line_at_all_is_refused(server: Server) -> None:
    answer = await send(server, "no json", "nor this")
    assert answer.status_code == 422
    assert "hostIdentifier" in answer.json()["detail"]


async def test_a_batch_of_many_lines_is_taken_whole(server: Server) -> None:
    host = a_name("host")
    answer = await send(server, *[line(host, 1000 + number) for number in range(2100)])
    assert answer.json()["rows"] == 2100
    assert len(await ports_of(server.database, await node_named(server, host))) == 2100


async def test_without_a_token_nothing_is_taken(server: Server) -> None:
    answer = await server.agents.post("/api/v1/results", params={"role": "laptop"}, content=b"{}")
    assert answer.status_code == 401
