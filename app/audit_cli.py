"""portbook audit: thin doors to app/access/auditor."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from app.command_line import DatabaseUrl, DataDir, account, console, errors, settings_with, with_database

if TYPE_CHECKING:
    from app.access.audit.verify import Verdict
    from app.access.auditor.checking import Hear

audit_app = typer.Typer(help="The audit log: who did what, in one chain.", no_args_is_help=True)

BROKEN = 1

AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of text")]
Since = Annotated[
    datetime | None, typer.Option(help="Done then or later, UTC", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])
]
Until = Annotated[datetime | None, typer.Option(help="Done before, UTC", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])]


@audit_app.command("verify")
def audit_verify(
    file: Annotated[Path | None, typer.Option(help="An exported file instead of the database")] = None,
    expect: Annotated[str | None, typer.Option(metavar="SEQ:HASH", help="A checkpoint that was noted earlier")] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Read every line and say whether they are one chain; exit 1 when they are not."""
    from app.access.audit.verify import checkpoint_from
    from app.access.auditor.checking import check
    from app.access.auditor.files import verify_file

    expected = checkpoint_from(expect) if expect else None
    with _progress(quiet=as_json) as hear:
        if file:
            verdict = verify_file(file, expected, hear)
        else:
            settings = settings_with(data_dir=data_dir, database_url=database_url)
            verdict = with_database(settings, lambda database: check(database, account(), "asked", expected, hear))
    _show(verdict, as_json=as_json)
    raise typer.Exit(0 if verdict.holds else BROKEN)


@audit_app.command("export")
def audit_export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file; only you may read it")],
    since: Since = None,
    until: Until = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Write the exact lines, JSON Lines, without a gap from the first event of that time to the last."""
    from app.access.auditor.files import export_file

    settings = settings_with(data_dir=data_dir, database_url=database_url)
    verdict = with_database(settings, lambda database: export_file(database, account(), file, _utc(since), _utc(until)))
    _show(verdict, as_json=False)
    raise typer.Exit(0 if verdict.holds else BROKEN)


@audit_app.command("list")
def audit_list(
    actor: Annotated[str | None, typer.Option(help="Who did it")] = None,
    action: Annotated[str | None, typer.Option(help="What was done, e.g. knobs_changed")] = None,
    about: Annotated[str | None, typer.Option("--object", metavar="TYPE[:ID]", help="To what, e.g. token:ci")] = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="The exact lines")] = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Show events, newest first."""
    from app.access.audit.actions import Action
    from app.access.auditor.listing import Wanted, events_view, list_events

    if action is not None and action not in set(Action):
        raise typer.BadParameter(f"{action!r} is none of {', '.join(Action)}", param_hint="--action")
    wanted = Wanted(actor, Action(action) if action else None, about, _utc(since))
    settings = settings_with(data_dir=data_dir, database_url=database_url)
    found = with_database(settings, lambda database: list_events(database, account(), wanted, limit))
    if as_json:
        print("\n".join(each.line for each in found))  # noqa: T201
    else:
        console.print(events_view(found) if found else "no such event")


def _show(verdict: "Verdict", *, as_json: bool) -> None:
    if as_json:
        document = asdict(verdict) | {"holds": verdict.holds, "checkpoint": str(verdict.checkpoint or "")}
        print(json.dumps(document))  # noqa: T201
        return
    console.print(Text(verdict.text, style="green" if verdict.holds else "red"), soft_wrap=True)
    for fault in verdict.faults[1:]:
        console.print(Text(f"  {fault}", style="red"), soft_wrap=True)
    if verdict.holds and verdict.checkpoint:
        console.print(f"first prev {verdict.first_prev}\ncheckpoint {verdict.checkpoint}", soft_wrap=True)


def _utc(at: datetime | None) -> datetime | None:
    return at.replace(tzinfo=UTC) if at else None


@contextmanager
def _progress(*, quiet: bool) -> "Iterator[Hear]":
    """A bar on a terminal."""
    from rich.progress import Progress

    if quiet or not errors.is_terminal:
        yield lambda _: None
        return
    with Progress(console=errors, transient=True) as bar:
        task = bar.add_task("Verifying", total=1.0)
        yield lambda share: bar.update(task, completed=share)
