"""Triage over the API: who may make what of a finding, what a closing demands, and that nothing is half done."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from app.access.actor import PORTBOOK
from app.access.duties import Duty
from app.clock import utc_now
from app.database import Database
from app.findings.changes import StateChange, change_states
from app.findings.models import Finding
from app.findings.states import State
from app.findings.store import lock_findings
from tests.factories import Server, a_name, a_token, an_operator
from tests.findings.found import CHECKS, a_finding, changes, decide, the
from tests.observations.stored import ask, tell

pytestmark = pytest.mark.usefixtures("quiet")
AUDIT = """
SELECT action, object_type, object_id, actor_name, line FROM audit_events WHERE action LIKE 'finding%' ORDER BY seq
"""


@pytest.fixture
async def quiet(database: Database) -> Database:
    await tell(database, "TRUNCATE fresh_sightings, tallies, node_tallies, findings, fleet_findings, images")
    return database


async def a_client(server: Server, *duties: Duty, roles: list[int] | None = None) -> tuple[str, dict[str, str]]:
    """An operator's name, and the headers of a token of theirs."""
    name = await an_operator(server.database, *duties, roles=roles)
    return name, {"Authorization": f"Bearer {await a_token(server.database, *duties, operator=name)}"}


async def post(server: Server, path: str, body: Mapping[str, Any], headers: Mapping[str, str] = {}) -> httpx.Response:
    return await server.api.post(f"/api/v1/{path}", json=body, headers=dict(headers))


async def test_a_finding_goes_its_way_and_each_step_says_who_when_and_why(server: Server) -> None:
    finding = await a_finding(server)
    for state in ("acknowledged", "investigating", "escalated", "remediated", "reopened", "false_positive"):
        answer = await decide(server, finding, state, reason=f"because\nof {state}", reference="INC-7")
        assert (answer.status_code, answer.json()["state"]) == (200, state)
    after = answer.json()
    assert (after["is_open"], after["closed_at"] is None) == (False, False)
    told = (await server.api.get(f"/api/v1/findings/{finding['finding_id']}/changes")).json()["items"]
    assert [each["to_state"] for each in told][-1] == "false_positive"
    assert told[0]["reason"] == "because\nof acknowledged"
    assert (told[-1]["checks"], told[-1]["reference"]) == (CHECKS, "INC-7")
    assert len({each["actor_name"] for each in told}) == 1
    assert [each["at"] for each in told] == sorted(each["at"] for each in told)


async def test_times_count_from_the_opening_and_anew_from_a_reopening(server: Server) -> None:
    finding = await a_finding(server)
    await tell(server.database, "UPDATE findings SET opened_at = opened_at - interval '1 hour'")
    await decide(server, finding, "acknowledged")
    await decide(server, finding, "remediated")
    after = await the(server, finding)
    assert 3_600 <= after["seconds_to_acknowledge"] <= after["seconds_to_close"] < 4_000
    await decide(server, finding, "reopened")
    assert (await the(server, finding))["seconds_to_acknowledge"] is None
    await decide(server, finding, "remediated")
    assert (await the(server, finding))["seconds_to_close"] < 1_000


async def test_no_person_excepts_withdraws_or_opens(server: Server) -> None:
    finding = await a_finding(server)
    for state in ("excepted", "withdrawn", "open"):
        answer = await decide(server, finding, state)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "state")
    assert await changes(server, finding) == []


async def test_what_is_closed_or_excepted_is_refused_with_its_state(server: Server) -> None:
    finding = await a_finding(server)
    await decide(server, finding, "remediated")
    for state, why in (("acknowledged", "closed as remediated; reopen it first"), ("remediated", "already")):
        answer = await decide(server, finding, state)
        assert (answer.status_code, answer.json()["state"]) == (409, "remediated")
        assert why in answer.json()["detail"]


def broken(**given: Any) -> dict[str, Any]:
    return {name: said for name, said in (CHECKS | given).items() if said is not None}


