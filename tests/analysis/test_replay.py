import gzip
import json
from dataclasses import replace

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from app.analysis.captures import BadInput, captured_rows
from app.analysis.replay import Inputs, Replay, replay
from app.analysis.replay_cli import replay as replay_arguments
from app.analysis.replay_command import Sources, replay_command
from app.analysis.replay_table import replay_table
from app.detection.deviation import Severity
from app.detection.knobs import Knobs, TimeWindow
from tests.detection.events import (
    SYSMON_NET,
    SYSMON_START,
    WFP,
    sysmon_connection,
    sysmon_start,
    wfp_connection,
)

DAY = 86_400
SVCHOST = r"C:\Windows\System32\svchost.exe"
IMPLANT = r"C:\Users\bob\AppData\Local\Temp\implant.exe"


def line(node="PRD01", path=SVCHOST, port="443", day=0, **fields):
    columns = {
        "proc_path": path,
        "proc_name": path.rpartition("\\")[2],
        "protocol": "6",
        "local_port": "51000",
        "remote_port": port,
        "remote_address": "10.0.5.13",
        "local_port_listening": "0",
    }
    head = {"hostIdentifier": node, "unixTime": day * DAY, "name": "pack/windows_network/outbound", "action": "added"}
    return head | {"columns": columns | fields.pop("columns", {})} | fields


def signature(node, path, status):
    return line(node) | {
        "name": "pack/windows_context/signatures",
        "columns": {"path": path, "sign_status": status, "subject_name": ""},
    }


@pytest.fixture
def write(tmp_path):
    def written(name, *lines):
        path = tmp_path / name
        content = "".join((each if isinstance(each, str) else json.dumps(each)) + "\n" for each in lines).encode()
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    return written


@pytest.fixture
def history(write):
    days = [line(f"H{n}", port=port, day=day) for n in range(20) for day in range(10) for port in ("443", "80")]
    return write("history.jsonl.gz", *days)


def test_a_port_that_the_fleet_never_saw_is_found_with_its_lines(write, history):
    file = write("today.jsonl", line(day=11), "", line(port="5678", day=11), line(day=11), line(port="5678", day=11))
    found = list(replay(Inputs((file,), (history,))))
    assert [(each.deviation.behaviour.bucket, each.deviation.severity, each.lines) for each in found] == [
        ("5678", Severity.HIGH, (2, 4)),
        ("443", Severity.NONE, (1, 3)),
    ]


def test_lines_are_numbered_across_the_files(write, history):
    first, second = write("1.jsonl", line(day=11)), write("2.jsonl.gz", line(day=11), line(port="5678", day=11))
    (found,) = [each for each in replay(Inputs((first, second), (history,))) if each.deviation.score]
    assert found.lines == (3,)


def test_history_is_not_judged(write, history):
    poisoned = write("poisoned.jsonl", line(port="5678", day=9))
    assert list(replay(Inputs((), (history, poisoned)))) == []


def test_earlier_days_of_the_judged_files_are_history(write, history):
    agent = r"C:\Program Files\Agent\agent.exe"
    days = [line(f"H{n}", path=agent, port=port, day=20 + n) for n in range(20) for port in ("443", "8531")]
    known = [line(f"H{n}", path=agent, day=n) for n in range(20)]
    found = list(replay(Inputs((write("days.jsonl", *days),), (history, write("known.jsonl", *known)))))
    scores = {each.node: each.deviation.score for each in found if each.deviation.behaviour.bucket == "8531"}
    assert scores["H0"] > scores["H2"] > scores["H19"]


def test_without_history_the_first_days_are_for_learning(write):
    lines = [line(f"H{n}", day=day) for n in range(9) for day in range(3)] + [line(port="5678", day=3)]
    (found,) = [each for each in replay(Inputs((write("few.jsonl", *lines),))) if each.deviation.score]
    assert found.deviation.severity is Severity.LOW
    assert "learning" in {each.reason for each in found.deviation.evidence}


def test_a_node_has_one_deviation_for_each_behaviour(write, history):
    file = write("days.jsonl", *(line(port="5678", day=day) for day in (11, 12, 13)))
    (found,) = replay(Inputs((file,), (history,)))
    assert found.lines == (1, 2, 3)


def test_a_replay_tells_a_roll_out_node_by_node(write, history):
    file = write("today.jsonl", *(line(f"N{n}", port="5678", day=11) for n in range(6)))
    found = list(replay(Inputs((file,), (history,))))
    assert sorted(each.node for each in found) == [f"N{n}" for n in range(6)]
    assert len({each.deviation.score for each in found}) == 1


