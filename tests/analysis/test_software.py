"""Software around sightings: what nodes report and people approve reaches the judgement, in worker and replay alike."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.analysis import software
from app.analysis.facts import take_some
from app.analysis.replay import Inputs, replay
from app.analysis.software import heed_import
from app.analysis.worker import analyse_some
from app.clock import utc_now
from app.database import Database
from app.detection.approved import ApprovedList
from app.detection.knobs import Knobs
from app.software.approved_csv import read_approved
from tests.factories import Server, a_line, a_log, a_node, an_outbound_row
from tests.observations.stored import ask, node_of, tell

PROGRAMS, SIGNATURES = "pack/windows_context/programs", "pack/windows_context/signatures"
ANYDESK = "C:\\Program Files (x86)\\AnyDesk\\AnyDesk.exe"
TOOL = "C:\\Users\\bob\\Tools\\tool.exe"
HEADER = "name,publisher,path,ports\n"
OTHER = "Zoom,Zoom Inc,,\n"
APPROVED = "AnyDesk,AnyDesk Software GmbH,,tcp/8088\n"
OURS = ("approv", "unapproved", "unknown_software", "installed_software")


@pytest.fixture(autouse=True)
async def _quiet(database: Database) -> None:
    tables = "fresh_facts, fresh_sightings, tallies, node_tallies, findings, installed_software, inventories"
    await tell(database, f"TRUNCATE {tables}, approved_imports, approved_software, images")


def outbound(path: str, port: int = 8088) -> dict[str, Any]:
    return a_line(an_outbound_row(proc_path=path, svchost_hint="", remote_port=str(port), cmdline=""))


def installed(name: str, location: str = "", action: str = "added", **fields: object) -> dict[str, Any]:
    columns = {"name": name, "version": "1", "publisher": "", "install_location": location}
    return a_line(columns, query=PROGRAMS, action=action, **fields)


def signature(path: str, subject: str) -> dict[str, Any]:
    return a_line({"path": path, "sign_status": "trusted", "subject_name": subject}, query=SIGNATURES)


async def say(server: Server, key: str, *lines: dict[str, Any]) -> None:
    assert await server.say("log", a_log(key, lines)) == {}


async def approve(server: Server, *rows: str) -> None:
    answer = await server.approver.post("/api/v1/software/approved", content=(HEADER + "".join(rows)).encode())
    assert answer.status_code == 200, answer.text


async def work(server: Server) -> None:
    """What the worker's loop does until nothing is left."""
    judged = 1
    while judged:
        while await take_some(server.database):
            pass
        await heed_import(server.database)
        judged = await analyse_some(server.database, Knobs())


async def evidence(server: Server, key: str, path: str = "") -> dict[str, float]:
    """What is said of software by the open findings of a node about ports."""
    node = await node_of(server.database, key)
    found = (await server.api.get("/api/v1/findings", params={"node_id": node})).json()["items"]
    return {
        line["reason"]: line["points"]
        for each in found
        if each["behaviour"]["direction"] == "outbound" and each["behaviour"]["path"].endswith(path.lower())
        for line in each["evidence"]
        if line["reason"].startswith(OURS)
    }


async def test_a_program_that_neither_list_has_is_unknown(server: Server) -> None:
    key = await a_node(server)
    await approve(server, OTHER)
    await say(server, key, installed("Zoom", "C:\\Program Files\\Zoom"), outbound(TOOL))
    await work(server)
    assert await evidence(server, key) == {"unknown_software": 10}


async def test_without_a_list_and_a_report_nothing_is_said(server: Server) -> None:
    key, other = await a_node(server), await a_node(server)
    await say(server, other, installed("Zoom", "C:\\Program Files\\Zoom"))
    await say(server, key, outbound(TOOL))
    await work(server)
    assert await evidence(server, key) == {}


async def test_what_is_open_is_judged_again_when_the_node_reports_what_it_has(server: Server) -> None:
    key = await a_node(server)
    await say(server, key, outbound(TOOL))
    await work(server)
    assert await evidence(server, key) == {}
    await say(server, key, installed("Zoom", "C:\\Program Files\\Zoom"))
    await work(server)
    assert await evidence(server, key) == {"unknown_software": 5}
    await say(server, key, installed("Tool", "C:\\Users\\bob\\Tools"))
    await work(server)
    assert await evidence(server, key) == {"installed_software": 0}
    await say(server, key, installed("Tool", "C:\\Users\\bob\\Tools", action="removed"))
    await work(server)
    assert await evidence(server, key) == {"unknown_software": 5}


async def test_what_is_open_is_judged_again_when_the_list_changes(server: Server) -> None:
    key = await a_node(server)
    await say(server, key, outbound(TOOL))
    await work(server)
    assert await evidence(server, key) == {}
    await approve(server, OTHER)
    await work(server)
    assert await evidence(server, key) == {"unknown_software": 5}
    await approve(server, OTHER, "Tool,Tool Inc,,\n")
    await work(server)
    assert await evidence(server, key) == {"approval_unsure": 0}


