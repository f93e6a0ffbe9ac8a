"""Which start is joined with a connection: a process id that is used again must never bring in a stranger."""

from dataclasses import replace

import pytest

from app.detection.context import Context
from app.detection.process_start import IN_ROW, ProcessStart, join, sought, start_in_row, with_start
from app.detection.reported_starts import ReportedStart
from tests.detection.events import EXCEL, SVCHOST
from tests.detection.worked import behaviour

NOON = 1598961600.0
WINDOW = 300.0
STARTED = ReportedStart("1", 11764, NOON, EXCEL.lower(), "Sysmon 1", r"C:\Windows\explorer.exe", "EXCEL.EXE", "mwebb")


def joined(*starts: ReportedStart, seen: float = NOON + 60, window: float = WINDOW, **row: str) -> ProcessStart | None:
    context = Context(node="n", **({"process_id": "11764"} | row))
    one = sought(behaviour(EXCEL, 8443), context, seen)
    return join(one, starts, window) if one else None


@pytest.mark.parametrize(("apart", "is_joined"), [(0, True), (2, True), (-2, True), (2.1, False), (-2.1, False)])
def test_a_row_that_knows_its_start_is_joined_within_the_tolerance(apart: float, is_joined: bool) -> None:
    known = f"{NOON + apart}"
    assert (joined(STARTED, seen=NOON + 90_000, process_started=known) is not None) == is_joined


@pytest.mark.parametrize(("days", "is_joined"), [(2.9, True), (3.1, False)])
def test_no_start_is_joined_that_is_older_than_starts_are_kept(days: float, is_joined: bool) -> None:
    seen = NOON + days * 86_400
    assert (joined(STARTED, seen=seen, process_started=str(NOON)) is not None) == is_joined
    named = replace(STARTED, guid="{g-1}")
    assert (joined(named, seen=seen, process_guid="{g-1}") is not None) == is_joined


@pytest.mark.parametrize("unreadable", ["", "-1", "0", "nan", "x"])
def test_a_row_that_does_not_takes_the_last_start_before_the_connection(unreadable: str) -> None:
    again = replace(STARTED, started_at=NOON + 30)
    found = joined(STARTED, again, process_started=unreadable)
    assert found is not None
    assert (found.started_at, found.seconds_before) == (NOON + 30, 30)


@pytest.mark.parametrize(("seen", "is_joined"), [(-0.1, False), (0, True), (300, True), (300.1, False)])
def test_only_within_the_window_before_the_connection(seen: float, is_joined: bool) -> None:
    assert (joined(STARTED, seen=NOON + seen) is not None) == is_joined


@pytest.mark.parametrize("seconds", [1, 100])
def test_a_process_id_that_another_program_has_taken_joins_nothing(seconds: float) -> None:
    stranger = replace(STARTED, path=SVCHOST.lower(), started_at=NOON + seconds)
    assert joined(STARTED, stranger, seen=NOON + 200) is None
    assert joined(stranger, seen=NOON + 200) is None


def test_a_stranger_of_the_same_second_is_passed_over_where_the_row_knows_its_start() -> None:
    stranger = replace(STARTED, path=SVCHOST.lower(), started_at=NOON + 1)
    found = joined(STARTED, stranger, process_started="1598961600")
    assert found is not None
    assert found.started_at == NOON


@pytest.mark.parametrize(
    ("row_says", "event_says", "is_joined"),
    [("mwebb", r"CORP\mwebb", True), ("MWEBB", "mwebb", True), ("ann", r"CORP\mwebb", False), ("", "mwebb", True),
     ("ann", "", True), ("SYSTEM", r"NT AUTHORITY\SYSTEM", True)],
)  # fmt: skip
def test_users_must_agree_where_both_are_known(row_says: str, event_says: str, is_joined: bool) -> None:
    start = replace(STARTED, user=event_says)
    assert (joined(start, user=row_says) is not None) == is_joined
    assert (joined(start, user=row_says, process_started=str(NOON)) is not None) == is_joined


def test_sysmons_own_name_joins_however_long_ago_and_parts_what_shares_a_process_id() -> None:
    named = replace(STARTED, guid="{g-1}")
    assert joined(named, seen=NOON + 7200, process_guid="{g-1}") is not None
    assert joined(named, seen=NOON + 60, process_guid="{g-2}") is None
    assert joined(STARTED, seen=NOON + 7200, process_guid="{g-1}") is None
    assert joined(STARTED, seen=NOON + 60, process_guid="{g-1}") is not None


def test_the_time_of_an_event_counts_and_not_when_it_was_collected() -> None:
    found = joined(STARTED, seen=NOON + 4000, event_time=f"{NOON + 12}")
    assert found is not None
    assert found.seconds_before == 12


def test_several_sources_of_one_start_make_one_and_the_fullest_is_quoted() -> None:
    etw = ReportedStart("1", 11764, NOON + 0.4, EXCEL.lower(), "process_etw_events", command_line="E.EXE /e")
    audited = ReportedStart("1", 11764, NOON + 0.2, EXCEL.lower(), "Security 4688", parent="p.exe", user="mwebb")
    found = joined(etw, audited)
    assert found is not None
    assert (found.source, found.parent, found.user, found.command_line) == (
        "Security 4688", "p.exe", "mwebb", "E.EXE /e",
    )  # fmt: skip


@pytest.mark.parametrize("pid", ["", "0", "-1", "x", "4294967296"])
def test_a_row_without_a_process_id_is_joined_with_nothing(pid: str) -> None:
    assert joined(STARTED, process_id=pid) is None


def test_a_row_without_a_path_is_joined_with_nothing() -> None:
    assert sought(behaviour("", 445), Context(node="n", process_id="11764"), NOON) is None


def test_the_row_itself_may_say_when_its_process_began_and_is_no_event() -> None:
    found = start_in_row(Context(node="n", process_started=str(NOON)), NOON + 5)
    assert found == ProcessStart(NOON, 5, IN_ROW)
    assert found is not None
    assert found.event == ""
    assert start_in_row(Context(node="n", process_started=str(NOON)), NOON - 5) is None


def test_a_start_fills_what_the_row_lacks_and_nothing_else() -> None:
    start = ProcessStart(NOON, 5, "Sysmon 1", parent="p.exe", command_line="c", user="u")
    assert with_start(Context(node="n", parent="q.exe"), start) == Context(
        node="n", parent="q.exe", command_line="c", user="u"
    )
    assert with_start(Context(node="n"), None) == Context(node="n")
