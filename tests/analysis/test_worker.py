"""The queue is judged: each entry once, whoever judges, and one that cannot be judged holds up no other."""

import asyncio
import json
from typing import Any

import pytest

from app.analysis import store, worker
from app.analysis.worker import analyse_some, work
from app.clock import utc_now
from app.database import Database
from app.detection.knobs import Knobs
from app.findings.again.store import EVERY_PROGRAM, judge_again
from tests.factories import Server, a_line, a_log, a_node, an_outbound_row
from tests.observations.stored import ask, node_of, tell

DAY = 86_400
FAKE = "C:\\Users\\bob\\AppData\\Local\\Temp\\svchost.exe"


def odd_row(port: int = 8088) -> dict[str, str]:
    """A program of a system's name connects out to an uncommon port from a folder that any user may write to."""
    return an_outbound_row(proc_path=FAKE, svchost_hint="", remote_port=str(port))


async def say(server: Server, key: str, *ports: int, days_ago: int = 0) -> None:
    then = int(utc_now().timestamp()) - days_ago * DAY
    lines = [a_line(odd_row(port), unix_time=then) for port in ports]
    assert await server.say("log", a_log(key, lines), compress=True) == {}


async def findings_of(server: Server, key: str) -> list[dict[str, Any]]:
    node = await node_of(server.database, key)
    answer = await server.api.get("/api/v1/findings", params={"node_id": node, "members": True})
    assert answer.status_code == 200
    items = answer.json()["items"]
    assert isinstance(items, list)
    return items


@pytest.fixture
async def quiet(database: Database) -> Database:
    """Nothing left in the queue, no history."""
    await tell(database, "TRUNCATE fresh_sightings, tallies, node_tallies, findings, fleet_findings")
    return database


@pytest.mark.usefixtures("quiet")
async def test_a_fresh_sighting_becomes_a_finding_with_evidence(server: Server) -> None:
    key = await a_node(server)
    await say(server, key, 8088)
    assert await analyse_some(server.database, Knobs()) == 1
    [finding] = await findings_of(server, key)
    assert (finding["behaviour"]["program"], finding["behaviour"]["port"]) == ("svchost.exe", "8088")
    assert (finding["technique"], finding["analytic"], finding["days_seen"]) == ("T1571", "AN0633", 1)
    assert sum(each["points"] for each in finding["evidence"]) > 0
    assert all(each["text"] for each in finding["evidence"])
    assert await analyse_some(server.database, Knobs()) == 0


@pytest.mark.usefixtures("quiet")
async def test_seen_again_on_the_next_day_a_finding_keeps_its_opening(server: Server) -> None:
    key = await a_node(server)
    await say(server, key, 8088, days_ago=1)
    await analyse_some(server.database, Knobs())
    [first] = await findings_of(server, key)
    await say(server, key, 8088)
    await analyse_some(server.database, Knobs())
    [again] = await findings_of(server, key)
    assert again["finding_id"] == first["finding_id"]
    assert (again["opened_at"], again["first_seen_at"]) == (first["opened_at"], first["first_seen_at"])
    assert (first["days_seen"], again["days_seen"]) == (1, 2)
    assert again["last_seen_at"] > first["last_seen_at"]


@pytest.mark.usefixtures("quiet")
async def test_said_again_on_the_same_day_nothing_is_judged_again(server: Server) -> None:
    key = await a_node(server)
    for _ in range(3):
        await say(server, key, 8088)
        await analyse_some(server.database, Knobs())
    [finding] = await findings_of(server, key)
    assert finding["days_seen"] == 1


@pytest.mark.usefixtures("quiet")
async def test_a_sighting_whose_batch_is_gone_is_judged_without_its_row(server: Server) -> None:
    key = await a_node(server)
    await say(server, key, 8088)
    await tell(server.database, "DELETE FROM batches WHERE node_id = :n", n=await node_of(server.database, key))
    assert await analyse_some(server.database, Knobs()) == 1
    [finding] = await findings_of(server, key)
    rows = (await server.api.get(f"/api/v1/findings/{finding['finding_id']}/rows")).json()
    assert [(row["columns"], row["body_sha256"]) for row in rows] == [(None, None)]


@pytest.mark.usefixtures("quiet")
async def test_two_workers_at_once_judge_each_entry_once(server: Server) -> None:
    keys = [await a_node(server) for _ in range(6)]
    for key in keys:
        await say(server, key, 8088, 8089)
        await say(server, key, 8090)

    async def drain() -> int:
        judged = 0
        while found := await analyse_some(server.database, Knobs(), limit=2):
            judged += found
        return judged

    assert sum(await asyncio.gather(drain(), drain(), drain())) == 18
    for key in keys:
        assert [each["days_seen"] for each in await findings_of(server, key)] == [1, 1, 1]
    units = "SELECT sum(units + day_units) FROM tallies WHERE role_id = 0 AND bucket IS NOT NULL"
    assert await ask(server.database, units) == [(18,)]


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "FAILED_SECONDS", 0.0)
    monkeypatch.setattr(worker, "IDLE_SECONDS", 0.01)


