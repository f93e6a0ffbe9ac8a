"""`portbook knobs` and `portbook attack` as a person types them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from app.cli import app
from app.database import Database
from app.detection.attack import attack, attack_from
from app.problems import Problem
from app.tuning.changes import NotBacktested
from tests.detection.bundles import a_bundle

Run = Callable[..., Result]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "knobs.toml"
    path.write_text("[every.Weights]\nnovelty = 40\n[platform.macos.Severities]\nhigh = 60\n")
    return path


@pytest.fixture
def knobs(fresh: Database, database_url: str) -> Run:
    """Runs `portbook knobs …` against the test's database."""
    assert fresh

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(app, ["knobs", *map(str, arguments), "--database-url", database_url])

    return run


def test_a_file_is_applied_shown_exported_and_remembered(knobs: Run, file: Path, tmp_path: Path) -> None:
    assert "Weights.novelty is set to 40" in knobs("diff", file).stdout
    applied = knobs("apply", file, "--reason", "Too loud", "--force", "Now", "--by", "ada")
    assert applied.exit_code == 0, applied.output
    assert "FORCED: Now" in applied.stdout
    assert "nothing differs" in knobs("diff", file).stdout
    assert "nothing was changed" in knobs("apply", file, "--reason", "Too loud", "--force", "Now").stdout
    shown = {each["field"]: each for each in json.loads(knobs("show", "--platform", "macos", "--json").stdout)}
    assert (shown["Weights.novelty"]["value"], shown["Weights.novelty"]["scope"]) == (40.0, "every")
    assert shown["Severities.high"]["scope"] == "platform.macos"
    table = knobs("show", "--platform", "macos").stdout
    assert "Severities.high" in table
    assert "FORCED: Now" in table
    knobs("export", "--output", tmp_path / "again.toml")
    assert "nothing differs" in knobs("diff", tmp_path / "again.toml").stdout
    assert knobs("export").stdout == (tmp_path / "again.toml").read_text()
    remembered = json.loads(knobs("history", "--json", "--scope", "every").stdout)
    assert [(each["created_by"], each["reason"], each["forced_reason"]) for each in remembered] == [
        ("ada", "Too loud", "Now")
    ]
    assert "Too loud" in knobs("history").stdout


def test_two_versions_are_compared(knobs: Run, file: Path) -> None:
    for novelty in (41, 42):
        file.write_text(f"[Weights]\nnovelty = {novelty}\n")
        knobs("apply", file, "--reason", "Trial", "--force", "Now")
    versions = [each["version"] for each in json.loads(knobs("history", "--json").stdout)]
    assert knobs("diff", *versions[::-1]).stdout.strip() == "every: Weights.novelty goes from 41 to 42"
    assert "no number" in knobs("diff", "x", 1).output


def test_without_a_backtest_or_a_reason_nothing_is_applied(knobs: Run, file: Path) -> None:
    assert isinstance(knobs("apply", file, "--reason", "Too loud").exception, NotBacktested)
    assert knobs("apply", file, "--force", "Now").exit_code == 2
    for given in (
        ("--reason", " ", "--force", "Now"),
        ("--reason", "x", "--force", " "),
        ("--reason", "x", "--by", ""),
    ):
        assert isinstance(knobs("apply", file, *given).exception, Problem)
    assert json.loads(knobs("history", "--json").stdout) == []


def test_a_file_with_a_fault_in_one_scope_changes_none(knobs: Run, file: Path) -> None:
    with file.open("a") as text:
        text.write("[platform.windows.Weights]\nnovlety = 1\n")
    for refused in (knobs("apply", file, "--reason", "x", "--force", "Now"), knobs("diff", file)):
        assert isinstance(refused.exception, Problem)
        assert f"{file}:6: platform.windows: Object contains unknown field `novlety`" in str(refused.exception)
    assert json.loads(knobs("history", "--json").stdout) == []


def test_a_file_is_checked_without_a_database(file: Path) -> None:
    checked = CliRunner().invoke(app, ["knobs", "check", str(file)])
    assert (checked.exit_code, "scopes: every, platform.macos" in checked.stdout.replace("\n", " ")) == (0, True)
    file.write_text("[Weights]\nnovelty = 1000\n")
    refused = CliRunner().invoke(app, ["knobs", "check", str(file)])
    assert isinstance(refused.exception, Problem)
    assert f"{file}:2" in str(refused.exception)


def test_a_history_of_no_scope_is_refused(knobs: Run) -> None:
    assert isinstance(knobs("history", "--scope", "laptops").exception, Problem)
    assert "nobody changed them" in knobs("history").stdout


def test_attack_is_pinned_anew_and_says_what_changed(tmp_path: Path) -> None:
    bundle, output = tmp_path / "enterprise-attack.json", tmp_path / "attack.json"
    bundle.write_bytes(a_bundle(release="20.0"))
    done = CliRunner().invoke(app, ["attack", "refresh", str(bundle), "--output", str(output)])
    assert done.exit_code == 0, done.output
    assert "release goes from 18.1 to 20.0" in done.stdout
    pinned = attack_from(output.read_bytes())
    assert (pinned.release, pinned.source, pinned.objects) == ("20.0", "enterprise-attack.json", attack().objects)


@pytest.mark.parametrize("content", [None, b"", a_bundle(without="DET0227")])
def test_a_bundle_that_cannot_be_used_writes_nothing(
    tmp_path: Path, content: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, output = tmp_path / "bundle.json", tmp_path / "attack.json"
    if content is not None:
        bundle.write_bytes(content)
    done = CliRunner().invoke(app, ["attack", "refresh", str(bundle), "--output", str(output)])
    assert isinstance(done.exception, Problem)
    assert str(bundle) in str(done.exception)
    monkeypatch.setattr("app.tuning.attack_command.BUNDLE_MAX_BYTES", 1)
    bundle.write_bytes(a_bundle())
    done = CliRunner().invoke(app, ["attack", "refresh", str(bundle), "--output", str(output)])
    assert "longer than" in str(done.exception)
    assert not output.exists()


def test_an_export_of_nothing_says_so_and_can_be_read_again(knobs: Run, tmp_path: Path) -> None:
    knobs("export", "--output", tmp_path / "none.toml")
    assert "the defaults are in force" in (tmp_path / "none.toml").read_text()
    assert "nothing differs" in knobs("diff", tmp_path / "none.toml").stdout
