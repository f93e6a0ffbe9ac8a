"""portbook knobs and portbook attack: thin doors to app/tuning."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.text import Text

from app.clock import utc_now
from app.command_line import DatabaseUrl, DataDir, account, console, settings_with, with_database

knobs_app = typer.Typer(help="Weights and thresholds of the judgement, by role and platform.", no_args_is_help=True)
attack_app = typer.Typer(help="What MITRE ATT&CK says of the technique.", no_args_is_help=True)

SettingsFile = Annotated[Path, typer.Argument(metavar="FILE", help="TOML; docs/tuning.md has its form")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of a table")]


@knobs_app.command("show")
def knobs_show(
    platform: Annotated[Literal["windows", "macos"], typer.Option()],
    role: Annotated[str, typer.Option(help="Role of the nodes; none: those without settings of their own")] = "",
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Show every value in force for a role and platform, and where it comes from."""
    from app.tuning.knobs_command import show
    from app.tuning.tables import knobs_table, versions_table

    settings = settings_with(data_dir=data_dir, database_url=database_url)
    found, versions = with_database(settings, lambda database: show(database, role, platform))
    if as_json:
        _print_json(
            [
                {"field": each.field, "value": each.value, "scope": str(each.scope or "default"), "version": version}
                for each, version in found
            ]
        )
    else:
        console.print(knobs_table(found, f"{role or 'any role'} on {platform}"))
        if versions:
            console.print(versions_table(versions))


@knobs_app.command("export")
def knobs_export(
    output: Annotated[Path | None, typer.Option(help="File to write; standard output without it")] = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Write what is in force in all scopes as a settings file, to change and apply."""
    from app.tuning.knobs_command import export

    text = with_database(settings_with(data_dir=data_dir, database_url=database_url), export)
    if output:
        output.write_text(text, "utf-8")
    else:
        print(text, end="")  # noqa: T201


@knobs_app.command("diff")
def knobs_diff(
    first: Annotated[str, typer.Argument(metavar="FILE|VERSION", help="A file to apply; or the earlier version")],
    second: Annotated[int | None, typer.Argument(metavar="[VERSION]", help="The later version")] = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Show what applying a file would change, or what one version sets otherwise than another."""
    from app.tuning.knobs_command import file_differences, version_differences
    from app.tuning.settings_file import SettingsFileProblem
    from app.tuning.tables import difference_lines

    if second is not None and not first.isdecimal():
        raise typer.BadParameter(f"{first} is no number of a version")
    settings = settings_with(data_dir=data_dir, database_url=database_url)
    try:
        found = with_database(
            settings,
            lambda database: (
                file_differences(database, Path(first))
                if second is None
                else version_differences(database, int(first), second)
            ),
        )
    except SettingsFileProblem as problem:
        raise _mendable(problem) from None
    lines = [line for scope, changes in found for line in difference_lines(changes, str(scope))]
    for line in lines or [Text("nothing differs")]:
        console.print(line, soft_wrap=True)


@knobs_app.command("check")
def knobs_check(file: SettingsFile) -> None:
    """Check a settings file without a database, and name file, line and field of what is wrong."""
    from app.tuning.settings_file import SettingsFileProblem, read_knobs, read_settings

    try:
        read_knobs(file)
    except SettingsFileProblem as problem:
        raise _mendable(problem) from None
    scopes = ", ".join(map(str, sorted(read_settings(file))))
    console.print(Text(f"{file}: no fault; scopes: {scopes or 'none'}"), soft_wrap=True)


@knobs_app.command("apply")
def knobs_apply(
    file: SettingsFile,
    reason: Annotated[str, typer.Option(help="Why; kept with the change")],
    by: Annotated[str | None, typer.Option(help="Who; the OS account without it")] = None,
    force: Annotated[str | None, typer.Option(metavar="WHY", help="Apply without a backtest, and say why")] = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Put a file's scopes in force, all or none; what is judged from then on is judged by them."""
    from app.tuning.changes import Why
    from app.tuning.knobs_command import apply
    from app.tuning.settings_file import SettingsFileProblem
    from app.tuning.tables import versions_table

    why = Why(account(), reason, forced_reason=force, on_behalf_of=by)
    why.check()
    settings = settings_with(data_dir=data_dir, database_url=database_url)
    try:
        made = with_database(settings, lambda database: apply(database, file, why, utc_now()))
    except SettingsFileProblem as problem:
        raise _mendable(problem) from None
    console.print(versions_table(made) if made else "nothing differs; nothing was changed")


@knobs_app.command("history")
def knobs_history(
    scope: Annotated[str | None, typer.Option(help="every, platform.windows, role.laptop.macos")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 20,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Show who changed which knobs when and why, the newest first."""
    from app.detection.knobs import KnobsProblem
    from app.detection.scopes import scope_from
    from app.tuning import tables
    from app.tuning.knobs_command import history

    try:
        wanted = scope_from(scope) if scope else None
    except KnobsProblem as problem:
        raise _mendable(problem) from None
    settings = settings_with(data_dir=data_dir, database_url=database_url)
    found = with_database(settings, lambda database: history(database, wanted, limit))
    if as_json:
        _print_json([tables.as_json(each) for each in found])
    else:
        console.print(tables.versions_table(found) if found else "the defaults are in force; nobody changed them")


@attack_app.command("refresh")
def attack_refresh(
    stix_file: Annotated[Path, typer.Argument(metavar="STIX_FILE", help="enterprise-attack STIX 2.1 bundle")],
    output: Annotated[Path | None, typer.Option(help="File to write; the pinned one without it")] = None,
) -> None:
    """Pin technique, strategy and analytics anew out of a downloaded bundle, and show what changed."""
    from app.tuning.attack_command import PINNED_FILE, BundleProblem, refresh

    target = output or PINNED_FILE
    try:
        found, changed = refresh(stix_file, target)
    except BundleProblem as problem:
        raise _mendable(problem) from None
    for sentence in changed or ["nothing changed"]:
        console.print(Text(sentence), soft_wrap=True)
    console.print(Text(f"{target}: ATT&CK {found.release}"), soft_wrap=True)


def _mendable(problem: Exception) -> Exception:
    from app.problems import InvalidRequest

    return InvalidRequest(str(problem))


def _print_json(document: object) -> None:
    import json

    print(json.dumps(document, ensure_ascii=False, indent=2))  # noqa: T201
