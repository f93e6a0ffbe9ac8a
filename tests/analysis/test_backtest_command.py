"""`portbook backtest`: its report, its files, its exit code, and what it says of a file that is no good."""

import io
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from rich.console import Console

from app.analysis.backtest.command import Options, backtest, documents
from app.analysis.backtest.document import Result
from app.analysis.backtest.report import report
from app.analysis.backtest.telemetry import seen_share
from app.main import create_app
from app.problems import InvalidRequest
from app.settings import Settings
from tests.analysis.lived import Fleet, forget, tried
from tests.factories import Server, serving

WIDTH = 100


@pytest.fixture(scope="module")
async def lived(settings: Settings, database_url: str) -> AsyncIterator[Server]:
    async with serving(create_app(settings, database_url)) as server:
        await forget(server.database)
        await Fleet(server, seed=1).live(nodes=5)
        yield server


@pytest.fixture
def candidate(tmp_path: Path) -> Path:
    path = tmp_path / "candidate.toml"
    path.write_text("[Severities]\nlow = 10\n[Weights]\nuncommon_port = 5\n")
    return path


async def ran(lived: Server, options: Options) -> tuple[int, str, str]:
    """Exit code, and what it wrote to the console and about itself."""
    out, err = (Console(file=io.StringIO(), width=WIDTH) for _ in range(2))
    code = await backtest(lived.database, options, documents(options), out, err)
    return code, out.file.getvalue(), err.file.getvalue()  # type: ignore[attr-defined]


async def test_the_report_says_what_changes_within_a_hundred_columns(lived: Server, candidate: Path) -> None:
    code, said, about = await ran(lived, Options(candidate, 7))
    assert code == 0
    assert max(map(len, said.splitlines())) <= WIDTH
    for part in ("Backtest of every", "Severities.low", "Gained:", "by program", "How far it can be trusted", "60 s"):
        assert part in said
    assert "+15 → +5" in said
    assert "no triaged findings yet" in said
    assert about.startswith("Kept as backtest ")


async def test_what_agents_say_is_not_read_as_markup(lived: Server) -> None:
    result = await tried(lived.database, {"Severities": {"low": 10}})
    example = result.gained.examples[0]
    loud = type(example)(**{name: getattr(example, name) for name in example.__struct_fields__} | {"program": "[red]x"})
    gained = type(result.gained)(
        **{name: getattr(result.gained, name) for name in result.gained.__struct_fields__}
        | {"examples": [loud], "by_program": {"[bold]y": 1}}
    )
    shown = Console(file=io.StringIO(), width=WIDTH)
    named = {name: getattr(result, name) for name in result.__struct_fields__} | {"gained": gained}
    shown.print(report(Result(**named)))
    text = shown.file.getvalue()  # type: ignore[attr-defined]
    assert "[red]x" in text
    assert "[bold]y" in text


async def test_json_is_one_document_a_scope(lived: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "two.toml"
    path.write_text("[every.Severities]\nlow = 20\n[role.laptop.windows.Severities]\nlow = 10\n")
    code, said, _ = await ran(lived, Options(path, 3, as_json=True))
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (code, said) == (0, "")
    assert [(each["version"], each["scope"]) for each in found] == [(1, "every"), (1, "role.laptop.windows")]
    code, _, _ = await ran(lived, Options(path, 3, "every", as_json=True))
    assert [json.loads(line)["scope"] for line in capsys.readouterr().out.splitlines()] == ["every"]


async def test_a_file_is_written_in_the_form_of_its_name(lived: Server, candidate: Path, tmp_path: Path) -> None:
    for name in ("result.json", "changes.csv"):
        await ran(lived, Options(candidate, 7, output=tmp_path / name))
    written = json.loads((tmp_path / "result.json").read_text())
    lines = (tmp_path / "changes.csv").read_text().splitlines()
    assert len(lines) == 1 + sum(len(written[part]["examples"]) for part in ("gained", "lost", "shifts")) > 1


async def test_more_gained_than_wanted_is_an_exit_code(lived: Server, candidate: Path) -> None:
    gained = (await tried(lived.database, {"Severities": {"low": 10}, "Weights": {"uncommon_port": 5}})).gained.total
    for allowed, code in ((gained, 0), (gained - 1, 1)):
        assert (await ran(lived, Options(candidate, 12, fail_on_gained=allowed)))[0] == code


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[Severities]\nlow = 10\nlo = 3\n", "candidate.toml:3: "),
        ("[Weights]\nnovelty = 400\n", r"\$.Weights.novelty"),
        ("[Weights\n", "candidate.toml"),
    ],
)
def test_bad_settings_are_named_with_file_and_place(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "candidate.toml"
    path.write_text(text)
    with pytest.raises(InvalidRequest, match=said):
        documents(Options(path, 7))


def test_a_scope_that_the_file_has_not_and_an_output_without_form_are_refused(candidate: Path, tmp_path: Path) -> None:
    for options, said in (
        (Options(candidate, 7, "platform.macos"), "has no 'platform.macos'; it has every"),
        (Options(candidate, 7, output=tmp_path / "x.txt"), "ends in .json or .csv"),
        (Options(tmp_path / "none.toml", 7), "No such file"),
    ):
        with pytest.raises(InvalidRequest, match=said):
            documents(options)


@pytest.mark.parametrize(("length", "every", "share"), [(5, 60, 5 / 60), (60, 60, 1), (90, 60, 1), (1, 300, 1 / 300)])
def test_a_poll_sees_a_connection_as_often_as_it_falls_into_it(length: int, every: int, share: float) -> None:
    assert seen_share(length, every) == pytest.approx(share)
