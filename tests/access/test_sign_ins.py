"""Sign-ins last until somebody is away too long, too much time has passed, or something ends them."""

from datetime import datetime, timedelta

import pytest

from app.access import store
from app.access.actor import PORTBOOK, AuthMethod
from app.access.duties import Duty
from app.access.operators import disable, set_password
from app.access.sign_ins import (
    LONGEST,
    MOST,
    KnownSignIn,
    Limits,
    NewSignIn,
    begin,
    csrf_token_of,
    end,
    find,
    of_operator,
)
from app.clock import utc_now
from app.database import Database
from app.problems import NotSignedIn
from tests.access.people import said_of, somebody
from tests.factories import an_operator
from tests.observations.stored import ask, tell

LIMITS = Limits(idle=timedelta(minutes=30), in_all=timedelta(hours=12))
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)


async def begun(database: Database, name: str, now: datetime) -> NewSignIn:
    async with database.writing() as session:
        operator = await store.find_operator(session, name)
        assert operator is not None
        return await begin(session, operator, AuthMethod.PASSWORD, "192.0.2.1", now)


async def known(database: Database, token: str, now: datetime) -> KnownSignIn | None:
    return await find(database, token, LIMITS, now)


async def test_it_ends_without_a_request(database: Database) -> None:
    now = utc_now()
    token = (await begun(database, await an_operator(database, Duty.VIEWER), now)).token
    assert await known(database, token, now + LIMITS.idle - SECOND)
    later = now + LIMITS.idle - SECOND + LIMITS.idle
    assert await known(database, token, later - SECOND)
    assert not await known(database, token, later + LIMITS.idle)


async def test_it_ends_however_busy(database: Database) -> None:
    now = utc_now()
    token = (await begun(database, await an_operator(database, Duty.VIEWER), now)).token
    for minutes in range(20, 720, 20):
        assert await known(database, token, now + minutes * MINUTE)
    assert not await known(database, token, now + LIMITS.in_all)


async def test_last_seen_is_kept_to_the_minute(database: Database) -> None:
    now, name = utc_now(), await an_operator(database, Duty.VIEWER)
    token = (await begun(database, name, now)).token
    for seconds in (1, 59, 61, 119):
        await known(database, token, now + seconds * SECOND)
    query = "SELECT last_seen_at FROM sign_ins JOIN operators USING (operator_id) WHERE name = :name"
    assert await ask(database, query, name=name) == [(now + 61 * SECOND,)]


@pytest.mark.parametrize("odd", ["", "x", "\0", "\ud800", "x" * 100_000])
async def test_no_text_is_too_odd_to_be_no_sign_in(database: Database, odd: str) -> None:
    assert await known(database, odd, utc_now()) is None


async def test_signing_out_ends_one_and_is_logged_once(database: Database) -> None:
    now, name = utc_now(), await an_operator(database, Duty.VIEWER)
    here, there = [(await begun(database, name, now)).token for _ in range(2)]
    found = await known(database, here, now)
    assert found is not None
    for _ in range(2):
        await end(database, here, found.actor)
    assert not await known(database, here, now)
    assert await known(database, there, now)
    assert len(await said_of(database, name, "signed_out")) == 1


async def test_disabling_and_another_password_end_all(database: Database) -> None:
    now, name = utc_now(), await somebody(database)
    for act in ("password", "disable"):
        tokens = [(await begun(database, name, now)).token for _ in range(2)]
        if act == "disable":
            await disable(database, name, PORTBOOK, now)
        else:
            await set_password(database, name, "quite another long one", PORTBOOK, now)
        assert [await known(database, token, now) for token in tokens] == [None, None]
    with pytest.raises(NotSignedIn):
        await begun(database, name, now)


async def test_an_operator_who_is_disabled_by_other_ways_is_nobody(database: Database) -> None:
    now, name = utc_now(), await an_operator(database, Duty.VIEWER)
    token = (await begun(database, name, now)).token
    await tell(database, "UPDATE operators SET disabled_at = now() WHERE name = :name", name=name)
    assert not await known(database, token, now)


async def test_duties_are_those_of_now(database: Database) -> None:
    now, name = utc_now(), await an_operator(database, Duty.VIEWER)
    token = (await begun(database, name, now)).token
    await tell(database, "UPDATE operators SET duties = '{auditor}', role_ids = '{7}' WHERE name = :name", name=name)
    found = await known(database, token, now)
    assert found is not None
    assert (found.actor.duties, found.actor.roles) == ({Duty.AUDITOR}, {7})


async def test_the_oldest_of_many_ends_and_old_rows_go(database: Database) -> None:
    now, name = utc_now(), await an_operator(database, Duty.VIEWER)
    tokens = [(await begun(database, name, now)).token for _ in range(MOST + 1)]
    lasting = [bool(await known(database, token, now)) for token in tokens]
    assert lasting == [False] + [True] * MOST
    await begun(database, name, now + LONGEST + SECOND)
    query = "SELECT count(*) FROM sign_ins JOIN operators USING (operator_id) WHERE name = :name"
    assert await ask(database, query, name=name) == [(1,)]


async def test_neither_token_stands_in_the_database_or_in_a_text(database: Database) -> None:
    now, name = utc_now(), await an_operator(database, Duty.VIEWER)
    new = await begun(database, name, now)
    assert new.csrf_token == csrf_token_of(new.token)
    assert new.csrf_token != csrf_token_of(new.token[:-1])
    for table in ("sign_ins", "audit_events", "operators"):
        kept = repr(await ask(database, f"SELECT * FROM {table}"))
        assert new.token not in kept
        assert new.csrf_token not in kept
    assert new.token not in repr(new)
    assert new.csrf_token not in repr(await known(database, new.token, now))


async def test_an_operator_sees_their_own_that_last(database: Database) -> None:
    now, name = utc_now(), await an_operator(database, Duty.VIEWER)
    await begun(database, await an_operator(database, Duty.VIEWER), now)
    await begun(database, name, now - LIMITS.idle)
    token = (await begun(database, name, now)).token
    found = await known(database, token, now)
    assert found is not None
    assert found.actor.operator_id is not None
    async with database.reading() as session:
        lasting = await of_operator(session, found.actor.operator_id, LIMITS, now)
    assert [(each.sign_in_id, each.source_ip) for each in lasting] == [(found.sign_in.sign_in_id, "192.0.2.1")]
