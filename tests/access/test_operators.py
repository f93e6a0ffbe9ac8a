"""Operators: nobody changes what they may do themselves, and somebody always administers."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from app.access import store
from app.access.actor import PORTBOOK, Actor, AuthMethod
from app.access.duties import Duty
from app.access.operators import (
    Change,
    NewOperator,
    actor_of,
    add,
    add_first,
    change,
    disable,
    enable,
    find,
    list_all,
    set_password,
    unlock,
)
from app.clock import utc_now
from app.database import Database
from app.problems import Conflict, InvalidRequest, NotFound
from tests.access.people import PASSWORD, said_of, somebody
from tests.factories import a_name, a_secret, an_operator
from tests.observations.stored import ask, tell

NEW = "quite another long one"


def wanted(**given: Any) -> NewOperator:
    return NewOperator(**{"name": a_name("operator"), "duties": frozenset({Duty.VIEWER})} | given)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "Ada"}, "name"),
        ({"name": "a b"}, "name"),
        ({"name": "a\n"}, "name"),
        ({"name": "x" * 128}, "name"),
        ({"name": "\0"}, "name"),
        ({"duties": frozenset()}, "duties"),
        ({"duties": frozenset({Duty.ADMIN, Duty.APPROVER})}, "duties"),
        ({"roles": frozenset()}, "roles"),
        ({"roles": frozenset({"no such role"})}, "roles"),
        ({"password": "short"}, "password"),
    ],
)
async def test_what_cannot_be_is_named_and_nothing_is_added(
    database: Database, given: dict[str, Any], field: str
) -> None:
    before = len(await list_all(database, utc_now()))
    with pytest.raises(InvalidRequest) as refused:
        await add(database, wanted(**given), PORTBOOK, utc_now())
    assert refused.value.extra["field"] == field
    assert len(await list_all(database, utc_now())) == before


async def test_a_name_is_given_once(database: Database) -> None:
    name = await somebody(database)
    with pytest.raises(Conflict) as refused:
        await add(database, wanted(name=name), PORTBOOK, utc_now())
    assert refused.value.extra["field"] == "name"


async def test_every_change_is_logged_with_what_was_before_and_after(database: Database) -> None:
    await a_secret(database, role="build")
    name, now = await somebody(database, Duty.ANALYST), utc_now()
    await change(database, name, Change(duties=frozenset({Duty.REVIEWER})), PORTBOOK, now)
    limited = await change(database, name, Change(roles=frozenset({"build"})), PORTBOOK, now)
    assert limited.roles == ["build"]
    assert (await change(database, name, Change(every_role=True), PORTBOOK, now)).roles is None
    await change(database, name, Change(duties=frozenset({Duty.REVIEWER})), PORTBOOK, now)
    await disable(database, name, PORTBOOK, now)
    await disable(database, name, PORTBOOK, now)
    await enable(database, name, PORTBOOK, now)
    await set_password(database, name, NEW, PORTBOOK, now)
    said = await said_of(database, name)
    assert [each["action"] for each in said] == [
        "operator_added", *["operator_changed"] * 3, "operator_disabled", "operator_enabled", "password_changed",
    ]  # fmt: skip
    assert "['analyst'] → ['reviewer']" in said[1]["reason"]
    chained = [each for each in said if each["after_sha256"]]
    assert [each["after_sha256"] for each in chained[:-1]] == [each["before_sha256"] for each in chained[1:]]
    assert PASSWORD not in repr(said)
    assert "argon2" not in repr(said)


async def an_actor(database: Database, name: str) -> Actor:
    return actor_of((await find(database, name, utc_now())).operator, AuthMethod.PASSWORD)


@pytest.mark.parametrize(
    ("act", "field"),
    [
        (lambda *given: change(*given[:2], Change(duties=frozenset({Duty.APPROVER})), *given[2:]), "duties"),
        (lambda *given: change(*given[:2], Change(duties=frozenset({Duty.ADMIN})), *given[2:]), "duties"),
        (lambda *given: change(*given[:2], Change(every_role=True), *given[2:]), "roles"),
        (disable, "disabled"),
        (lambda *given: set_password(*given[:2], NEW, *given[2:]), "name"),
    ],
)
async def test_nobody_changes_what_they_may_themselves(
    database: Database, act: Callable[..., Awaitable[Any]], field: str
) -> None:
    """Not by a token either."""
    await somebody(database, Duty.ADMIN)
    name = await somebody(database, Duty.ADMIN)
    actor = await an_actor(database, name)
    for each in (actor, replace(actor, method=AuthMethod.TOKEN)):
        with pytest.raises(Conflict) as refused:
            await act(database, name, each, utc_now())
        assert refused.value.extra["field"] == field
    assert len(await said_of(database, name)) == 1


async def only_admins(database: Database, *names: str) -> None:
    statement = "UPDATE operators SET duties = '{viewer}' WHERE 'admin' = ANY (duties) AND NOT name = ANY (:names)"
    await tell(database, statement, names=list(names))


async def test_the_last_admin_stays_even_at_the_command_line(database: Database) -> None:
    name, disabled = await somebody(database, Duty.ADMIN), await somebody(database, Duty.ADMIN)
    await disable(database, disabled, PORTBOOK, utc_now())
    await only_admins(database, name, disabled)
    for act, field in (
        (disable(database, name, PORTBOOK, utc_now()), "disabled"),
        (change(database, name, Change(duties=frozenset({Duty.VIEWER})), PORTBOOK, utc_now()), "duties"),
    ):
        with pytest.raises(Conflict) as refused:
            await act
        assert refused.value.extra["field"] == field
    await disable(database, disabled, PORTBOOK, utc_now())


async def test_two_admins_who_disable_each_other_at_once_leave_one(database: Database) -> None:
    first, second = await somebody(database, Duty.ADMIN), await somebody(database, Duty.ADMIN)
    await only_admins(database, first, second)
    actors = [await an_actor(database, name) for name in (first, second)]
    done = await asyncio.gather(
        disable(database, second, actors[0], utc_now()),
        disable(database, first, actors[1], utc_now()),
        return_exceptions=True,
    )
    assert sorted(type(each).__name__ for each in done) == ["Conflict", "Listed"]


async def test_admin_and_approver_are_never_one_even_by_sql(database: Database) -> None:
    name = await somebody(database, Duty.ADMIN)
    with pytest.raises(InvalidRequest) as refused:
        await change(database, name, Change(duties=frozenset({Duty.ADMIN, Duty.APPROVER})), PORTBOOK, utc_now())
    assert refused.value.extra["field"] == "duties"
    with pytest.raises(IntegrityError, match="admin_approves_nothing"):
        await tell(database, "UPDATE operators SET duties = '{admin,approver}' WHERE name = :name", name=name)
    with pytest.raises(IntegrityError, match="password_is_a_hash"):
        await tell(database, "UPDATE operators SET password_hash = 'secret' WHERE name = :name", name=name)


@pytest.mark.parametrize("odd", ["nobody", "", "\0", "\ud800", "x" * 100_000, "../admin"])
async def test_who_is_not_there_is_not_found(database: Database, odd: str) -> None:
    for act in (
        change(database, odd, Change(), PORTBOOK, utc_now()),
        disable(database, odd, PORTBOOK, utc_now()),
        enable(database, odd, PORTBOOK, utc_now()),
        set_password(database, odd, NEW, PORTBOOK, utc_now()),
        unlock(database, odd, PORTBOOK),
    ):
        with pytest.raises(NotFound):
            await act


async def test_the_first_admin_is_made_where_there_is_nobody_and_only_there(database: Database) -> None:
    await an_operator(database, Duty.VIEWER)
    assert await add_first(database, utc_now()) is None


async def test_two_first_starts_at_once_make_one_admin(empty: Database) -> None:
    made = await asyncio.gather(*(add_first(empty, utc_now()) for _ in range(3)))
    assert len([each for each in made if each]) == 1
    assert await ask(empty, "SELECT name, duties FROM operators") == [("admin", ["admin"])]
    async with empty.reading() as session:
        assert await store.has_operators(session)
