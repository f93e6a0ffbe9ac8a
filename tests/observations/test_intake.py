"""Acknowledged means stored, exactly once counted, whatever the batch holds and whatever fails on the way."""

import asyncio
import json
from collections import Counter
from datetime import UTC, datetime
from hashlib import sha256
from random import Random
from uuid import uuid4

import pytest
from sqlalchemy import text

from app.clock import utc_now
from app.fleet.nodes import KnownNode
from app.observations import intake
from app.observations.intake import IntakeFull, Submission
from app.observations.reduction import Quarantined, Reduced
from tests.factories import Server, a_line, a_log, a_node, an_outbound_row
from tests.observations.stored import (
    ask,
    bodies_of,
    execution_of,
    node_of,
    notices_of,
    ports_of,
    quarantined_of,
    sightings_of,
    tell,
)

HEARTBEAT = "pack/telemetry/heartbeat"


def lines_to(*ports: int, **fields: object) -> list[dict[str, object]]:
    return [a_line(an_outbound_row(remote_port=str(port)), **fields) for port in ports]  # type: ignore[arg-type]


@pytest.mark.parametrize("table", ["batches", "sightings", "executions", "fresh_sightings"])
async def test_a_commit_that_fails_is_an_error_and_the_lines_are_accepted_later(server: Server, table: str) -> None:
    key = await a_node(server)
    node = await node_of(server.database, key)
    await tell(server.database, f"ALTER TABLE {table} RENAME TO away")
    try:
        for _ in range(2):
            assert "error" in await server.say("log", a_log(key, lines_to(22, 8088)))
    finally:
        await tell(server.database, f"ALTER TABLE away RENAME TO {table}")
    assert not await bodies_of(server.database, node)
    assert await server.say("log", a_log(key, lines_to(8088, 22))) == {}
    assert await ports_of(server.database, node) == {"22", "8088"}, "what was rolled back is not taken for known"
    assert len(await bodies_of(server.database, node)) == 1


async def test_the_reply_leaves_after_the_commit(server: Server) -> None:
    """While a transaction holds the table, the agent waits; what it is told then is already to be seen by others."""
    key = await a_node(server)
    node = await node_of(server.database, key)
    async with server.database.writing() as session:
        await session.execute(text("LOCK TABLE batches IN ACCESS EXCLUSIVE MODE"))
        asked = asyncio.create_task(server.say("log", a_log(key, lines_to(22))))
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'batches'::regclass"
        while (await ask(server.database, waits)) == [(0,)]:
            assert not asked.done()
            await asyncio.sleep(0)
        assert not asked.done()
    assert await asked == {}
    assert len(await bodies_of(server.database, node)) == 1


def submission(node: KnownNode, **reduced: object) -> Submission:
    return Submission(node, uuid4(), utc_now(), "result", b"x", Reduced(**reduced))  # type: ignore[arg-type]


async def known_node(server: Server) -> KnownNode:
    key = await a_node(server)
    node = await server.app.state.agent_door.keys.find(key)
    assert isinstance(node, KnownNode)
    return node


async def test_one_poisonous_batch_does_not_spoil_its_neighbours(server: Server) -> None:
    node = await known_node(server)
    poison = submission(node, heartbeat=("a NUL \0", "", ""))
    good = [submission(node, quarantined={"x": Quarantined(1, 0, "")}) for _ in range(5)]
    accept = server.app.state.agent_door.intake.accept
    outcomes = await asyncio.gather(*map(accept, [*good[:2], poison, *good[2:]]), return_exceptions=True)
    assert [isinstance(each, Exception) for each in outcomes] == [False, False, True, False, False, False]
    kept = await ask(server.database, "SELECT batch_id FROM batches WHERE node_id = :node", node=node.node_id)
    assert {batch for (batch,) in kept} == {each.batch_id for each in good}
    assert await quarantined_of(server.database, node.node_id) == {"x": 5}


async def test_a_batch_that_is_tried_again_counts_what_it_leaves_out_once(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "NODE_DAY_MAX", 3)
    key = await a_node(server)
    node = await server.app.state.agent_door.keys.find(key)
    poison = submission(node, heartbeat=("\0", "", ""))
    said = server.say("log", a_log(key, lines_to(1, 2, 3, 4, 5)))
    _, answer = await asyncio.gather(server.app.state.agent_door.intake.accept(poison), said, return_exceptions=True)
    assert answer == {}
    assert await quarantined_of(server.database, node.node_id) == {"too_many_new_behaviours": 2}
    assert await ports_of(server.database, node.node_id) == {"1", "2", "3"}


