"""Signing in with a password: one answer for all that is wrong, few tries, and a log that nobody can fill."""

from dataclasses import replace
from datetime import timedelta

import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from app.access import passwords
from app.access.actor import PORTBOOK, Actor, AuthMethod
from app.access.attempts import FROM_ADDRESS, OF_NAME
from app.access.by_password import Claim, change_own, sign_in
from app.access.duties import Duty
from app.access.operators import disable, find, unlock
from app.access.sign_ins import Limits
from app.access.sign_ins import find as find_sign_in
from app.clock import utc_now
from app.database import Database
from app.problems import InvalidRequest, NotSignedIn, Problem, TooManyAttempts
from tests.access.people import PASSWORD, a_claim, said_of, somebody
from tests.factories import a_name, an_operator
from tests.observations.stored import ask, tell

LIMITS = Limits(timedelta(minutes=30), timedelta(hours=12))
NEW = "quite another long one"


async def refused(database: Database, claim: Claim, now: object = None) -> Problem:
    with pytest.raises((NotSignedIn, TooManyAttempts)) as problem:
        await sign_in(database, claim, now or utc_now())  # type: ignore[arg-type]
    assert isinstance(problem.value, Problem)
    return problem.value


async def test_the_right_password_signs_in_whatever_the_case_of_the_name(database: Database) -> None:
    name = await somebody(database, Duty.ANALYST)
    operator, begun = await sign_in(database, a_claim(f" {name.upper()} "), utc_now())
    assert operator.name == name
    known = await find_sign_in(database, begun.token, LIMITS, utc_now())
    assert known is not None
    assert (known.actor.name, known.actor.method, known.actor.duties) == (name, AuthMethod.PASSWORD, {Duty.ANALYST})
    assert [each["outcome"] for each in await said_of(database, name, "signed_in")] == ["success"]


async def test_all_that_is_wrong_has_one_answer(database: Database) -> None:
    name, disabled, openid = (
        await somebody(database),
        await somebody(database),
        await an_operator(database, Duty.VIEWER),
    )
    await disable(database, disabled, PORTBOOK, utc_now())
    claims = [a_claim(name, "wrong"), a_claim(name, ""), a_claim(a_name("nobody")), a_claim(disabled), a_claim(openid),
              a_claim(openid, ""), a_claim("\0"), a_claim("\ud800"), a_claim("' OR 1=1"), a_claim("")]  # fmt: skip
    assert {(type(each), each.detail) for each in [await refused(database, claim) for claim in claims]} == {
        (NotSignedIn, "the name or the password is wrong")
    }


async def test_a_name_is_locked_for_a_growing_while_whether_somebody_has_it_or_not(database: Database) -> None:
    now = utc_now()
    for name in (await somebody(database), a_name("nobody")):
        for _ in range(OF_NAME.allowed):
            assert isinstance(await refused(database, a_claim(name, "wrong"), now), NotSignedIn)
        for password in ("wrong", PASSWORD):
            locked = await refused(database, a_claim(name, password), now)
            assert (locked.status, locked.extra["retry_after_seconds"]) == (429, 60)
        later = now + timedelta(seconds=60)
        assert isinstance(await refused(database, a_claim(name, "wrong"), later), NotSignedIn)
        assert (await refused(database, a_claim(name, "wrong"), later)).extra["retry_after_seconds"] == 120


async def test_who_signs_in_is_free_again(database: Database) -> None:
    name = await somebody(database)
    for _ in range(3):
        for _ in range(OF_NAME.allowed - 1):
            await refused(database, a_claim(name, "wrong"))
        await sign_in(database, a_claim(name), utc_now())


async def test_an_admin_can_unlock(database: Database) -> None:
    name = await somebody(database)
    for _ in range(OF_NAME.allowed):
        await refused(database, a_claim(name, "wrong"))
    assert (await find(database, name, utc_now())).blocked_until
    await unlock(database, name, PORTBOOK)
    assert not (await find(database, name, utc_now())).blocked_until
    await sign_in(database, a_claim(name), utc_now())
    assert len(await said_of(database, name, "operator_unlocked")) == 1


