import json

import pytest

from app.collection import check
from app.collection.check import Fault, check_packs

#: Where the statement of the small pack begins.
SQL_LINE = 12
ROW = {"pid": "1", "name": "a.exe", "path": "C:\\a.exe"}


def only_fault(root) -> Fault:
    (fault,) = check_packs(root)
    return fault


def test_the_shipped_packs_have_no_fault():
    assert [fault.text for fault in check_packs()] == []


def test_the_small_pack_of_these_tests_has_no_fault(shelf):
    assert check_packs(shelf.root) == ()


def test_a_fault_reads_like_a_compilers(shelf):
    path = shelf.query(interval="0")
    assert only_fault(shelf.root).text.startswith(f"{path}:2: the interval must be 1 to 604800 s")


@pytest.mark.parametrize(
    ("changes", "line", "words"),
    [
        ({"interval": "0"}, 2, "the interval must be 1 to 604800 s"),
        ({"interval": "604801"}, 2, "the interval must be 1 to 604800 s"),
        ({"platform": "darwin"}, 4, "platform darwin in a pack for windows"),
        ({"version": "5.14.9"}, 5, "version 5.14.9, but the pack begins at 5.15.0"),
        ({"mode": "snapshot"}, 6, "a snapshot query never reports removed rows"),
        ({"mode": "event", "removed": "false"}, 3, "the mode must be differential or snapshot"),
    ],
)
def test_a_fault_of_the_header_is_on_its_line(shelf, changes, line, words):
    path = shelf.query(**changes)
    fault = only_fault(shelf.root)
    assert (fault.path, fault.line) == (path, line)
    assert words in fault.message


@pytest.mark.parametrize(
    ("statement", "line", "words"),
    [
        ("SELECT pid,\n  upid\nFROM processes", 1, "on windows: no such column: upid"),
        ("SELECT p.pid,\n  p.label\nFROM processes p", 1, "on windows: no such column: p.label"),
        ("SELECT name\nFROM\n  launchd", 2, "on windows: no such table: launchd"),
        ("SELECT name\nFROM processes\nWHER pid > 1", 2, 'on windows: near "pid": syntax error'),
        ("SELECT name,\n  (pid\nFROM processes", 2, 'on windows: near "FROM": syntax error'),
        ("SELECT name\nFROM processes\nWHERE pid IN (1", 2, "on windows: incomplete input"),
        ("SELECT name,\n  frobnicate(pid) AS x\nFROM processes", 1, "on windows: no such function: frobnicate"),
        ("SELECT name,\n  split(name) AS x\nFROM processes", 1, "wrong number of arguments to function split"),
        ("SELECT pid\nFROM processes;\nSELECT 1", 1, "one statement, without a semicolon"),
        ("SELECT *\nFROM processes", 0, "name the columns"),
        ("SELECT pid,\n  p.*\nFROM processes p", 1, "name the columns"),
        ("DELETE FROM processes", 0, "a statement begins with SELECT or WITH"),
        ("WITH gone AS (SELECT 1)\nDELETE FROM processes", 0, "a pack may only SELECT"),
        ("SELECT pid,\n  resident_size\nFROM processes", 1, "processes.resident_size changes by itself"),
        ("SELECT pid,\n  name AS pid\nFROM processes", 0, "two result columns are named pid"),
        ("SELECT path, sha256\nFROM hash", 1, "hash must be asked for a directory or path"),
        ("SELECT a.path\nFROM processes p\nJOIN authenticode a ON 1 = 1", 2, "authenticode must be asked for a path"),
        ("SELECT name\nFROM dns_lookup_events", -9, "the mode must be event"),
    ],
)
def test_a_fault_of_the_statement_is_on_its_line(shelf, statement, line, words):
    path = shelf.query(statement)
    found = [fault for fault in check_packs(shelf.root) if words in fault.message]
    assert [(fault.path, fault.line) for fault in found] == [(path, SQL_LINE + line)]


def test_a_recursion_without_end_is_a_fault_and_not_a_hang(shelf):
    path = shelf.query("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n ORDER BY x")
    assert only_fault(shelf.root) == Fault(path, SQL_LINE, "on windows: interrupted")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT path, sha256 FROM hash WHERE path IN (SELECT path FROM processes)",
        "SELECT h.path, h.sha256 FROM processes p JOIN hash AS h ON p.path = h.path",
        "SELECT path, filename FROM file WHERE directory LIKE 'C:\\Tools\\%'",
        "SELECT a.path FROM authenticode a WHERE a.path = 'C:\\a.exe'",
    ],
)
def test_a_constraint_on_a_required_column_is_recognised(shelf, statement):
    shelf.query(statement)
    assert not [fault for fault in check_packs(shelf.root) if "must be asked" in fault.message]


def test_a_hidden_column_may_be_selected_and_an_event_table_has_its_floor(shelf):
    row = {"time": "1795213811", "name": "a.example"}
    shelf.examples(row, row)
    path = shelf.query("SELECT time, name FROM dns_lookup_events", mode="event", removed="false")
    assert only_fault(shelf.root) == Fault(path, 5, "dns_lookup_events exists from 5.17.0, the header says 5.15.0")
    shelf.query("SELECT time, name FROM dns_lookup_events", mode="event", removed="false", version="5.17.0")
    assert check_packs(shelf.root) == ()


