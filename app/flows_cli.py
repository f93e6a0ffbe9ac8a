"""portbook flows: a thin door to app/flows."""

import re
from pathlib import Path
from typing import Annotated, Literal

import typer

from app.command_line import DatabaseUrl, DataDir, console, errors, settings_with, with_database

flows_app = typer.Typer(help="What Zeek and Suricata saw on the wire.", no_args_is_help=True)


@flows_app.callback()
def _group() -> None:
    """A group, even while it has one command."""


@flows_app.command("import")
def flows_import(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH", help="Logs, .gz too, or their folders; - is stdin")],
    sensor: Annotated[str, typer.Option(help="Your name for the sensor")] = "default",
    tool: Annotated[Literal["zeek", "suricata"] | None, typer.Option(help="Take no other's lines")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object")] = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Read flow logs of Zeek or Suricata. Exit 1 when lines were skipped, 2 when a file is no flow log."""
    from app.flows.import_command import Import, import_flows, show
    from app.flows.records import SENSOR_NAME

    if not re.fullmatch(SENSOR_NAME, sensor):
        raise typer.BadParameter("a sensor's name has letters, digits, `.`, `_` and `-`", param_hint="--sensor")
    settings = settings_with(data_dir=data_dir, database_url=database_url)
    wanted = Import(paths, sensor, tool, settings.flow_retention_days)
    summary = with_database(settings, lambda database: import_flows(database, wanted, quiet=as_json))
    raise typer.Exit(show(console, errors, summary, as_json=as_json))
