"""A draft out of history: what is regular and signed, with the counts; what is in force stays, nothing is approved."""

import asyncio
import json
from typing import Any

import pytest

from app.access.actor import Actor, AuthMethod
from app.access.duties import Duty
from app.baselines.proposals import proposing
from app.baselines.proposals.proposing import Wish, propose_draft
from app.baselines.proposals.steps import steps_of
from app.clock import utc_now
from app.database import Database
from app.detection.behaviour import Behaviour, Direction, Platform, Program, Transport
from tests.baselines.lived import Past, a_past, outbound
from tests.baselines.people import BASELINES, ODD, Shop, ok, refused, url
from tests.factories import Server, a_name, a_node, an_operator
from tests.observations.stored import ask, node_of, tell

DAYS = 20


async def ada(database: Database) -> Actor:
    name = await an_operator(database, Duty.ANALYST)
    [(operator_id,)] = await ask(database, "SELECT operator_id FROM operators WHERE name = :name", name=name)
    return Actor(name, AuthMethod.PASSWORD, operator_id)


async def a_month(server: Server, nodes: int = 40) -> tuple[Shop, Past]:
    shop = Shop(server, a_name("shop"))
    return shop, await a_past(server.database, shop.role, nodes, DAYS)


async def proposed(shop: Shop, **given: Any) -> dict[str, Any]:
    body = {"role": shop.role, "platform": "windows", "reason": "history", "days": DAYS} | given
    answer = await shop.server.api.post(f"{BASELINES}/proposals", json=body)
    assert answer.status_code == 201, answer.text
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [each["days"] for each in lines[:-1]] == list(range(body["days"] + 1))
    found: dict[str, Any] = lines[-1]["proposed"]
    return found


async def test_what_enough_nodes_showed_on_enough_days_is_proposed_and_says_why(server: Server) -> None:
    shop, past = await a_month(server)
    await past.shows(outbound("till.exe"), 20, 40)
    await past.shows(outbound("rare.exe"), 20, 2)
    await past.shows(outbound("short.exe"), 13, 40)
    await past.shows(outbound("unsigned.exe"), 20, 40, signer="")
    await past.shows(outbound("powershell.exe"), 20, 40)
    found = await proposed(shop, owner="shop")
    assert (found["proposed"], found["too_rare"], found["nodes"], found["enough_nodes"]) == (1, 2, 40, 3)
    assert {each["behaviour"].split()[0]: each["because"] for each in found["left_out"]} == {
        "unsigned.exe": "no node said who signed it",
        "powershell.exe": "it runs whatever script it is given",
    }
    whole = ok(await server.api.get(url(found["version"])))
    assert (whole["state"], whole["origin"], len(whole["whole"])) == ("draft", "proposal", 1)
    [entry] = whole["whole"]
    assert (entry["program"], entry["signer"], entry["owner"], entry["justification"]) == (
        "till.exe",
        "Till Ltd",
        "shop",
        "",
    )
    assert "Seen on 40 nodes (enough: 3), on 20 of 20 days (enough: 14), 800 node-days" in entry["why"]


async def test_a_twentieth_of_a_large_role_is_enough_and_nodes_may_take_turns(server: Server) -> None:
    shop, past = await a_month(server, nodes=100)
    await past.shows(outbound("all.exe"), 20, 100)
    await past.shows(outbound("few.exe"), 20, 4)
    turns = outbound("turns.exe")
    await past.shows(turns, 20, 100)
    by_turns = """
        DELETE FROM sightings WHERE behaviour_id = :id
          AND node_id % 50 <> (day - DATE '2000-01-01') % 50
    """
    await tell(server.database, by_turns, id=turns.behaviour_id)
    found = await proposed(shop, min_days=10)
    assert (found["enough_nodes"], found["too_rare"]) == (5, 1)
    whole = ok(await server.api.get(url(found["version"])))["whole"]
    assert {each["program"]: each["why"].split(" (")[0] for each in whole} == {
        "all.exe": "Seen on 100 nodes",
        "turns.exe": "Seen on 40 nodes",
    }


