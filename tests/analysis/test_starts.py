"""Process starts that nodes report: kept within limits, joined with connections, and late ones heeded."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from app.analysis.facts import take_some
from app.analysis.retention import keep_days
from app.analysis.starts import keep
from app.analysis.worker import analyse_some
from app.clock import utc_now
from app.detection.knobs import Knobs, TimeWindow
from app.settings import Settings
from tests.detection.events import (
    AUDIT_START,
    ETW_START,
    SYSMON_NET,
    SYSMON_START,
    WFP,
    audit_start,
    etw_start,
    sysmon_connection,
    sysmon_start,
    wfp_bind,
    wfp_connection,
)
from tests.factories import Server, a_line, a_log, a_node, an_outbound_row
from tests.observations.stored import ask, node_of, quarantined_of, sightings_of, tell

IMPLANT = r"C:\Users\bob\AppData\Local\Temp\implant.exe"
DAY = 86_400


@pytest.fixture(autouse=True)
async def _quiet(server: Server) -> None:
    await tell(server.database, "TRUNCATE fresh_facts, fresh_sightings, findings, process_starts, start_tallies")


def now() -> int:
    return int(utc_now().timestamp())


def stamp(seconds_ago: float) -> str:
    return f"{utc_now() - timedelta(seconds=seconds_ago):%Y-%m-%d %H:%M:%S.%f}"


def polled(**columns: str) -> dict[str, str]:
    """The implant, out to port 4782, process id 700, started a minute ago."""
    program = {"proc_path": IMPLANT, "proc_name": "implant.exe", "svchost_hint": "", "cmdline": "", "pid": "700"}
    return an_outbound_row(remote_port="4782") | program | {"proc_start": str(now() - 60)} | columns


def started(seconds_ago: float = 60, **fields: object) -> dict[str, Any]:
    """Sysmon's word on the start of the implant by Word."""
    said = {"UtcTime": stamp(seconds_ago), "ProcessId": "700", "Image": IMPLANT, "User": r"CORP\bob"}
    return sysmon_start(**(said | {"ParentImage": r"C:\Office\WINWORD.EXE"} | fields))


async def say(server: Server, key: str, *said: tuple[str, Mapping[str, object]]) -> None:
    lines = [a_line(columns, query=query) for query, columns in said]
    assert await server.say("log", a_log(key, lines)) == {}


async def work(server: Server, knobs: Knobs | None = None) -> None:
    while await take_some(server.database) or await analyse_some(server.database, knobs or Knobs()):
        pass


async def evidence(server: Server, key: str) -> dict[str, str]:
    node = await node_of(server.database, key)
    found = (await server.api.get("/api/v1/findings", params={"node_id": node})).json()["items"]
    return {line["reason"]: line["text"] for each in found for line in each["evidence"]}


async def coverage(server: Server, key: str) -> dict[str, Any]:
    node = await node_of(server.database, key)
    [found] = (await server.api.get("/api/v1/coverage", params={"node_id": node})).json()["items"]
    said = found["process_starts"]
    assert isinstance(said, dict)
    return said


OUT = "pack/windows_network/outbound"


async def test_a_connection_is_joined_with_the_start_of_its_process(server: Server) -> None:
    key = await a_node(server)
    await say(server, key, (SYSMON_START, started()), (OUT, polled()))
    await work(server)
    assert "(Sysmon 1)" in (await evidence(server, key))["started_before"]


@pytest.mark.parametrize(
    "stranger",
    [{"Image": r"C:\Windows\System32\cmd.exe"}, {"seconds_ago": 64}, {"seconds_ago": 55}, {"ProcessId": "701"}],
)
async def test_a_stranger_with_something_in_common_is_not_joined(server: Server, stranger: dict[str, Any]) -> None:
    key = await a_node(server)
    await say(server, key, (SYSMON_START, started(**stranger)), (OUT, polled()))
    await work(server)
    assert "(the socket row)" in (await evidence(server, key))["started_before"]


async def test_another_node_with_the_same_process_id_is_not_joined(server: Server) -> None:
    key, other = await a_node(server), await a_node(server)
    await say(server, other, (SYSMON_START, started()))
    await say(server, key, (OUT, polled()))
    await work(server)
    assert "(the socket row)" in (await evidence(server, key))["started_before"]


@pytest.mark.parametrize(("seconds", "is_joined"), [(100, True), (10, False)])
async def test_without_a_start_time_the_window_is_a_knob(server: Server, seconds: int, is_joined: bool) -> None:
    key = await a_node(server)
    await say(server, key, (SYSMON_START, started()), (OUT, polled(proc_start="-1")))
    await work(server, Knobs(time_window=TimeWindow(join_seconds=seconds)))
    assert ("started_before" in await evidence(server, key)) == is_joined


