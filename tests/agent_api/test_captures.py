"""What a real osqueryd sent, replayed: each request gets the answer that it needs, and no row goes missing."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from app.fleet.secrets import list_secrets
from tests.agent_api.osqueryd import Verdict, key_in, verdict
from tests.factories import Server, a_secret
from tests.observations.stored import ask, bodies_of, node_of

CAPTURES = sorted((Path(__file__).parents[1] / "captures").glob("*.jsonl"))
SECRET = "a-captured-enroll-secret"
RECORDED_KEY = "nodekey-1"

Recorded = dict[str, Any]


def recorded(path: Path) -> list[Recorded]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def rows_of(line: dict[str, Any]) -> int:
    if "snapshot" in line:
        return len(line["snapshot"])
    changes = line.get("diffResults")
    return len(changes["added"]) + len(changes["removed"]) if changes else 1


class Replay:
    """One agent's life, its recorded key replaced by the one that it is given."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.node_key = ""

    async def run(self, requests: Sequence[Recorded]) -> None:
        for request in requests:
            await self._send(request)

    async def _send(self, request: Recorded) -> None:
        path = request["path"].partition("?")[0]
        body = request["body"].replace(RECORDED_KEY, self.node_key or RECORDED_KEY).encode()
        headers = {name: value.replace(RECORDED_KEY, self.node_key) for name, value in request["headers"].items()}
        content = gzip.compress(body) if headers.get("Content-Encoding") == "gzip" else body
        answer = await self._server.agents.post(request["path"], content=content, headers=headers)
        if path == "/enroll":
            self.node_key = key_in(answer)
            assert self.node_key
            return
        assert verdict(answer) is Verdict.DONE, (path, answer.text)
        if path == "/config":
            assert set(answer.json()) >= {"packs", "options"}, "anything less wipes the schedule"
        if path == "/distributed/read":
            assert isinstance(answer.json()["queries"], dict)


@pytest.fixture
async def replay(server: Server) -> Replay:
    """Any recording may enroll, however often."""
    if not await _has_secret(server):
        await a_secret(server.database, role="build-server", text=SECRET)
    return Replay(server)


async def _has_secret(server: Server) -> bool:
    return any(role == "build-server" for _, role in await list_secrets(server.database))


def test_every_recording_is_here() -> None:
    assert len(CAPTURES) == 10


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.stem)
async def test_a_recorded_life_goes_on_as_a_real_agent_needs_it(server: Server, replay: Replay, capture: Path) -> None:
    requests = recorded(capture)
    await replay.run(requests)
    logs = [json.loads(each["body"]) for each in requests if each["path"].startswith("/log")]
    node = await node_of(server.database, replay.node_key)
    results = [line for log in logs if log["log_type"] == "result" for line in log["data"]]
    stored = await ask(
        server.database,
        "SELECT kind, count(*), sum(lines), sum(rows) FROM batches WHERE node_id = :node GROUP BY kind",
        node=node,
    )
    statuses = [log for log in logs if log["log_type"] == "status"]
    rows = sum(map(rows_of, results))
    expected = {("result", len(logs) - len(statuses), len(results), rows)} if results else set()
    expected |= {("status", len(statuses), sum(len(log["data"]) for log in statuses), 0)} if statuses else set()
    assert set(stored) == expected
    counted = await ask(server.database, "SELECT query, rows_total FROM executions WHERE node_id = :n", n=node)
    assert counted == ([("(other)", rows)] if results else [])
    bodies = await bodies_of(server.database, node)
    assert [json.loads(body)["data"] for body in bodies] == [log["data"] for log in logs]
    assert not any(replay.node_key.encode() in body for body in bodies)
    [(platform, role)] = await ask(
        server.database, "SELECT platform, name FROM nodes JOIN roles USING (role_id) WHERE node_id = :n", n=node
    )
    assert (platform, role) == ("other", "build-server")


def test_a_recording_holds_identical_lines_that_are_genuine() -> None:
    requests = recorded(next(path for path in CAPTURES if path.stem == "identical-rows-in-one-result"))
    lines = [
        json.dumps(line) for each in requests if each["path"] == "/log" for line in json.loads(each["body"])["data"]
    ]
    assert len(set(lines)) < len(lines)