@pytest.mark.usefixtures("quiet", "hurried")
async def test_an_entry_that_cannot_be_judged_is_set_aside_and_the_others_go_on(server: Server) -> None:
    bad, good = await a_node(server), [await a_node(server) for _ in range(3)]
    await say(server, good[0], 8088)
    await say(server, bad, 8088)
    for key in good[1:]:
        await say(server, key, 8088)
    broken = "UPDATE fresh_sightings SET line_numbers = '{}' WHERE node_id = :n"
    await tell(server.database, broken, n=await node_of(server.database, bad))
    working = asyncio.create_task(work(server.database, Knobs()))
    try:
        async with asyncio.timeout(20):
            while (await server.api.get("/api/v1/coverage/queue")).json() != {"waiting": 0, "set_aside": 1}:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    finally:
        working.cancel()
    assert [len(await findings_of(server, key)) for key in good] == [1, 1, 1]
    assert not await findings_of(server, bad)


@pytest.mark.parametrize("depth", range(100, 1000, 100))
@pytest.mark.usefixtures("quiet")
async def test_what_intake_took_can_be_judged_however_deep_its_lines_are_nested(server: Server, depth: int) -> None:
    key = await a_node(server)
    deep = "[" * depth + "]" * depth
    line = json.dumps(a_line(odd_row())).replace('"columns": {', f'"columns": {{"deep": {deep}, ')
    body = f'{{"data":[{line}],"log_type":"result","node_key":"{key}"}}'
    answer = (await server.agents.post("/api/v1/osquery/log", content=body)).json()
    taken = 1 if answer == {} else 0
    assert await analyse_some(server.database, Knobs()) == taken
    for finding in await findings_of(server, key):
        rows = await server.api.get(f"/api/v1/findings/{finding['finding_id']}/rows")
        assert rows.status_code == 200


@pytest.mark.usefixtures("quiet")
async def test_a_text_that_is_long_beyond_measure_can_be_judged(server: Server) -> None:
    key = await a_node(server)
    noise = "".join(chr(0x4E00 + n * 7919 % 20_000) for n in range(3000))
    signature = {"path": f"C:\\{noise}\\a.exe", "sign_status": "trusted", "subject_name": noise}
    lines = [a_line(signature, query="pack/windows_context/signatures"), a_line(odd_row() | {"cmdline": noise})]
    assert await server.say("log", a_log(key, lines)) == {}
    assert await analyse_some(server.database, Knobs()) == 2


@pytest.mark.usefixtures("quiet")
async def test_days_of_one_claim_are_judged_in_their_order(server: Server) -> None:
    key = await a_node(server)
    for days_ago in (0, 2, 1):
        await say(server, key, 8088, days_ago=days_ago)
    await analyse_some(server.database, Knobs())
    node = await node_of(server.database, key)
    days = "SELECT max(days), max(day) FROM node_tallies WHERE node_id = :n"
    assert await ask(server.database, days, n=node) == [(3, utc_now().date())]


@pytest.mark.parametrize("days_ago", [0, 1])
@pytest.mark.usefixtures("quiet")
async def test_a_signature_is_heeded_though_midnight_lies_between_it_and_the_connection(
    server: Server, days_ago: int
) -> None:
    key = await a_node(server)
    await say(server, key, 8088)
    await analyse_some(server.database, Knobs())
    then = int(utc_now().timestamp()) - days_ago * DAY
    unsigned = {"path": FAKE, "sign_status": "missing", "subject_name": ""}
    line = a_line(unsigned, query="pack/windows_context/signatures", unix_time=then)
    assert await server.say("log", a_log(key, [line])) == {}
    while await analyse_some(server.database, Knobs()):
        pass
    [finding] = [each for each in await findings_of(server, key) if each["behaviour"]["direction"] == "outbound"]
    assert "unsigned" in {each["reason"] for each in finding["evidence"]}


@pytest.mark.usefixtures("quiet")
async def test_while_one_worker_judges_the_others_stand_by(server: Server) -> None:
    key = await a_node(server)
    await say(server, key, 8088)
    async with server.database.writing() as other:
        assert await store.is_alone(other)
        assert await analyse_some(server.database, Knobs()) == 0
    assert await analyse_some(server.database, Knobs()) == 1


@pytest.mark.usefixtures("quiet")
async def test_a_finding_whose_row_is_gone_keeps_its_judgement(server: Server) -> None:
    key = await a_node(server)
    await say(server, key, 8088)
    await analyse_some(server.database, Knobs())
    [before] = await findings_of(server, key)
    node = await node_of(server.database, key)
    await tell(server.database, "DELETE FROM batches WHERE node_id = :n", n=node)
    async with server.database.writing() as session:
        await judge_again(session, utc_now().date(), [(node, EVERY_PROGRAM)])
    assert await analyse_some(server.database, Knobs()) == 0
    assert await findings_of(server, key) == [before]


@pytest.mark.usefixtures("quiet")
async def test_of_large_batches_as_many_are_judged_at_a_time_as_memory_holds(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "INFLATED_MAX_BYTES", 1)
    key = await a_node(server)
    for port in (8088, 8089, 8090):
        await say(server, key, port)
    assert [await analyse_some(server.database, Knobs()) for _ in range(4)] == [1, 1, 1, 0]
    assert len(await findings_of(server, key)) == 3


@pytest.mark.usefixtures("quiet", "hurried")
async def test_where_nothing_can_be_learnt_judging_goes_on(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_database: Database) -> None:
        raise OSError

    monkeypatch.setattr(worker, "heed_import", fail)
    key = await a_node(server)
    await say(server, key, 8088, 8089)
    working = asyncio.create_task(work(server.database, Knobs()))
    try:
        async with asyncio.timeout(20):
            while len(await findings_of(server, key)) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    finally:
        working.cancel()
