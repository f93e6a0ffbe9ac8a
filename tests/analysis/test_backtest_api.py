"""Backtests over the API: asked for, run one at a time by a worker, looked at, exported, cancelled."""

import asyncio
import csv
import io
from typing import Any
from uuid import uuid4

import pytest

from app.analysis.backtest import run
from app.analysis.backtest.run import Request, run_queued
from app.clock import utc_now
from app.collection.packs import load_packs
from app.main import create_app
from app.settings import Settings
from tests.access.told import last_told
from tests.analysis.lived import A_TESTER, TEMP, analyse, at, connects, forget, say
from tests.factories import Server, a_node, serving
from tests.observations.stored import ask, tell

LOWER = {"Severities": {"low": 10}}


@pytest.fixture
async def quiet(server: Server) -> Server:
    """Three nodes of which one runs something odd today."""
    await forget(server.database)
    keys = [await a_node(server) for _ in range(3)]
    for days_ago in (2, 1, 0):
        for key in keys:
            await say(server, key, [connects("office.exe", 443, at(days_ago))])
        await analyse(server)
    await say(server, keys[0], [connects("=cmd.exe", 8088, at(0), path=TEMP.format("=cmd.exe"))])
    await analyse(server)
    return server


async def asked(server: Server, document: dict[str, Any] = LOWER, **more: Any) -> dict[str, Any]:
    answer = await server.api.post("/api/v1/backtests", json={"document": document, **more})
    assert answer.status_code == 202, answer.text
    line: dict[str, Any] = answer.json()
    return line


async def seen(server: Server, backtest_id: str) -> dict[str, Any]:
    answer = await server.api.get(f"/api/v1/backtests/{backtest_id}")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


async def test_a_queued_run_is_run_and_shown_with_its_result(quiet: Server) -> None:
    line = await asked(quiet, days=3, scope="platform.windows")
    assert (line["state"], line["progress"], line["scope"], line["days"]) == ("queued", 0, "platform.windows", 3)
    assert line["requested_by"].startswith("operator")
    assert (await seen(quiet, line["backtest_id"]))["result"] is None
    assert await run_queued(quiet.database, load_packs())
    found = await seen(quiet, line["backtest_id"])
    assert (found["state"], found["progress"], found["candidate"], found["error"]) == ("finished", 1, LOWER, None)
    assert found["result"]["version"] == 1
    assert found["result"]["agreement"]["same"] == found["result"]["agreement"]["stored"] == 1
    assert not await run_queued(quiet.database, load_packs())
    listed = (await quiet.api.get("/api/v1/backtests")).json()["items"]
    assert [each["backtest_id"] for each in listed] == [line["backtest_id"]]
    assert "result" not in listed[0]


async def test_pages_list_each_run_once_newest_first(quiet: Server) -> None:
    ids = [(await asked(quiet))["backtest_id"] for _ in range(3)]
    first = (await quiet.api.get("/api/v1/backtests", params={"limit": 2})).json()
    rest = (await quiet.api.get("/api/v1/backtests", params={"limit": 2, "cursor": first["next"]})).json()
    assert [each["backtest_id"] for each in first["items"] + rest["items"]] == ids[::-1]
    assert rest["next"] is None


