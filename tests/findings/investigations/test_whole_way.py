"""The whole way with the simulator's agent: a planted program, the finding, the questions, the answers on file."""

from functools import partial
from typing import cast

import pytest

from app.analysis.worker import analyse_some
from app.clock import utc_now
from app.detection.knobs import Knobs
from app.simulator import life, plants
from app.simulator.agent import Agent, Patience
from app.simulator.connection import Connection, Endpoints
from app.simulator.plants import seen_now
from app.simulator.replies import replies
from app.simulator.scenario import scenario
from tests.factories import Server, a_secret

DEMO = scenario("demo")


class Wired:
    """What an agent sends through, straight into the application."""

    endpoints = Endpoints()

    def __init__(self, server: Server) -> None:
        self._server = server

    def for_agent(self) -> "Wired":
        return self

    async def post(self, path: str, body: bytes, *, node_key: str = "", compress: bool = False) -> bytes:
        del compress  # the application does not mind
        headers = {"Authorization": f"NodeKey {node_key}"} if node_key else {}
        return (await self._server.agents.post(path, content=body, headers=headers)).content


@pytest.mark.parametrize("name", ["powershell-attempt", "unsigned-daemon"])
async def test_finding_question_answer(prompt: Server, name: str) -> None:
    plant = next(each for each in DEMO.plants if each.name == name)
    node = next(each for each in DEMO.fleet if each.identity.hostname == plant.node)
    *_, today = DEMO.days_until(utc_now())
    secret = await a_secret(prompt.database, role=node.role)
    agent = Agent(
        node.identity,
        secret,
        cast("Connection", Wired(prompt)),
        patience=Patience(0.0),
        respond=partial(replies, node, today, [plant]),
    )
    assert await agent.fetch_config()
    agent.results.put(*life.logged(node, today, config_hash="", also=plants.executions_of(plant, node, today)).results)
    assert await agent.deliver()
    while await analyse_some(prompt.database, Knobs()):
        pass
    listed = (await prompt.api.get("/api/v1/findings?limit=500")).json()["items"]
    found = next(
        each for each in listed if each["hostname"] == plant.node and each["behaviour"]["port"] == str(plant.port)
    )
    asked = (await prompt.api.post(f"/api/v1/findings/{found['finding_id']}/investigations", json={})).json()
    process, *_ = seen_now(plant, node, today)
    assert (asked["about"]["process_id"], asked["about"]["path"]) == (process.pid, process.path)
    assert asked["about"]["process_started"] == process.started
    assert await agent.poll_distributed()
    filed = (await prompt.api.get(f"/api/v1/investigations/{asked['investigation_id']}")).json()
    assert filed["state"] == "answered"
    rows = {each["query"]: each["rows"] for each in filed["answers"]}
    (itself,) = [row for row in rows["process_tree"] if row["depth"] == "0"]
    assert (itself["pid"], itself["start_time"]) == (str(process.pid), str(process.started))
    assert rows["file_hash"][0]["path"] == process.path
    assert any(str(plant.port) in (row["local_port"], row["remote_port"]) for row in rows["sockets_now"])
