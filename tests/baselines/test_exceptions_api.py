"""Exceptions over HTTP: who may, what is answered, what a wrong request is told."""

from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI

from app.access.duties import Duty
from app.clock import utc_now
from tests.baselines.excepting import (
    DAY,
    ODD_NORMALISED,
    WHY,
    asked,
    finding_of,
    granted,
    show,
    state_of_finding,
)
from tests.factories import Server, a_name, a_node, a_token, an_operator
from tests.observations.stored import ask, node_of, tell

PATH = "/api/v1/exceptions"
ASKED: dict[str, Any] = WHY | {
    "platform": "windows",
    "program": "odd.exe",
    "path": ODD_NORMALISED,
    "direction": "outbound",
    "transport": "tcp",
    "first_port": 4444,
}


@pytest.fixture
async def key(server: Server) -> str:
    key = await a_node(server)
    await show(server, key)
    return key


async def posted(client: httpx.AsyncClient, path: str, body: Any, status: int = 200) -> dict[str, Any]:
    answer = await client.post(f"{PATH}{path}", json=body)
    assert answer.status_code == status, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def got(server: Server, path: str = "", **params: Any) -> dict[str, Any]:
    answer = await server.api.get(f"{PATH}{path}", params=params)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def ids(server: Server, **params: Any) -> list[str]:
    return [each["exception_id"] for each in (await got(server, **params))["items"]]


async def test_from_a_finding_to_its_exception_and_back(server: Server, key: str) -> None:
    found = await finding_of(server, key)
    body = WHY | {"finding_id": str(found["finding_id"])}
    one = await posted(server.api, "/from-finding", body, 201)
    assert (one["state"], one["node_ids"], one["wide"], one["path"]) == (
        "pending", [found["node_id"]], [], ODD_NORMALISED
    )  # fmt: skip
    assert one["says"] == f"odd.exe ({ODD_NORMALISED}) connects out to tcp/4444 at public peers"
    path = f"/{one['exception_id']}"
    effect = await got(server, f"{path}/effect")
    assert (effect["findings"], effect["nodes"], effect["first"][0]["state"]) == (1, 1, "open")
    approved = await posted(server.approver, f"{path}/approve", {"reason": "known"})
    assert (approved["state"], approved["covered"]) == ("active", {k: effect[k] for k in ("findings", "first")})
    await show(server, key, days_ago=1)
    one = await got(server, path)
    assert (one["findings"], one["sightings"], one["last_seen_at"] is not None) == (1, 1, True)
    [listed] = (await got(server, f"{path}/findings"))["items"]
    assert (listed["finding_id"], listed["state"], listed["score"]) == (
        str(found["finding_id"]), "excepted", found["score"]
    )  # fmt: skip
    revoked = await posted(server.approver, f"{path}/revoke", {"reason": "gone"})
    assert (revoked["state"], revoked["reopened"], revoked["went_over"]) == ("revoked", 1, 0)
    assert await state_of_finding(server, key) == "reopened"


async def test_a_finding_that_is_no_use_of_a_port_is_no_ground(server: Server, key: str) -> None:
    found = await finding_of(server, key)
    change = """
        UPDATE findings SET behaviour_id = (SELECT behaviour_id FROM behaviours WHERE direction = 'service' LIMIT 1)
        WHERE finding_id = :id
    """
    columns = "behaviour_id, program_id, platform, path, name, unit, direction, transport, bucket, subjects"
    fact = "SELECT gen_random_uuid(), program_id, platform, path, name, unit, 'service', '', 'auto', subjects"
    await tell(server.database, f"INSERT INTO behaviours ({columns}) {fact} FROM behaviours LIMIT 1")
    await tell(server.database, "ALTER TABLE findings DISABLE TRIGGER USER")
    await tell(server.database, change, id=found["finding_id"])
    await tell(server.database, "ALTER TABLE findings ENABLE TRIGGER USER")
    problem = await posted(server.api, "/from-finding", WHY | {"finding_id": str(found["finding_id"])}, 422)
    assert problem["field"] == "direction"


