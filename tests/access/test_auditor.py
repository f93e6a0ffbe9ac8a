"""The log is verified where it is stored, once a day by one process, and what came of it is in the log."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text

from app.access.actor import PORTBOOK
from app.access.audit.actions import Action
from app.access.audit.deed import Deed
from app.access.audit.record import record
from app.access.audit.store import CHECKING_LOCK
from app.access.audit.verify import BEGINNING, Chain, Checkpoint
from app.access.auditor import checking
from app.access.auditor.checking import SelfCheck, verify_log
from app.access.duties import Duty
from app.clock import utc_now
from app.database import Database
from tests.access.told import told
from tests.factories import Server, a_token
from tests.observations.stored import ask, tell

EXPORT = "/api/v1/audit/export.jsonl"


@pytest.fixture
async def auditor(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {await a_token(server.database, Duty.AUDITOR)}"}
    async with httpx.AsyncClient(transport=server.api._transport, base_url=server.api.base_url, headers=headers) as it:
        yield it


async def do(database: Database, name: str, **given: Any) -> None:
    async with database.writing() as session:
        record(session, PORTBOOK, Deed(Action.TOKEN_ADDED, "token", name, **given))


async def forge(database: Database, statement: str) -> None:
    """What only the owner of the table can do."""
    await tell(database, "ALTER TABLE audit_events DISABLE TRIGGER USER")
    await tell(database, statement)
    await tell(database, "ALTER TABLE audit_events ENABLE TRIGGER USER")


async def newest(database: Database) -> dict[str, Any]:
    found = await ask(database, "SELECT line FROM audit_events ORDER BY seq DESC LIMIT 1")
    said: dict[str, Any] = json.loads(found[0][0])
    return said


def broken() -> float | None:
    return REGISTRY.get_sample_value("portbook_audit_chain_broken")


async def test_the_log_in_the_database_is_one_chain(database: Database) -> None:
    for number in range(3):
        await do(database, f"t{number}")
    heard: list[float] = []
    verdict = await verify_log(database, hear=heard.append)
    assert (verdict.holds, verdict.first_seq, verdict.first_prev) == (True, 1, BEGINNING)
    assert heard[-1] == 1
    await do(database, "later")
    assert (await verify_log(database, verdict.checkpoint)).holds
    assert not (await verify_log(database, Checkpoint(verdict.last_seq, "0" * 64))).holds


async def test_the_daily_check_runs_once_a_day_and_says_what_it_found(database: Database) -> None:
    now, own, other = utc_now(), SelfCheck(database), SelfCheck(database)
    verdict = await own.when_due(now)
    assert verdict is not None
    assert verdict.holds
    event = await newest(database)
    assert (event["action"], event["object_id"], event["outcome"]) == ("chain_checked", "daily", "success")
    assert (event["object_version"], event["after_sha256"]) == (str(verdict.last_seq), verdict.last_sha256)
    assert await other.when_due(now + timedelta(hours=23)) is None
    assert await other.when_due(now + timedelta(hours=25)) is not None
    assert broken() == 0


async def test_a_server_checks_by_itself(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "FIRST_LOOK_SECONDS", 0)
    monkeypatch.setattr(checking, "DAILY", timedelta(0))
    before = len(await told(database, "chain_checked"))
    own = asyncio.create_task(checking.check_daily(database))
    async with asyncio.timeout(60):
        while len(await told(database, "chain_checked")) == before:  # noqa: ASYNC110 - the log announces nothing
            await asyncio.sleep(0.01)
    own.cancel()


async def test_one_process_at_a_time_checks(database: Database) -> None:
    async with database.apart() as apart:
        async with apart.writing() as session:
            await session.execute(text("SELECT pg_advisory_lock(:key)"), {"key": CHECKING_LOCK})
        assert await SelfCheck(database).when_due(utc_now() + timedelta(days=2)) is None


async def test_the_daily_check_finds_what_was_cut_off_since_its_last(database: Database, logged: list[Any]) -> None:
    own, now = SelfCheck(database), utc_now()
    await do(database, "before")
    assert await own.when_due(now + timedelta(days=3))
    await forge(database, "DELETE FROM audit_events WHERE seq > 2")
    verdict = await own.when_due(now + timedelta(days=4))
    assert verdict is not None
    assert "cut off" in verdict.text
    event = await newest(database)
    assert (event["outcome"], "cut off" in event["reason"]) == ("error", True)
    assert any(each["event"] == "audit_log_broken" and each["log_level"] == "error" for each in logged)
    assert broken() == 1
    assert await SelfCheck(database).when_due(now) is None
    assert broken() == 1, "every process says so"


async def test_an_edited_row_is_found_in_line_and_columns(database: Database) -> None:
    await do(database, "mine")
    seq = (await newest(database))["seq"]
    await forge(database, f"UPDATE audit_events SET actor_name = 'somebody else' WHERE seq = {seq}")
    assert f"line {seq}: its actor_name is not" in (await verify_log(database)).text
    await forge(database, f"UPDATE audit_events SET actor_name = 'portbook' WHERE seq = {seq}")
    assert (await verify_log(database)).holds
    await forge(database, f"UPDATE audit_events SET line = replace(line, 'mine', 'your') WHERE seq = {seq}")
    texts = [each.text for each in (await verify_log(database)).faults]
    assert texts == [
        "its hash is not the one kept beside it: the line was changed",
        "its object_id is not the one kept beside it",
    ]
    await forge(database, f"UPDATE audit_events SET line = replace(line, 'your', 'mine') WHERE seq = {seq}")


async def test_an_auditor_lists_and_filters_and_that_is_logged(server: Server, auditor: httpx.AsyncClient) -> None:
    since = utc_now()
    for name in ("one", "two", "three"):
        await do(server.database, name, reason="for the list")
    params = {
        "actor": "portbook",
        "action": "token_added",
        "object_type": "token",
        "since": since.isoformat(),
        "limit": 2,
    }
    first = (await auditor.get("/api/v1/audit", params=params)).json()
    assert [each["object_id"] for each in first["items"]] == ["three", "two"]
    second = (await auditor.get("/api/v1/audit", params=params | {"cursor": first["next"]})).json()
    assert ([each["object_id"] for each in second["items"]], second["next"]) == (["one"], None)
    assert first["items"][0]["prev"] == first["items"][1]["sha256"]
    event = await newest(server.database)
    assert (event["action"], event["auth_method"], "cursor=" in event["reason"]) == ("audit_log_read", "token", True)
    only = (await auditor.get("/api/v1/audit", params={"object_id": "two", "outcome": "success"})).json()["items"]
    assert [each["object_id"] for each in only] == ["two"]
    assert (await auditor.get("/api/v1/audit", params={"object_id": "two", "outcome": "denied"})).json()["items"] == []
    assert (await auditor.get("/api/v1/audit", params={"until": "2020-01-01T00:00:00"})).json()["items"] == []


async def test_exported_lines_are_the_exact_bytes_and_the_export_is_logged(
    server: Server, auditor: httpx.AsyncClient
) -> None:
    for name in ("one", "two", "three"):
        await do(server.database, name, reason="日本語 \u2028")
    exported = await auditor.get(EXPORT)
    assert exported.headers["content-type"] == "application/jsonl"
    lines = exported.content.splitlines()
    stored = [line.encode() for (line,) in await ask(server.database, "SELECT line FROM audit_events ORDER BY seq")]
    assert lines == stored[: len(lines)]
    event = await newest(server.database)
    assert (event["action"], event["object_id"]) == ("audit_log_exported", f"1-{len(lines)}")
    part = await auditor.get(EXPORT, params={"from_seq": 2, "to_seq": 3})
    assert part.content == b"".join(line + b"\n" for line in stored[1:3])
    chain = Chain(whole=False, expected=Checkpoint(1, json.loads(stored[1])["prev"]))
    for line in part.content.splitlines():
        chain.take(line)
    assert chain.verdict().holds


async def test_impossible_stretches_are_said(auditor: httpx.AsyncClient) -> None:
    answers = [await auditor.get(EXPORT, params=each) for each in ({"from_seq": 3, "to_seq": 2}, {"to_seq": 10**9})]
    assert [(each.status_code, each.json()["field"]) for each in answers] == [(422, "from_seq"), (404, "to_seq")]
    assert (await auditor.get(EXPORT, params={"from_seq": 0})).status_code == 422


async def test_a_checkpoint_and_the_checks_are_there_to_be_noted(server: Server, auditor: httpx.AsyncClient) -> None:
    checkpoint = (await auditor.get("/api/v1/audit/checkpoint")).json()
    assert (await verify_log(server.database, Checkpoint(checkpoint["seq"], checkpoint["sha256"]))).holds
    await SelfCheck(server.database).when_due(utc_now() + timedelta(days=9))
    (check, *_) = (await auditor.get("/api/v1/audit/checks")).json()["items"]
    assert (check["occasion"], check["actor_name"]) == ("daily", "portbook")
    assert check["last_seq"] < check["seq"]


@pytest.mark.parametrize("path", ["", "/export.jsonl", "/checks", "/checkpoint"])
async def test_nobody_else_reads_the_log_and_trying_is_logged(server: Server, path: str) -> None:
    assert (await server.agents.get(f"/api/v1/audit{path}")).status_code == 401
    assert (await server.approver.get(f"/api/v1/audit{path}")).status_code == 403
    event = await newest(server.database)
    assert (event["action"], event["outcome"]) == ("request_denied", "denied")