async def test_an_approval_of_the_port_withdraws_what_was_only_unusual(server: Server) -> None:
    key = await a_node(server)
    await approve(server, OTHER)
    await say(server, key, outbound(ANYDESK), signature(ANYDESK, "AnyDesk Software GmbH"))
    await work(server)
    assert await evidence(server, key) == {"unapproved_remote_access": 15}
    await approve(server, APPROVED)
    await work(server)
    assert await evidence(server, key) == {}
    states = "SELECT state FROM findings f JOIN behaviours b USING (behaviour_id) WHERE direction = 'outbound'"
    assert await ask(server.database, states) == [("withdrawn",)]


async def test_an_import_queues_only_what_it_speaks_of_and_only_once(server: Server) -> None:
    tool, desk = await a_node(server), await a_node(server)
    await say(server, tool, outbound(TOOL))
    await say(server, desk, outbound(ANYDESK, 4444), signature(ANYDESK, "AnyDesk Software GmbH"))
    await approve(server, OTHER)
    await work(server)
    await approve(server, OTHER, APPROVED)
    await heed_import(server.database)
    await heed_import(server.database)
    queued = await ask(server.database, "SELECT node_id, cardinality(behaviour_ids) FROM fresh_sightings")
    assert queued == [(await node_of(server.database, desk), 1)]


async def test_an_import_queues_no_more_than_a_number(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(software, "MOST_AFTER_IMPORT", 3)
    key = await a_node(server)
    await say(server, key, *(outbound(TOOL, 8000 + n) for n in range(9)))
    await work(server)
    await approve(server, OTHER)
    await heed_import(server.database)
    assert await ask(server.database, "SELECT sum(cardinality(behaviour_ids)) FROM fresh_sightings") == [(3,)]


async def test_a_resync_that_says_the_same_queues_nothing(server: Server) -> None:
    key, now = await a_node(server), int(utc_now().timestamp())
    zoom, slack = ("Zoom", "C:\\Program Files\\Zoom"), ("Slack", "C:\\Slack")
    first, second, third = ({"epoch": 20_000 + n, "counter": 0, "unix_time": now - 300 + 100 * n} for n in range(3))
    await say(server, key, outbound(TOOL), installed(*zoom, **first), installed(*slack, **first))
    await work(server)
    await say(server, key, installed(*zoom, **second), installed(*slack, **second))
    await take_some(server.database)
    assert await ask(server.database, "SELECT count(*) FROM fresh_sightings") == [(0,)]
    await say(server, key, installed(*zoom, **third))
    await take_some(server.database)
    assert await ask(server.database, "SELECT name FROM installed_software") == [("Zoom",)]
    assert await ask(server.database, "SELECT count(*) FROM fresh_sightings") == [(1,)]


async def test_rows_that_no_agent_would_send_do_no_harm(server: Server) -> None:
    key = await a_node(server)
    hostile = [
        a_line({}, query=PROGRAMS),
        a_line({"name": ["x"], "install_location": {"a": 1}}, query=PROGRAMS),
        a_line({"name": "\ud800\0x", "install_location": "C:\\" + "a\\" * 5000}, query=PROGRAMS),
        a_line({"name": "Future"}, query=PROGRAMS, unix_time=2**52),
        a_line({"name": "Past"}, query=PROGRAMS, unix_time=0),
        installed("Gone", action="removed"),
        installed("Odd", action="whatever"),
    ]
    for line in hostile:
        await server.say("log", a_log(key, [line]))
    await say(server, key, outbound(TOOL))
    await work(server)
    assert (await server.api.get("/api/v1/coverage/queue")).json() == {"waiting": 0, "set_aside": 0}
    assert "unknown_software" in await evidence(server, key)


CASES = {
    "unknown": [outbound(TOOL)],
    "perhaps": [outbound(ANYDESK)],
    "approved": [outbound(ANYDESK), signature(ANYDESK, "AnyDesk Software GmbH")],
    "other port": [outbound(ANYDESK, 4444), signature(ANYDESK, "AnyDesk Software GmbH")],
    "installed": [outbound(TOOL), installed("Tool", "C:\\Users\\bob\\Tools")],
    "removed": [
        installed("Tool", "C:\\Users\\bob\\Tools"),
        installed("Tool", "C:\\Users\\bob\\Tools", action="removed", unix_time=int(utc_now().timestamp()) + 1),
        outbound(TOOL),
    ],
    "elsewhere": [outbound(TOOL), installed("Zoom", "C:\\Program Files\\Zoom")],
    "of the system": [outbound("C:\\Windows\\System32\\curl.exe", 4444)],
}


@pytest.mark.parametrize("rows", ["", OTHER, APPROVED + OTHER])
@pytest.mark.parametrize("case", CASES)
async def test_worker_and_replay_say_the_same(server: Server, tmp_path: Path, case: str, rows: str) -> None:
    key, lines = await a_node(server), CASES[case]
    approved = read_approved((HEADER + rows).encode()).entries if rows else None
    if rows:
        await approve(server, rows)
    await say(server, key, *lines)
    await work(server)
    captured = tmp_path / "lines.jsonl"
    captured.write_text("".join(json.dumps(line) + "\n" for line in lines))
    judged = list(replay(Inputs((captured,), approved=ApprovedList(approved) if approved else None)))
    [replayed] = [each.deviation for each in judged if each.deviation.behaviour.direction == "outbound"]
    said = {line.reason: line.points for line in replayed.evidence if line.reason.startswith(OURS)}
    if replayed.severity != "none":
        assert await evidence(server, key) == said
    else:
        assert await evidence(server, key) == {}
    assert said or case == "of the system" or not rows
