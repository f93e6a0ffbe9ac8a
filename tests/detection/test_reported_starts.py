"""Which rows tell of a process start, and what each source says of it."""

import json
from pathlib import Path

import pytest

from app.collection.packs import PACKS_DIR
from app.detection.columns import RejectedRow
from app.detection.facts import FACT_QUERIES, FactKind
from app.detection.reported_starts import ReportedStart, reported_start
from tests.detection.events import (
    AUDIT_START,
    ETW_START,
    EXCEL,
    MACOS_START,
    SYSMON_START,
    audit_start,
    etw_start,
    fact,
    sysmon_start,
)

NOON = 1598961600
EXPLORER = r"C:\Windows\explorer.exe"


def told(query: str, row: dict[str, object]) -> ReportedStart:
    found = reported_start(fact(query, row))
    assert found is not None
    return found


def test_each_source_tells_of_the_same_process() -> None:
    sysmon, audited = told(SYSMON_START, sysmon_start()), told(AUDIT_START, audit_start())
    etw = told(ETW_START, etw_start())
    assert {each.path for each in (sysmon, audited, etw)} == {EXCEL.lower()}
    assert {each.process_id for each in (sysmon, audited, etw)} == {11764}
    assert (sysmon.source, sysmon.started_at, sysmon.guid) == ("Sysmon 1", pytest.approx(NOON - 11.877), "{g-1}")
    assert (sysmon.parent, sysmon.user, sysmon.command_line) == (EXPLORER, r"CORP\mwebb", "EXCEL.EXE q4.xlsx")
    assert (audited.source, audited.started_at, audited.parent, audited.user) == (
        "Security 4688", NOON + 0.5, EXPLORER, "mwebb",
    )  # fmt: skip
    assert (etw.source, etw.started_at, etw.parent) == ("process_etw_events", NOON - 12, "")


@pytest.mark.parametrize(
    ("fields", "user"),
    [
        ({"SubjectUserSid": "S-1-5-18", "SubjectUserName": "HOST$"}, "SYSTEM"),
        ({"TargetUserSid": "S-1-5-20", "TargetUserName": "HOST$"}, "NETWORK SERVICE"),
        ({"TargetUserSid": "S-1-5-21-9", "TargetUserName": "ann"}, "ann"),
    ],
)
def test_an_audited_process_runs_as_its_target_if_there_is_one(fields: dict[str, str], user: str) -> None:
    assert told(AUDIT_START, audit_start(**fields)).user == user


def test_windows_before_10_says_of_the_creator_only() -> None:
    row = audit_start()
    old = {name: value for name, value in json.loads(row["data"])["EventData"].items() if "Target" not in name}
    assert told(AUDIT_START, row | {"data": json.dumps({"EventData": old})}).user == ""


@pytest.mark.parametrize(
    ("query", "row"),
    [
        (ETW_START, etw_start(type="ProcessStop")),
        (SYSMON_START, sysmon_start() | {"eventid": "5"}),
        (AUDIT_START, audit_start() | {"eventid": 4689}),
        (MACOS_START, {"event_type": "fork", "pid": "7", "path": "/bin/sh", "time": "1"}),
        ("pack/windows_context/programs", {"name": "x"}),
    ],
)
def test_other_rows_tell_of_no_start(query: str, row: dict[str, object]) -> None:
    assert reported_start(fact(query, row)) is None


def test_macos_tells_of_executions() -> None:
    row = {"event_type": "exec", "pid": "4471", "path": "/usr/bin/nc", "time": "1598961600", "cmdline": "nc -l 1"}
    found = told(MACOS_START, row | {"username": "ann"})
    assert (found.process_id, found.path, found.started_at, found.user) == (4471, "/usr/bin/nc", NOON, "ann")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (sysmon_start(ProcessId="x"), "not_a_process_id"),
        (sysmon_start(ProcessId="0"), "not_a_process_id"),
        (sysmon_start(UtcTime="soon") | {"time": "", "datetime": ""}, "not_a_time"),
        (sysmon_start(Image="-"), "path_empty"),
        (sysmon_start() | {"data": "no json"}, "event_unreadable"),
        (sysmon_start() | {"data": None}, "event_unreadable"),
    ],
)
def test_what_cannot_be_understood_is_refused_by_name(row: dict[str, object], reason: str) -> None:
    with pytest.raises(RejectedRow) as refused:
        reported_start(fact(SYSMON_START, row))
    assert refused.value.reason == reason


def test_no_text_is_kept_at_any_length() -> None:
    long = "x" * 30_000
    found = told(SYSMON_START, sysmon_start(Image=f"C:\\{long}", CommandLine=long, User=long, ParentImage=long))
    assert len(found.path) <= 600
    assert [len(each) for each in (found.command_line, found.user, found.parent)] == [1024, 300, 300]


@pytest.mark.parametrize("query", [name for name, (_, kind) in FACT_QUERIES.items() if kind is FactKind.PROCESS])
def test_the_examples_of_the_packs_tell_of_starts(query: str) -> None:
    path = Path(PACKS_DIR, *query.split("/")[1:]).with_suffix(".examples.jsonl")
    found = [reported_start(fact(query, json.loads(line))) for line in path.read_text().splitlines()]
    assert found[0] is not None
