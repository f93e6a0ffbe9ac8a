"""Attempts: some are free, each further one costs a pause, and the table does not grow."""

import asyncio
from datetime import timedelta

import pytest

from app.access import attempts
from app.access.attempts import DENIED, FROM_ADDRESS, OF_NAME, Counted, Rule, count, forget, network_of, take_back
from app.clock import utc_now
from app.database import Database
from tests.factories import a_name
from tests.observations.stored import ask

MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("number", "minutes"), [(1, None), (4, None), (5, 1), (6, 2), (7, 4), (8, 8), (9, 15), (10, 15), (10_000, 15)]
)
def test_pauses_grow_and_end(number: int, minutes: int | None) -> None:
    assert OF_NAME.pause_after(number) == (minutes and minutes * MINUTE)


async def counted(database: Database, rule: Rule, whose: str, now: object = None) -> Counted:
    async with database.writing() as session:
        return await count(session, rule, whose, now or utc_now())  # type: ignore[arg-type]


async def test_the_last_free_one_begins_a_pause_in_which_none_counts(database: Database) -> None:
    name, now = a_name("name"), utc_now()
    for _ in range(4):
        assert await counted(database, OF_NAME, name, now) == Counted(is_refused=False, blocked_until=None)
    assert await counted(database, OF_NAME, name, now) == Counted(is_refused=False, blocked_until=now + MINUTE)
    for _ in range(20):
        assert await counted(database, OF_NAME, name, now) == Counted(is_refused=True, blocked_until=now + MINUTE)
    later = now + MINUTE
    assert await counted(database, OF_NAME, name, later) == Counted(is_refused=False, blocked_until=later + 2 * MINUTE)


async def test_many_at_once_gain_nothing(database: Database) -> None:
    name, now = a_name("name"), utc_now()
    found = await asyncio.gather(*(counted(database, OF_NAME, name, now) for _ in range(12)))
    assert sum(not each.is_refused for each in found) == OF_NAME.allowed


async def test_names_addresses_and_actors_are_counted_apart(database: Database) -> None:
    whose, now = a_name("name"), utc_now()
    for _ in range(5):
        await counted(database, OF_NAME, whose, now)
    for rule, other in ((FROM_ADDRESS, whose), (DENIED, whose), (OF_NAME, a_name("name"))):
        assert not (await counted(database, rule, other, now)).is_refused


async def test_a_good_one_is_taken_back_and_frees_nobody_else(database: Database) -> None:
    address, now = a_name("address"), utc_now()
    for _ in range(FROM_ADDRESS.allowed - 1):
        await counted(database, FROM_ADDRESS, address, now)
    for _ in range(3):
        assert (await counted(database, FROM_ADDRESS, address, now)).blocked_until
        async with database.writing() as session:
            await take_back(session, FROM_ADDRESS, address, now)
    assert (await counted(database, FROM_ADDRESS, address, now)).blocked_until
    assert (await counted(database, FROM_ADDRESS, address, now)).is_refused


async def test_it_is_forgotten_when_asked_and_with_time(database: Database) -> None:
    name, now = a_name("name"), utc_now()
    for _ in range(6):
        await counted(database, OF_NAME, name, now)
    async with database.writing() as session:
        await forget(session, OF_NAME, name)
    for _ in range(4):
        assert not (await counted(database, OF_NAME, name, now)).blocked_until
    assert not (await counted(database, OF_NAME, name, now + OF_NAME.memory)).blocked_until


async def test_rows_go_when_they_say_nothing_any_more(database: Database) -> None:
    now = utc_now() + timedelta(days=30)
    names = [a_name("name") for _ in range(20)]
    for name in names:
        await counted(database, OF_NAME, name, now)
    await counted(database, OF_NAME, a_name("name"), now + OF_NAME.memory)
    assert await ask(database, "SELECT count(*) FROM attempts") == [(1,)]


@pytest.mark.parametrize(
    ("address", "counts_as"),
    [("192.0.2.7", "192.0.2.7"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"), ("2001:db8:1:2::", "2001:db8:1:2::/64"),
     ("", ""), ("testclient", "testclient")],
)  # fmt: skip
def test_a_host_cannot_take_another_address_of_its_own(address: str, counts_as: str) -> None:
    assert network_of(address) == counts_as


@pytest.mark.parametrize("odd", ["\0", "\ud800", "x" * 100_000, ""])
async def test_nothing_is_too_odd_to_be_counted(database: Database, odd: str) -> None:
    assert not (await counted(database, OF_NAME, odd)).is_refused
    assert len(attempts.key_of(OF_NAME, odd)) == 32
