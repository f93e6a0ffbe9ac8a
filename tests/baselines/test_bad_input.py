"""What cannot be taken is answered with the field that is wrong, and nothing is changed."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from app.access.duties import Duty
from app.clock import utc_now
from tests.baselines.people import BASELINES, ODD, Shop, a_shop, an_entry, ok, refused, url
from tests.factories import Server, _client, a_token, an_operator
from tests.observations.stored import ask, tell

FILE = f"""\
role: {{role}}
platform: windows
entries:
- program: odd.exe
  path: {ODD}
  direction: outbound
  transport: tcp
  ports: "4444"
  justification: the till
  owner: shop
"""


async def versions(server: Server) -> list[tuple[Any, ...]]:
    query = "SELECT baseline_id, number, state, content_sha256, superseded_at FROM baseline_versions ORDER BY 1, 2"
    return await ask(server.database, query)


@pytest.mark.parametrize(
    ("entries", "field", "says"),
    [
        ([an_entry(ports="0")], "entries/0/ports", "0 is no port"),
        ([an_entry(ports="70000")], "entries/0/ports", "70000 is no port"),
        ([an_entry(ports="20-10")], "entries/0/ports", "10 lies before 20"),
        ([an_entry(ports="any")], "entries/0/ports", ""),
        ([an_entry(ports="50000")], "entries/0/ports", "seen as one"),
        ([an_entry(ports="4000-4100"), an_entry(ports="4050-4060")], "entries/1/ports", "overlaps odd.exe"),
        ([an_entry(justification="   ")], "entries/0/justification", "one visible line"),
        ([an_entry(path="", signer="")], "entries/0/path", "a name alone proves nothing"),
        ([an_entry(path="C:\\Tills\\Odd.exe")], "entries/0/path", "not as Portbook writes paths"),
        ([an_entry(program="")], "entries/0/program", ""),
        ([an_entry(direction="listening", peers="public")], "entries/0/peers", "only connections out"),
        ([an_entry(peers="nearby")], "entries/0/peers", ""),
        ([an_entry(entry="00000000-0000-0000-0000-000000000009")], "entries/0/entry", "has no entry"),
        ([an_entry(colour="red")], "entries/0/colour", ""),
    ],
)
async def test_entries_that_cannot_be_are_named(
    server: Server, entries: list[dict[str, Any]], field: str, says: str
) -> None:
    shop, before = await a_shop(server), await versions(server)
    body = {"role": shop.role, "platform": "windows", "reason": "x", "entries": entries}
    refused(await server.api.post(f"{BASELINES}/drafts", json=body), 422, field, says)
    assert await versions(server) == before


async def test_a_fault_is_told_once(server: Server) -> None:
    shop = await a_shop(server)
    body = {"role": shop.role, "platform": "windows", "reason": "x", "entries": [an_entry(ports="70000")]}
    problem = refused(await server.api.post(f"{BASELINES}/drafts", json=body), 422, "entries/0/ports")
    assert problem["errors"] == [{"pointer": "entries/0/ports", "detail": "70000 is no port: 1 to 65535"}]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"role": "nobody has it"}, "role"),
        ({"reason": "   "}, "reason"),
        ({"reason": "two\nlines"}, "reason"),
        ({"reason": ""}, "reason"),
        ({"platform": "linux"}, "platform"),
        ({"reference": "\t"}, "reference"),
    ],
)
async def test_drafts_that_cannot_be_are_named(server: Server, given: dict[str, Any], field: str) -> None:
    shop, before = await a_shop(server), await versions(server)
    body = {"role": shop.role, "platform": "windows", "reason": "x", "entries": [an_entry()]} | given
    refused(await server.api.post(f"{BASELINES}/drafts", json=body), 422, field)
    assert await versions(server) == before


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"reason": "  "}, "reason"),
        ({"in_force_from": (utc_now() - timedelta(hours=1)).isoformat()}, "in_force_from"),
        ({"in_force_from": (utc_now() + timedelta(days=4000)).isoformat()}, "in_force_from"),
        ({"in_force_from": "2026-12-01T00:00:00"}, "in_force_from"),
    ],
)
async def test_decisions_that_cannot_be_are_named(server: Server, given: dict[str, Any], field: str) -> None:
    version = await (await a_shop(server)).submitted(an_entry())
    refused(await server.approver.post(f"{url(version)}/approve", json={"reason": "fine"} | given), 422, field)
    assert ok(await server.api.get(url(version)))["state"] == "submitted"


async def test_an_override_needs_the_need(server: Server) -> None:
    version = await (await a_shop(server)).submitted(an_entry())
    body = {"reason": "fine", "override_reason": "because"}
    others = "UPDATE operators SET disabled_at = now() WHERE 'approver' = ANY(duties) AND name <> :me"
    me = (await ask(server.database, "SELECT max(name) FROM operators WHERE duties = '{approver}'"))[0][0]
    assert await ask(server.database, "SELECT count(*) > 0 FROM operators WHERE name = :me", me=me) == [(True,)]
    token = await a_token(server.database, Duty.APPROVER)
    only = (await ask(server.database, "SELECT name FROM operators ORDER BY operator_id DESC LIMIT 1"))[0][0]
    await tell(server.database, others, me=only)
    async with _client(server.approver._transport, token) as client:
        answer = await client.post(f"{url(version)}/approve", json=body)
    await tell(server.database, "UPDATE operators SET disabled_at = NULL")
    refused(answer, 422, "override_reason", "nothing to override")


async def test_a_draft_without_justification_is_not_submitted(server: Server) -> None:
    draft = await (await a_shop(server)).draft(an_entry(justification="", owner=""))
    problem = refused(await server.api.post(f"{url(draft)}/submit"), 422, "entries/0/justification")
    assert [each["pointer"] for each in problem["errors"]] == ["entries/0/justification", "entries/0/owner"]
    assert ok(await server.api.get(url(draft)))["state"] == "draft"


async def test_what_is_not_there_is_not_found(server: Server) -> None:
    version = await (await a_shop(server)).draft(an_entry())
    for path in ("/99999", f"/{version['baseline_id']}/versions/9", f"/{version['baseline_id']}/diff?before=1&after=9"):
        assert (await server.api.get(f"{BASELINES}{path}")).status_code == 404
    assert (await server.api.get(f"{BASELINES}/{2**70}")).status_code == 422


async def test_a_draft_is_not_decided_on(server: Server) -> None:
    version = await (await a_shop(server)).draft(an_entry())
    refused(await server.approver.post(f"{url(version)}/approve", json={"reason": "fine"}), 409, "state")
    refused(await server.approver.post(f"{url(version)}/reject", json={"reason": "fine"}), 409, "state")


async def post_file(shop: Shop, text: str, **params: Any) -> Any:
    return await shop.server.api.post(f"{BASELINES}/files", params=params, content=text.encode())


async def test_a_file_only_proposes(server: Server) -> None:
    shop = await a_shop(server)
    dry = ok(await post_file(shop, FILE.format(role=shop.role), dry_run=True))
    assert ([each["kind"] for each in dry["differences"]], dry["draft"]) == (["added"], None)
    made = ok(await post_file(shop, FILE.format(role=shop.role), reason="from git", reference="abc123"))
    assert (made["draft"]["state"], made["draft"]["origin"]) == ("draft", "file")
    ok(await server.api.post(f"{url(made['draft'])}/submit"))
    await shop.approve(made["draft"])
    exported = await server.api.get(f"{url(made['draft'])}/file")
    same = ok(await post_file(shop, exported.text, reason="again"))
    assert (same["differences"], same["draft"], same["compared_with"]) == ([], None, 1)


@pytest.mark.parametrize(
    ("old", "new", "line", "field"),
    [
        ("role: ", "role: &a ", 1, "file"),
        ("4444", "70000", 4, "entries/0/ports"),
        ("owner: shop", "owner: ' '", 4, "entries/0/owner"),
        ("tcp", "icmp", 7, "entries/0/transport"),
    ],
)
async def test_a_file_that_cannot_be_is_answered_with_its_lines(
    server: Server, old: str, new: str, line: int, field: str
) -> None:
    shop, before = await a_shop(server), await versions(server)
    text = FILE.format(role=shop.role).replace(old, new, 1)
    problem = refused(await post_file(shop, text, reason="x"), 422, field)
    assert problem["errors"][0]["line"] == line
    assert await versions(server) == before


async def test_a_file_for_an_unknown_role_or_without_a_reason_is_refused(server: Server) -> None:
    shop = await a_shop(server)
    refused(await post_file(shop, FILE.format(role="nobody"), reason="x"), 422, "role", "known:")
    refused(await post_file(shop, FILE.format(role=shop.role)), 422, "reason")


async def test_an_operator_of_some_roles_sees_and_drafts_for_those_only(server: Server) -> None:
    mine, other = await a_shop(server), await a_shop(server)
    theirs = (await other.approved(an_entry()))["version"]
    [(role_id,)] = await ask(server.database, "SELECT role_id FROM roles WHERE name = :name", name=mine.role)
    name = await an_operator(server.database, Duty.ANALYST, roles=[role_id])
    token = await a_token(server.database, Duty.ANALYST, operator=name)
    async with _client(server.approver._transport, token) as client:
        assert ok(await client.get(BASELINES)) == []
        assert (await client.get(url(theirs))).status_code == 404
        assert (await client.get(f"{url(theirs)}/file")).status_code == 404
        assert ok(await client.get("/api/v1/baseline-reviews"))["items"] == []
        body = {"role": other.role, "platform": "windows", "reason": "x", "entries": [an_entry()]}
        refused(await client.post(f"{BASELINES}/drafts", json=body), 422, "role")
        assert (await client.post(f"{BASELINES}/drafts", json=body | {"role": mine.role})).status_code == 201


async def test_drafts_at_once_have_numbers_of_their_own(server: Server) -> None:
    shop = await a_shop(server)
    made = await asyncio.gather(*(shop.draft(an_entry(ports=str(port))) for port in range(4000, 4006)))
    assert sorted(each["number"] for each in made) == [1, 2, 3, 4, 5, 6]
