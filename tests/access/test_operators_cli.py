"""`portbook operator` and `portbook token` as a person types them, and what the first start says."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from app.access.by_password import sign_in
from app.access.tokens import find_actor
from app.cli import app
from app.clock import utc_now
from app.database import Database
from app.problems import Conflict, InvalidRequest, NotFound, NotSignedIn
from tests.access.people import a_claim, said_of
from tests.factories import a_name, a_secret

Run = Callable[..., Awaitable[Result]]
NEW = "quite another long one"


@pytest.fixture
def portbook(database: Database, database_url: str) -> Run:
    """Runs `portbook …` against the test's database."""
    assert database

    async def run(*arguments: object, given: str | None = None) -> Result:
        return await typed(*map(str, arguments), "--database-url", database_url, given=given)

    return run


async def typed(*arguments: str, given: str | None = None) -> Result:
    """In a thread, for a command has an event loop of its own."""
    return await asyncio.to_thread(CliRunner().invoke, app, arguments, input=given)


def printed(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


async def test_an_operator_is_added_changed_shut_out_and_let_in_again(database: Database, portbook: Run) -> None:
    name = a_name("operator")
    role = a_name("role")
    await a_secret(database, role=role)
    password = printed(
        await portbook("operator", "add", name, "--duty", "analyst", "--duty", "reviewer", "--role", role)
    )
    assert len(password) >= 20
    await sign_in(database, a_claim(name, password), utc_now())
    listed = printed(await portbook("operator", "list"))
    assert (name in listed, "analyst" in listed, password in listed) == (True, True, False)
    assert "every one" in printed(await portbook("operator", "change", name, "--duty", "viewer", "--every-role"))
    await portbook("operator", "disable", name)
    with pytest.raises(NotSignedIn):
        await sign_in(database, a_claim(name, password), utc_now())
    for verb in ("enable", "unlock"):
        assert name in printed(await portbook("operator", verb, name))
    await sign_in(database, a_claim(name, password), utc_now())
    said = await said_of(database, name, "operator_added", "operator_changed", "operator_disabled")
    assert {each["auth_method"] for each in said} == {"os_account"}
    assert len(said) == 3


async def test_a_password_comes_from_a_file_or_is_made_and_printed(
    database: Database, portbook: Run, tmp_path: Path
) -> None:
    name, file = a_name("operator"), tmp_path / "password"
    file.write_text(f"{NEW}\n")
    said = printed(await portbook("operator", "add", name, "--duty", "viewer", "--password-file", file))
    assert NEW not in said
    await sign_in(database, a_claim(name, NEW), utc_now())
    made = printed(await portbook("operator", "password", name))
    await sign_in(database, a_claim(name, made), utc_now())
    assert NEW not in printed(await portbook("operator", "password", name, "--password-file", "-", given=f"{NEW}\n"))
    await sign_in(database, a_claim(name, NEW), utc_now())
    openid = a_name("operator")
    printed(await portbook("operator", "add", openid, "--duty", "viewer", "--no-password"))
    with pytest.raises(NotSignedIn):
        await sign_in(database, a_claim(openid, ""), utc_now())


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["add", "x1", "--duty", "boss"], InvalidRequest),
        (["add", "x2"], InvalidRequest),
        (["add", "x3", "--duty", "admin", "--duty", "approver"], InvalidRequest),
        (["add", "X4", "--duty", "viewer"], InvalidRequest),
        (["add", "x5", "--duty", "viewer", "--role", "no-such-role"], InvalidRequest),
        (["change", "nobody", "--duty", "viewer"], NotFound),
        (["disable", "nobody"], NotFound),
        (["password", "nobody"], NotFound),
    ],
)
async def test_what_cannot_be_is_said(portbook: Run, arguments: list[str], problem: type[Exception]) -> None:
    assert isinstance((await portbook("operator", *arguments)).exception, problem)


async def test_roles_and_every_role_are_not_both(portbook: Run) -> None:
    done = await portbook("operator", "change", "x", "--role", "laptop", "--every-role")
    assert done.exit_code == 2


async def test_a_token_is_added_listed_and_revoked(database: Database, portbook: Run) -> None:
    name = a_name("token")
    token = printed(await portbook("token", "add", name, "--scope", "read,import", "--days", 7))
    assert await find_actor(database, token, utc_now())
    listed = printed(await portbook("token", "list"))
    assert (name in listed, token in listed) == (True, False)
    printed(await portbook("token", "revoke", name))
    assert await find_actor(database, token, utc_now()) is None
    assert isinstance((await portbook("token", "revoke", name)).exception, NotFound)
    assert isinstance((await portbook("token", "add", name)).exception, Conflict)


async def test_the_first_start_shows_the_admins_password_once(empty: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of `portbook serve` but the serving itself."""
    url = empty.engine.url.render_as_string(hide_password=False)
    monkeypatch.setattr("app.serving_command.serve", _no_server)
    monkeypatch.setattr("app.serving_command.ended_by_signal", nullcontext)  # only a main thread hears signals
    first, second = [
        (await typed("serve", "--database-url", url, "--port", "0", "--plain-http")).output for _ in range(2)
    ]
    assert "admin, password " in first
    assert "shown this once" in first
    assert "Portbook serves" in second
    assert "password" not in second


def _no_server(*_given: Any) -> None:
    """Serves nothing."""
