"""`portbook replay --flows`: what the sensors' logs say stands among the evidence."""

import json
import shutil

import pytest

from app.analysis.replay import Inputs, Replay
from app.analysis.replay_command import Sources, replay_command
from app.detection.deviation import Severity
from app.detection.knobs import Knobs
from tests.detection.events import SYSMON_NET, sysmon_connection
from tests.flows.recordings import RECORDED

HOSTS = RECORDED / "hosts.jsonl"
FOLDERS = tuple(RECORDED / f"campaign_0{n}" for n in (1, 2, 3))


def evidence_of(capsys, *flows, code=0):
    sources = Sources((HOSTS,), flows=flows)
    assert replay_command(sources, as_json=True, min_severity=Severity.NONE) == code
    said = capsys.readouterr()
    return [json.loads(line) for line in said.out.splitlines()], said.err


def test_recorded_command_channels_show_tls_where_http_belongs(capsys):
    found, said = evidence_of(capsys, *FOLDERS)
    odd = {
        (each["behaviour"]["program"], each["behaviour"]["port"]): each["score"]
        for each in found
        if any(line["reason"] == "flow_tls_elsewhere" and line["points"] == 30 for line in each["evidence"])
    }
    assert set(odd) == {("winx64_payload.exe", 8080), ("svchost.exe", 8080)}
    assert "62 of 82 connections joined with a flow" in said
    benign = {"lsass.exe", "msedge.exe", "backgroundtaskhost.exe", "system", "wmiprvse.exe"}
    lines = [line for each in found for line in each["evidence"] if line["reason"].startswith("flow_")]
    assert len([line for line in lines if line["points"]]) == 4  # and a broken HTTP beside each
    assert not {each["behaviour"]["program"] for each in found if each["score"] >= 40} & benign


def test_without_flows_the_same_rows_say_that_the_log_is_missing(capsys):
    found, said = evidence_of(capsys)
    texts = [line["text"] for each in found for line in each["evidence"]]
    assert any("flow log for this connection" in text for text in texts)
    assert said == ""


def test_a_file_is_as_good_as_its_folder():
    run = Replay(Inputs((HOSTS,), flows=tuple(sorted(FOLDERS[0].iterdir()))), Knobs())
    whole = Replay(Inputs((HOSTS,), flows=FOLDERS[:1]), Knobs())
    assert [each.deviation for each in run.judged()] == [each.deviation for each in whole.judged()]


def test_a_named_file_that_is_no_flow_log_is_bad_input(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("nothing\n" * 30)
    _, said = evidence_of(capsys, tmp_path / "notes.txt", code=2)
    assert "notes.txt: not a Zeek log" in said
    _, said = evidence_of(capsys, tmp_path / "missing.log", code=2)
    assert "missing.log" in said


def test_lines_that_are_left_out_are_told(tmp_path, capsys):
    shutil.copytree(FOLDERS[0], tmp_path / "dmz-1")
    log = tmp_path / "dmz-1" / "conn.log"
    log.write_text(log.read_text().replace("\t8080\t", "\t80800\t", 1))
    _, said = evidence_of(capsys, tmp_path / "dmz-1")
    assert "conn.log" in said
    assert "id.resp_p: not a port from 0 to 65535" in said


@pytest.mark.parametrize("days", [0, 3])
def test_flows_of_the_days_before_count_for_a_behaviour(tmp_path, days):
    """The payload is seen again some days later, by which time no sensor watches."""
    lines = [json.loads(line) for line in HOSTS.read_text().splitlines()]
    [first, *_] = [line for line in lines if line["columns"].get("remote_port") == "8080"]
    later = first | {"unixTime": first["unixTime"] + days * 86_400, "columns": first["columns"] | {"local_port": "1"}}
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in (*lines, later)))
    found = Replay(Inputs((file,), flows=FOLDERS[:1]), Knobs()).judged()
    [payload] = [each.deviation for each in found if _named(each.deviation.behaviour) == "8080 winx64_payload.exe"]
    assert "flow_tls_elsewhere" in {line.reason for line in payload.evidence}


def test_connections_that_events_told_of_are_joined_as_those_of_rows(tmp_path):
    rows = [json.loads(line) for line in HOSTS.read_text().splitlines()]
    [first, *_] = [line for line in rows if line["columns"].get("remote_port") == "8080"]
    said = first["columns"]
    ends = {"SourceIp": said["local_address"], "SourcePort": said["local_port"], "Image": said["proc_path"]}
    event = sysmon_connection(**ends, DestinationIp=said["remote_address"], DestinationPort="8080")
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(first | {"name": SYSMON_NET, "columns": event}) + "\n")
    [found] = Replay(Inputs((file,), flows=FOLDERS[:1]), Knobs()).judged()
    assert "flow_tls_elsewhere" in {line.reason for line in found.deviation.evidence}


def _named(behaviour):
    return f"{behaviour.bucket} {behaviour.program.name}"
