import subprocess
import sys

import pytest

from app import cli
from app.problems import NotFound

HEAVY = {"sqlalchemy", "alembic", "psycopg", "fastapi", "starlette", "pydantic_settings", "httpx", "cryptography"}


def imported(*arguments):
    """The top packages that a command of ours imports, in a process of its own."""
    command = [sys.executable, "-X", "importtime", "-m", "app.cli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines() if "|" in line}


@pytest.mark.parametrize("arguments", [["--help"], ["replay", "--help"]])
def test_help_waits_for_no_database_and_no_web_framework(arguments):
    assert not imported(*arguments) & HEAVY


def test_replay_waits_for_no_database_and_no_web_framework(tmp_path):
    captured = tmp_path / "lines.jsonl"
    captured.touch()
    assert "msgspec" in (found := imported("replay", "--json", str(captured)))
    assert not found & HEAVY


@pytest.mark.parametrize("error", [FileNotFoundError(2, "No such file", "secret.txt"), NotFound("no such secret")])
def test_an_error_that_a_person_can_mend_is_one_sentence(monkeypatch, capsys, error):
    def fail():
        raise error

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(SystemExit, match="2"):
        cli.main()
    assert capsys.readouterr().err == f"portbook: {error}\n"


def test_any_other_error_is_not_hidden(monkeypatch):
    monkeypatch.setattr(cli, "app", lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        cli.main()
