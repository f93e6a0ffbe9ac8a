"""Passwords: what may be one, and what checking one costs."""

import asyncio
from threading import Event

import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from app.access import passwords
from app.access.passwords import ARGON2, LENGTH_MAX, Match, a_password, check_new, hashed, match
from app.problems import Busy, InvalidRequest

GOOD = "correct horse battery"


@pytest.mark.parametrize(
    "fine", [GOOD, "x1!" * 4 + "yz", "mañana por la mañana", "パスワードを忘れないで下さい", "q2w3e" + "r" * 251]
)
def test_a_long_one_will_do(fine: str) -> None:
    check_new(fine, "ada")


@pytest.mark.parametrize(
    "bad",
    ["", "short", "x" * 40, "ababababababab", "\ud800" * 12 + "abcdef", "abcde" * 52, "i am Ada Lovelace",
     "my PASSWORD is long", "portbook is a ledger", " " * 20],
)  # fmt: skip
def test_what_a_guesser_tries_first_is_refused_and_the_field_named(bad: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_new(bad, "lovelace", "new")
    assert refused.value.extra["field"] == "new"
    assert len(bad) < 6 or bad not in refused.value.detail


def test_one_that_is_made_may_be_one() -> None:
    made = {a_password() for _ in range(50)}
    assert len(made) == 50
    for each in made:
        check_new(each, "admin")


def test_one_costs_what_the_standard_recommends() -> None:
    assert ARGON2.hash(GOOD).startswith("$argon2id$v=19$m=65536,t=3,p=4$")


async def test_only_the_right_one_matches() -> None:
    kept = await hashed(GOOD)
    assert GOOD not in kept
    assert kept != await hashed(GOOD)
    assert (await match(GOOD, kept)) == Match(holds=True)
    for wrong in ("", f"{GOOD} ", GOOD.upper(), "\ud800", "\0", "x" * (4 * LENGTH_MAX)):
        assert not (await match(wrong, kept)).holds
        assert not (await match(wrong, None)).holds


async def test_the_same_signs_from_another_keyboard_are_the_same() -> None:
    assert (await match("man\u0303ana por la ma\u00f1ana", await hashed("ma\u00f1ana por la man\u0303ana"))).holds


async def test_nobodys_password_costs_what_somebodys_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted, not timed: one check each."""
    checked: list[str] = []
    verify = passwords._argon2.verify_and_update

    def counted(password: str, password_hash: str) -> tuple[bool, str | None]:
        checked.append(password_hash)
        return verify(password, password_hash)

    kept = await hashed(GOOD)
    monkeypatch.setattr(passwords._argon2, "verify_and_update", counted)
    await match("wrong", kept)
    await match("wrong", None)
    await match("\ud800", None)
    assert len(checked) == 3
    assert {each.rpartition("$")[0].rpartition("$")[0] for each in checked} == {
        kept.rpartition("$")[0].rpartition("$")[0]
    }


async def test_a_hash_of_weaker_parameters_is_made_anew() -> None:
    weaker = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=64, parallelism=1),)).hash(GOOD)
    found = await match(GOOD, weaker)
    assert found.holds
    assert found.renewed is not None
    assert (await match(GOOD, found.renewed)) == Match(holds=True)
    assert (await match("wrong", weaker)) == Match(holds=False)


async def test_no_more_than_a_few_wait() -> None:
    apart, gate = passwords._Apart(at_once=1, waiting=1), Event()

    def slow(number: int) -> int:
        gate.wait(30)
        return number

    first, second = (asyncio.create_task(apart.run(slow, number)) for number in (1, 2))
    await asyncio.sleep(0)  # both take their places
    with pytest.raises(Busy):
        await apart.run(slow, 3)
    gate.set()
    assert await asyncio.gather(first, second) == [1, 2]
    assert await apart.run(slow, 4) == 4
