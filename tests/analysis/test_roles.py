"""A role that gets another name, and a node that gets another role, while they report and are judged."""

from typing import Any

import httpx
import pytest

from app.access.actor import os_account
from app.access.duties import Duty, permissions_of
from app.access.tokens import NewToken, add_token
from app.analysis.worker import analyse_some
from app.clock import utc_now
from app.detection.knobs import Knobs
from app.findings.again.store import EVERY_PROGRAM, judge_again
from app.tuning.roles import rename_role
from tests.analysis.test_worker import findings_of, say
from tests.factories import Server, a_name, a_node, a_secret, an_enrollment, an_operator
from tests.observations.stored import ask, node_of, tell

ADA = os_account("ada")
DEAF = {"Severities": {"low": 98, "medium": 99, "high": 100}}


@pytest.fixture
async def quiet(server: Server) -> Server:
    await tell(server.database, "TRUNCATE fresh_sightings, tallies, node_tallies, findings, fleet_findings, sightings")
    return server


async def judged(server: Server) -> None:
    while await analyse_some(server.database, Knobs()):
        pass


async def tune(server: Server, role: str, document: dict[str, Any]) -> int:
    body = {"scope": f"role.{role}.windows", "document": document, "reason": "why", "forced_reason": "now"}
    answer = await server.api.post("/api/v1/knobs/versions", json=body)
    assert answer.status_code == 201, answer.text
    return int(answer.json()["version"])


async def listed(server: Server, path: str, **params: Any) -> list[dict[str, Any]]:
    answer = await server.api.get(f"/api/v1/{path}", params=params)
    assert answer.status_code == 200, answer.text
    items = answer.json()["items"]
    assert isinstance(items, list)
    return items


async def test_a_role_is_renamed_while_its_nodes_report(quiet: Server) -> None:
    old, new = a_name("role"), a_name("role")
    secret = await a_secret(quiet.database, role=old)
    key = str((await quiet.say("enroll", an_enrollment(secret)))["node_key"])
    await tune(quiet, old, {"Severities": {"low": 10}})
    await say(quiet, key, 8088, days_ago=1)
    await judged(quiet)
    await say(quiet, key, 8089)  # waits in the queue while the name changes
    (moved,) = await rename_role(quiet.database, old, new, ADA, utc_now())
    await say(quiet, key, 8090)
    await judged(quiet)
    found = {each["behaviour"]["port"]: each for each in await findings_of(quiet, key)}
    assert {port: each["role"] for port, each in found.items()} == dict.fromkeys(("8088", "8089", "8090"), new)
    assert [found[port]["knobs_version"] >= moved.version for port in ("8089", "8090")] == [True, True]
    assert len(await listed(quiet, "findings", role=new, members=True)) == 3
    assert await listed(quiet, "findings", role=old, members=True) == []
    assert [each["role"] for each in await listed(quiet, "coverage", role=new)] == [new]
    drift = await quiet.api.get("/api/v1/drift", params={"role": new})
    assert len(drift.json()["new"]["items"]) == 3
    assert (await quiet.api.get("/api/v1/drift", params={"role": old})).status_code == 422
    again = str((await quiet.say("enroll", an_enrollment(secret)))["node_key"])
    nodes = {each["node_id"] for each in await listed(quiet, "nodes", role=new)}
    assert nodes == {await node_of(quiet.database, each) for each in (key, again)}


async def moved_node(server: Server, first: str, second: str, *ports: int, days_ago: int = 1) -> tuple[str, str]:
    """A node that showed ports in its first role, judged, and enrolled again in the second: its old and new key."""
    document = an_enrollment(await a_secret(server.database, role=first))
    key = str((await server.say("enroll", document))["node_key"])
    await say(server, key, *ports, days_ago=days_ago)
    await judged(server)
    document["enroll_secret"] = await a_secret(server.database, role=second)
    return key, str((await server.say("enroll", document))["node_key"])


async def test_a_node_in_another_role_is_judged_by_it_from_then_on(quiet: Server) -> None:
    first, second = a_name("role"), a_name("role")
    _, key = await moved_node(quiet, first, second, 8088)
    await tune(quiet, second, DEAF)
    await say(quiet, key, 9099)
    await judged(quiet)
    assert [each["behaviour"]["port"] for each in await findings_of(quiet, key)] == ["8088"], "9099 is none in its role"
    roles = await ask(
        quiet.database,
        "SELECT r.name FROM sightings s JOIN roles r USING (role_id) WHERE node_id = :node ORDER BY day",
        node=await node_of(quiet.database, key),
    )
    assert roles == [(first,), (second,)]


async def test_open_findings_are_listed_under_the_role_that_the_node_has_now(quiet: Server) -> None:
    first, second = a_name("role"), a_name("role")
    _, key = await moved_node(quiet, first, second, 8088)
    assert await listed(quiet, "findings", role=first, members=True) == []
    (finding,) = await listed(quiet, "findings", role=second, members=True)
    assert (finding["role"], finding["node_id"]) == (second, await node_of(quiet.database, key))


async def test_who_may_see_the_old_role_only_no_longer_sees_the_nodes_findings(quiet: Server) -> None:
    first, second = a_name("role"), a_name("role")
    await moved_node(quiet, first, second, 8088)
    for role, seen in ((first, 0), (second, 1)):
        async with await seer(quiet, role) as client:
            answer = await client.get("/api/v1/findings", params={"members": True})
            assert len(answer.json()["items"]) == seen


async def seer(server: Server, role: str) -> httpx.AsyncClient:
    """A viewer of the nodes of one role."""
    [(role_id,)] = await ask(server.database, "SELECT role_id FROM roles WHERE name = :name", name=role)
    name = await an_operator(server.database, Duty.VIEWER, roles=[role_id])
    wanted = NewToken(a_name("token"), permissions_of([Duty.VIEWER]), name)
    headers = {"Authorization": f"Bearer {await add_token(server.database, wanted, ADA, utc_now())}"}
    return httpx.AsyncClient(transport=server.api._transport, base_url=server.api.base_url, headers=headers)


async def test_judged_again_an_open_finding_takes_the_judgement_of_the_new_role(quiet: Server) -> None:
    first, second = a_name("role"), a_name("role")
    before = await tune(quiet, await existing(quiet, first), {"Weights": {"novelty": 40}})
    _, key = await moved_node(quiet, first, second, 8088, days_ago=0)
    (finding,) = await findings_of(quiet, key)
    assert finding["knobs_version"] == before
    after = await tune(quiet, second, {"Weights": {"novelty": 41}})
    node = await node_of(quiet.database, key)
    async with quiet.database.writing() as session:
        await judge_again(session, utc_now().date(), [(node, EVERY_PROGRAM)])
    await judged(quiet)
    (again,) = await findings_of(quiet, key)
    assert (again["finding_id"], again["knobs_version"]) == (finding["finding_id"], after)


async def test_seen_on_a_later_day_it_takes_a_lighter_judgement_of_the_new_role_too(quiet: Server) -> None:
    first, second = a_name("role"), a_name("role")
    heavy = await tune(quiet, await existing(quiet, first), {"Weights": {"user_writable": 60}})
    _, key = await moved_node(quiet, first, second, 8088)
    (finding,) = await findings_of(quiet, key)
    assert finding["knobs_version"] == heavy
    await say(quiet, key, 8088)
    await judged(quiet)
    (again,) = await findings_of(quiet, key)
    assert again["finding_id"] == finding["finding_id"]
    assert again["score"] < finding["score"]
    assert again["knobs_version"] != heavy


async def existing(server: Server, role: str) -> str:
    await a_node(server, role=role)
    return role
