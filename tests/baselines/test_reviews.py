"""Reviews: due by the calendar or after an incident, done once; the verdict says of every entry whether it stays."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

from app.access.duties import Duty
from app.clock import utc_now
from tests.baselines.people import BASELINES, Shop, a_shop, an_entry, created, ok, refused, url
from tests.factories import Server, _client, a_token
from tests.observations.stored import tell

REVIEWS = "/api/v1/baseline-reviews"


async def reviews_of(shop: Shop, version: dict[str, Any], **params: Any) -> list[dict[str, Any]]:
    params |= {"baseline_id": version["baseline_id"]}
    found: list[dict[str, Any]] = ok(await shop.server.api.get(REVIEWS, params=params))["items"]
    return found


async def entries_of(shop: Shop, version: dict[str, Any]) -> list[str]:
    return [each["entry"] for each in ok(await shop.server.api.get(url(version)))["whole"]]


async def test_an_approval_plans_the_next_review_and_another_does_not_put_it_off(server: Server) -> None:
    shop = await a_shop(server)
    first = (await shop.approved(an_entry()))["version"]
    [due] = await reviews_of(shop, first, state="open")
    wanted = datetime.fromisoformat(first["in_force_from"]) + timedelta(days=90)
    assert (due["trigger"], due["state"], datetime.fromisoformat(due["due_at"])) == ("scheduled", "due", wanted)
    second = (await shop.approved(an_entry(ports="4445")))["version"]
    assert [each["due_at"] for each in await reviews_of(shop, second)] == [due["due_at"]]


async def test_a_review_that_nobody_does_is_overdue(server: Server) -> None:
    shop = await a_shop(server)
    version = (await shop.approved(an_entry()))["version"]
    body = {"trigger": "change", "reason": "new tills", "due_days": 0}
    opened = created(await server.api.post(f"{BASELINES}/{version['baseline_id']}/reviews", json=body))
    overdue = await reviews_of(shop, version, state="overdue")
    assert [(each["review_id"], each["state"]) for each in overdue] == [(opened["review_id"], "overdue")]
    listed = ok(await server.api.get(f"{BASELINES}/{version['baseline_id']}"))
    assert listed["next_review_due"] == opened["due_at"]


async def test_a_review_confirms_and_plans_the_next_by_the_interval(server: Server) -> None:
    shop = await a_shop(server)
    version = (await shop.approved(an_entry(), an_entry(ports="4445")))["version"]
    interval = f"{BASELINES}/{version['baseline_id']}/review-interval"
    ok(await server.approver.put(interval, json={"review_interval_days": 30}))
    [due] = await reviews_of(shop, version)
    done = ok(
        await server.api.post(f"{REVIEWS}/{due['review_id']}/done", json={"version": 1, "others_confirmed": True})
    )
    assert (done["outcome"], len(done["confirmed"]), done["state"]) == ("confirmed", 2, "done")
    [following] = await reviews_of(shop, version, state="open")
    later = datetime.fromisoformat(following["due_at"]) - datetime.fromisoformat(done["reviewed_at"])
    assert later == timedelta(days=30)
    again = await server.api.post(f"{REVIEWS}/{due['review_id']}/done", json={"version": 1, "others_confirmed": True})
    refused(again, 409, "review_id", "done already")


async def test_what_should_change_becomes_a_draft_that_somebody_else_approves(server: Server) -> None:
    shop = await a_shop(server)
    version = (await shop.approved(an_entry(), an_entry(ports="4445")))["version"]
    keep, remove = await entries_of(shop, version)
    body = {"trigger": "incident", "reason": "odd.exe was a backdoor", "reference": "INC-7"}
    opened = created(await server.api.post(f"{BASELINES}/{version['baseline_id']}/reviews", json=body))
    verdict = {"version": 1, "confirmed": [keep], "remove": [remove], "add": [an_entry(ports="4446")]}
    done = ok(await server.api.post(f"{REVIEWS}/{opened['review_id']}/done", json=verdict))
    assert (done["outcome"], done["removed"], done["draft"]) == ("changes_proposed", [remove], 2)
    draft = ok(await server.api.get(f"{BASELINES}/{version['baseline_id']}/versions/2"))
    assert (draft["state"], draft["origin"], draft["reference"]) == (
        "draft",
        "incident",
        f"review {opened['review_id']}",
    )
    assert [each["ports"] for each in draft["whole"]] == ["4444", "4446"]
    assert done["added"] == [draft["whole"][1]["entry"]]
    assert ok(await server.api.get(url(version)))["superseded_at"] is None


async def test_a_verdict_speaks_of_every_entry_of_the_version_in_force(server: Server) -> None:
    shop = await a_shop(server)
    version = (await shop.approved(an_entry(), an_entry(ports="4445")))["version"]
    one, _ = await entries_of(shop, version)
    [due] = await reviews_of(shop, version)
    path = f"{REVIEWS}/{due['review_id']}/done"
    refused(
        await server.api.post(path, json={"version": 1, "confirmed": [one]}), 422, "confirmed", "1 entry is neither"
    )
    both = {"version": 1, "confirmed": [one], "remove": [one], "others_confirmed": True}
    refused(await server.api.post(path, json=both), 422, "remove")
    stranger = {"version": 1, "remove": ["00000000-0000-0000-0000-000000000009"], "others_confirmed": True}
    refused(await server.api.post(path, json=stranger), 422, "remove", "has no entry")
    refused(await server.api.post(path, json={"version": 2, "others_confirmed": True}), 409, "version")
    refused(await server.api.post(path, json={"version": 1, "others_confirmed": True, "notes": "\n"}), 422, "notes")
    bad = {"version": 1, "others_confirmed": True, "add": [an_entry(ports="4440-4450")]}
    refused(await server.api.post(path, json=bad), 422, "add/0/ports", "overlaps")
    assert [each["state"] for each in await reviews_of(shop, version)] == ["due"]


async def test_who_wrote_a_version_alone_may_review_it_and_that_is_said(server: Server) -> None:
    shop = await a_shop(server)
    version = (await shop.approved(an_entry()))["version"]
    [due] = await reviews_of(shop, version)
    body = {"version": 1, "others_confirmed": True}
    assert ok(await server.api.post(f"{REVIEWS}/{due['review_id']}/done", json=body))["sod_ok"] is False
    other = await a_token(server.database, Duty.REVIEWER)
    [due] = await reviews_of(shop, version, state="open")
    async with _client(server.approver._transport, other) as client:
        assert ok(await client.post(f"{REVIEWS}/{due['review_id']}/done", json=body))["sod_ok"] is True


async def test_of_two_reviewers_at_once_one_does_it(server: Server) -> None:
    shop = await a_shop(server)
    version = (await shop.approved(an_entry()))["version"]
    [due] = await reviews_of(shop, version)
    body = {"version": 1, "others_confirmed": True}
    answers = await asyncio.gather(
        *(server.api.post(f"{REVIEWS}/{due['review_id']}/done", json=body) for _ in range(2))
    )
    assert sorted(each.status_code for each in answers) == [200, 409]


async def test_nothing_is_reviewed_before_something_was_approved(server: Server) -> None:
    draft = await (await a_shop(server)).draft(an_entry())
    body = {"trigger": "incident", "reason": "x"}
    assert (await server.api.post(f"{BASELINES}/{draft['baseline_id']}/reviews", json=body)).status_code == 409
    refused(
        await server.api.post(f"{BASELINES}/{draft['baseline_id']}/reviews", json=body | {"reason": " "}), 422, "reason"
    )


async def test_entries_that_nobody_shows_any_more_are_named(server: Server) -> None:
    shop = await a_shop(server)
    key = await shop.node()
    await shop.shows_odd(key, 4444)
    await shop.shows_odd(key, 4445)
    version = (await shop.approved(an_entry(), an_entry(ports="4445"), an_entry(ports="4446")))["version"]
    old = """
        UPDATE tallies SET day = day - 40, first_day = first_day - 40
        WHERE subject IN (SELECT behaviour_id FROM behaviours WHERE name = 'odd.exe' AND bucket = '4445')
    """
    await tell(server.database, old)
    path = f"{BASELINES}/{version['baseline_id']}/unused"
    found = ok(await server.api.get(path))
    long_ago = (utc_now().date() - timedelta(days=40)).isoformat()
    assert [(each["entry"]["ports"], each["last_shown"]) for each in found["items"]] == [
        ("4446", None),
        ("4445", long_ago),
    ]
    assert [each["entry"]["ports"] for each in ok(await server.api.get(path, params={"days": 60}))["items"]] == ["4446"]
