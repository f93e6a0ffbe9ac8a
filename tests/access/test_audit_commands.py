"""`portbook audit` as a person types it, and the check without us that docs/audit.md prints."""

import json
import re
import stat
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from app.access.actor import PORTBOOK
from app.access.audit.actions import Action
from app.access.audit.deed import Deed
from app.access.audit.record import record
from app.cli import app
from app.clock import utc_now
from app.database import Database
from app.problems import InvalidRequest, NotFound
from tests.house.tree import ROOT

Run = Callable[..., Result]
PAGE = (ROOT / "docs" / "audit.md").read_text("utf-8")


@pytest.fixture
async def some(database: Database) -> Database:
    """With events in its log, of which some try to break a check by shell."""
    for name in ("one", '"prev":"00"', "日本語\n", "\\", "$(true)", "five"):
        async with database.writing() as session:
            record(session, PORTBOOK, Deed(Action.TOKEN_ADDED, "token", name, reason=name))
    return database


@pytest.fixture
def audit(some: Database, database_url: str) -> Run:
    """Runs `portbook audit …` against the test's database."""
    assert some

    def run(*arguments: object, url: bool = True) -> Result:
        more = ["--database-url", database_url] if url else []
        return CliRunner().invoke(app, ["audit", *map(str, arguments), *more])

    return run


@pytest.fixture
def file(audit: Run, tmp_path: Path) -> Path:
    path = tmp_path / "log.jsonl"
    assert audit("export", path).exit_code == 0
    return path


def test_the_log_is_verified_and_the_check_is_in_it(audit: Run) -> None:
    verified = audit("verify")
    assert verified.exit_code == 0, verified.output
    assert "one chain of" in verified.stdout
    checkpoint = re.search(r"checkpoint (\S+)", verified.stdout)
    assert checkpoint
    assert audit("verify", "--expect", checkpoint[1]).exit_code == 0
    (line,) = audit("list", "--action", "chain_checked", "--limit", 1, "--json").stdout.splitlines()
    said = json.loads(line)
    assert (said["object_id"], said["auth_method"], said["outcome"]) == ("asked", "os_account", "success")


def test_a_rewritten_log_fails_against_a_checkpoint(audit: Run) -> None:
    failed = audit("verify", "--expect", "2:" + "0" * 64, "--json")
    assert failed.exit_code == 1
    verdict = json.loads(failed.stdout)
    assert not verdict["holds"]
    assert verdict["faults"] == [{"seq": 2, "text": "its hash is not the one that was noted: the log was rewritten"}]


def test_bad_input_is_a_sentence(audit: Run, tmp_path: Path) -> None:
    (tmp_path / "other").write_text('{"name": "something else"}\n')
    (tmp_path / "empty").touch()
    assert isinstance(audit("verify", "--expect", "nonsense").exception, InvalidRequest)
    for name, problem in (("other", InvalidRequest), ("empty", InvalidRequest), ("missing", FileNotFoundError)):
        assert isinstance(audit("verify", "--file", tmp_path / name, url=False).exception, problem)
    assert audit("list", "--action", "nonsense").exit_code == 2


def test_an_export_is_verified_without_a_database(audit: Run, file: Path) -> None:
    verified = audit("verify", "--file", file, "--json", url=False)
    assert verified.exit_code == 0
    verdict = json.loads(verified.stdout)
    assert (verdict["first_seq"], verdict["lines"]) == (1, len(file.read_bytes().splitlines()))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.write_bytes(file.read_bytes().replace(b'"five"', b'"six"', 1))
    broken = audit("verify", "--file", file, url=False)
    assert broken.exit_code == 1
    assert "broken at line" in broken.stdout


def test_a_half_copied_file_is_found_by_its_checkpoint(audit: Run, file: Path) -> None:
    checkpoint = json.loads(audit("verify", "--file", file, "--json", url=False).stdout)["checkpoint"]
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:-1]) + lines[-1][:40])
    assert audit("verify", "--file", file, url=False).exit_code == 1
    file.write_bytes(b"".join(lines[:-1]))
    assert audit("verify", "--file", file, url=False).exit_code == 0
    assert "cut off" in audit("verify", "--file", file, "--expect", checkpoint, url=False).stdout


def test_an_export_takes_no_files_place_and_says_so_in_the_log(audit: Run, file: Path) -> None:
    before = file.read_bytes()
    assert isinstance(audit("export", file).exception, FileExistsError)
    assert file.read_bytes() == before
    lines = audit("list", "--action", "audit_log_exported", "--limit", 2, "--json").stdout.splitlines()
    assert [json.loads(line)["outcome"] for line in lines] == ["error", "success"]


def test_a_time_chooses_what_is_exported(audit: Run, tmp_path: Path) -> None:
    tomorrow = f"{utc_now() + timedelta(days=1):%Y-%m-%d}"
    assert isinstance(audit("export", tmp_path / "none", "--since", tomorrow).exception, NotFound)
    assert not (tmp_path / "none").exists()
    assert audit("export", tmp_path / "all", "--since", "2020-01-01", "--until", tomorrow).exit_code == 0


def test_events_are_listed_for_people_and_by_filter(audit: Run) -> None:
    shown = audit("list", "--actor", "portbook", "--object", "token", "--since", "2020-01-01").stdout
    assert "token added" in shown
    assert "five" in shown
    only = audit("list", "--object", "token:five", "--json", "--limit", 1).stdout
    assert json.loads(only)["object_id"] == "five"
    assert "no such event" in audit("list", "--actor", "nobody-of-this-name").stdout


def loop() -> str:
    """The shell loop as the page prints it."""
    found = re.search(r"```sh\n(prev=.*?)```", PAGE, re.DOTALL)
    assert found
    return found[1]


def run_loop(folder: Path) -> list[str]:
    done = subprocess.run(["bash", "-c", loop()], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_the_loop_in_the_page_finds_what_we_find(audit: Run, file: Path) -> None:
    verdict = json.loads(audit("verify", "--file", file, "--json", url=False).stdout)
    (file.parent / "audit-log.jsonl").write_bytes(file.read_bytes())
    assert run_loop(file.parent) == [verdict["last_sha256"]]
    (file.parent / "audit-log.jsonl").write_bytes(file.read_bytes().replace(b'"five"', b'"six"', 1))
    assert run_loop(file.parent)[0].startswith("BREAK")


def test_the_loop_in_the_page_is_short() -> None:
    assert len(loop().splitlines()) <= 6