BAD_CHECKS: list[tuple[Any, str]] = [
    (None, "checks/process"),
    (broken(process=None), "checks/process"),
    (broken(user={"checked": False, "note": "no"}), "checks/user"),
    (broken(user={"checked": True}), "checks/user"),
    (broken(host={"unknown": "   "}), "checks/host/unknown"),
    (broken(host={"checked": True, "note": "\u200b"}), "checks/host/note"),
    (broken(destination={"checked": True, "note": "x", "unknown": "y"}), "checks/destination"),
    (broken(destination={"checked": True, "note": 7}), "checks/destination/note"),
    (broken(justification="because"), "checks/justification"),
    (broken(justification={"unknown": "x" * 4_001}), "checks/justification/unknown"),
    (broken(mood={"unknown": "x"}), "checks/mood"),
]


async def test_nothing_is_closed_until_all_is_checked_or_stated_unknown(server: Server) -> None:
    finding = await a_finding(server)
    for checks, pointer in BAD_CHECKS:
        answer = await decide(server, finding, "false_positive", checks=checks)
        assert answer.status_code == 422
        assert pointer in [each["pointer"] for each in answer.json()["errors"]]
    assert (await the(server, finding))["state"] == "open"
    answer = await decide(server, finding, "acknowledged", checks=CHECKS)
    assert [each["pointer"] for each in answer.json()["errors"]] == ["checks"]


async def test_a_reason_says_something_visible(server: Server) -> None:
    finding = await a_finding(server)
    path = f"findings/{finding['finding_id']}"
    for reason in ("", "   ", "\n\t ", "\u202e", "x" * 4_001, "a\0b"):
        answer = await decide(server, finding, "acknowledged", reason=reason)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "reason")
        answer = await post(server, f"{path}/comments", {"text": reason})
        assert (answer.status_code, answer.json()["field"]) == (422, "text")
    for body in ({"state": "done", "reason": "x"}, {"state": "acknowledged"}, {"state": "open", "mood": 1}, []):
        assert (await post(server, f"{path}/state", body)).status_code == 422  # type: ignore[arg-type]
    assert (await decide(server, finding, "acknowledged", reference="a\nb")).status_code == 422
    assert await changes(server, finding) == []


async def test_of_two_people_at_once_one_is_told_what_the_other_did(server: Server) -> None:
    finding = await a_finding(server)
    both = [await a_client(server, Duty.ANALYST) for _ in range(2)]
    body = {"state": "acknowledged", "reason": "mine", "seen_state": "open"}
    path = f"findings/{finding['finding_id']}/state"
    answers = await asyncio.gather(*(post(server, path, body, headers) for _, headers in both))
    assert sorted(each.status_code for each in answers) == [200, 409]
    [late] = [each.json() for each in answers if each.status_code == 409]
    assert (late["state"], late["detail"]) == ("acknowledged", "it is acknowledged by now")
    [(winner, *_)] = await changes(server, finding)
    assert winner in {name for name, _ in both}


async def test_an_expiry_in_the_middle_of_a_triage_is_seen(server: Server) -> None:
    """The exception ends while a person decides on what it covered: they wait for it, and learn the state now."""
    finding = await a_finding(server)
    await by_portbook(server, finding, State.EXCEPTED)
    async with server.database.writing() as session:
        [there] = await lock_findings(session, [Finding.finding_id == finding["finding_id"]])
        change = StateChange(there.finding_id, there.node_id, State.EXCEPTED, State.REOPENED, "the exception ended")
        await change_states(session, PORTBOOK, [change], utc_now())
        late = asyncio.create_task(decide(server, finding, "acknowledged", seen_state="excepted"))
        await wait_until_blocked(server)
    answer = await late
    assert (answer.status_code, answer.json()["state"]) == (409, "reopened")
    assert (await decide(server, finding, "acknowledged", seen_state="reopened")).status_code == 200


async def by_portbook(server: Server, finding: Mapping[str, Any], after: State) -> None:
    async with server.database.writing() as session:
        [there] = await lock_findings(session, [Finding.finding_id == finding["finding_id"]])
        change = StateChange(there.finding_id, there.node_id, State(there.state), after, "an exception")
        await change_states(session, PORTBOOK, [change], utc_now())


async def wait_until_blocked(server: Server) -> None:
    """Until somebody waits for their turn."""
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    async with asyncio.timeout(30):
        while await ask(server.database, waiting) == [(0,)]:  # noqa: ASYNC110 - PostgreSQL announces no lock
            await asyncio.sleep(0.01)


