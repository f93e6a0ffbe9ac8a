"""A finding on a node, the agent of that node, and an investigation of it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import pytest
from structlog.testing import capture_logs

from app.access import store as access
from app.access.actor import Actor, AuthMethod
from app.access.duties import Duty, permissions_of
from app.analysis.worker import analyse_some
from app.detection.knobs import Knobs
from tests.factories import OSQUERY, Answer, Server, a_line, a_log, a_node, an_operator, an_outbound_row
from tests.observations.stored import ask, node_of

ODD = "C:\\Users\\bob\\AppData\\Local\\Temp\\odd.exe"
ALL_OF_WINDOWS = {
    "process_tree",
    "file_hash",
    "authenticode",
    "service",
    "sockets_now",
    "listening_ports",
}


@dataclass(frozen=True)
class Case:
    """A finding of one node, and that node's agent."""

    server: Server
    key: str
    node_id: int
    finding_id: UUID

    async def asks(self, **body: Any) -> Answer:
        """Somebody investigates. Returns the API's answer, which must be 201."""
        answer = await self.server.api.post(f"/api/v1/findings/{self.finding_id}/investigations", json=body)
        assert answer.status_code == 201, answer.text
        found: Answer = answer.json()
        return found

    async def fetches(self) -> dict[str, str]:
        """The agent polls. Query id → statement."""
        answer = await self.server.say("distributed/read", {"node_key": self.key})
        queries: dict[str, str] = answer["queries"]
        return queries

    async def answers(self, rows: Mapping[str, Any], **other: Any) -> Answer:
        """The agent hands in rows by query id, without an error unless `statuses` says so."""
        document = {"queries": rows, "statuses": dict.fromkeys(rows, 0), "messages": dict.fromkeys(rows, ""), **other}
        return await self.server.say("distributed/write", {**document, "node_key": self.key})

    async def posts(self, content: bytes) -> httpx.Response:
        return await self.server.agents.post(f"{OSQUERY}/distributed/write", content=content)

    async def reads(self, investigation: Answer) -> Answer:
        found = await self.server.api.get(f"/api/v1/investigations/{investigation['investigation_id']}")
        assert found.status_code == 200, found.text
        document: Answer = found.json()
        return document

    async def answer_named(self, investigation: Answer, name: str) -> Answer:
        found = await self.reads(investigation)
        return next(each for each in found["answers"] if each["query"] == name)


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[Any]]:
    """What is logged is kept for the test instead of printed."""
    with capture_logs() as entries:
        yield entries


@pytest.fixture
async def prompt(server: Server) -> Server:
    """A server that looks at each poll whether something waits."""
    server.app.state.agent_door.desk.refresh_seconds = 0.0
    return server


@pytest.fixture
async def case(prompt: Server) -> Case:
    return await a_case(prompt)


async def a_case(server: Server, *, platform: str = "windows", query: str | None = None, **columns: str) -> Case:
    key = await a_node(server, platform=platform)
    query = query or ("pack/windows_network/outbound" if platform == "windows" else "pack/macos_network/outbound")
    row = an_outbound_row(proc_path=ODD, proc_name="odd.exe", remote_port="4444", svchost_hint="") | columns
    assert await server.say("log", a_log(key, [a_line(row, query=query)])) == {}
    while await analyse_some(server.database, Knobs()):
        pass
    node_id = await node_of(server.database, key)
    ((finding_id,),) = await ask(
        server.database, "SELECT finding_id FROM findings WHERE node_id = :n ORDER BY score DESC LIMIT 1", n=node_id
    )
    return Case(server, key, node_id, finding_id)


async def an_actor(server: Server, *duties: Duty) -> Actor:
    name = await an_operator(server.database, *duties)
    async with server.database.reading() as session:
        operator = await access.find_operator(session, name)
    assert operator is not None
    return Actor(name, AuthMethod.PASSWORD, operator.operator_id, frozenset(duties), permissions_of(duties))


def encoded(document: Any) -> bytes:
    return json.dumps(document).encode()