@pytest.mark.parametrize(("query", "told"), [(AUDIT_START, "Security 4688"), (ETW_START, "process_etw_events")])
async def test_each_source_can_be_joined(server: Server, query: str, told: str) -> None:
    rows = {
        AUDIT_START: audit_start(NewProcessId="0x2bc", NewProcessName=IMPLANT, SubjectUserName="bob"),
        ETW_START: etw_start(pid="700", path=IMPLANT, time=str(now() - 60)),
    }
    key = await a_node(server)
    await say(server, key, (query, rows[query] | {"datetime": stamp(60)}), (OUT, polled()))
    await work(server)
    assert f"({told})" in (await evidence(server, key))["started_before"]


async def test_a_start_that_comes_late_has_the_finding_judged_again_once(server: Server) -> None:
    key = await a_node(server)
    regsvr32 = r"C:\Users\bob\regsvr32.exe"
    row = polled(proc_path=regsvr32, proc_name="regsvr32.exe")
    await say(server, key, (OUT, row))
    await work(server)
    assert "odd_parent" not in await evidence(server, key)
    before = await coverage(server, key)
    assert (before["connections"], before["joined"], before["share"]) == (1, 0, None)

    await say(server, key, (SYSMON_START, started(Image=regsvr32)))
    await work(server)
    said = await evidence(server, key)
    assert said["odd_parent"] == "It was started by WINWORD.EXE."
    assert "(Sysmon 1)" in said["started_before"]
    after = await coverage(server, key)
    assert (after["connections"], after["joined_by"], after["share"]) == (1, {"Sysmon 1": 1}, 1.0)

    await say(server, key, (ETW_START, etw_start(pid="700", path=regsvr32, time=str(now() - 60))))
    assert await take_some(server.database) == 1
    assert await analyse_some(server.database, Knobs()) == 0
    assert await coverage(server, key) == after | {"reported_by": {"Sysmon 1": 1, "process_etw_events": 1}}


@pytest.mark.parametrize("stranger", [{"Image": r"C:\x\cmd.exe"}, {"ProcessId": "701"}, {"seconds_ago": -600}])
async def test_a_late_start_of_another_process_stirs_nothing(server: Server, stranger: dict[str, Any]) -> None:
    key = await a_node(server)
    await say(server, key, (OUT, polled()))
    await work(server)
    await say(server, key, (SYSMON_START, started(**stranger)))
    assert await take_some(server.database) == 1
    assert await analyse_some(server.database, Knobs()) == 0


async def test_a_signature_does_not_count_a_joined_connection_twice(server: Server) -> None:
    key = await a_node(server)
    await say(server, key, (SYSMON_START, started()), (OUT, polled()))
    await work(server)
    signature = {"path": IMPLANT, "sign_status": "missing", "subject_name": ""}
    await say(server, key, ("pack/windows_context/signatures", signature))
    await work(server)
    said = await evidence(server, key)
    assert "unsigned" in said
    found = await coverage(server, key)
    assert (found["connections"], found["joined_by"]) == (1, {"Sysmon 1": 1})


async def test_rows_that_cannot_be_understood_spoil_no_others(server: Server) -> None:
    key = await a_node(server)
    bad: list[Mapping[str, object]] = [
        started(ProcessId="x"),
        {"eventid": "1", "data": "{"},
        {"eventid": "1"},
        started(UtcTime="9999-12-31 00:00:00"),
        started(UtcTime="1999-12-31 00:00:00"),
        started(Image="\0", CommandLine="\0"),
        started(CommandLine="\udcff"),
    ]
    await say(server, key, *[(SYSMON_START, row) for row in bad], (SYSMON_START, started()), (OUT, polled()))
    await work(server)
    assert "(Sysmon 1)" in (await evidence(server, key))["started_before"]
    assert (await server.api.get("/api/v1/coverage/queue")).json() == {"waiting": 0, "set_aside": 0}


async def test_the_same_start_sent_again_is_kept_and_counted_once(server: Server) -> None:
    key, row = await a_node(server), started()
    await say(server, key, (SYSMON_START, row), (SYSMON_START, row))
    await say(server, key, (SYSMON_START, row))
    await work(server)
    assert (await coverage(server, key))["reported_by"] == {"Sysmon 1": 1}
    assert await ask(server.database, "SELECT count(*) FROM process_starts") == [(1,)]


async def test_of_too_many_starts_the_newest_stay(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keep, "NODE_DAY_MAX", 5)
    key, other = await a_node(server), await a_node(server)
    noon = int((utc_now() - timedelta(days=1)).replace(hour=12, minute=0, second=0).timestamp())
    starts = [(ETW_START, etw_start(pid=str(n + 1), path=IMPLANT, time=str(noon + n))) for n in range(20)]
    await say(server, other, *starts[:3])
    await say(server, key, *starts[10:])
    await say(server, key, *starts[:10])
    await work(server)
    kept = "SELECT array_agg(process_id ORDER BY process_id) FROM process_starts WHERE node_id = :n"
    assert await ask(server.database, kept, n=await node_of(server.database, key)) == [([16, 17, 18, 19, 20],)]
    assert await ask(server.database, kept, n=await node_of(server.database, other)) == [([1, 2, 3],)]


