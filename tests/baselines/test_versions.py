"""The life of a version: drafted, submitted, decided on by somebody else, in force from a time, superseded."""

import asyncio
import json
from datetime import timedelta

from app.access.duties import Duty
from app.baselines.calendar import keep
from app.clock import utc_now
from tests.baselines.people import BASELINES, a_shop, an_entry, created, ok, refused, url
from tests.factories import Server, _client, a_token, an_operator
from tests.observations.stored import ask, node_of, tell


async def test_an_approval_withdraws_what_it_expects_and_says_so(server: Server) -> None:
    shop = await a_shop(server)
    key = await shop.node()
    await shop.shows_odd(key)
    await shop.shows_odd(key, 4445)
    version = await shop.submitted(an_entry())
    effect = ok(await server.api.get(f"{url(version)}/effect"))
    assert (effect["total"], [each["behaviour"]["port"] for each in effect["findings"]]) == (1, ["4444"])
    approved = await shop.approve(version)
    assert approved["closed"]["total"] == 1
    assert approved["version"]["state"] == "approved"
    assert await shop.states(key) == ["withdrawn", "open"]
    changes = "SELECT reference, reason FROM finding_changes WHERE node_id = :node"
    [(reference, reason)] = await ask(server.database, changes, node=await node_of(server.database, key))
    assert reference == f"baseline {version['baseline_id']} version 1"
    assert f"the baseline of {shop.role} on windows, version 1, expects it: the till speaks so" in reason


async def test_what_is_in_force_is_recorded_only_and_says_who_approved_it(server: Server) -> None:
    shop = await a_shop(server)
    await shop.approved(an_entry())
    key = await shop.node()
    await shop.shows_odd(key)
    await shop.shows_odd(key, 4445)
    assert await shop.states(key) == ["open"]


async def test_what_was_seen_before_the_approval_is_judged_as_it_was_then(server: Server) -> None:
    shop = await a_shop(server)
    await shop.approved(an_entry())
    key = await shop.node()
    await shop.shows_odd(key, days_ago=1)
    assert await shop.states(key) == ["open"]


async def test_a_version_for_later_takes_effect_when_its_time_has_come(server: Server) -> None:
    shop = await a_shop(server)
    key = await shop.node()
    await shop.shows_odd(key)
    later = utc_now() + timedelta(days=2)
    approved = await shop.approved(an_entry(), in_force_from=later.isoformat())
    assert approved["closed"] is None
    assert await keep(server.database, utc_now()) == 0
    assert await shop.states(key) == ["open"]
    assert await keep(server.database, later + timedelta(seconds=1)) == 1
    assert await shop.states(key) == ["withdrawn"]
    assert await keep(server.database, later + timedelta(days=1)) == 0


async def test_the_one_before_stays_in_force_until_then(server: Server) -> None:
    shop = await a_shop(server)
    first = await shop.approved(an_entry())
    later = (utc_now() + timedelta(days=2)).isoformat()
    second = await shop.approved(an_entry(ports="4445"), in_force_from=later)
    listed = ok(await server.api.get(f"{BASELINES}/{first['version']['baseline_id']}"))
    assert listed["in_force"]["number"] == 1
    assert [each["number"] for each in listed["waiting"]] == [2]
    assert listed["in_force"]["superseded_at"] == second["version"]["in_force_from"]
    sooner = await shop.submitted(an_entry(ports="4446"))
    refused(await server.approver.post(f"{url(sooner)}/approve", json={"reason": "now"}), 422, "in_force_from")


async def test_of_two_approvers_at_once_one_decides(server: Server) -> None:
    shop = await a_shop(server)
    version = await shop.submitted(an_entry())
    other = await a_token(server.database, Duty.APPROVER)
    async with _client(server.approver._transport, other) as second:
        answers = await asyncio.gather(
            *(each.post(f"{url(version)}/approve", json={"reason": "fine"}) for each in (server.approver, second))
        )
    assert sorted(each.status_code for each in answers) == [200, 409]
    slower = next(each for each in answers if each.status_code == 409)
    refused(slower, 409, "state", "somebody was faster")


async def test_an_approver_who_lost_the_duty_decides_nothing(server: Server) -> None:
    shop = await a_shop(server)
    version = await shop.submitted(an_entry())
    name = await an_operator(server.database, Duty.APPROVER)
    token = await a_token(server.database, Duty.APPROVER, operator=name)
    async with _client(server.approver._transport, token) as client:
        await tell(server.database, "UPDATE operators SET duties = '{viewer}' WHERE name = :name", name=name)
        answer = await client.post(f"{url(version)}/approve", json={"reason": "fine"})
    assert answer.status_code == 403
    assert ok(await server.api.get(url(version)))["state"] == "submitted"


