"""portbook operator and portbook token: thin doors to app/access."""

import sys
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.table import Table

from app.clock import utc_now
from app.command_line import DatabaseUrl, DataDir, account, console, listing, settings_with, with_database

if TYPE_CHECKING:
    from app.access.operators import Listed
    from app.database import Database

T = TypeVar("T")

operators_app = typer.Typer(help="People who work with Portbook, and what they may do.", no_args_is_help=True)
tokens_app = typer.Typer(help="What lets a program use the JSON API.", no_args_is_help=True)

LONG_NAME = 40  #: characters
DutyNames = Annotated[
    list[str] | None, typer.Option("--duty", help="viewer, analyst, approver, reviewer, auditor, admin; several times")
]
RoleNames = Annotated[
    list[str] | None, typer.Option("--role", help="Only nodes of this role; several times; every one without it")
]
PasswordFile = Annotated[
    Path | None, typer.Option(help="File with the password; - for standard input; a random one is printed without it")
]


@operators_app.command("add")
def operator_add(
    name: str,
    duty: DutyNames = None,
    role: RoleNames = None,
    password_file: PasswordFile = None,
    no_password: Annotated[bool, typer.Option("--no-password", help="They sign in by OpenID Connect")] = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Add an operator, and print the password that was made for them, once."""
    from app.access.operator_rules import duties_from
    from app.access.operators import NewOperator, add

    password = None if no_password else _password(password_file)
    roles = frozenset(role) if role else None
    wanted = NewOperator(name, duties_from(duty or []), roles, password)
    _on_database(data_dir, database_url, lambda database: add(database, wanted, account(), utc_now()))
    _tell(password, password_file, f"operator {name} is added")


@operators_app.command("list")
def operator_list(data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """Show operators and their duties."""
    from app.access.operators import list_all

    found = _on_database(data_dir, database_url, lambda database: list_all(database, utc_now()))
    console.print(_operators_table(found))


@operators_app.command("change")
def operator_change(
    name: str,
    duty: DutyNames = None,
    role: RoleNames = None,
    every_role: Annotated[bool, typer.Option("--every-role", help="Nodes of every role from now on")] = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Give an operator these duties in place of all that they had, or limit them to nodes of some roles."""
    from app.access.operator_rules import duties_from
    from app.access.operators import Change, change

    if role and every_role:
        raise typer.BadParameter("name roles, or --every-role, not both")
    wanted = Change(duties_from(duty) if duty else None, frozenset(role) if role else None, every_role=every_role)
    found = _on_database(data_dir, database_url, lambda database: change(database, name, wanted, account(), utc_now()))
    console.print(_operators_table([found]))


@operators_app.command("disable")
def operator_disable(name: str, data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """Shut an operator out at once: sign-ins and tokens too."""
    from app.access.operators import disable

    _on_database(data_dir, database_url, lambda database: disable(database, name, account(), utc_now()))
    console.print(f"operator {name} is disabled")


@operators_app.command("enable")
def operator_enable(name: str, data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """Let a disabled operator in again."""
    from app.access.operators import enable

    _on_database(data_dir, database_url, lambda database: enable(database, name, account(), utc_now()))
    console.print(f"operator {name} is enabled")


@operators_app.command("unlock")
def operator_unlock(name: str, data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """Let an operator try again at once after too many failed sign-ins."""
    from app.access.operators import unlock

    _on_database(data_dir, database_url, lambda database: unlock(database, name, account()))
    console.print(f"operator {name} may try again")


@operators_app.command("unlink")
def operator_unlink(name: str, data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """Forget with whom at the OpenID Connect provider an operator is linked; their sign-ins end."""
    from app.access.openid.linking import unlink

    _on_database(data_dir, database_url, lambda database: unlink(database, name, account()))
    console.print(f"operator {name} is linked with nobody")


@operators_app.command("password")
def operator_password(
    name: str, password_file: PasswordFile = None, data_dir: DataDir = None, database_url: DatabaseUrl = None
) -> None:
    """Give an operator another password; their sign-ins end."""
    from app.access.operators import set_password

    new = _password(password_file)
    _on_database(data_dir, database_url, lambda database: set_password(database, name, new, account(), utc_now()))
    _tell(new, password_file, f"operator {name} has another password")


@tokens_app.command("add")
def token_add(
    name: str,
    scope: Annotated[str, typer.Option(help="Permissions, with commas between them")] = "read",
    operator: Annotated[str | None, typer.Option(help="For whom it acts; a program's own without one")] = None,
    days: Annotated[int, typer.Option(min=1, max=365, help="Valid for so many days")] = 90,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Make an API token and print it, once."""
    from app.access.tokens import NewToken, add_token, scope_from

    wanted = NewToken(name, scope_from(scope), operator, timedelta(days=days))
    print(  # noqa: T201
        _on_database(data_dir, database_url, lambda database: add_token(database, wanted, account(), utc_now()))
    )


@tokens_app.command("list")
def token_list(data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """Show API tokens, without their text, which is not kept."""
    from app.access.tokens import list_tokens

    found = _on_database(data_dir, database_url, list_tokens)
    table = listing("name", "acts for", "scope", "expires", "last used", "revoked")
    for token, operator in found:
        times = (token.expires_at, token.last_used_at, token.revoked_at)
        table.add_row(token.name, operator or "", ", ".join(token.scope), *map(_minute, times))
    console.print(table)


@tokens_app.command("revoke")
def token_revoke(name: str, data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """End an API token at once."""
    from app.access.tokens import revoke_token

    _on_database(data_dir, database_url, lambda database: revoke_token(database, name, account(), utc_now()))
    console.print(f"token {name} is revoked")


def _on_database(data_dir: Path | None, database_url: str | None, act: "Callable[[Database], Awaitable[T]]") -> T:
    return with_database(settings_with(data_dir=data_dir, database_url=database_url), act)


def _password(file: Path | None) -> str:
    from app.access.passwords import a_password

    if file is None:
        return a_password()
    return (sys.stdin.readline() if str(file) == "-" else file.read_text("utf-8")).rstrip("\r\n")


def _tell(password: str | None, file: Path | None, done: str) -> None:
    """A password that was made here is printed, alone on standard output."""
    if password is None or file is not None:
        console.print(done)
    else:
        print(password)  # noqa: T201


def _operators_table(found: "list[Listed]") -> Table:
    """Names are not folded before they are longer than an e-mail address is wont to be."""
    table = listing("name", "duties", "roles", "now")
    table.columns[0].min_width = min(max((len(each.operator.name) for each in found), default=0), LONG_NAME)
    for each in found:
        roles = "every one" if each.roles is None else ", ".join(each.roles)
        table.add_row(each.operator.name, ", ".join(each.operator.duties), roles, _state(each))
    return table


def _state(each: "Listed") -> str:
    if each.operator.disabled_at:
        return f"disabled since {_minute(each.operator.disabled_at)}"
    if each.blocked_until:
        return f"locked until {_minute(each.blocked_until)}"
    changed = each.operator.password_changed_at
    return f"password of {_minute(changed)}" if changed else "no password: signs in by OpenID Connect"


def _minute(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M}" if at else ""