async def test_like_findings_are_closed_together_and_share_their_checks(server: Server) -> None:
    those = [await a_finding(server) for _ in range(3)]
    ids = [each["finding_id"] for each in those]
    body = {"finding_ids": ids, "state": "false_positive", "reason": "our tool", "checks": CHECKS, "seen_state": "open"}
    answer = await post(server, "findings/bulk/state", body)
    assert (answer.status_code, answer.json()["findings"]) == (200, 3)
    bulk = answer.json()["bulk_id"]
    rows = await ask(server.database, "SELECT finding_id::text, checks, reference FROM finding_changes ORDER BY 1")
    assert [row for row in rows if row[0] in ids] == [(each, CHECKS, f"finding_bulk {bulk}") for each in sorted(ids)]
    last = (await ask(server.database, AUDIT))[-1]
    assert last[:3] == ("finding_triaged", "finding_bulk", bulk)
    assert "false_positive, 3 findings: our tool" in last[4]


async def test_one_that_refuses_keeps_all_as_they_were_and_is_named(server: Server) -> None:
    those = [await a_finding(server) for _ in range(3)]
    ids = [each["finding_id"] for each in those]
    await decide(server, those[1], "remediated")
    before = len(await ask(server.database, AUDIT))
    body = {"finding_ids": ids, "state": "acknowledged", "reason": "x"}
    answer = await post(server, "findings/bulk/state", body)
    assert answer.status_code == 409
    [named] = answer.json()["errors"]
    assert (named["pointer"], named["finding_id"]) == ("finding_ids/1", ids[1])
    assert [(await the(server, each))["state"] for each in those] == ["open", "remediated", "open"]
    assert len(await ask(server.database, AUDIT)) == before
    gone = "00000000-0000-4000-8000-000000000000"
    answer = await post(server, "findings/bulk/state", body | {"finding_ids": [ids[0], gone]})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (404, "finding_ids/1")
    for wrong in ([], [ids[0]] * 2, [gone] * 501):
        assert (await post(server, "findings/bulk/state", body | {"finding_ids": wrong})).status_code == 422


async def test_two_who_triage_the_same_many_in_other_orders_follow_each_other(server: Server) -> None:
    ids = [(await a_finding(server))["finding_id"] for _ in range(4)]
    bodies = [
        {"finding_ids": order, "state": state, "reason": "x"}
        for order in (ids, ids[::-1])
        for state in ("acknowledged", "investigating", "escalated")
    ]
    answers = await asyncio.gather(*(post(server, "findings/bulk/state", body) for body in bodies))
    assert {each.status_code for each in answers} <= {200, 409}
    states = await ask(server.database, "SELECT DISTINCT state FROM findings")
    assert len(states) == 1


async def test_work_is_given_to_who_may_do_it(server: Server) -> None:
    finding = await a_finding(server)
    ada, _ = await a_client(server, Duty.ANALYST)
    path = f"findings/{finding['finding_id']}/assignee"
    answer = await post(server, path, {"assignee": ada})
    assert (answer.status_code, answer.json()["assignee"]) == (200, ada)
    assert [each["finding_id"] for each in await listed(server, assignee=ada)] == [finding["finding_id"]]
    assert finding["finding_id"] not in [each["finding_id"] for each in await listed(server, assignee="-")]
    assert (await post(server, path, {"assignee": ada})).status_code == 409
    viewer, _ = await a_client(server, Duty.VIEWER)
    other, _ = await a_client(server, Duty.ANALYST, roles=[9_999])
    gone, _ = await a_client(server, Duty.ANALYST)
    await tell(server.database, "UPDATE operators SET disabled_at = now() WHERE name = :n", n=gone)
    for name in (viewer, other, gone, "nobody"):
        answer = await post(server, path, {"assignee": name})
        assert (answer.status_code, answer.json()["field"]) == (422, "assignee")
    assert (await post(server, path, {"assignee": None, "reason": "she is away"})).json()["assignee"] is None
    told = (await server.api.get(f"/api/v1/findings/{finding['finding_id']}/changes")).json()["items"]
    assert [(each["kind"], each["assignee"]) for each in told] == [("assignment", ada), ("assignment", None)]
    await decide(server, finding, "remediated")
    assert (await post(server, path, {"assignee": ada})).status_code == 409