async def test_nobody_decides_on_their_own_work_while_another_could(server: Server) -> None:
    shop = await a_shop(server)
    both = await a_token(server.database, Duty.ANALYST, Duty.APPROVER)
    async with _client(server.approver._transport, both) as one:
        body = {"role": shop.role, "platform": "windows", "reason": "mine", "entries": [an_entry()]}
        draft = created(await one.post(f"{BASELINES}/drafts", json=body))
        ok(await one.post(f"{url(draft)}/submit"))
        refused(await one.post(f"{url(draft)}/approve", json={"reason": "fine"}), 403, "decided_by")
        forced = {"reason": "fine", "override_reason": "holidays"}
        refused(await one.post(f"{url(draft)}/approve", json=forced), 403, "override_reason")
        refused(await one.post(f"{url(draft)}/reject", json={"reason": "no"}), 403, "decided_by")
    denied = "SELECT line FROM audit_events WHERE action = 'request_denied' AND object_id = :id ORDER BY seq"
    lines = [json.loads(line) for (line,) in await ask(server.database, denied, id=str(draft["baseline_id"]))]
    assert [each["outcome"] for each in lines] == ["denied"] * 3
    assert "another approver decides" in lines[0]["reason"]


async def test_an_editor_of_a_draft_does_not_approve_it_either(server: Server) -> None:
    shop = await a_shop(server)
    draft = await shop.draft(an_entry())
    both = await a_token(server.database, Duty.ANALYST, Duty.APPROVER)
    async with _client(server.approver._transport, both) as one:
        body = {"content_sha256": draft["content_sha256"], "entries": [an_entry(ports="4445")]}
        edited = ok(await one.put(f"{url(draft)}/entries", json=body))
        assert len(edited["editors"]) == 2
        ok(await server.api.post(f"{url(draft)}/submit"))
        refused(await one.post(f"{url(draft)}/approve", json={"reason": "fine"}), 403, "decided_by")
    refused(await server.api.put(f"{url(draft)}/entries", json=body), 409, "state")


async def test_two_editors_at_once_do_not_undo_each_other(server: Server) -> None:
    shop = await a_shop(server)
    draft = await shop.draft(an_entry())
    body = {"content_sha256": draft["content_sha256"], "entries": [an_entry(ports="4445")]}
    ok(await server.api.put(f"{url(draft)}/entries", json=body))
    refused(await server.api.put(f"{url(draft)}/entries", json=body), 409, "content_sha256")


async def test_a_version_that_would_undo_a_newer_one_is_not_approved(server: Server) -> None:
    shop = await a_shop(server)
    old = await shop.submitted(an_entry())
    await shop.approved(an_entry(ports="4445"))
    answer = await server.approver.post(f"{url(old)}/approve", json={"reason": "fine"})
    refused(answer, 409, "based_on", "draft anew")


async def test_entries_keep_their_name_and_date_over_versions(server: Server) -> None:
    shop = await a_shop(server)
    first = await shop.approved(an_entry())
    [before] = ok(await server.api.get(url(first["version"])))["whole"]
    second = await shop.draft(an_entry(owner="tills"), an_entry(ports="4445"))
    after = ok(await server.api.get(url(second)))["whole"]
    assert [each["entry"] == before["entry"] for each in after] == [True, False]
    assert after[0]["added_at"] == before["added_at"]
    diff = {"before": 1, "after": 2}
    found = ok(await server.api.get(f"{BASELINES}/{second['baseline_id']}/diff", params=diff))
    assert [each["kind"] for each in found] == ["changed", "added"]
    assert "owner shop floor becomes tills" in found[0]["words"]


async def test_a_rejected_version_says_why_and_changes_nothing(server: Server) -> None:
    shop = await a_shop(server)
    key = await shop.node()
    await shop.shows_odd(key)
    version = await shop.submitted(an_entry())
    rejected = ok(await server.approver.post(f"{url(version)}/reject", json={"reason": "no ticket"}))
    assert (rejected["state"], rejected["decision_reason"]) == ("rejected", "no ticket")
    assert await shop.states(key) == ["open"]


