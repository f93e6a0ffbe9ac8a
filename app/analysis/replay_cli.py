"""The arguments of `portbook replay`, for the command line's parser."""

from pathlib import Path
from typing import Annotated

import typer

from app.detection.deviation import Severity


def replay(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="osquery result lines, .gz too")],
    history: Annotated[list[Path] | None, typer.Option(help="What was seen before: not judged, not approved")] = None,
    nodes: Annotated[Path | None, typer.Option(help="JSON Lines: host_identifier, platform, role")] = None,
    flows: Annotated[list[Path] | None, typer.Option(help="Zeek or Suricata logs, one folder a sensor")] = None,
    settings: Annotated[Path | None, typer.Option(help="TOML file with weights and thresholds")] = None,
    software: Annotated[Path | None, typer.Option(help="CSV file of approved software")] = None,
    min_severity: Annotated[Severity, typer.Option(help="Leave out what is less grave")] = Severity.LOW,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per deviation")] = False,
    fail_on: Annotated[Severity | None, typer.Option(help="Exit with 1 when something so grave is found")] = None,
) -> None:
    """Judge captured osquery result lines, without a database."""
    from app.analysis.replay_command import Sources, replay_command

    sources = Sources(tuple(files), tuple(history or ()), nodes, settings, software, tuple(flows or ()))
    raise typer.Exit(replay_command(sources, min_severity=min_severity, as_json=as_json, fail_on=fail_on))
