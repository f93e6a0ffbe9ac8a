"""Rows that explain behaviours: queued with their batch, kept before anything is judged."""

from collections.abc import Sequence

import pytest

from app.analysis import facts
from app.analysis.facts import take_some
from app.database import Database, WriteSession
from app.detection.facts import Fact, FactKind
from tests.factories import Server, a_line, a_log, a_node
from tests.observations.stored import ask, tell

STARTS = "pack/windows_network/process_events"


@pytest.fixture(autouse=True)
async def _quiet(database: Database) -> None:
    await tell(database, "TRUNCATE fresh_facts")


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> list[Fact]:
    found: list[Fact] = []

    async def keep(_session: WriteSession, rows: Sequence[Fact]) -> None:
        if any(row.columns.get("pid") == "13" for row in rows):
            raise ValueError
        found.extend(rows)

    monkeypatch.setattr(facts, "KEEPERS", {FactKind.PROCESS: keep})
    return found


async def say(server: Server, key: str, *pids: str) -> None:
    lines = [a_line({"pid": pid, "type": "ProcessStart"}, query=STARTS) for pid in pids]
    assert await server.say("log", a_log(key, lines)) == {}


async def test_each_row_is_kept_once_and_in_order(server: Server, kept: list[Fact]) -> None:
    key = await a_node(server)
    await say(server, key, "1", "2")
    await say(server, key, "3")
    assert await take_some(server.database) == 2
    assert await take_some(server.database) == 0
    assert [row.columns["pid"] for row in kept] == ["1", "2", "3"]
    assert {(row.kind, row.query, row.action) for row in kept} == {(FactKind.PROCESS, STARTS, "added")}


async def test_a_batch_that_cannot_be_kept_holds_up_no_other(server: Server, kept: list[Fact]) -> None:
    key = await a_node(server)
    for pid in ("1", "13", "2"):
        await say(server, key, pid)
    while await take_some(server.database):
        pass
    assert sorted(str(row.columns["pid"]) for row in kept) == ["1", "2"]
    assert (await server.api.get("/api/v1/coverage/queue")).json() == {"waiting": 0, "set_aside": 1}


async def test_facts_of_a_batch_that_retention_dropped_are_gone(server: Server, kept: list[Fact]) -> None:
    key = await a_node(server)
    await say(server, key, "1")
    await tell(server.database, "DELETE FROM batches")
    assert await take_some(server.database) == 1
    assert (kept, await ask(server.database, "SELECT count(*) FROM fresh_facts")) == ([], [(0,)])


async def test_of_large_batches_as_many_are_read_at_a_time_as_memory_holds(
    server: Server, kept: list[Fact], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "INFLATED_MAX_BYTES", 1)
    key = await a_node(server)
    for pid in ("1", "2"):
        await say(server, key, pid)
    assert [await take_some(server.database) for _ in range(3)] == [1, 1, 0]
    assert [row.columns["pid"] for row in kept] == ["1", "2"]