async def test_a_role_renamed_keeps_its_baseline(server: Server) -> None:
    shop = await a_shop(server)
    key = await shop.node()
    await shop.approved(an_entry())
    renamed = f"{shop.role}-renamed"
    await tell(server.database, "UPDATE roles SET name = :new WHERE name = :old", new=renamed, old=shop.role)
    await shop.shows_odd(key)
    assert await shop.states(key) == []
    [found] = ok(await server.api.get(BASELINES, params={"role": renamed}))
    assert found["in_force"]["number"] == 1


async def test_a_node_that_changes_role_is_judged_and_closed_by_its_new_one(server: Server) -> None:
    old, new = await a_shop(server), await a_shop(server)
    key = await old.node()
    await old.shows_odd(key)
    move = "UPDATE nodes SET role_id = (SELECT role_id FROM roles WHERE name = :name) WHERE node_id = :node"
    await tell(server.database, move, name=new.role, node=await node_of(server.database, key))
    assert (await old.approved(an_entry()))["closed"]["total"] == 0
    assert await old.states(key) == ["open"]
    assert (await new.approved(an_entry()))["closed"]["total"] == 1
    assert await old.states(key) == ["withdrawn"]


async def test_every_deed_is_in_the_audit_log_with_its_hashes(server: Server) -> None:
    shop = await a_shop(server)
    version = (await shop.approved(an_entry()))["version"]
    await server.api.get(f"{url(version)}/file")
    query = "SELECT line FROM audit_events WHERE object_type = 'baseline' AND object_id = :id ORDER BY seq"
    lines = [json.loads(line) for (line,) in await ask(server.database, query, id=str(version["baseline_id"]))]
    actions = ["baseline_drafted", "baseline_submitted", "baseline_approved", "baseline_exported"]
    assert [each["action"] for each in lines] == actions
    assert {each["object_version"] for each in lines} == {"1"}
    assert version["content_sha256"] in json.dumps(lines[2])


async def test_what_is_judged_again_is_judged_by_what_is_approved_by_now(server: Server) -> None:
    shop = await a_shop(server)
    key = await shop.node()
    await shop.shows_odd(key, days_ago=1)
    assert await shop.states(key) == ["open"]
    await shop.approved(an_entry(ports="4000-5000"))
    assert await shop.states(key) == ["withdrawn"]
    again = """
        INSERT INTO fresh_sightings
          (node_id, batch_id, day, batch_day, role_id, behaviour_ids, line_numbers, row_numbers, seen_at, again)
        SELECT node_id, batch_id, day, batch_day, role_id, ARRAY[behaviour_id], ARRAY[line_number], ARRAY[row_number],
               ARRAY[last_seen_at], true FROM findings WHERE node_id = :node
    """
    await tell(server.database, again, node=await node_of(server.database, key))
    await shop.judge()
    assert await shop.states(key) == ["withdrawn"]


async def test_what_a_later_version_drops_is_a_deviation_from_then_on(server: Server) -> None:
    shop = await a_shop(server)
    key = await shop.node()
    await shop.approved(an_entry(), an_entry(ports="4445"))
    await shop.shows_odd(key)
    assert await shop.states(key) == []
    await shop.approved(an_entry(ports="4445"))
    await shop.judge()
    assert await shop.states(key) == []
    other = await shop.node()
    await shop.shows_odd(other)
    assert await shop.states(other) == ["open"]


async def test_an_approval_takes_a_fleet_finding_with_it(server: Server) -> None:
    shop = await a_shop(server)
    for _ in range(6):
        await shop.shows_odd(await shop.node(), 4460)
    fleet = """
        SELECT f.state FROM fleet_findings f JOIN behaviours USING (behaviour_id)
        WHERE name = 'odd.exe' AND bucket = '4460'
    """
    assert await ask(server.database, fleet) == [("open",)]
    assert (await shop.approved(an_entry(ports="4460")))["closed"]["total"] == 6
    assert await ask(server.database, fleet) == [("withdrawn",)]


async def test_an_entry_that_was_taken_out_comes_back_under_its_name(server: Server) -> None:
    shop = await a_shop(server)
    first = (await shop.approved(an_entry(), an_entry(ports="4445")))["version"]
    gone = ok(await server.api.get(url(first)))["whole"][0]
    await shop.approved(an_entry(ports="4445"))
    third = await shop.draft(an_entry(entry=gone["entry"]), an_entry(ports="4445"))
    back = ok(await server.api.get(url(third)))["whole"][0]
    assert (back["entry"], back["added_at"]) == (gone["entry"], gone["added_at"])
