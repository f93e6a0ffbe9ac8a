"""The command `portbook backtest`: what it reads, prints and returns."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from getpass import getuser
from pathlib import Path
from uuid import UUID

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from app.access.actor import os_account
from app.analysis.backtest.document import Result
from app.analysis.backtest.export import csv_of
from app.analysis.backtest.report import report
from app.analysis.backtest.run import Hear, Request, run_now
from app.collection.packs import Pack, load_packs
from app.database import Database
from app.detection.scopes import Document, Scope
from app.problems import InvalidRequest
from app.tuning.settings_file import SettingsFileProblem, read_settings

TOO_MANY_GAINED = 1


@dataclass(frozen=True, slots=True)
class Options:
    """`scope` chooses one of a file that speaks of several; `output` is written as CSV or JSON by its suffix."""

    candidate: Path
    days: int
    scope: str | None = None
    as_json: bool = False
    output: Path | None = None
    fail_on_gained: int | None = None


def documents(options: Options) -> dict[Scope, Document]:
    """The candidates to try, each for itself. Raises: InvalidRequest, naming file, line and field."""
    try:
        found = read_settings(options.candidate)
    except SettingsFileProblem as problem:
        raise InvalidRequest(str(problem)) from None
    chosen = {scope: document for scope, document in found.items() if options.scope in {None, str(scope)}}
    if not chosen:
        there = ", ".join(map(str, found)) or "no scope"
        raise InvalidRequest(f"{options.candidate} has no {options.scope!r}; it has {there}", field="scope")
    if options.output and options.output.suffix not in {".json", ".csv"}:
        raise InvalidRequest(f"{options.output}: a name that ends in .json or .csv says in which form", field="output")
    if options.output and len(chosen) > 1:
        raise InvalidRequest(
            f"{options.candidate} speaks of several scopes: choose one for {options.output} with --scope", field="scope"
        )
    return chosen


async def backtest(
    database: Database, options: Options, candidates: dict[Scope, Document], console: Console, errors: Console
) -> int:
    """Runs and prints one backtest a scope. Returns 0, or 1 when more was gained than wanted.

    Raises: InvalidRequest, Conflict when another runs, Cancelled.
    """
    packs, gained = load_packs(), 0
    for scope, document in candidates.items():
        request = Request(document, str(scope), options.days, os_account(getuser()))
        with _progress(errors, f"Judging {options.days} days of {scope}", quiet=options.as_json) as hear:
            backtest_id, result = await _run(database, request, packs, hear, errors)
        gained = max(gained, result.gained.total)
        _show(console, result, as_json=options.as_json)
        if options.output:
            _write(options.output, result)
        errors.print(Text(f"Kept as backtest {backtest_id}.", style="dim"))
    return TOO_MANY_GAINED if options.fail_on_gained is not None and gained > options.fail_on_gained else 0


async def _run(
    database: Database, request: Request, packs: Sequence[Pack], hear: Hear, errors: Console
) -> tuple[UUID, Result]:
    try:
        return await run_now(database, request, packs, hear)
    except asyncio.CancelledError:
        errors.print(Text("Cancelled. Nothing has changed but the record of this run.", style="dim"))
        raise


def _show(console: Console, result: Result, *, as_json: bool) -> None:
    if as_json:
        print(msgspec.json.encode(result).decode())  # noqa: T201
    else:
        console.print(report(result))


def _write(path: Path, result: Result) -> None:
    built = msgspec.to_builtins(result)
    text = csv_of(built) if path.suffix == ".csv" else msgspec.json.format(msgspec.json.encode(built)).decode()
    path.write_text(text, "utf-8", newline="")


@contextmanager
def _progress(errors: Console, what: str, *, quiet: bool) -> Iterator[Hear]:
    """A bar on a terminal."""
    if quiet or not errors.is_terminal:
        yield lambda _: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, transient=True) as bar:
        task = bar.add_task(what, total=1.0)
        yield lambda share: bar.update(task, completed=share)