async def test_who_asks_cannot_decide_and_who_decides_cannot_ask(server: Server, key: str) -> None:
    node = await node_of(server.database, key)
    made = await posted(server.api, "", ASKED | {"node_ids": [node]}, 201)
    for verb in ("approve", "reject", "revoke"):
        assert (await posted(server.api, f"/{made['exception_id']}/{verb}", {"reason": "x"}, 403))["error"]
    await posted(server.approver, "", ASKED | {"node_ids": [node]}, 403)
    problem = await posted(server.approver, f"/{made['exception_id']}/take-back", {"reason": "x"}, 403)
    assert problem["title"] == "Forbidden"
    taken = await posted(server.api, f"/{made['exception_id']}/take-back", {"reason": "a mistake"})
    assert (taken["state"], taken["reopened"]) == ("revoked", 0)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"first_port": 0}, "first_port"),
        ({"last_port": 70_000}, "last_port"),
        ({"reason": "   "}, "reason"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "9999-01-01T00:00:00+00:00"}, "expires_at"),
        ({"node_ids": None, "role": "nobody has it"}, "role"),
        ({"node_ids": [2**62]}, "node_ids"),
        ({"node_ids": [2**200, -(2**200)]}, "node_ids"),
        ({"expires_at": "9999-12-31T23:59:59-12:00"}, "expires_at"),
        ({"expires_at": "0001-01-01T00:00:00+12:00"}, "expires_at"),
        ({"node_ids": list(range(1, 102))}, "node_ids"),
        ({"finding_id": str(uuid4())}, "finding_id"),
        ({"path": "", "signer": ""}, "path"),
    ],
)
async def test_a_wrong_request_names_the_field_and_keeps_nothing(
    server: Server, key: str, change: dict[str, Any], field: str
) -> None:
    before = await ask(server.database, "SELECT count(*) FROM exceptions")
    body = ASKED | {"node_ids": [await node_of(server.database, key)]} | change
    problem = await posted(server.api, "", {k: v for k, v in body.items() if v is not None}, 422)
    assert problem["field"] == problem["errors"][0]["pointer"] == field
    assert await ask(server.database, "SELECT count(*) FROM exceptions") == before


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"risk": "none"}, "risk"),
        ({"expires_at": "2030-01-01T00:00:00"}, "expires_at"),
        ({"platform": "linux"}, "platform"),
        ({"node_ids": ["x"]}, "node_ids/0"),
        ({"wide": []}, "wide"),
        ({"reason": None}, "reason"),
    ],
)
async def test_what_is_no_request_at_all_names_the_field_too(
    server: Server, change: dict[str, Any], pointer: str
) -> None:
    problem = await posted(server.api, "", ASKED | {"role": "laptop"} | change, 422)
    assert [each["pointer"] for each in problem["errors"]] == [pointer]


async def test_what_was_decided_answers_conflict(server: Server, key: str) -> None:
    made = await granted(server.database, utc_now(), node_ids=(await node_of(server.database, key),))
    problem = await posted(server.approver, f"/{made}/approve", {"reason": "me too"}, 409)
    assert (problem["state"], problem["field"]) == ("active", "exception_id")
    for verb in ("approve", "reject", "revoke"):
        await posted(server.approver, f"/{uuid4()}/{verb}", {"reason": "x"}, 404)
    for path in ("", "/findings", "/effect"):
        assert (await server.api.get(f"{PATH}/{uuid4()}{path}")).status_code == 404


async def test_a_renewal_is_linked_and_pending(server: Server, key: str) -> None:
    made = await granted(server.database, utc_now(), node_ids=(await node_of(server.database, key),))
    later = await posted(server.api, f"/{made}/renew", WHY | {"reason": "the vendor is late"}, 201)
    assert (later["state"], later["renewal_of"], later["reason"]) == ("pending", str(made), "the vendor is late")
    effect = await got(server, f"/{later['exception_id']}/effect")
    assert (effect["findings"], effect["first"][0]["state"]) == (1, "excepted")


async def test_lists_are_filtered(server: Server) -> None:
    role = a_name("role")
    key = await a_node(server, role=role)
    node, now = await node_of(server.database, key), utc_now()
    soon = str(await granted(server.database, now, until=now + 10 * DAY, role=role))
    late = str(await granted(server.database, now, node_ids=(node,)))
    waiting = str(await asked(server.database, now, until=now + DAY, role=role))
    assert set(await ids(server, node=node)) == {soon, late, waiting}
    assert set(await ids(server, role=role)) == {soon, waiting}
    assert await ids(server, role=role, state="active") == [soon]
    assert await ids(server, node=node, state="pending") == [waiting]
    assert await ids(server, node=node, expiring_within_days=10, sort="expires_at") == [soon]
    assert await ids(server, node=node, expiring_within_days=9) == []
    assert await ids(server, node=node, program="other.exe") == []
    one = await got(server, f"/{waiting}")
    assert await ids(server, requested_by=one["requested_by"]) == [waiting]
    pages = await got(server, node=node, sort="expires_at", limit=2)
    following = await got(server, node=node, sort="expires_at", limit=2, cursor=pages["next"])
    seen = [each["exception_id"] for page in (pages, following) for each in page["items"]]
    assert seen == [waiting, soon, late]


async def test_who_sees_some_roles_sees_and_decides_on_theirs_only(server: Server) -> None:
    mine, other = a_name("role"), a_name("role")
    nodes = {role: await node_of(server.database, await a_node(server, role=role)) for role in (mine, other)}
    roles = dict(await ask(server.database, "SELECT name, role_id FROM roles"))
    now = utc_now()
    scopes: list[dict[str, Any]] = [{"role": other}, {"node_ids": (nodes[other],)}, {"node_ids": tuple(nodes.values())}]
    theirs = [await asked(server.database, now, **scope) for scope in scopes]
    own = [await asked(server.database, now, role=mine), await asked(server.database, now, node_ids=(nodes[mine],))]
    bob = await an_approver_of(server, roles[mine])
    async with limited(server.app, bob) as client:
        seen = {each["exception_id"] for each in (await client.get(PATH)).json()["items"]}
        assert seen == set(map(str, own))
        for each in theirs:
            assert (await client.get(f"{PATH}/{each}")).status_code == 404
            await posted(client, f"/{each}/approve", {"reason": "x"}, 404)
        await posted(client, f"/{own[0]}/approve", {"reason": "x"})


async def an_approver_of(server: Server, role_id: int) -> str:
    name = await an_operator(server.database, Duty.APPROVER, roles=[role_id])
    return await a_token(server.database, Duty.APPROVER, operator=name)


def limited(app: FastAPI, token: str) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {token}"}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="https://portbook.test", headers=headers)