def test_a_column_has_a_floor_of_its_own(shelf):
    path = shelf.query("SELECT pid, name, cwd AS path FROM processes", version="5.23.0")
    message = "processes.cwd is for 5.23.1 and newer, the header says 5.23.0"
    assert only_fault(shelf.root) == Fault(path, 5, message)


def test_a_query_for_any_platform_must_prepare_on_all_three(shelf):
    shelf.manifest(platform="any")
    path = shelf.query("SELECT pid, name, elevated_token AS path FROM processes", platform="any")
    assert {fault.message for fault in check_packs(shelf.root)} == {
        f"on {system}: no such column: elevated_token" for system in ("darwin", "linux")
    }
    assert {(fault.path, fault.line) for fault in check_packs(shelf.root)} == {(path, SQL_LINE)}


@pytest.mark.parametrize("name", ["Sockets", "socket-list", "2nd", "daily_epoch", "packet_counter", "query.x", "a:b"])
def test_a_name_that_osquery_or_its_denylist_would_stumble_over_is_a_fault(shelf, name):
    path = shelf.query(name=name)
    shelf.examples(ROW, ROW, name=name)
    assert any(
        fault.path == path and fault.line == 1 and "the name" in fault.message for fault in check_packs(shelf.root)
    )


def test_what_the_server_reads_must_be_in_the_result(shelf):
    folder = (shelf.root / "small").rename(shelf.root / "windows_network")
    (folder / "sockets.examples.jsonl").unlink()
    path = (folder / "sockets.sql").rename(folder / "listening.sql")
    messages = [fault.message for fault in check_packs(shelf.root) if fault.path == path]
    assert messages == [
        f"Portbook cannot read pack/windows_network/listening without the column {name}"
        for name in ("local_port", "proc_path", "protocol")
    ]


def test_what_the_server_reads_must_come_from_the_platform_that_it_expects(shelf):
    (shelf.root / "small").rename(shelf.root / "telemetry")
    folder = shelf.root / "telemetry"
    (folder / "sockets.sql").rename(folder / "heartbeat.sql")
    messages = {fault.message for fault in check_packs(shelf.root)}
    assert "Portbook reads pack/telemetry/heartbeat as rows of any" in messages


@pytest.mark.parametrize(
    ("lines", "line", "words"),
    [
        ([ROW], 1, "2 to 4 example rows are wanted, here are 1"),
        ([ROW] * 5, 1, "2 to 4 example rows are wanted, here are 5"),
        ([ROW, {**ROW, "pid": 7}], 2, "pid must be a string, as osquery sends it"),
        ([ROW, {"pid": "1", "name": "a.exe"}], 2, "the example lacks the column path"),
        ([ROW, {**ROW, "colour": "red"}], 2, "colour is not a column of the query"),
        ([ROW, ["pid"]], 2, "an example row is a JSON object"),
    ],
)
def test_a_fault_of_an_example_is_on_its_line(shelf, lines, line, words):
    path = shelf.examples(*lines)
    assert only_fault(shelf.root) == Fault(path, line, words)


def test_examples_that_are_not_json_or_not_text_or_missing_are_named(shelf):
    path = shelf.examples(ROW)
    path.write_text(json.dumps(ROW) + "\n{pid: 1}\n")
    assert (only_fault(shelf.root).path, only_fault(shelf.root).line) == (path, 2)
    path.write_bytes(b'{"pid": "1"}\n\xff\n')
    assert only_fault(shelf.root) == Fault(path, 2, "not UTF-8")
    path.unlink()
    assert only_fault(shelf.root) == Fault(path, 1, "the file is missing")


def test_one_broken_file_does_not_hide_the_faults_of_another(shelf):
    first = shelf.query(interval="soon")
    second = shelf.query("SELECT nothing FROM processes", name="other")
    assert [fault.path for fault in check_packs(shelf.root)] == [second, first]


def test_a_broken_manifest_and_a_pack_without_queries_are_faults(shelf):
    manifest = shelf.manifest(platform="beos")
    assert (only_fault(shelf.root).path, only_fault(shelf.root).line) == (manifest, 2)
    shelf.manifest()
    (shelf.root / "small" / "sockets.sql").unlink()
    (shelf.root / "small" / "sockets.examples.jsonl").unlink()
    assert only_fault(shelf.root) == Fault(manifest, 1, "the pack has no query that can be read")


def test_a_file_that_belongs_to_no_query_is_a_fault(shelf):
    path = shelf.examples(ROW, name="forgotten")
    assert only_fault(shelf.root) == Fault(path, 1, "nothing in the pack belongs to this file")


def test_a_folder_that_is_not_there_is_a_fault(tmp_path):
    assert only_fault(tmp_path / "nowhere").message == "there is no such folder of packs"


def test_packs_that_agents_would_refuse_for_their_size_are_a_fault_of_the_folder(shelf):
    long = " || ".join(["'" + "x" * 1000 + "'"] * 60)
    for number in range(18):
        name = f"query{number}"
        shelf.query(f"SELECT pid, path, {long} AS name FROM processes", name=name)
        shelf.examples(ROW, ROW, name=name)
    fault = only_fault(shelf.root)
    assert (fault.path, fault.line) == (shelf.root, 1)
    assert "for windows: the configuration has" in fault.message


def test_the_check_closes_what_it_opens(shelf, monkeypatch):
    closed = []
    monkeypatch.setattr(check.EmptyAgent, "__exit__", lambda self, *_: closed.append(self._database.close()))
    check_packs(shelf.root)
    assert len(closed) == 3
