"""The command `portbook simulate`."""

import asyncio
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from app.clock import utc_now
from app.problems import InvalidRequest
from app.simulator import play as playing
from app.simulator.connection import ServerAddress
from app.simulator.scenario import SCENARIOS, Scenario
from app.simulator.scenario import scenario as find_scenario


def simulate_command(
    address: ServerAddress,
    secrets: Sequence[str],
    *,
    scenario: str,
    nodes: int | None,
    poll_seconds: float,
    concurrency: int,
) -> playing.Played:
    """Raises: InvalidRequest when there is no such scenario, or a role has no secret."""
    if scenario not in SCENARIOS:
        raise InvalidRequest(f"no scenario {scenario!r}; there are {', '.join(SCENARIOS)}", field="scenario")
    wanted = find_scenario(scenario, nodes=nodes, poll_seconds=poll_seconds)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[said]}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Playing", total=None, said="")

        def show(progress: playing.Progress) -> None:
            said = f"day {progress.day + 1} of {progress.days}, {progress.rows:,} rows"
            bar.update(task, completed=progress.node_days, total=progress.node_days_total, said=said)

        played = playing.play(
            wanted,
            server=address,
            secrets=secrets_by_role(secrets, wanted),
            now=utc_now(),
            on_progress=show,
            concurrency=concurrency,
        )
        return asyncio.run(played)


def secrets_by_role(given: Sequence[str], wanted: Scenario) -> Mapping[str, str]:
    """`ROLE=SECRET` each, or one secret alone for every role."""
    pairs = dict(item.split("=", 1) for item in given if "=" in item and item.split("=", 1)[0] in wanted.roles)
    alone = [item for item in given if item.split("=", 1)[0] not in wanted.roles]
    secrets = dict.fromkeys(wanted.roles, alone[0]) | pairs if alone else pairs
    missing = sorted(set(wanted.roles) - set(secrets))
    if missing:
        raise InvalidRequest(f"no secret for the roles {', '.join(missing)}", field="secret")
    return secrets
