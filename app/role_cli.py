"""portbook role: thin doors to the roles of nodes."""

from typing import TYPE_CHECKING

import typer
from rich.text import Text

from app.clock import utc_now
from app.command_line import DatabaseUrl, DataDir, account, console, listing, settings_with, with_database

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from app.database import Database

role_app = typer.Typer(help="What nodes are for; knobs and baselines are by role.", no_args_is_help=True)


@role_app.command("list")
def role_list(data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """Show roles with the number of their nodes by platform."""
    found = with_database(settings_with(data_dir=data_dir, database_url=database_url), _count)
    table = listing("role", "platform", "nodes")
    for role, platform, nodes in found:
        table.add_row(Text(role), platform or "", str(nodes))
    console.print(table)


@role_app.command("rename")
def role_rename(old: str, new: str, data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """Give a role another name; nodes, secrets, findings and knobs follow."""
    from app.tuning.roles import rename_role

    settings = settings_with(data_dir=data_dir, database_url=database_url)
    moved = with_database(settings, lambda database: rename_role(database, old, new, account(), utc_now()))
    console.print(Text(f"role {old} is now {new}"), soft_wrap=True)
    for version in moved:
        console.print(Text(f"version {version.version} of the knobs is in force for {version.scope}"), soft_wrap=True)


async def _count(database: "Database") -> "Sequence[Any]":
    from app.fleet.store import count_nodes

    async with database.reading() as session:
        return await count_nodes(session)
