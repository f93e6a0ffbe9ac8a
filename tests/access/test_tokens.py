"""Tokens are random, shown once, and gone when revoked."""

import pytest

from app.access.tokens import add_token, first_token, is_valid, revoke_token
from app.clock import utc_now
from app.database import Database
from app.problems import Conflict, NotFound
from tests.factories import a_name


async def test_a_token_is_valid_until_it_is_revoked(database: Database) -> None:
    name = a_name("token")
    token = await add_token(database, name, utc_now())
    assert await is_valid(database, token)
    assert not await is_valid(database, token[:-1])
    assert not await is_valid(database, f"{token} ")
    await revoke_token(database, name, utc_now())
    assert not await is_valid(database, token)
    with pytest.raises(NotFound):
        await revoke_token(database, name, utc_now())


async def test_a_name_is_given_once(database: Database) -> None:
    name = a_name("token")
    await add_token(database, name, utc_now())
    with pytest.raises(Conflict):
        await add_token(database, name, utc_now())


async def test_the_first_token_is_made_at_the_first_start_only(database: Database) -> None:
    token = await first_token(database, utc_now())
    assert token is not None
    assert await is_valid(database, token)
    assert await first_token(database, utc_now()) is None


@pytest.mark.parametrize("odd", ["", "\0", "\ud800", "x" * 100_000])
async def test_no_text_is_too_odd_to_be_no_token(database: Database, odd: str) -> None:
    assert not await is_valid(database, odd)