async def test_what_is_in_force_stays_and_is_not_proposed_again(server: Server) -> None:
    shop, past = await a_month(server)
    await past.shows(outbound("till.exe"), 20, 40)
    first = await proposed(shop, owner="shop", justification="the till")
    ok(await server.api.post(f"{url(first['version'])}/submit"))
    await shop.approve(first["version"])
    await past.shows(outbound("till.exe", "8443"), 20, 40)
    second = await proposed(shop)
    assert (second["kept"], second["proposed"]) == (1, 1)
    before = ok(await server.api.get(url(first["version"])))["whole"]
    after = ok(await server.api.get(url(second["version"])))["whole"]
    assert [(each["ports"], each["justification"]) for each in after] == [("443", "the till"), ("8443", "")]
    assert after[0] == before[0]


async def test_what_has_an_open_finding_is_flagged_and_peers_come_from_stored_rows(server: Server) -> None:
    shop, past = await a_month(server, nodes=5)
    key = await a_node(server, role=shop.role)
    await shop.shows_odd(key, remote_address="8.8.8.8")
    program = Program(Platform.WINDOWS, ODD, "odd.exe")
    odd = Behaviour(program, Direction.OUTBOUND, Transport.TCP, "4444")
    await past.shows(odd, 20, 5)
    stored = """
        UPDATE sightings s SET batch_id = o.batch_id, batch_day = o.batch_day, line_number = o.line_number,
          row_number = o.row_number, node_id = o.node_id
        FROM sightings o WHERE o.node_id = :node AND o.behaviour_id = :id AND s.behaviour_id = :id
          AND s.node_id = :other AND s.day < o.day
    """
    of = {"node": await node_of(server.database, key), "id": odd.behaviour_id, "other": past.nodes[0]}
    await tell(server.database, stored, **of)
    found = await proposed(shop)
    [entry] = ok(await server.api.get(url(found["version"])))["whole"]
    assert (found["flagged"], entry["peers"]) == (1, "public")
    assert entry["why"].endswith("All 1 rows looked at speak to public peers. Look first: 1 open finding on it.")


async def test_a_proposal_that_is_stopped_leaves_nothing_behind(server: Server) -> None:
    shop, past = await a_month(server)
    await past.shows(outbound("till.exe"), 20, 40)
    wish = Wish(shop.role, Platform.WINDOWS, "x", DAYS)
    steps = steps_of(server.database, await ada(server.database), wish, utc_now())
    assert await anext(steps) == (0, DAYS)
    await steps.aclose()
    role = "SELECT count(*) FROM baselines WHERE role_id = :role"
    assert await ask(server.database, role, role=past.role_id) == [(0,)]


async def test_a_proposal_tells_each_day(server: Server) -> None:
    shop, _ = await a_month(server)
    told: list[tuple[int, int]] = []
    wish = Wish(shop.role, Platform.WINDOWS, "x", days=3, min_days=1)
    made = await propose_draft(
        server.database, await ada(server.database), wish, utc_now(), lambda *each: told.append(each)
    )
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert (made.proposals, made.nodes) == ((), 0)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"role": "nobody"}, "role"),
        ({"reason": "  "}, "reason"),
        ({"days": 0}, "days"),
        ({"days": 5, "min_days": 6}, "min_days"),
        ({"owner": "\t"}, "owner"),
        ({"platform": "beos"}, "platform"),
    ],
)
async def test_a_wish_that_cannot_be_is_named(server: Server, given: dict[str, Any], field: str) -> None:
    shop, _ = await a_month(server, nodes=1)
    body = {"role": shop.role, "platform": "windows", "reason": "history"} | given
    refused(await server.api.post(f"{BASELINES}/proposals", json=body), 422, field)


async def test_more_entries_than_a_version_holds_are_refused_whole(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, past = await a_month(server)
    monkeypatch.setattr(proposing, "ENTRIES_MAX", 1)
    for port in ("443", "444"):
        await past.shows(outbound("till.exe", port), 20, 40)
    body = {"role": shop.role, "platform": "windows", "reason": "history", "days": DAYS}
    answer = await server.api.post(f"{BASELINES}/proposals", json=body)
    problem = json.loads(answer.text.splitlines()[-1])["problem"]
    assert (problem["status"], problem["field"]) == (422, "min_nodes")


async def test_two_proposals_at_once_are_two_drafts(server: Server) -> None:
    shop, past = await a_month(server)
    await past.shows(outbound("till.exe"), 20, 40)
    found = await asyncio.gather(proposed(shop), proposed(shop))
    assert sorted(each["version"]["number"] for each in found) == [1, 2]