async def test_starts_go_with_their_day(server: Server, settings: Settings) -> None:
    key = await a_node(server)
    await say(server, key, (SYSMON_START, started(seconds_ago=3 * DAY)), (SYSMON_START, started()))
    await work(server)
    days = "SELECT (now() AT TIME ZONE 'UTC')::date - day FROM process_starts ORDER BY 1"
    assert [ago >= 3 for (ago,) in await ask(server.database, days)] == [False, True]
    await keep_days(server.database, settings, utc_now() + timedelta(days=1))
    assert [ago >= 3 for (ago,) in await ask(server.database, days)] == [False]


async def test_short_connections_that_sysmon_saw_are_connections(server: Server) -> None:
    key = await a_node(server)
    said = {"UtcTime": stamp(30), "ProcessId": "700", "User": r"CORP\bob", "DestinationPort": "4782"}
    out = sysmon_connection(**(said | {"Image": IMPLANT}))
    served = sysmon_connection(Initiated="false", SourcePort="50000", DestinationPort="5901", Image=IMPLANT)
    local = sysmon_connection(DestinationIp="127.0.0.1", Image=IMPLANT)
    bad = sysmon_connection() | {"data": "{"}
    await say(server, key, (SYSMON_START, started()), *((SYSMON_NET, row) for row in (out, served, local, bad)))
    await work(server)
    node = await node_of(server.database, key)
    shown = {(direction, port) for _, _, direction, port in await sightings_of(server.database, node)}
    assert shown == {("outbound", "4782"), ("listening", "5901")}
    assert await quarantined_of(server.database, node) == {"event_unreadable": 1}
    text = (await evidence(server, key))["started_before"]
    assert text == "It was started 30 s before its first connection was seen (Sysmon 1)."
    found = (await server.api.get("/api/v1/findings", params={"node_id": node})).json()["items"]
    [finding] = [each for each in found if each["behaviour"]["direction"] == "outbound"]
    [row] = (await server.api.get(f"/api/v1/findings/{finding['finding_id']}/rows")).json()
    assert json.loads(row["columns"]["data"])["EventData"]["DestinationPort"] == "4782"


async def test_connections_and_binds_that_the_filtering_platform_permitted_are_connections(server: Server) -> None:
    key = await a_node(server)
    where = {"Application": r"\device\harddiskvolume2" + IMPLANT[2:].lower()}
    out = wfp_connection(ProcessID="700", DestPort="4782", **where) | {"datetime": stamp(30)}
    await say(server, key, (SYSMON_START, started()), (WFP, out), (WFP, wfp_bind(**where)), (OUT, polled()))
    await work(server)
    node = await node_of(server.database, key)
    shown = {(direction, port) for _, _, direction, port in await sightings_of(server.database, node)}
    assert shown == {("outbound", "4782"), ("listening", "5432")}
    assert "(Sysmon 1)" in (await evidence(server, key))["started_before"]


async def test_coverage_says_by_which_events_connections_could_be_joined(server: Server) -> None:
    key = await a_node(server)
    assert (await coverage(server, key))["says"] == "no process events reported"
    await say(server, key, (OUT, polled()))
    await work(server)
    silent = await coverage(server, key)
    assert (silent["says"], silent["connections"], silent["share"]) == ("no process events reported", 1, None)

    await say(server, key, (SYSMON_START, started(ProcessId="800")), (OUT, polled(pid="800", remote_port="4783")))
    await say(server, key, (OUT, polled(pid="900", remote_port="4784")))
    await work(server)
    assert await coverage(server, key) == {
        "connections": 3,
        "joined": 1,
        "share": pytest.approx(1 / 3),
        "joined_by": {"Sysmon 1": 1},
        "reported_by": {"Sysmon 1": 1},
        "says": "33 % of 3 connections joined with a process start (Sysmon 1: 1)",
    }


async def test_events_without_a_connection_are_no_share(server: Server) -> None:
    key = await a_node(server)
    await say(server, key, (SYSMON_START, started()))
    await work(server)
    said = await coverage(server, key)
    assert (said["says"], said["share"]) == ("no connection out since yesterday", None)


async def test_connections_of_days_that_are_not_kept_are_judged_and_not_counted(server: Server) -> None:
    key = await a_node(server)
    then = now() - 10 * DAY
    assert await server.say("log", a_log(key, [a_line(polled(), unix_time=then)])) == {}
    await work(server)
    assert "started_before" not in await evidence(server, key)
    assert (await coverage(server, key))["connections"] == 0
