"""A request is whole and narrow, or every wrong field is named and nothing is kept."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.access.actor import Actor, AuthMethod, os_account
from app.access.duties import Duty
from app.baselines.exceptions.asking import NODES_MAX, Wanted, renew, request
from app.baselines.exceptions.deciding import Decision, reject, revoke
from app.baselines.exceptions.states import LONGEST
from app.baselines.found import TEXT_MAX
from app.clock import utc_now
from app.database import Database
from app.detection.addresses import PeerScope
from app.detection.behaviour import Direction, Transport
from app.problems import Conflict, Forbidden, InvalidRequest, NotFound
from tests.baselines.excepting import a_pattern, a_person, a_why, asked, audited, finding_of, granted, show
from tests.factories import Server, a_name, a_node
from tests.observations.stored import ask, node_of


async def kept(database: Database) -> int:
    return int((await ask(database, "SELECT count(*) FROM exceptions"))[0][0])


async def wrong(database: Database, **given: Any) -> list[str]:
    """The fields that a refusal names; nothing was kept."""
    before, now = await kept(database), utc_now()
    given = {"node_ids": (1,)} | given
    with pytest.raises(InvalidRequest) as refused:
        await asked(database, now, **given)
    assert await kept(database) == before
    errors: Any = refused.value.extra["errors"]
    assert refused.value.extra["field"] == errors[0]["pointer"]
    assert all(each["detail"] for each in errors)
    return [each["pointer"] for each in errors]


@pytest.fixture
async def node(server: Server) -> int:
    return await node_of(server.database, await a_node(server))


async def test_a_narrow_request_waits_for_somebody_else(server: Server, node: int) -> None:
    now = utc_now()
    made = await asked(server.database, now, node_ids=(node, node))
    columns = "decision, expires_at, wide, node_ids, role_id"
    rows = await ask(server.database, f"SELECT {columns} FROM exceptions WHERE exception_id = :id", id=made)
    assert rows == [(None, now + LONGEST, [], [node], None)]
    assert await audited(server.database, made) == [("exception_requested", "success")]


@pytest.mark.parametrize(
    ("pattern", "fields"),
    [
        ({"first_port": 0}, ["first_port"]),
        ({"last_port": 70_000}, ["last_port"]),
        ({"first_port": 0, "last_port": 70_000}, ["first_port", "last_port"]),
        ({"first_port": -1, "last_port": -1}, ["first_port", "last_port"]),
        ({"first_port": 5000}, ["last_port"]),
        ({"last_port": 50_000}, ["last_port"]),
        ({"path": ""}, ["path"]),
        ({"path": "C:\\Odd.exe"}, ["path"]),
        ({"program": "*"}, ["signer"]),
        ({"program": ""}, ["program"]),
        ({"program": "\u202eexe.ddo"}, ["program"]),
        ({"signer": "x" * 700}, ["signer"]),
        ({"unit": " "}, ["unit"]),
        ({"direction": Direction.SERVICE}, ["direction", "peer_scope"]),
        ({"transport": Transport.NONE}, ["transport"]),
        ({"peer_scope": PeerScope.LOOPBACK}, ["peer_scope"]),
    ],
)
async def test_an_impossible_pattern_names_its_fields(
    server: Server, node: int, pattern: dict[str, Any], fields: list[str]
) -> None:
    assert await wrong(server.database, node_ids=(node,), pattern=a_pattern(**pattern)) == fields


@pytest.mark.parametrize("text", ["", " ", "\t", "two\nlines", "\x1b[31m", "x" * (TEXT_MAX + 1)])
@pytest.mark.parametrize("field", ["reason", "business_need", "compensating_control"])
async def test_a_reason_says_something_in_one_visible_line(server: Server, node: int, field: str, text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await request(
            server.database,
            await a_person(server.database, Duty.ANALYST),
            Wanted(a_pattern(), a_why(**{field: text}), node_ids=(node,)),
            utc_now(),
        )
    assert refused.value.extra["field"] == field


@pytest.mark.parametrize("days", [-1, 0, 181])
async def test_an_end_lies_ahead_and_not_too_far(server: Server, node: int, days: int) -> None:
    assert await wrong(server.database, node_ids=(node,), until=utc_now() + timedelta(days=days)) == ["expires_at"]


async def test_nodes_and_roles_must_be_there(server: Server, node: int) -> None:
    mac = await node_of(server.database, await a_node(server, platform="macos"))
    assert await wrong(server.database, node_ids=(node, 2**40)) == ["node_ids"]
    assert await wrong(server.database, node_ids=(node, mac)) == ["node_ids"]
    assert await wrong(server.database, node_ids=()) == ["node_ids"]
    assert await wrong(server.database, node_ids=tuple(range(1, NODES_MAX + 2))) == ["node_ids"]
    assert await wrong(server.database, node_ids=None, role="no such role") == ["role"]
    assert await wrong(server.database, node_ids=None) == ["role"]
    assert await wrong(server.database, node_ids=(node,), role="laptop") == ["role"]


async def test_every_fault_is_named_at_once(server: Server) -> None:
    found = await wrong(server.database, node_ids=(2**40,), until=utc_now(), pattern=a_pattern(first_port=0, path=""))
    assert found == ["path", "first_port", "expires_at", "node_ids"]


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ({"program": "*", "path": "", "signer": "Acme"}, "every program of the signer"),
        ({"path": "", "signer": "Microsoft Corporation"}, "signs hundreds of programs"),
        ({"first_port": 1000, "last_port": 2000}, "1,001 ports"),
        ({"peer_scope": None}, "peers anywhere"),
    ],
)
async def test_what_is_wide_is_flagged(server: Server, node: int, pattern: dict[str, Any], says: str) -> None:
    made = await asked(server.database, utc_now(), node_ids=(node,), pattern=a_pattern(**pattern))
    ((wide,),) = await ask(server.database, "SELECT wide FROM exceptions WHERE exception_id = :id", id=made)
    assert any(says in each for each in wide)


@pytest.mark.parametrize("nobody", [os_account("root"), Actor("token ci", AuthMethod.TOKEN)])
async def test_only_an_operator_asks(server: Server, node: int, nobody: Actor) -> None:
    with pytest.raises(Forbidden) as refused:
        await asked(server.database, utc_now(), node_ids=(node,), by=nobody)
    assert refused.value.extra["field"] == "requested_by"


async def test_who_sees_some_roles_asks_for_those_only(server: Server) -> None:
    mine, other = a_name("role"), a_name("role")
    keys = [await a_node(server, role=role) for role in (mine, other)]
    nodes = [await node_of(server.database, key) for key in keys]
    ((role_id,),) = await ask(server.database, "SELECT role_id FROM roles WHERE name = :name", name=mine)
    ada = await a_person(server.database, Duty.ANALYST, roles=[role_id])
    await asked(server.database, utc_now(), by=ada, role=mine)
    await asked(server.database, utc_now(), by=ada, node_ids=(nodes[0],))
    assert await wrong(server.database, by=ada, node_ids=None, role=other) == ["role"]
    assert await wrong(server.database, by=ada, node_ids=(nodes[0], nodes[1])) == ["node_ids"]
    theirs = await granted(server.database, utc_now(), role=other)
    with pytest.raises(NotFound):
        await renew(server.database, ada, theirs, a_why(), utc_now())


async def test_a_request_from_a_finding_covers_it(server: Server) -> None:
    key = await a_node(server)
    nodes = (await node_of(server.database, key),)
    await show(server, key)
    finding: UUID = (await finding_of(server, key))["finding_id"]
    await asked(server.database, utc_now(), node_ids=nodes, finding_id=finding)
    other = a_pattern(first_port=4445, last_port=4445)
    assert await wrong(server.database, node_ids=nodes, finding_id=finding, pattern=other) == ["finding_id"]
    assert await wrong(server.database, node_ids=nodes, finding_id=uuid4()) == ["finding_id"]


async def test_only_what_was_approved_and_not_taken_back_is_renewed(server: Server, node: int) -> None:
    ada, approver = await a_person(server.database, Duty.ANALYST), await a_person(server.database, Duty.APPROVER)
    pending, refused = [await asked(server.database, utc_now(), node_ids=(node,)) for _ in range(2)]
    await reject(server.database, approver, refused, Decision("no"), utc_now())
    revoked = await granted(server.database, utc_now(), node_ids=(node,))
    await revoke(server.database, approver, revoked, "no", utc_now())
    for each in (pending, refused, revoked):
        with pytest.raises(Conflict):
            await renew(server.database, ada, each, a_why(), utc_now())
    with pytest.raises(NotFound):
        await renew(server.database, ada, uuid4(), a_why(), utc_now())


async def test_a_renewal_is_checked_like_any_request(server: Server, node: int) -> None:
    ada = await a_person(server.database, Duty.ANALYST)
    made = await granted(server.database, utc_now(), node_ids=(node,))
    for why, field in ((a_why(reason=" "), "reason"), (a_why(expires_at=utc_now()), "expires_at")):
        with pytest.raises(InvalidRequest) as refused:
            await renew(server.database, ada, made, why, utc_now())
        assert refused.value.extra["field"] == field
