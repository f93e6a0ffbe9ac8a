"""The command `portbook serve`: start everything, say what a person needs to know, serve."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from rich.console import Console
from rich.text import Text

from app.access.operators import FIRST_ADMIN, add_first
from app.access.starts import note_start, note_stop
from app.clock import utc_now
from app.database import Database, migrate
from app.serving import certificate_of, ended_by_signal, listen, own_database, serve
from app.settings import Settings

T = TypeVar("T")

log = structlog.get_logger()


def serve_command(settings: Settings, console: Console) -> None:
    """Raises: OSError when the port is taken, PostgresError."""
    say = console.print
    with listen(settings) as listener, own_database(settings, lambda what: say(what, style="dim")) as url:
        migrate(url)
        where = address(settings, listener)
        password = asyncio.run(_with(url, lambda database: add_first(database, utc_now())))
        asyncio.run(_with(url, lambda database: note_start(database, settings, where)))
        try:
            with ended_by_signal():
                say(_welcome(settings, listener, password), soft_wrap=True)
                serve(settings, url, listener)
        finally:
            say("Stopping …", style="dim")
            _note_stop(url, where)


async def _with(url: str, act: Callable[[Database], Awaitable[T]]) -> T:
    database = Database(url)
    try:
        return await act(database)
    finally:
        await database.close()


def _note_stop(url: str, where: str) -> None:
    """A database that went away must not hide why the server stopped."""
    try:
        asyncio.run(_with(url, lambda database: note_stop(database, where)))
    except Exception:
        log.exception("stop_not_logged")


def _welcome(settings: Settings, listener: socket.socket, password: str | None) -> Text:
    certificate = certificate_of(settings)
    lines = [("Portbook serves", address(settings, listener))]
    lines += [("Certificate", str(certificate[0]))] if certificate else []
    lines += [("Sign in as", f"{FIRST_ADMIN}, password {password}   (shown this once)")] if password else []
    lines += [("Enroll a host", "portbook enroll-secret add NAME --role ROLE, then portbook enroll-kit --help")]
    return Text("\n").join(Text.assemble((f"{name:<17}", "bold green"), value) for name, value in lines)


def address(settings: Settings, listener: socket.socket) -> str:
    """Where it can be reached: the certificate's first name, unless it listens on one address only."""
    scheme = "http" if settings.plain_http else "https"
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{scheme}://{host}:{listener.getsockname()[1]}"
