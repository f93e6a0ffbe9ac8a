"""Jobs are kept from their rows, told of the ports they own, and the same by the worker and by a replay."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from app.analysis.facts import take_some
from app.analysis.jobs import keeping
from app.analysis.replay import Inputs, replay
from app.analysis.worker import analyse_some
from app.clock import utc_now
from app.database import Database
from app.detection.job_parts import JobKind
from app.detection.knobs import Knobs, Severities, TimeWindow
from tests.detection.job_rows import (
    RELAY_PLIST,
    SSH_PLIST,
    hidden_plist,
    launchd,
    running,
    service,
    socket_key,
    startup_item,
    switch,
)
from tests.factories import Server, a_line, a_log, a_node
from tests.observations.stored import ask, node_of, tell

DAY = 86_400
KNOBS = Knobs(time_window=TimeWindow(learning_days=0))
EVERYTHING = Knobs(time_window=KNOBS.time_window, severities=Severities(low=1))  # findings of whatever is judged
RELAY, LAUNCHD = "/usr/local/libexec/relay", "/sbin/launchd"
CONTROL = "/System/Library/CoreServices/ControlCenter.app/Contents/MacOS/ControlCenter"
LONG = "x" * 3000
FAKE = "/Users/bob/Library/.su/helper"
JOB_REASONS = {"job", "job_unknown", "job_news", "hidden_plist", "apple_label", "port_belies_job", "root_from_anywhere"}


def now() -> int:
    return int(utc_now().timestamp())


def listening(path: str, port: int, **columns: str) -> dict[str, str]:
    return {
        "pid": "733",
        "proc_path": path,
        "proc_name": path.replace("\\", "/").rpartition("/")[2],
        "proc_start": "7",
        "cmdline": path,
        "parent_pid": "1",
        "parent_path": "/sbin/launchd",
        "protocol": "6",
        "local_address": "::",
        "local_port": str(port),
        "bind_scope": "any",
    } | columns


def held(port: int) -> dict[str, str]:
    return listening(LAUNCHD, port, pid="1", parent_pid="0", parent_path="", held_by_launchd="1")


def socket_line(row: Mapping[str, str], *, days_ago: float = 0, platform: str = "macos") -> dict[str, Any]:
    at = now() - int(days_ago * DAY)
    return a_line(row, query=f"pack/{platform}_network/listening", unix_time=at)


def job_line(fact: Any, *, days_ago: float = 0) -> dict[str, Any]:
    line = a_line(dict(fact.columns), query=fact.query, unix_time=now() - int(days_ago * DAY), action=fact.action)
    if fact.action == "snapshot":
        line["snapshot"] = [line.pop("columns")]
    return line


async def say(server: Server, key: str, *lines: object) -> None:
    assert await server.say("log", a_log(key, lines)) == {}


async def judge(server: Server, knobs: Knobs = EVERYTHING) -> None:
    while await take_some(server.database) or await analyse_some(server.database, knobs):
        pass


async def evidence_of(server: Server, key: str, port: int) -> dict[str, dict[str, Any]]:
    node = await node_of(server.database, key)
    found = (await server.api.get("/api/v1/findings", params={"node_id": node})).json()["items"]
    return {
        line["reason"]: line for each in found if each["behaviour"]["port"] == str(port) for line in each["evidence"]
    }


async def parts(server: Server, key: str) -> list[tuple[Any, ...]]:
    statement = "SELECT kind, label, changed_at IS NOT NULL, ended_at IS NOT NULL FROM node_jobs WHERE node_id = :n"
    return sorted(await ask(server.database, statement, n=await node_of(server.database, key)))


@pytest.fixture(autouse=True)
async def _quiet(database: Database) -> None:
    tables = "fresh_facts, fresh_sightings, tallies, node_tallies, findings, images, node_jobs, job_inventories"
    await tell(database, f"TRUNCATE {tables}")


async def test_a_job_is_kept_changed_and_ended_by_its_rows(server: Server) -> None:
    key = await a_node(server, platform="macos")
    await say(
        server, key, job_line(launchd(program="/a"), days_ago=2), job_line(launchd("b", program="/b"), days_ago=2)
    )
    await take_some(server.database)
    await say(server, key, job_line(launchd(program="/c"), days_ago=1))
    await take_some(server.database)
    await say(server, key, job_line(launchd("b", program="/b", action="removed")))
    await take_some(server.database)
    assert await parts(server, key) == [("launchd", "b", False, True), ("launchd", "com.example.relay", True, False)]
    inventory = "SELECT kind, parts FROM job_inventories WHERE node_id = :n"
    assert await ask(server.database, inventory, n=await node_of(server.database, key)) == [("launchd", 2)]


async def test_what_is_said_again_writes_nothing(server: Server) -> None:
    key = await a_node(server, platform="macos")
    versions = []
    for days_ago in (2, 1, 0):
        await say(server, key, job_line(launchd(program="/a"), days_ago=days_ago))
        await take_some(server.database)
        versions += await ask(server.database, "SELECT xmin::text, said_at FROM node_jobs")
    assert len(set(versions)) == 1


async def test_jobs_of_one_node_say_nothing_of_another(server: Server) -> None:
    first, second = [await a_node(server, platform="macos") for _ in range(2)]
    await say(server, first, job_line(launchd(program=RELAY)))
    await say(server, second, socket_line(listening(RELAY, 8080)))
    await judge(server)
    assert "job" not in await evidence_of(server, second, 8080)


async def test_a_node_that_is_full_takes_no_more_and_forgets_what_ended(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "MOST_PARTS", 3)
    key = await a_node(server, platform="macos")
    await say(server, key, *(job_line(launchd(f"l{n}", program="/a"), days_ago=1) for n in range(5)))
    await take_some(server.database)
    assert len(await parts(server, key)) == 3
    await say(server, key, job_line(launchd("l0", program="/a", action="removed")))
    await take_some(server.database)
    await say(server, key, job_line(launchd("new", program="/a")))
    await take_some(server.database)
    assert [label for _, label, *_ in await parts(server, key)] == ["l1", "l2", "new"]


async def test_a_clock_that_cannot_be_believed_dates_no_job(server: Server) -> None:
    key = await a_node(server, platform="macos")
    await say(
        server, key, a_line(dict(launchd(program="/a").columns), query="pack/macos_context/launchd", unix_time=9**15)
    )
    await say(
        server, key, a_line(dict(launchd("b", program="/b").columns), query="pack/macos_context/launchd", unix_time=0)
    )
    await take_some(server.database)
    late = "SELECT count(*) FROM node_jobs WHERE first_seen_at BETWEEN now() - interval '1 hour' AND now()"
    assert await ask(server.database, late) == [(2,)]


async def test_a_fact_that_comes_after_the_finding_has_it_judged_again(server: Server) -> None:
    key = await a_node(server, platform="macos")
    await say(server, key, socket_line(held(2222)), socket_line(listening(FAKE, 45678)))
    await judge(server)
    assert "job_unknown" in await evidence_of(server, key, 2222)
    assert "apple_label" not in await evidence_of(server, key, 45678)
    late = [
        launchd("com.openssh.sshd", SSH_PLIST, program="/usr/libexec/sshd-keygen-wrapper"),
        socket_key("Listeners/SockServiceName", "2222"),
        launchd("com.apple.su.helper", "/Users/bob/Library/LaunchAgents/x.plist", program=FAKE),
    ]
    await say(server, key, *map(job_line, late))
    await judge(server)
    assert "com.openssh.sshd" in (await evidence_of(server, key, 2222))["job"]["text"]
    assert (await evidence_of(server, key, 2222))["port_belies_job"]["points"] == 45
    assert (await evidence_of(server, key, 45678))["apple_label"]["points"] == 20


async def test_a_hidden_plist_that_comes_later_has_every_finding_of_its_node_judged_again(server: Server) -> None:
    key = await a_node(server, platform="macos")
    await say(server, key, job_line(launchd("o", program="/o")), socket_line(listening(FAKE, 45678)))
    await judge(server)
    await say(server, key, job_line(hidden_plist("/Library/LaunchDaemons/.x.plist")))
    await judge(server)
    assert (await evidence_of(server, key, 45678))["hidden_plist"]["points"] == 15


async def test_facts_do_not_change_which_behaviour_a_row_is(server: Server) -> None:
    key = await a_node(server, platform="macos")
    node, behaviours = (
        await node_of(server.database, key),
        "SELECT DISTINCT behaviour_id FROM sightings WHERE node_id = :n",
    )
    await say(server, key, socket_line(held(22)))
    before = await ask(server.database, behaviours, n=node)
    await say(server, key, job_line(socket_key("L/SockServiceName", "ssh")), socket_line(held(22)))
    await judge(server)
    assert await ask(server.database, behaviours, n=node) == before


async def fleet(server: Server, role: str, nodes: int, row: Mapping[str, str]) -> list[str]:
    """Nodes of a role that show a row on three earlier days."""
    keys = [await a_node(server, platform="macos", role=role) for _ in range(nodes)]
    for key in keys:
        await say(server, key, *(socket_line(row, days_ago=days) for days in (3, 2, 1)))
    await judge(server, KNOBS)
    return keys


async def severities(server: Server, key: str) -> dict[str, str]:
    node = await node_of(server.database, key)
    found = (await server.api.get("/api/v1/findings", params={"node_id": node})).json()["items"]
    return {each["behaviour"]["port"]: each["severity"] for each in found}


async def test_a_listener_that_another_role_has_everywhere_is_new_to_a_role_that_never_has_it(server: Server) -> None:
    laptops = await fleet(server, "laptop", 20, listening(CONTROL, 7000))
    builders = await fleet(server, "build", 8, held(22))
    await tell(server.database, "TRUNCATE findings")
    await say(server, laptops[0], socket_line(held(22)))
    await say(server, builders[0], socket_line(held(22)))
    await judge(server, KNOBS)
    assert (await severities(server, laptops[0]))["22"] in {"medium", "high"}
    assert await severities(server, builders[0]) == {}
    assert "laptop nodes" in (await evidence_of(server, laptops[0], 22))["port_new_for_program"]["text"]


HARD = [
    launchd("com.example.relay", RELAY_PLIST, program_arguments=f"{RELAY} --port 1"),
    launchd("com.openssh.sshd", SSH_PLIST, program="/usr/libexec/sshd-keygen-wrapper"),
    socket_key("Listeners/SockServiceName", "ssh"),
    socket_key("Listeners/SockServiceName", "2022"),
    launchd("dup", "/Library/LaunchDaemons/dup.plist", program="/opt/dup"),
    launchd("dup", "/Library/LaunchAgents/dup.plist", program="/opt/dup"),
    launchd("com.apple.fake", "/Users/bob/Library/LaunchAgents/f.plist", program_arguments=f"/bin/sh {FAKE} {LONG}"),
    launchd("l" * 4000, "/p" * 4000, program="/opt/" + "ü" * 3000),
    launchd("\x00\u202e,com.apple.x", "", program="/opt/odd"),
    startup_item("Sync", "/Applications/Sync.app"),
    hidden_plist("/Library/LaunchDaemons/.x.plist"),
    switch("com.openssh.sshd", "0"),
]  # fmt: skip
ROWS = [
    listening(RELAY, 8001, cmdline=f"{RELAY} --port 1"),
    listening(RELAY, 8002),
    held(22),
    held(2022),
    held(9),
    listening("/opt/dup", 8003),
    listening("/bin/sh", 8004, cmdline=f"/bin/sh {FAKE} {LONG}"),
    listening("/bin/bash", 8005, cmdline=f"/bin/bash /bin/sh {FAKE}"),
    listening("/opt/" + "ü" * 3000, 8006),
    listening("/opt/odd", 8007),
    listening("/opt/hint", 8008, launchd_labels="com.apple.hint", launchd_match_rank="2"),
    listening("/opt/unknown", 8009),
    listening("/Applications/Sync.app/Contents/MacOS/Sync", 8010),
]
WINDOWS = [
    service("TermService", r"C:\Windows\System32\svchost.exe -k x", module=r"C:\Windows\System32\termsrv.dll"),
    running("TermService", "733"),
    service("NetAgent", r"C:\ProgramData\netagent.exe"),
]  # fmt: skip
WINDOWS_PARENT = {"parent_pid": "5", "parent_path": r"C:\Windows\System32\services.exe", "username": "SYSTEM"}
WINDOWS_ROWS = [
    listening(r"C:\Windows\System32\svchost.exe", 3390, **WINDOWS_PARENT),
    listening(r"C:\Windows\System32\svchost.exe", 3391, pid="9", service_names="RpcSs,RpcEptMapper", **WINDOWS_PARENT),
    listening(r"C:\ProgramData\netagent.exe", 5900, pid="8", **WINDOWS_PARENT),
]


@pytest.mark.parametrize("platform", ["macos", "windows"])
async def test_a_replay_says_the_same_of_jobs_as_the_worker(server: Server, tmp_path: Path, platform: str) -> None:
    known, rows = (HARD, ROWS) if platform == "macos" else (WINDOWS, WINDOWS_ROWS)
    key = await a_node(server, platform=platform)
    lines = [job_line(each, days_ago=3 - n % 2) for n, each in enumerate(known)]
    lines += [socket_line(row, platform=platform) for row in rows]
    await say(server, key, *lines)
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    await judge(server)
    replayed = {
        each.deviation.behaviour.bucket: [
            (e.reason, e.text) for e in each.deviation.evidence if e.reason in JOB_REASONS
        ]
        for each in replay(Inputs((file,)), EVERYTHING)
        if each.deviation.behaviour.direction == "listening"
    }
    found = {port: await evidence_of(server, key, int(port)) for port in replayed}
    worked = {port: [(r, e["text"]) for r, e in lines.items() if r in JOB_REASONS] for port, lines in found.items()}
    assert worked == replayed
    assert sum(map(bool, replayed.values())) >= len(rows) - 1


async def test_every_kind_of_job_row_is_kept(server: Server) -> None:
    mac, pc = await a_node(server, platform="macos"), await a_node(server)
    await say(server, mac, *map(job_line, HARD))
    await say(server, pc, *map(job_line, WINDOWS))
    await take_some(server.database)
    kinds = {kind for (kind,) in await ask(server.database, "SELECT DISTINCT kind FROM node_jobs")}
    assert kinds == {kind.value for kind in JobKind}


async def test_jobs_that_ended_and_begin_again_at_once_count_towards_the_limit(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "MOST_PARTS", 3)
    key = await a_node(server, platform="macos")
    for name in "abc":
        await say(server, key, job_line(launchd(name, program=f"/{name}"), days_ago=2))
    await judge(server)
    for name in "abc":
        gone = launchd(name, program=f"/{name}", action="removed")
        await say(server, key, job_line(gone, days_ago=1))
    await judge(server)
    for name in "abcde":
        await say(server, key, job_line(launchd(name, program=f"/{name}")))
    await judge(server)
    node = await node_of(server.database, key)
    counted = await ask(server.database, "SELECT sum(parts) FROM job_inventories WHERE node_id = :n", n=node)
    assert (len(await parts(server, key)), counted) == (3, [(3,)])