async def test_an_export_has_a_line_a_change_and_no_formula(quiet: Server) -> None:
    off = {"Severities": {"high": 101, "medium": 101, "low": 101}}
    backtest_id = (await asked(quiet, off))["backtest_id"]
    early = await quiet.api.get(f"/api/v1/backtests/{backtest_id}/export.csv")
    assert (early.status_code, early.json()["detail"]) == (409, f"backtest {backtest_id} is queued and has no result")
    await run_queued(quiet.database, load_packs())
    answer = await quiet.api.get(f"/api/v1/backtests/{backtest_id}/export.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    [row] = csv.DictReader(io.StringIO(answer.text))
    assert (row["change"], row["severity_after"], row["port"]) == ("lost", "none", "8088")
    assert row["program"] == "'=cmd.exe"
    assert (await last_told(quiet.database, "backtest_exported"))["object_id"] == backtest_id


async def test_what_waits_can_be_cancelled_once(quiet: Server) -> None:
    backtest_id = (await asked(quiet))["backtest_id"]
    assert (await quiet.api.delete(f"/api/v1/backtests/{backtest_id}")).status_code == 204
    assert (await seen(quiet, backtest_id))["state"] == "cancelled"
    assert not await run_queued(quiet.database, load_packs())
    assert (await quiet.api.delete(f"/api/v1/backtests/{backtest_id}")).status_code == 409
    assert (await quiet.api.delete(f"/api/v1/backtests/{uuid4()}")).status_code == 404
    assert (await quiet.api.get(f"/api/v1/backtests/{uuid4()}")).status_code == 404


async def test_what_runs_can_be_cancelled(quiet: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    backtest_id = (await asked(quiet))["backtest_id"]
    note = run.store.note_progress

    async def cancelled_before(session: Any, record: Any, progress: float) -> bool:
        await quiet.api.delete(f"/api/v1/backtests/{backtest_id}")
        return await note(session, record, progress)

    monkeypatch.setattr(run.store, "note_progress", cancelled_before)
    assert await run_queued(quiet.database, load_packs())
    found = await seen(quiet, backtest_id)
    assert (found["state"], found["result"]) == ("cancelled", None)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"document": {"Severities": {"lo": 1}}}, "$.Severities"),
        ({"document": {"Weights": {"novelty": "much"}}}, "$.Weights.novelty"),
        ({"document": {}, "scope": "role.laptop"}, "role.ROLE.PLATFORM"),
        ({"document": {}, "days": 0}, "days"),
        ({"document": {}, "dayz": 1}, "dayz"),
        ({"document": 3}, "document"),
        ({"document": {"Severities": {"low": 1}, "x": "y" * 1_100_000}}, "longer than 1,048,576 bytes"),
    ],
)
async def test_a_bad_request_is_answered_with_its_field(server: Server, body: dict[str, Any], said: str) -> None:
    await tell(server.database, "TRUNCATE backtests")
    answer = await server.api.post("/api/v1/backtests", json=body)
    assert answer.status_code == 422
    assert said in answer.json()["detail"]
    assert await ask(server.database, "SELECT 1 FROM backtests") == []


async def test_a_full_queue_says_so(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    await tell(server.database, "TRUNCATE backtests")
    monkeypatch.setattr(run, "QUEUED_MAX", 1)
    await asked(server)
    answer = await server.api.post("/api/v1/backtests", json={"document": {}})
    assert (answer.status_code, "wait already" in answer.json()["detail"]) == (409, True)


async def test_while_one_runs_the_queue_waits(quiet: Server) -> None:
    await asked(quiet)
    began, go_on = asyncio.Event(), asyncio.Event()
    note = run.store.note_progress

    async def slowly(session: Any, record: Any, progress: float) -> bool:
        began.set()
        await go_on.wait()
        return await note(session, record, progress)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(run.store, "note_progress", slowly)
        running = asyncio.create_task(run.run_now(quiet.database, Request({}, "every", 3, A_TESTER), load_packs()))
        await began.wait()
        assert not await run_queued(quiet.database, load_packs())
        go_on.set()
        await running
    assert await run_queued(quiet.database, load_packs())
    assert await ask(quiet.database, "SELECT DISTINCT state FROM backtests") == [("finished",)]


async def test_a_server_takes_up_what_is_asked_for_and_puts_back_what_it_cannot_end(
    quiet: Server, settings: Settings, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "IDLE_SECONDS", 0.01)
    judging = settings.model_copy(update={"analyse": True})
    began = asyncio.Event()

    async def never_done(*_: Any) -> bool:
        began.set()
        await asyncio.Event().wait()
        return True

    backtest_id = (await asked(quiet))["backtest_id"]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(run.store, "note_progress", never_done)
        async with serving(create_app(judging, database_url)):
            await began.wait()
            assert (await seen(quiet, backtest_id))["state"] == "running"
    assert (await seen(quiet, backtest_id))["state"] == "queued"
    async with serving(create_app(judging, database_url)), asyncio.timeout(30):
        while (await seen(quiet, backtest_id))["state"] != "finished":  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_a_run_whose_process_died_is_given_up(quiet: Server) -> None:
    dead = (await asked(quiet))["backtest_id"]
    await tell(quiet.database, "UPDATE backtests SET state = 'running', started_at = :now", now=utc_now())
    await asked(quiet)
    assert await run_queued(quiet.database, load_packs())
    found = await seen(quiet, dead)
    assert (found["state"], found["error"]) == ("failed", "the process that ran it ended before it was done")


async def test_settings_that_were_overtaken_fail_with_the_reason(quiet: Server) -> None:
    backtest_id = (await asked(quiet, {"Severities": {"low": 35}}, scope="platform.windows"))["backtest_id"]
    await tell(
        quiet.database,
        """INSERT INTO knob_versions (scope, document, document_sha256, created_at, created_by, reason, forced_reason)
        VALUES ('every', '{"Severities": {"low": 20, "medium": 30}}', sha256('x'), :now, 'a', 'a', 'a')""",
        now=utc_now(),
    )
    assert await run_queued(quiet.database, load_packs())
    found = await seen(quiet, backtest_id)
    assert (found["state"], "$.Severities" in found["error"]) == ("failed", True)
