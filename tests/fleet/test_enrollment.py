"""Who may enroll, as what, and whether it is the node that it was before."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from app.access.actor import PORTBOOK
from app.clock import utc_now
from app.fleet.enrollment import hardware_of, platform_of
from app.fleet.nodes import NodeKeys, revoke_node
from app.fleet.secrets import NewSecret, add_secret, list_secrets, revoke
from app.problems import Conflict, InvalidRequest, NotFound
from tests.factories import Server, a_name, a_secret, an_enrollment
from tests.observations.stored import ask, node_of, tell


async def enroll(server: Server, document: dict[str, Any]) -> str:
    """The node key, or nothing."""
    answer = await server.say("enroll", document)
    assert "node_key" in answer or "error" in answer
    return str(answer.get("node_key", ""))


async def role_and_platform(server: Server, key: str) -> tuple[Any, ...]:
    statement = "SELECT r.name, n.platform FROM nodes n JOIN roles r USING (role_id) WHERE node_id = :n"
    return (await ask(server.database, statement, n=await node_of(server.database, key)))[0]


@pytest.mark.parametrize(
    ("platform_type", "platform"),
    [
        ("2", "windows"), (2, "windows"), ("21", "macos"), (21, "macos"), ("17", "macos"), ("9", "other"),
        ("37", "other"), ("1", "other"), ("0", "other"), ("", "other"), ("x", "other"), ("²", "other"), ("-1", "other"),
        (-1, "other"), ("9" * 5000, "other"), (2**70, "other"), ("2.0", "other"),
    ],
)  # fmt: skip
def test_the_platform_is_read_from_the_bits(platform_type: str | int, platform: str) -> None:
    assert platform_of(platform_type) == platform


async def test_a_node_gets_the_role_of_its_secret_and_the_platform_of_its_bits(server: Server) -> None:
    for role, platform in (("kiosk", "windows"), ("build-server", "macos")):
        secret = await a_secret(server.database, role=role)
        key = await enroll(server, an_enrollment(secret, platform=platform))
        assert await role_and_platform(server, key) == (role, platform)


@pytest.mark.parametrize(
    "odd", [{"platform_type": 2**70}, {"platform_type": "²"}, {"host_details": None}, {"host_details": {}}]
)
async def test_odd_but_harmless_enrollments_are_taken(server: Server, odd: dict[str, Any]) -> None:
    assert await enroll(server, an_enrollment(await a_secret(server.database)) | odd)


async def test_nuls_and_long_texts_in_host_details_are_taken(server: Server) -> None:
    noise = "".join(chr(0x4E00 + n * 7919 % 20_000) for n in range(5000))
    system = {"cpu_brand": "AMD EPYC" + "\0" * 40, "hostname": "a\0b\ud800", "hardware_serial": noise, "\0": "\0"}
    document = an_enrollment(await a_secret(server.database), host=f"\0{noise}", **system)
    document["host_details"]["\0table"] = {"x": "\0", "n": 1, "f": 1.5, "none": None}
    key = await enroll(server, document)
    assert key
    statement = "SELECT hostname, details->'system_info'->>'cpu_brand' FROM nodes WHERE node_id = :n"
    assert await ask(server.database, statement, n=await node_of(server.database, key)) == [
        ("a\ufffdb\ufffd", "AMD EPYC")
    ]
    assert await enroll(server, document), "and again, as the same node"


@pytest.mark.parametrize("text", ["", "x", "a-secret-that-nobody-made"])
async def test_an_unknown_secret_enrolls_nobody(server: Server, text: str) -> None:
    assert not await enroll(server, an_enrollment(text))


async def test_a_revoked_secret_enrolls_nobody_and_its_nodes_stay(server: Server) -> None:
    name = a_name("secret")
    secret = await add_secret(server.database, NewSecret(name, "laptop"), PORTBOOK, utc_now())
    key = await enroll(server, an_enrollment(secret))
    await revoke(server.database, name, PORTBOOK, utc_now())
    assert not await enroll(server, an_enrollment(secret))
    assert await server.say("distributed/read", {"node_key": key}) == {"queries": {}}
    with pytest.raises(NotFound):
        await revoke(server.database, name, PORTBOOK, utc_now())


async def test_an_expired_secret_enrolls_nobody(server: Server) -> None:
    name = a_name("secret")
    wanted = NewSecret(name, "laptop", valid_for=timedelta(days=1))
    secret = await add_secret(server.database, wanted, PORTBOOK, utc_now() - timedelta(days=1, seconds=1))
    assert not await enroll(server, an_enrollment(secret))
    fresh = await a_secret(server.database, valid_for=timedelta(days=1))
    assert await enroll(server, an_enrollment(fresh))


async def test_a_quota_is_exact_however_many_come_at_once(server: Server) -> None:
    secret = await a_secret(server.database, quota=3)
    documents = [an_enrollment(secret) for _ in range(10)]
    keys = await asyncio.gather(*[enroll(server, document) for document in documents])
    assert sum(map(bool, keys)) == 3
    enrolled = next(document for document, key in zip(documents, keys, strict=True) if key)
    assert await enroll(server, enrolled), "to enroll again is free"
    counted = "SELECT nodes_total FROM enroll_secrets WHERE quota = 3"
    assert await ask(server.database, counted) == [(3,)]


async def test_two_enrollments_of_one_host_at_once_make_one_node(server: Server) -> None:
    document = an_enrollment(await a_secret(server.database))
    keys = await asyncio.gather(*[enroll(server, document) for _ in range(6)])
    assert all(keys)
    assert len(set(keys)) == 6
    assert len({await node_of(server.database, key) for key in keys}) == 1
    for key in keys:
        assert await server.say("distributed/read", {"node_key": key}) == {"queries": {}}


async def test_to_enroll_again_keeps_the_node_and_the_old_key_for_an_hour(server: Server) -> None:
    document = an_enrollment(await a_secret(server.database))
    old = await enroll(server, document)
    new = await enroll(server, document)
    assert old != new
    assert await node_of(server.database, old) == await node_of(server.database, new)
    later = NodeKeys(server.database, 0, lambda: utc_now() + timedelta(minutes=61))
    soon = NodeKeys(server.database, 0, lambda: utc_now() + timedelta(minutes=59))
    assert (await soon.find(old), await later.find(old)) == (await later.find(new), None)
    assert await later.find(new) is not None


async def test_another_secret_moves_the_node_to_its_role(server: Server) -> None:
    document = an_enrollment(await a_secret(server.database, role="laptop"))
    old = await enroll(server, document)
    new = await enroll(server, document | {"enroll_secret": await a_secret(server.database, role="kiosk")})
    assert await node_of(server.database, old) == await node_of(server.database, new)
    assert (await role_and_platform(server, new))[0] == "kiosk"


async def test_a_clone_with_other_hardware_becomes_another_node(server: Server) -> None:
    secret, host = await a_secret(server.database), a_name("clone")
    first = await enroll(server, an_enrollment(secret, host=host, hardware_serial="A", uuid="same"))
    second = await enroll(server, an_enrollment(secret, host=host, hardware_serial="B", uuid="same"))
    assert await node_of(server.database, first) != await node_of(server.database, second)
    for key in (first, second):
        assert await server.say("distributed/read", {"node_key": key}) == {"queries": {}}


@pytest.mark.parametrize("placeholder", ["", "0", "None", "To Be Filled By O.E.M.", "Default string", " N/A "])
async def test_a_placeholder_for_a_serial_tells_no_two_machines_apart(server: Server, placeholder: str) -> None:
    secret, host = await a_secret(server.database), a_name("host")
    given = {"host": host, "uuid": "the-same"}
    first = await enroll(server, an_enrollment(secret, hardware_serial=placeholder, **given))
    again = await enroll(server, an_enrollment(secret, hardware_serial="", **given))
    assert await node_of(server.database, first) == await node_of(server.database, again)


def test_hardware_is_told_apart_by_any_of_its_numbers() -> None:
    def of(**system: str) -> str:
        return hardware_of({"system_info": system})

    assert of(uuid="A") == of(uuid=" a ") != of(uuid="b")
    assert of(hardware_serial="1", uuid="a") != of(hardware_serial="2", uuid="a")
    assert hardware_of({}) == of() == of(hardware_serial="Default string") == ""


async def test_a_revoked_node_may_not_return(server: Server) -> None:
    document = an_enrollment(await a_secret(server.database))
    key = await enroll(server, document)
    node = await node_of(server.database, key)
    await revoke_node(server.database, node, PORTBOOK, utc_now())
    assert await server.say("config", {"node_key": key}) == {"node_invalid": True}
    assert not await enroll(server, document)
    assert not await enroll(server, document | {"enroll_secret": await a_secret(server.database)})
    with pytest.raises(NotFound):
        await revoke_node(server.database, node, PORTBOOK, utc_now())


async def test_an_enrollment_whose_commit_fails_gives_no_key_and_uses_no_quota(server: Server) -> None:
    document = an_enrollment(await a_secret(server.database, quota=1))
    await tell(server.database, "ALTER TABLE node_keys RENAME TO away")
    try:
        assert not await enroll(server, document)
    finally:
        await tell(server.database, "ALTER TABLE away RENAME TO node_keys")
    assert await enroll(server, document)


@pytest.mark.parametrize(
    "wrong",
    [{"name": "A B"}, {"name": ""}, {"role": "no/slash"}, {"text": "short"}, {"quota": 0}, {"valid_for": timedelta(0)}],
)
async def test_a_secret_that_makes_no_sense_is_refused_and_the_field_named(
    server: Server, wrong: dict[str, Any]
) -> None:
    wanted: dict[str, Any] = {"name": a_name("secret"), "role": "laptop"} | wrong
    with pytest.raises(InvalidRequest) as refused:
        await add_secret(server.database, NewSecret(**wanted), PORTBOOK, utc_now())
    assert refused.value.extra == {"field": next(iter(wrong))}


async def test_a_secret_is_made_once(server: Server) -> None:
    name, text = a_name("secret"), a_name("a-secret-from-another-server")
    assert await add_secret(server.database, NewSecret(name, "laptop", text=text), PORTBOOK, utc_now()) == text
    with pytest.raises(Conflict):
        await add_secret(server.database, NewSecret(name, "laptop"), PORTBOOK, utc_now())
    with pytest.raises(Conflict):
        await add_secret(server.database, NewSecret(a_name("secret"), "laptop", text=text), PORTBOOK, utc_now())
    assert name in [secret.name for secret, _ in await list_secrets(server.database)]
