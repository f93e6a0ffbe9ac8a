"""What the commands share: where they print, their common options, and the way to the database."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from app.access.actor import Actor
    from app.database import Database
    from app.settings import Settings

T = TypeVar("T")

console = Console()
errors = Console(stderr=True)

DataDir = Annotated[Path | None, typer.Option(help="Folder of the embedded Postgres and the certificate")]
DatabaseUrl = Annotated[str | None, typer.Option(help="postgresql+psycopg://… instead of the embedded Postgres")]


def listing(*headers: str) -> Table:
    """A table that folds what is long: names and ids are to be copied, so none is cut."""
    table = Table()
    for header in headers:
        table.add_column(header, overflow="fold")
    return table


def settings_with(**given: object) -> "Settings":
    """Settings of the environment, with the options that were given in their place."""
    from pydantic import ValidationError

    from app.settings import Settings

    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        raise typer.BadParameter(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def with_database(settings: "Settings", act: "Callable[[Database], Awaitable[T]]") -> T:
    """Act on the configured database, on the embedded one of a running server, or on one started for this."""
    import asyncio

    from app.serving import any_database

    with any_database(settings, lambda what: errors.print(what, style="dim")) as url:
        return asyncio.run(_act(url, act))


def account() -> "Actor":
    """Who sits at the terminal, as the audit log names them."""
    from getpass import getuser

    from app.access.actor import os_account

    try:
        return os_account(getuser())
    except (KeyError, OSError):
        raise typer.BadParameter("this account has no name, so that nobody could say who did this") from None


async def _act(url: str, act: "Callable[[Database], Awaitable[T]]") -> T:
    import asyncio

    from app.database import Database, migrate

    await asyncio.to_thread(migrate, url)
    database = Database(url)
    try:
        return await act(database)
    finally:
        await database.close()