async def test_past_its_bytes_the_queue_refuses_and_the_agent_keeps_its_lines(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await a_node(server)
    door = server.app.state.agent_door
    monkeypatch.setattr(door.intake, "_queue_max_bytes", 10)
    assert "error" in await server.say("log", a_log(key, lines_to(22)))
    with pytest.raises(IntakeFull):
        await door.intake.accept(
            Submission(await known_node(server), uuid4(), utc_now(), "result", b"x" * 11, Reduced())
        )
    monkeypatch.setattr(door.intake, "_queue_max_bytes", 10_000)
    assert await server.say("log", a_log(key, lines_to(22))) == {}


async def test_lines_that_come_again_in_other_batches_and_order_change_no_sighting(server: Server) -> None:
    key = await a_node(server)
    node = await node_of(server.database, key)
    lines = lines_to(*range(1, 31)) + lines_to(443) * 3
    await server.say("log", a_log(key, lines))
    statement = "SELECT * FROM sightings WHERE node_id = :node ORDER BY behaviour_id"
    queue = "SELECT cardinality(behaviour_ids) FROM fresh_sightings WHERE node_id = :node"
    before = await ask(server.database, statement, node=node), await ask(server.database, queue, node=node)
    chance = Random(7)
    for _ in range(4):
        again = [line for line in lines for _ in range(chance.randint(0, 2))]
        chance.shuffle(again)
        server.app.state.agent_door.intake._known._days.clear()  # another worker, or a restart
        assert await server.say("log", a_log(key, again), compress=True) == {}
    assert before == (await ask(server.database, statement, node=node), await ask(server.database, queue, node=node))
    assert len(before[0]) == 31


async def test_many_agents_at_once_each_keep_their_own(server: Server) -> None:
    agents = [await a_node(server) for _ in range(8)]
    asked = [server.say("log", a_log(key, lines_to(n + 1, 443))) for n, key in enumerate(agents) for _ in range(4)]
    assert await asyncio.gather(*asked) == [{}] * 32
    for n, key in enumerate(agents):
        node = await node_of(server.database, key)
        assert await ports_of(server.database, node) == {str(n + 1), "443"}
        assert len(await bodies_of(server.database, node)) == 4


async def test_a_removed_row_ends_the_sighting_at_the_last_time_it_was_said(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await a_node(server)
    node = await node_of(server.database, key)
    now = int(utc_now().timestamp())
    monkeypatch.setattr(server.app.state.agent_door.intake._recent_ends, "_every_seconds", 0)
    await server.say("log", a_log(key, lines_to(22, unix_time=now - 100)))
    gone = [lines_to(22, unix_time=now - back, action="removed") for back in (50, 10, 30)]
    await asyncio.gather(*[server.say("log", a_log(key, lines)) for lines in gone])
    [(ended,)] = await ask(server.database, "SELECT ended_at FROM sightings WHERE node_id = :node", node=node)
    assert ended == datetime.fromtimestamp(now - 10, UTC)


async def test_a_removed_row_alone_makes_no_sighting(server: Server) -> None:
    key = await a_node(server)
    await server.say("log", a_log(key, lines_to(22, action="removed")))
    assert not await sightings_of(server.database, await node_of(server.database, key))


async def test_ten_thousand_behaviours_of_one_node_are_taken(server: Server) -> None:
    key = await a_node(server)
    node = await node_of(server.database, key)
    rows = [an_outbound_row(proc_path=f"C:\\x\\p{n}q.exe", proc_name=f"p{n}q.exe") for n in range(10_000)]
    line = a_line(query="pack/windows_network/outbound", snapshot=rows, action="snapshot") | {"columns": None}
    assert await server.say("log", a_log(key, [line]), compress=True) == {}
    assert await ask(server.database, "SELECT count(*) FROM sightings WHERE node_id = :node", node=node) == [(10_000,)]


async def test_past_its_limit_a_node_adds_nothing_and_is_counted(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "NODE_DAY_MAX", 10)
    key = await a_node(server)
    node = await node_of(server.database, key)
    for first in (1, 8, 15):
        assert await server.say("log", a_log(key, lines_to(*range(first, first + 7)))) == {}
    assert len(await ports_of(server.database, node)) == 10
    assert await quarantined_of(server.database, node) == {"too_many_new_behaviours": 11}


def noise(characters: int, seed: int = 1) -> str:
    """Text that does not compress and takes three bytes a character."""
    chance = Random(seed)
    return "".join(chr(chance.randrange(0x4E00, 0x9FFF)) for _ in range(characters))


@pytest.mark.parametrize(
    ("query", "columns"),
    [
        ("pack/windows_network/outbound", an_outbound_row(proc_path=f"C:\\{noise(4000)}.exe")),
        ("pack/windows_network/outbound", an_outbound_row(proc_path="", proc_name=noise(4000))),
        ("pack/windows_network/outbound", an_outbound_row(svchost_hint=noise(4000))),
        ("pack/windows_network/outbound", an_outbound_row(cmdline=noise(400_000))),
        ("pack/windows_context/services", {"name": noise(4000), "start_type": noise(4000), "path": noise(4000),
                                           "module_path": noise(4000), "user_account": noise(4000)}),
        ("pack/windows_context/signatures", {"path": f"C:\\{noise(2000)}\\{noise(2000)}", "sign_status": "trusted",
                                             "subject_name": noise(4000)}),
        (HEARTBEAT, {"version": noise(4000), "instance_id": "a\0b", "config_hash": "\0"}),
        (HEARTBEAT, {"version": "5.2\0", "instance_id": 7, "config_hash": None}),
        (noise(2000), {"x\0": "\0"}),
        ("pack/windows_network/outbound\0", an_outbound_row()),
        ("pack/windows_network/outbound", dict.fromkeys(an_outbound_row(), "\0")),
        ("pack/windows_network/outbound", an_outbound_row(proc_path="C:\\\0a\0.exe", svchost_hint="\0")),
    ],
)  # fmt: skip
async def test_no_text_of_an_agent_is_too_long_or_too_odd_to_be_stored(
    server: Server, query: str, columns: dict[str, object]
) -> None:
    key = await a_node(server)
    answer = await server.say("log", a_log(key, [a_line(columns, query=query), *lines_to(22)]))
    assert answer == {}
    assert "22" in await ports_of(server.database, await node_of(server.database, key))


@pytest.mark.parametrize("counter", [2**31, 2**62, 2**63, 2**70, -5, "9" * 30])
async def test_no_counter_however_far_makes_a_batch_fail(server: Server, counter: object) -> None:
    key = await a_node(server)
    for _ in range(3):
        lines = lines_to(22, counter=0) + lines_to(23, counter=counter)
        assert await server.say("log", a_log(key, lines)) == {}
        assert await server.say("log", a_log(key, lines_to(22, counter=1, epoch=counter))) == {}


async def test_a_status_batch_is_stored_and_what_means_lost_rows_is_counted(server: Server) -> None:
    key = await a_node(server)
    node = await node_of(server.database, key)
    says = ["Linesize exceeds TLS logger maximum: 2000000", "Purging buffered logs limit (1) exceeded\0", "all is well"]
    odd = ["17", 17, "", None]
    lines = [
        {"message": text, "severity": severity, "line": severity, "unixTime": severity, "filename": "x"}
        for text in says
        for severity in (1, "1")
    ]
    assert await server.say("log", a_log(key, lines + odd, log_type="status")) == {}
    assert await notices_of(server.database, node) == {
        "line_dropped_as_too_long": 2,
        "lines_purged_from_full_buffer": 2,
    }
    assert await quarantined_of(server.database, node) == {"unreadable_line": 4}
    [(kind, total)] = await ask(server.database, "SELECT kind, lines FROM batches WHERE node_id = :node", node=node)
    assert (kind, total) == ("status", 10)


async def test_the_hash_of_a_stored_body_proves_it_and_only_the_key_is_missing(server: Server) -> None:
    key = await a_node(server)
    node = await node_of(server.database, key)
    document = a_log(key, [*lines_to(22), {"name": "\U0001f6a2 é", "columns": {}}])
    await server.say("log", document, compress=True)
    [(body, digest)] = await ask(server.database, "SELECT body, body_sha256 FROM batches WHERE node_id = :n", n=node)
    assert sha256(body).digest() == digest
    assert json.loads((await bodies_of(server.database, node))[0]) == document | {"node_key": ""}


async def test_an_agent_cannot_have_its_lines_wiped_by_what_it_calls_its_key(server: Server) -> None:
    """The key of the header counts, so the one in the body may be any word of the lines."""
    key = await a_node(server)
    node = await node_of(server.database, key)
    document = a_log("columns", lines_to(22))
    header = {"Authorization": f"NodeKey {key}"}
    answer = await server.agents.post("/api/v1/osquery/log", content=json.dumps(document), headers=header)
    assert answer.json() == {}
    assert json.loads((await bodies_of(server.database, node))[0])["data"] == document["data"]


class Executions:
    """Batches of one query of one node, given by epoch, counters and how long ago they were observed."""

    def __init__(self, server: Server, key: str) -> None:
        self._server, self._key = server, key
        self._now = int(utc_now().timestamp())

    async def say(self, epoch: int, *counters: int, ago: int) -> None:
        lines = [
            line
            for step, counter in enumerate(counters)
            for line in lines_to(22, epoch=epoch, counter=counter, unix_time=self._now - ago + step)
        ]
        assert await self._server.say("log", a_log(self._key, lines)) == {}

    async def told(self) -> dict[str, int]:
        return await execution_of(self._server.database, await node_of(self._server.database, self._key))


@pytest.fixture
async def executions(server: Server) -> Executions:
    return Executions(server, await a_node(server))


async def test_counters_that_follow_each_other_miss_nothing(executions: Executions) -> None:
    await executions.say(1, 0, ago=900)
    await executions.say(1, 1, 2, 3, ago=800)
    await executions.say(1, 4, ago=700)
    told = await executions.told()
    assert told == Counter(epoch=1, counter=4, rows_total=5, executions_total=5) | {
        "missing_total": 0, "restarts_total": 0, "resyncs_total": 0,
    }  # fmt: skip


async def test_a_gap_between_batches_and_within_one_is_counted_once(executions: Executions) -> None:
    await executions.say(1, 0, ago=900)
    await executions.say(1, 3, ago=800)
    await executions.say(1, 4, 8, ago=700)
    assert (await executions.told())["missing_total"] == 2 + 3


async def test_an_execution_split_over_two_batches_misses_nothing(executions: Executions) -> None:
    await executions.say(1, 5, 6, ago=900)
    await executions.say(1, 6, 7, ago=899)
    told = await executions.told()
    assert (told["counter"], told["missing_total"], told["restarts_total"]) == (7, 0, 0)


async def test_a_new_epoch_is_a_resync_and_no_gap(executions: Executions) -> None:
    await executions.say(1, 7, ago=900)
    await executions.say(2, 0, ago=800)
    await executions.say(2, 1, ago=700)
    told = await executions.told()
    assert (told["epoch"], told["counter"], told["resyncs_total"]) == (2, 1, 1)
    assert (told["missing_total"], told["restarts_total"]) == (0, 0)


async def test_a_counter_that_falls_back_is_a_restart_and_no_gap(executions: Executions) -> None:
    await executions.say(1, 7, ago=900)
    await executions.say(1, 0, ago=800)
    told = await executions.told()
    assert (told["counter"], told["restarts_total"], told["missing_total"]) == (0, 1, 0)


async def test_old_lines_sent_again_after_an_outage_are_neither_restart_nor_gap(executions: Executions) -> None:
    """The server had stored the batch, the agent had not heard of it: it comes again, grown by what is new."""
    await executions.say(1, 1, 2, 5, ago=900)
    once = await executions.told()
    assert once["missing_total"] == 2
    await executions.say(1, 1, 2, 5, ago=900)
    await executions.say(1, 1, 2, 5, 6, 7, ago=900)
    await executions.say(1, 1, ago=900)
    told = await executions.told()
    assert (told["epoch"], told["counter"], told["restarts_total"], told["missing_total"]) == (1, 7, 0, 2)


async def test_old_lines_of_an_epoch_before_change_nothing(executions: Executions) -> None:
    await executions.say(1, 1, 4, ago=900)
    await executions.say(2, 0, ago=800)
    await executions.say(1, 1, 4, ago=900)
    told = await executions.told()
    assert (told["epoch"], told["counter"], told["resyncs_total"], told["missing_total"]) == (2, 0, 1, 2)


async def test_epochs_that_came_in_one_batch_follow_each_other(server: Server) -> None:
    key = await a_node(server)
    now = int(utc_now().timestamp())
    lines = lines_to(22, epoch=2, counter=0, unix_time=now - 10) + lines_to(22, epoch=1, counter=9, unix_time=now - 20)
    await server.say("log", a_log(key, lines))
    told = await execution_of(server.database, await node_of(server.database, key))
    assert (told["epoch"], told["counter"], told["resyncs_total"], told["rows_total"]) == (2, 0, 1, 2)
