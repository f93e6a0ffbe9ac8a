"""Tokens are random, shown once, bounded by scope, end and operator, and gone when revoked."""

from datetime import timedelta
from typing import Any

import pytest

from app.access import store
from app.access.actor import PORTBOOK, AuthMethod
from app.access.duties import Duty, Permission, permissions_of
from app.access.tokens import NewToken, add_token, find_actor, revoke_token
from app.clock import utc_now
from app.database import Database
from app.problems import Conflict, InvalidRequest, NotFound
from tests.factories import a_name, an_operator
from tests.observations.stored import tell

READ = frozenset({Permission.READ})


def a_wanted(**given: Any) -> NewToken:
    return NewToken(**{"name": a_name("token"), "scope": READ} | given)


async def test_a_token_is_valid_until_it_is_revoked(database: Database) -> None:
    wanted = a_wanted()
    token = await add_token(database, wanted, PORTBOOK, utc_now())
    assert await find_actor(database, token, utc_now())
    assert not await find_actor(database, token[:-1], utc_now())
    assert not await find_actor(database, f"{token} ", utc_now())
    await revoke_token(database, wanted.name, PORTBOOK, utc_now())
    assert not await find_actor(database, token, utc_now())
    with pytest.raises(NotFound):
        await revoke_token(database, wanted.name, PORTBOOK, utc_now())


async def test_a_name_is_given_once(database: Database) -> None:
    wanted = a_wanted()
    await add_token(database, wanted, PORTBOOK, utc_now())
    with pytest.raises(Conflict):
        await add_token(database, wanted, PORTBOOK, utc_now())


@pytest.mark.parametrize("odd", ["", "\0", "\ud800", "x" * 100_000])
async def test_no_text_is_too_odd_to_be_no_token(database: Database, odd: str) -> None:
    assert not await find_actor(database, odd, utc_now())


async def test_a_token_ends(database: Database) -> None:
    now = utc_now()
    token = await add_token(database, a_wanted(valid_for=timedelta(days=1)), PORTBOOK, now)
    assert await find_actor(database, token, now + timedelta(hours=23))
    assert not await find_actor(database, token, now + timedelta(days=1))


async def test_a_token_of_an_operator_may_what_both_may(database: Database) -> None:
    name = await an_operator(database, Duty.ANALYST, roles=[1, 2])
    token = await add_token(
        database, a_wanted(operator=name, scope=frozenset({Permission.READ, Permission.TRIAGE})), PORTBOOK, utc_now()
    )
    actor = await find_actor(database, token, utc_now())
    assert actor is not None
    assert (actor.name, actor.method, actor.roles) == (name, AuthMethod.TOKEN, frozenset({1, 2}))
    assert actor.permissions == {Permission.READ, Permission.TRIAGE}
    await tell(database, "UPDATE operators SET duties = '{viewer}' WHERE name = :name", name=name)
    actor = await find_actor(database, token, utc_now())
    assert actor is not None
    assert actor.permissions == READ
    await tell(database, "UPDATE operators SET disabled_at = now() WHERE name = :name", name=name)
    assert await find_actor(database, token, utc_now()) is None


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "a/b"}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"scope": frozenset()}, "scope"),
        ({"scope": frozenset({Permission.APPROVE})}, "scope"),
        ({"valid_for": timedelta(0)}, "days"),
        ({"valid_for": timedelta(days=366)}, "days"),
    ],
)
async def test_what_cannot_be_is_named(database: Database, given: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await add_token(database, a_wanted(**given), PORTBOOK, utc_now())
    assert refused.value.extra["field"] == field


async def test_a_scope_beyond_the_operators_duties_is_refused(database: Database) -> None:
    name = await an_operator(database, Duty.VIEWER)
    with pytest.raises(InvalidRequest, match="triage"):
        await add_token(database, a_wanted(operator=name, scope=permissions_of([Duty.ANALYST])), PORTBOOK, utc_now())
    with pytest.raises(NotFound):
        await add_token(database, a_wanted(operator=a_name("nobody")), PORTBOOK, utc_now())


async def test_the_last_use_is_kept_to_the_minute(database: Database) -> None:
    now, wanted = utc_now(), a_wanted()
    token = await add_token(database, wanted, PORTBOOK, now)
    for seconds in (1, 2, 90):
        await find_actor(database, token, now + timedelta(seconds=seconds))
    async with database.reading() as session:
        known = {token.name: token.last_used_at for token, _ in await store.list_tokens(session)}
    assert known[wanted.name] == now + timedelta(seconds=90)
