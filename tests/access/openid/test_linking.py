"""Nobody becomes an operator by signing in; an operator is linked once, when an admin has added them for it."""

import asyncio
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from app.access.actor import PORTBOOK, AuthMethod
from app.access.duties import Duty
from app.access.openid.faults import IdentityRefused
from app.access.openid.identity import Identity, names_in
from app.access.openid.linking import operator_of, unlink
from app.access.sign_ins import begin
from app.clock import utc_now
from app.database import Database
from app.problems import NotFound
from tests.access.test_audit import lines
from tests.factories import a_name, an_operator
from tests.observations.stored import ask, tell

ISSUER = "https://id.example"
KELVIN = "\N{KELVIN SIGN}"


async def link(database: Database, subject: str, *names: str) -> str:
    async with database.writing() as session:
        return (await operator_of(session, Identity(ISSUER, subject, names))).name


async def subject_of(database: Database, name: str) -> str | None:
    ((subject,),) = await ask(database, "SELECT openid_subject FROM operators WHERE name = :name", name=name)
    return subject  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("claims", "names"),
    [
        ({"preferred_username": "Ada"}, ("ada",)),
        ({"email": "Ada@Example.com", "email_verified": True}, ("ada@example.com",)),
        ({"email": "ada@x.com", "email_verified": True, "preferred_username": "ada"}, ("ada@x.com", "ada")),
        ({"email": "a@x.com", "email_verified": True, "preferred_username": "A@x.com"}, ("a@x.com",)),
        ({"email": "ada@example.com"}, ()),
        ({"email": "ada@example.com", "email_verified": False}, ()),
        ({"email": "ada@example.com", "email_verified": "true"}, ()),
        ({"preferred_username": f"{KELVIN}elvin"}, ()),
        ({"preferred_username": ""}, ()),
        ({"preferred_username": "a" * 128}, ()),
        ({"preferred_username": "a\n"}, ()),
        ({"preferred_username": ["ada"]}, ()),
        ({"name": "ada", "sub": "ada", "nickname": "ada"}, ()),
    ],
)
def test_only_what_the_provider_stands_for_names_an_operator(claims: dict[str, Any], names: tuple[str, ...]) -> None:
    assert names_in(claims) == names


async def test_an_operator_is_linked_by_either_name(database: Database) -> None:
    one, other = await an_operator(database, Duty.VIEWER), await an_operator(database, Duty.VIEWER)
    assert await link(database, "by-1", one, a_name("operator")) == one
    assert await link(database, "by-2", a_name("operator"), other) == other
    assert await subject_of(database, one) == f"{ISSUER} by-1"


async def test_nobody_is_added(database: Database) -> None:
    before = await ask(database, "SELECT count(*) FROM operators")
    name = a_name("operator")
    with pytest.raises(IdentityRefused, match=f"portbook operator add {name} --no-password"):
        await link(database, "s", name)
    with pytest.raises(IdentityRefused, match="neither"):
        await link(database, "s")
    assert await ask(database, "SELECT count(*) FROM operators") == before


async def test_who_could_be_two_is_nobody(database: Database) -> None:
    names = [await an_operator(database, Duty.VIEWER) for _ in range(2)]
    with pytest.raises(IdentityRefused, match="two operators"):
        await link(database, "two", *names)
    assert [await subject_of(database, name) for name in names] == [None, None]


async def test_an_operator_with_a_password_is_not_linked(database: Database) -> None:
    name = await an_operator(database, Duty.VIEWER)
    await tell(
        database,
        "UPDATE operators SET password_hash = '$argon2id$x', password_changed_at = now() WHERE name = :name",
        name=name,
    )
    with pytest.raises(IdentityRefused, match="with a password"):
        await link(database, "password", name)
    assert await subject_of(database, name) is None


async def test_an_operator_who_is_linked_is_not_linked_with_another(database: Database) -> None:
    name = await an_operator(database, Duty.VIEWER)
    await link(database, "first", name)
    with pytest.raises(IdentityRefused, match="linked with another"):
        await link(database, "second", name)
    assert await subject_of(database, name) == f"{ISSUER} first"


async def test_a_disabled_operator_is_not_linked(database: Database) -> None:
    name = await an_operator(database, Duty.VIEWER)
    await tell(database, "UPDATE operators SET disabled_at = now() WHERE name = :name", name=name)
    with pytest.raises(IdentityRefused, match="disabled"):
        await link(database, "disabled", name)
    assert await subject_of(database, name) is None


async def test_two_first_sign_ins_at_once_are_one_link(database: Database) -> None:
    name = await an_operator(database, Duty.VIEWER)
    assert await asyncio.gather(*(link(database, "at-once", name) for _ in range(4))) == [name] * 4
    linked = "SELECT count(*) FROM audit_events WHERE action = 'operator_linked' AND object_id = :name"
    assert await ask(database, linked, name=name) == [(1,)]


async def test_an_operator_can_be_unlinked_and_linked_anew(database: Database) -> None:
    name = await an_operator(database, Duty.VIEWER)
    with pytest.raises(NotFound, match="linked"):
        await unlink(database, name, PORTBOOK)
    await link(database, "old", name)
    async with database.writing() as session:
        operator = await operator_of(session, Identity(ISSUER, "old", ()))
        await begin(session, operator, AuthMethod.OPENID, "192.0.2.1", utc_now())
    await unlink(database, name, PORTBOOK)
    lasting = "SELECT count(*) FROM sign_ins JOIN operators USING (operator_id) WHERE name = :name"
    assert await ask(database, lasting, name=name) == [(0,)]
    last = (await lines(database))[-1]
    assert (last["action"], last["reason"]) == ("operator_unlinked", f"{ISSUER} old")
    assert await link(database, "new", name) == name
    with pytest.raises(IdentityRefused):
        await link(database, "old", name)


@pytest.mark.parametrize("odd", ["", "unknown", "\0", "x" * 100_000])
async def test_nobody_who_is_not_there_is_unlinked(database: Database, odd: str) -> None:
    with pytest.raises(NotFound, match="linked"):
        await unlink(database, odd, PORTBOOK)


async def test_no_two_operators_are_one_identity(database: Database) -> None:
    names = [await an_operator(database, Duty.VIEWER) for _ in range(2)]
    statement = "UPDATE operators SET openid_subject = 'https://id.example 1' WHERE name = ANY(:names)"
    with pytest.raises(IntegrityError, match="uq_operators_openid_subject"):
        await tell(database, statement, names=names)