async def listed(server: Server, **params: Any) -> list[dict[str, Any]]:
    answer = await server.api.get("/api/v1/findings", params=params)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def test_comments_stay_with_the_finding_in_their_order(server: Server) -> None:
    finding = await a_finding(server)
    for text in ("asked the owner", "she says:\nit is ours", "<b>😀</b>"):
        answer = await post(server, f"findings/{finding['finding_id']}/comments", {"text": text})
        assert (answer.status_code, answer.json()["reason"]) == (201, text)
    path = f"/api/v1/findings/{finding['finding_id']}/changes"
    first = (await server.api.get(path, params={"limit": 2})).json()
    rest = (await server.api.get(path, params={"cursor": first["next"]})).json()
    assert [each["reason"] for each in (*first["items"], *rest["items"])][1] == "she says:\nit is ours"
    assert [len(first["items"]), len(rest["items"]), rest["next"]] == [2, 1, None]


async def test_lists_show_what_is_open_unless_other_states_are_asked_for(server: Server) -> None:
    those = [await a_finding(server) for _ in range(3)]
    await decide(server, those[0], "investigating")
    await decide(server, those[1], "remediated")
    assert len(await listed(server)) == len(await listed(server, is_open=True)) == 2
    assert len(await listed(server, state=["investigating", "remediated"])) == 2
    assert len(await listed(server, state=["investigating", "remediated"], is_open=False)) == 1
    assert [each["state"] for each in await listed(server, is_open=False)] == ["remediated"]


async def test_an_operator_of_some_roles_touches_no_other(server: Server) -> None:
    mine, theirs = await a_finding(server, role=a_name("role")), await a_finding(server, role=a_name("role"))
    [(role,)] = await ask(server.database, "SELECT role_id FROM roles WHERE name = :n", n=mine["role"])
    name, headers = await a_client(server, Duty.ANALYST, roles=[role])
    body: dict[str, Any] = {"state": "acknowledged", "reason": "x"}
    assert (await post(server, f"findings/{mine['finding_id']}/state", body, headers)).status_code == 200
    path = f"findings/{theirs['finding_id']}"
    assert (await post(server, f"{path}/state", body, headers)).status_code == 404
    assert (await post(server, f"{path}/comments", {"text": "x"}, headers)).status_code == 404
    assert (await post(server, f"{path}/assignee", {"assignee": name}, headers)).status_code == 404
    both = body | {"state": "investigating", "finding_ids": [mine["finding_id"], theirs["finding_id"]]}
    assert (await post(server, "findings/bulk/state", both, headers)).status_code == 404
    for rest in ("changes", "similar"):
        assert (await server.api.get(f"/api/v1/{path}/{rest}", headers=headers)).status_code == 404
    like = (await server.api.get(f"/api/v1/findings/{mine['finding_id']}/similar", headers=headers)).json()
    assert [each["total"] for each in like if each["likeness"] == "same_behaviour"] == [0]
    assert await changes(server, theirs) == []


async def test_who_may_only_read_changes_nothing_and_that_is_logged(server: Server) -> None:
    finding = await a_finding(server)
    for duty in (Duty.VIEWER, Duty.AUDITOR, Duty.APPROVER, Duty.ADMIN):
        _, headers = await a_client(server, duty)
        answer = await post(server, f"findings/{finding['finding_id']}/state", {"state": "acknowledged"}, headers)
        assert answer.status_code == 403
    assert (await the(server, finding))["state"] == "open"


async def test_each_deed_is_in_the_audit_log_with_the_hash_of_what_it_wrote(server: Server) -> None:
    finding = await a_finding(server)
    before = len(await ask(server.database, AUDIT))
    ada, headers = await a_client(server, Duty.ANALYST)
    path = f"findings/{finding['finding_id']}"
    await post(server, f"{path}/assignee", {"assignee": ada}, headers)
    await post(server, f"{path}/comments", {"text": "hm"}, headers)
    await post(server, f"{path}/state", {"state": "remediated", "reason": "gone", "checks": CHECKS}, headers)
    await post(server, f"{path}/state", {"state": "remediated", "reason": "gone", "checks": CHECKS}, headers)
    told = (await ask(server.database, AUDIT))[before:]
    assert [each[:4] for each in told] == [
        (f"finding_{what}", "finding", finding["finding_id"], ada) for what in ("assigned", "commented", "triaged")
    ]
    assert '"after_sha256":"' in told[2][4]
