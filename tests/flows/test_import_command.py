"""`portbook flows import`: files, folders and standard input; what is said of them, and the exit code."""

import gzip
import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
from rich.console import Console
from typer.testing import CliRunner

from app.cli import app
from app.database import Database
from app.flows import import_command
from app.flows.import_command import Import, Summary, import_flows, show
from app.flows.records import Tool
from tests.flows.logs import CONN, DAY, a_folder, eve, recorded, text
from tests.observations.stored import ask

TOOLS: tuple[Tool, ...] = get_args(Tool)


@pytest.fixture(autouse=True)
def on_the_day_of_the_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_command, "utc_now", lambda: DAY)


async def run(database: Database, *paths: Path, tool: Tool | None = None) -> Summary:
    return await import_flows(database, Import(paths, "edge", tool, 4), quiet=True)


def said(summary: Summary) -> tuple[int, str]:
    """The exit code and what a terminal shows."""
    shown = io.StringIO()
    console = Console(file=shown, width=200)
    return show(console, console, summary, as_json=False), " ".join(shown.getvalue().split())


def a_file(folder: Path, content: bytes, name: str = "some.log") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


async def test_a_folder_is_read_with_all_below_it_and_what_is_no_log_is_passed_over(
    clean: Database, tmp_path: Path
) -> None:
    summary = await run(clean, a_folder(tmp_path / "logs"))
    document = summary.document()
    assert document["logs"] == {"zeek/conn": 111, "zeek/ssl": 5, "zeek/analyzer": 6, "zeek/http": 3}
    assert document["flows"] == {"new": 111, "changed": 0, "same": 0}
    assert [Path(each["file"]).name for each in document["unread"]] == ["stderr.log"]
    assert await ask(clean, "SELECT count(*) FROM flows WHERE tls_version <> ''") == [(5,)]
    code, shown = said(summary)
    assert code == 0
    assert "111 new flows" in shown
    assert "22 lines not read: zeek/weird" in shown
    assert "stderr.log: not a Zeek log" in shown
    again = await run(clean, tmp_path / "logs")
    assert again.document()["flows"] == {"new": 0, "changed": 0, "same": 111}


async def test_standard_input_is_a_dash(clean: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(recorded("conn")))))
    assert (await run(clean, Path("-"))).kept.new == 111


async def test_skipped_lines_are_told_with_file_line_and_field(clean: Database, tmp_path: Path) -> None:
    first = a_file(tmp_path, text("conn", CONN, CONN | {"id.resp_p": "70000"}), "a.log")
    second = a_file(tmp_path, text("conn", CONN | {"id.resp_p": "80000"}, CONN | {"ts": "-"}), "b.log")
    summary = await run(clean, first, second)
    code, shown = said(summary)
    assert code == import_command.LINES_SKIPPED
    assert f"2 │ not a port from 0 to 65535 │ id.resp_p │ {first}:10 │ '70000'" in shown
    assert f"1 │ missing │ ts │ {second}:10" in shown
    assert summary.document()["skipped"] == 3


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"listening on eth0\n", "not a Zeek log"),
        (gzip.compress(recorded("conn"))[:-100], "gzip data is cut"),
        (None, "No such file"),
    ],
    ids=["stranger", "cut", "missing"],
)
async def test_a_file_that_cannot_be_read_is_an_error_and_the_others_are_read(
    clean: Database, tmp_path: Path, content: bytes | None, problem: str
) -> None:
    path = a_file(tmp_path, content) if content else tmp_path / "missing.log"
    summary = await run(clean, path, a_file(tmp_path, eve(), "eve.json"))
    assert summary.logs["suricata/flow"] == 1
    code, shown = said(summary)
    assert code == import_command.UNREADABLE
    assert f"{path}: " in shown
    assert problem in shown


async def test_what_is_older_than_flows_are_kept_is_said_to_be(
    clean: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_command, "utc_now", lambda: DAY + timedelta(days=30))
    summary = await run(clean, a_file(tmp_path, recorded("conn")))
    assert "older than the 4 days for which flows are kept │ ts" in said(summary)[1]
    assert summary.kept.new == 0


@pytest.mark.parametrize("tool", TOOLS)
async def test_only_one_tools_lines_may_be_asked_for(clean: Database, tmp_path: Path, tool: Tool) -> None:
    paths = (a_file(tmp_path, text("conn", CONN)), a_file(tmp_path, eve(), "eve.json"))
    await run(clean, *paths, tool=tool)
    assert await ask(clean, "SELECT tool FROM flow_sensors") == [(tool,)]


def test_json_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    assert show(console, console, Summary(), as_json=True) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert set(document) == {"files", "lines", "flows", "logs", "ignored", "skipped", "faults", "unread"}


@pytest.mark.parametrize("name", ["", "a b", "-x", "x" * 64, "x\n"])
def test_a_sensors_name_is_a_name(name: str) -> None:
    done = CliRunner().invoke(app, ["flows", "import", "--sensor", name, "x.log"])
    assert done.exit_code == 2
    assert "--sensor" in done.output


async def test_from_the_command_line(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = a_file(tmp_path, recorded("conn", "ssl"))
    monkeypatch.setenv("PORTBOOK_DATABASE_URL", database_url)
    monkeypatch.setenv("PORTBOOK_FLOW_RETENTION_DAYS", "4")
    from asyncio import to_thread

    done = await to_thread(CliRunner().invoke, app, ["flows", "import", "--json", str(path)])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["lines"] == 117