async def test_an_address_cannot_try_many_names(database: Database) -> None:
    name, address = await somebody(database), a_name("address")
    for _ in range(FROM_ADDRESS.allowed):
        assert isinstance(await refused(database, Claim(a_name("nobody"), "wrong", address)), NotSignedIn)
    assert isinstance(await refused(database, Claim(name, PASSWORD, address)), TooManyAttempts)
    await sign_in(database, a_claim(name), utc_now())


async def test_failures_are_logged_and_refused_ones_are_not(database: Database) -> None:
    name, secret = await somebody(database), a_name("my-password-typed-as-a-name")
    for _ in range(OF_NAME.allowed + 20):
        await refused(database, a_claim(name, "wrong"))
    said = await said_of(database, name, "sign_in_failed", "sign_in_blocked")
    assert [each["action"] for each in said] == ["sign_in_failed"] * OF_NAME.allowed + ["sign_in_blocked"]
    assert {(each["outcome"], each["actor_id"], each["auth_method"]) for each in said} == {("denied", None, "none")}
    assert all(each["source_ip"].startswith("address-") for each in said)
    await refused(database, a_claim(secret, "wrong"))
    assert await ask(database, "SELECT 1 FROM audit_events WHERE line LIKE :text", text=f"%{secret}%") == []


async def test_a_hash_of_yesterdays_parameters_is_replaced_at_the_sign_in(database: Database) -> None:
    name = await somebody(database)
    old = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=64, parallelism=1),)).hash(PASSWORD)
    await tell(database, "UPDATE operators SET password_hash = :old WHERE name = :name", old=old, name=name)
    await sign_in(database, a_claim(name), utc_now())
    [(kept,)] = await ask(database, "SELECT password_hash FROM operators WHERE name = :name", name=name)
    assert kept != old
    assert await passwords.match(PASSWORD, kept) == passwords.Match(holds=True)


async def an_actor(database: Database, name: str) -> tuple[Actor, str]:
    _, begun = await sign_in(database, a_claim(name), utc_now())
    known = await find_sign_in(database, begun.token, LIMITS, utc_now())
    assert known is not None
    return replace(known.actor, source_ip=a_name("address")), begun.token


async def test_changing_the_password_ends_every_sign_in_and_begins_one(database: Database) -> None:
    name = await somebody(database)
    actor, here = await an_actor(database, name)
    _, elsewhere = await an_actor(database, name)
    begun = await change_own(database, actor, PASSWORD, NEW, utc_now())
    for token, lasts in ((here, False), (elsewhere, False), (begun.token, True)):
        assert bool(await find_sign_in(database, token, LIMITS, utc_now())) == lasts
    assert isinstance(await refused(database, a_claim(name)), NotSignedIn)
    await sign_in(database, a_claim(name, NEW), utc_now())
    assert len(await said_of(database, name, "password_changed")) == 1


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [("wrong", NEW, "old"), ("", NEW, "old"), (PASSWORD, "short", "new"), (PASSWORD, PASSWORD, "new")],
)
async def test_a_change_that_cannot_be_names_the_field_and_ends_nothing(
    database: Database, old: str, new: str, field: str
) -> None:
    actor, token = await an_actor(database, await somebody(database))
    with pytest.raises(InvalidRequest) as problem:
        await change_own(database, actor, old, new, utc_now())
    assert problem.value.extra["field"] == field
    assert await find_sign_in(database, token, LIMITS, utc_now())


async def test_a_stolen_sign_in_cannot_guess_the_password(database: Database) -> None:
    actor, _ = await an_actor(database, await somebody(database))
    for _ in range(OF_NAME.allowed):
        with pytest.raises(InvalidRequest):
            await change_own(database, actor, "wrong", NEW, utc_now())
    with pytest.raises(TooManyAttempts):
        await change_own(database, actor, PASSWORD, NEW, utc_now())