def test_without_a_history_of_its_own_a_replay_knows_young_programs(write):
    agent = r"C:\Program Files\Agent\agent.exe"
    newcomers = [line(f"H{n}", path=rf"C:\Program Files\New{n}x\a.exe", day=5 + n % 5) for n in range(9)]
    usual = [line(f"H{n}", day=day) for n in range(20) for day in range(20)]
    first = [line("H0", path=agent, day=10)]
    scores = []
    for day in (11, 19):
        file = write(f"{day}.jsonl", *usual, *newcomers, *first, line("H1", path=agent, port="8801", day=day))
        [found] = [each for each in replay(Inputs((file,))) if each.deviation.behaviour.bucket == "8801"]
        assert ("young_program" in {each.reason for each in found.deviation.evidence}) == (day == 11)
        scores.append(found.deviation.score)
    assert scores[0] < scores[1]


def test_signature_rows_reach_the_program_on_their_node(write, history):
    rows = [
        line(path=IMPLANT, port="4782", day=11),
        signature("PRD01", IMPLANT, "missing"),
        signature("X", SVCHOST, "missing"),
    ]
    found = list(replay(Inputs((write("today.jsonl", *rows, line(port="5678", day=11)),), (history,))))
    unsigned = {
        each.deviation.behaviour.program.name
        for each in found
        for e in each.deviation.evidence
        if e.reason == "unsigned"
    }
    assert unsigned == {"implant.exe"}


def test_roles_choose_the_peers(write):
    file = write("history.jsonl", *(line(f"H{n}", port="5985", day=day) for n in range(9) for day in range(9)))
    other = write("other.jsonl", *(line(f"L{n}", day=day) for n in range(40) for day in range(9)))
    roles = {f"H{n}": "collector" for n in range(9)} | {f"L{n}": "laptop" for n in range(40)}
    today = write("today.jsonl", line("H1", port="5985", day=9), line("L1", port="5985", day=9))
    found = {each.node: each.deviation for each in replay(Inputs((today,), (file, other), roles))}
    assert found["H1"].score == 0
    assert found["L1"].severity in {Severity.HIGH, Severity.MEDIUM}


def test_a_row_of_nonsense_is_left_out_and_told(write, history):
    run = Replay(Inputs((write("bad.jsonl", line(port="99999"), line(port="5678", day=11)),), (history,)), Knobs())
    assert [each.lines for each in run.judged()] == [(2,)]
    assert [(each.line, each.reason) for each in run.skipped] == [(1, "port_out_of_range: remote_port")]


def test_removed_rows_and_other_queries_show_nothing(write):
    file = write("x.jsonl", line(action="removed"), line(name="pack/osquery-monitoring/schedule"))
    assert list(replay(Inputs((file,)))) == []


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "x.jsonl:2: "),
        ("[1]", "x.jsonl:2: "),
        ('{"a": "\\ud800"', "x.jsonl:2: "),
        (json.dumps({"name": "a"}), "x.jsonl:2: missing_number: unixTime"),
        (json.dumps(line() | {"hostIdentifier": ""}), "x.jsonl:2: missing_node: hostIdentifier"),
    ],
)
def test_bad_input_names_file_and_line(write, content, says):
    with pytest.raises(BadInput) as problem:
        list(captured_rows([write("x.jsonl", line(), content)]))
    assert says in str(problem.value)


@pytest.mark.parametrize("damage", [lambda raw: raw[:-20], lambda raw: raw[:60] + b"damage" + raw[66:], lambda _: b"x"])
def test_a_damaged_archive_is_bad_input(write, damage):
    archive = write("damaged.jsonl.gz", *[line()] * 50)
    archive.write_bytes(damage(archive.read_bytes()))
    with pytest.raises(BadInput, match=r"damaged\.jsonl\.gz"):
        list(captured_rows([archive]))


def test_json_has_one_object_a_deviation(write, history, capsys):
    file = write("today.jsonl", line(port="5678", day=11), line(port="50000", day=11))
    assert replay_command(Sources((file,), (history,)), as_json=True, min_severity=Severity.NONE) == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert list(first) == ["node", "behaviour", "score", "severity", "analytic", "evidence", "lines"]
    assert first["behaviour"] == {
        "program": "svchost.exe",
        "path": r"c:\windows\system32\svchost.exe",
        "direction": "outbound",
        "transport": "tcp",
        "port": 5678,
    }
    assert (first["node"], first["severity"], first["analytic"], first["lines"]) == ("PRD01", "high", "AN0633", [1])
    assert set(first["evidence"][0]) == {"reason", "points", "text"}
    assert second["behaviour"]["port"] == "dynamic"


@pytest.mark.parametrize(
    ("fail_on", "code"), [(None, 0), (Severity.HIGH, 1), (Severity.MEDIUM, 1), (Severity.LOW, 1)]
)  # fmt: skip
def test_a_pipeline_can_fail_on_a_severity(write, history, fail_on, code):
    file = write("today.jsonl", line(port="5678", day=11))
    assert replay_command(Sources((file,), (history,)), fail_on=fail_on, min_severity=Severity.HIGH) == code


def test_nothing_grave_fails_nothing(write, history):
    file = write("today.jsonl", line(day=11))
    assert replay_command(Sources((file,), (history,)), fail_on=Severity.LOW) == 0


@pytest.mark.parametrize("missing", ["files", "history", "nodes", "settings"])
def test_a_missing_file_is_bad_input(write, tmp_path, capsys, missing):
    gone = tmp_path / "gone"
    sources = Sources((write("x.jsonl", line()),))
    sources = replace(sources, **{missing: (gone,) if missing in {"files", "history"} else gone})
    assert replay_command(sources) == 2
    assert "gone" in capsys.readouterr().err


def test_an_impossible_setting_is_bad_input(write, capsys):
    settings = write("knobs.toml", "[Weights]", "novelty = -3")
    assert replay_command(Sources((write("x.jsonl", line()),), settings=settings)) == 2
    assert "$.Weights.novelty" in capsys.readouterr().err


def test_settings_change_the_verdict(write, history, capsys):
    settings = write("knobs.toml", "[PortThresholds]", "common = [5678]", "[Weights]", "novelty = 0", "rarity = 0")
    file = write("today.jsonl", line(port="5678", day=11))
    assert replay_command(Sources((file,), (history,), settings=settings), as_json=True) == 0
    assert capsys.readouterr().out == ""


def test_an_approved_inventory_is_heeded(write, history, capsys, tmp_path):
    agent = r"C:\Program Files\Agent\agent.exe"
    (tmp_path / "approved.csv").write_text("name,path,ports\nAgent,C:\\Program Files\\Agent\\**,tcp/5678\n")
    file = write("today.jsonl", line(path=agent, port="5678", day=11), line(path=IMPLANT, port="4782", day=11))
    sources = Sources((file,), (history,), software=tmp_path / "approved.csv")
    assert replay_command(sources, as_json=True, min_severity=Severity.NONE) == 0
    found = map(json.loads, capsys.readouterr().out.splitlines())
    reasons = {each["behaviour"]["program"]: {e["reason"]: e["points"] for e in each["evidence"]} for each in found}
    assert reasons["agent.exe"]["approved_software"] == -30
    assert reasons["implant.exe"]["unknown_software"] == 5


def test_a_bad_approved_inventory_is_bad_input(write, history, capsys, tmp_path):
    (tmp_path / "approved.csv").write_text("name,publisher\nAgent,\n")
    sources = Sources((write("x.jsonl", line()),), (history,), software=tmp_path / "approved.csv")
    assert replay_command(sources) == 2
    assert "approved.csv: line 2: publisher: a name alone" in capsys.readouterr().err
    assert replay_command(replace(sources, software=tmp_path / "missing.csv")) == 2


def test_nodes_that_are_no_nodes_are_bad_input(write, capsys):
    nodes = write("nodes.jsonl", {"host_identifier": "a", "role": "pc"}, {"role": "pc"})
    assert replay_command(Sources((write("x.jsonl", line()),), nodes=nodes)) == 2
    assert "nodes.jsonl:2" in capsys.readouterr().err


def test_the_table_shows_hostile_names_as_they_are(write, history):
    file = write("today.jsonl", line("[red]PRD01", port="5678", day=11))
    console = Console(width=200, record=True)
    console.print(replay_table(replay(Inputs((file,), (history,)))))
    text = console.export_text()
    assert "[red]PRD01" in text
    assert "svchost.exe outbound tcp/5678" in text


def test_a_narrow_table_cuts_no_path(write, history):
    path = "C:\\\\Users\\\\ada\\\\AppData\\\\Local\\\\Temp\\\\a-very-long-name-of-a-program-indeed.exe".replace(
        "\\\\", "\\"
    )
    file = write("today.jsonl", line(port="5678", day=11, path=path))
    console = Console(width=80, record=True)
    console.print(replay_table(replay(Inputs((file,), (history,)))))
    assert "…" not in console.export_text()


def test_the_command_line_has_the_documented_options(write, history):
    app = typer.Typer()
    app.command()(replay_arguments)
    file = write("today.jsonl", line(port="5678", day=11))
    options = ["--history", str(history), "--min-severity", "none", "--json", "--fail-on", "high", str(file)]
    result = CliRunner().invoke(app, options)
    assert result.exit_code == 1
    assert json.loads(result.stdout)["score"] >= 50


NOON = 1598961600
HEAD = {"hostIdentifier": "PRD01", "unixTime": NOON + 60, "action": "added"}


def events(query, *rows):
    return [HEAD | {"name": query, "columns": row} for row in rows]


def reasons(*judged):
    return {e.reason: e.text for each in judged for e in each.deviation.evidence}


def test_a_connection_that_sysmon_logged_is_judged_with_the_start_of_its_process(write, history):
    file = write(
        "sysmon.jsonl", *events(SYSMON_NET, sysmon_connection()), *events(SYSMON_START, sysmon_start())
    )  # in any order
    (found,) = replay(Inputs((file,), (history,)))
    assert (found.deviation.behaviour.bucket, found.lines) == ("8443", (1,))
    assert reasons(found)["started_before"] == "It was started 12 s before its first connection was seen (Sysmon 1)."


def test_what_sysmon_filtering_platform_and_poll_show_is_one_behaviour(write, history):
    polled = line(path=SVCHOST, port="7680") | {"unixTime": NOON}
    file = write("all.jsonl", polled, *events(WFP, wfp_connection()), *events(SYSMON_NET, sysmon_connection(
        Image=SVCHOST, DestinationPort="7680")))  # fmt: skip
    (found,) = replay(Inputs((file,), (history,)))
    assert found.lines == (1, 2, 3)


@pytest.mark.parametrize(
    ("start", "known"),
    [({}, True), ({"node": "other"}, False), ({"Image": SVCHOST}, False), ({"ProcessId": "7"}, False),
     ({"UtcTime": "2020-09-01 12:00:01.000"}, False), ({"User": "ann"}, False)],
)  # fmt: skip
def test_a_start_of_another_process_is_not_joined_in_a_replay(write, history, start, known):
    node = start.pop("node", "PRD01")
    told = [each | {"hostIdentifier": node} for each in events(SYSMON_START, sysmon_start(ProcessGuid="", **start))]
    (found,) = replay(Inputs((write("today.jsonl", *told, *events(SYSMON_NET, sysmon_connection())),), (history,)))
    assert ("started_before" in reasons(found)) == known


def test_the_time_window_of_a_replay_is_a_knob(write, history):
    rows = [*events(SYSMON_START, sysmon_start(ProcessGuid="")), *events(SYSMON_NET, sysmon_connection())]
    short = Knobs(time_window=TimeWindow(join_seconds=11))
    (found,) = replay(Inputs((write("today.jsonl", *rows),), (history,)), short)
    assert "started_before" not in reasons(found)


def test_a_process_event_that_cannot_be_understood_is_skipped_by_line(write, history):
    file = write("bad.jsonl", *events(SYSMON_START, sysmon_start(ProcessId="x"), sysmon_start() | {"data": "{"}),
                 *events(SYSMON_NET, sysmon_connection() | {"data": "{"}))  # fmt: skip
    run = Replay(Inputs((file,), (history,)), Knobs())
    assert list(run.judged()) == []
    assert [(each.line, each.reason) for each in run.skipped] == [
        (1, "not_a_process_id: pid"),
        (2, "event_unreadable: data"),
        (3, "event_unreadable: data"),
    ]


def test_settings_of_a_role_count_for_its_nodes_only(write, history, capsys):
    settings = write("knobs.toml", "[role.kiosk.windows.Severities]", "low = 101", "medium = 101", "high = 101")
    nodes = write("nodes.jsonl", {"host_identifier": "PRD01", "role": "kiosk"})
    file = write("today.jsonl", line("PRD01", port="5678", day=11), line("PRD02", port="5678", day=11))
    assert replay_command(Sources((file,), (history,), nodes, settings), as_json=True) == 0
    assert [json.loads(each)["node"] for each in capsys.readouterr().out.splitlines()] == ["PRD02"]
