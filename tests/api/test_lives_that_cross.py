"""Several people, an end and a judge at one finding at once; roles that change; what outranks what."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from app.access.actor import os_account
from app.access.duties import Duty
from app.analysis.retention import keep_days
from app.baselines.exceptions import calendar as ends
from app.baselines.exceptions.calendar import keep as keep_exceptions
from app.baselines.exceptions.models import RequestedException
from app.clock import utc_now
from app.findings.turns.store import hold_judging
from app.settings import Settings
from app.tuning.roles import rename_role
from tests.access.told import told
from tests.api.lives import (
    Machine,
    Person,
    a_machine,
    a_person,
    asks_exception,
    asks_for_role,
    judge,
    submits,
    version,
)
from tests.baselines.people import an_entry
from tests.factories import Server, a_name, a_secret, an_enrollment
from tests.findings.test_triage import wait_until_blocked
from tests.observations.stored import ask

FINE = {"reason": "fine"}
IN_HALF_A_YEAR = timedelta(days=181)


@pytest.fixture
async def ada(server: Server) -> Person:
    return await a_person(server, Duty.ANALYST)


@pytest.fixture
async def carl(server: Server) -> Person:
    return await a_person(server, Duty.APPROVER)


async def test_an_exception_is_approved_while_somebody_investigates(server: Server, ada: Person, carl: Person) -> None:
    """Whoever decides on the state that they saw learns that it is another now; the end gives the finding back."""
    machine = await a_machine(server, a_name("role"))
    await machine.shows(days_ago=1)
    found = await machine.finding()
    await ada.gives(found, "investigating")
    exception = await asks_exception(ada, found)
    await carl.does(f"exceptions/{exception['exception_id']}/approve", FINE)
    body = {"state": "escalated", "reason": "odd", "seen_state": "investigating"}
    late = await ada.fails(409, f"findings/{found['finding_id']}/state", body)
    assert late["state"] == "excepted"
    investigated = await ada.does(f"findings/{found['finding_id']}/investigations", {"queries": ["sockets_now"]})
    assert (await ada.reads(f"investigations/{investigated['investigation_id']}"))["state"] == "waiting"
    await keep_exceptions(server.database, utc_now() + IN_HALF_A_YEAR)
    assert (await machine.finding())["state"] == "reopened"
    assert (await ada.gives(found, "escalated", seen_state="reopened"))["state"] == "escalated"


async def test_an_exception_ends_while_somebody_decides(
    server: Server, ada: Person, carl: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = await a_machine(server, a_name("role"))
    await machine.shows(days_ago=1)
    found = await machine.finding()
    exception = await asks_exception(ada, found)
    await carl.does(f"exceptions/{exception['exception_id']}/approve", FINE)
    lets_go, deciding = ends.let_go, []

    async def slowly(session: Any, one: RequestedException, *given: Any) -> Any:
        became = await lets_go(session, one, *given)
        if str(one.exception_id) != exception["exception_id"]:
            return became
        body = {"state": "acknowledged", "reason": "mine", "seen_state": "excepted"}
        deciding.append(asyncio.create_task(ada.fails(409, f"findings/{found['finding_id']}/state", body)))
        await wait_until_blocked(server)
        return became

    monkeypatch.setattr(ends, "let_go", slowly)
    await keep_exceptions(server.database, utc_now() + IN_HALF_A_YEAR)
    assert [(await each)["state"] for each in deciding] == ["reopened"]


async def test_a_version_and_an_exception_approved_at_once_both_count(server: Server, ada: Person) -> None:
    """In whatever order: what the baseline expects is withdrawn, and no end of an exception opens it again."""
    role = a_name("role")
    machines = [await a_machine(server, role) for _ in range(3)]
    for each in machines:
        await each.shows(days_ago=1)
    submitted, exception = await submits(ada, role, an_entry()), await asks_for_role(ada, role)
    paths = [version(submitted)] * 2 + [f"exceptions/{exception['exception_id']}"] * 2
    people = [await a_person(server, Duty.APPROVER) for _ in paths]
    asked = zip(people, paths, strict=True)
    answers = await asyncio.gather(*(who.asks("POST", f"{path}/approve", FINE) for who, path in asked))
    assert sorted(each.status_code for each in answers[:2]) == [200, 409]
    assert sorted(each.status_code for each in answers[2:]) == [200, 409]
    assert [(await each.finding())["state"] for each in machines] == ["withdrawn"] * 3
    await keep_exceptions(server.database, utc_now() + IN_HALF_A_YEAR)
    assert [(await each.finding())["state"] for each in machines] == ["withdrawn"] * 3


async def test_an_approval_that_waits_for_the_judge_holds_up_nobody_else(
    server: Server, ada: Person, carl: Person
) -> None:
    """First the judge, then rows: else two who hold rows and wait for each other end with an error."""
    role = a_name("role")
    await a_machine(server, role)
    submitted = await submits(ada, role, an_entry())
    async with server.database.writing() as session:
        await hold_judging(session)
        approval = asyncio.create_task(carl.asks("POST", f"{version(submitted)}/approve", FINE))
        await wait_until_blocked(server)
        row = text("SELECT 1 FROM baselines WHERE baseline_id = :id FOR UPDATE NOWAIT")
        assert (await session.scalar(row, {"id": submitted["baseline_id"]})) == 1
    assert (await approval).status_code == 200


async def test_a_baseline_outranks_an_exception(server: Server, ada: Person, carl: Person) -> None:
    role = a_name("role")
    machine = await a_machine(server, role)
    await machine.shows(days_ago=2)
    exception = await asks_exception(ada, found := await machine.finding())
    await carl.does(f"exceptions/{exception['exception_id']}/approve", FINE)
    submitted = await submits(ada, role, an_entry())
    effect = await ada.reads(f"{version(submitted)}/effect")
    assert [(each["finding_id"], each["state"]) for each in effect["findings"]] == [(found["finding_id"], "excepted")]
    approved = await carl.does(f"{version(submitted)}/approve", FINE)
    assert approved["closed"]["total"] == 1
    assert (await carl.does(f"exceptions/{exception['exception_id']}/revoke", FINE))["reopened"] == 0
    await machine.shows(seconds=2)
    assert [each["state"] for each in await machine.findings()] == ["withdrawn"]


async def test_what_a_person_called_false_is_touched_by_neither(server: Server, ada: Person, carl: Person) -> None:
    role = a_name("role")
    machine = await a_machine(server, role)
    await machine.shows(days_ago=2)
    await ada.gives(await machine.finding(), "false_positive")
    exception = await asks_for_role(ada, role)
    approved = await carl.does(f"exceptions/{exception['exception_id']}/approve", FINE)
    assert approved["covered"]["findings"] == 0
    await machine.shows(days_ago=1)
    assert (await machine.finding())["state"] == "false_positive"
    approved = await carl.does(f"{version(await submits(ada, role, an_entry()))}/approve", FINE)
    assert approved["closed"]["total"] == 0
    await keep_exceptions(server.database, utc_now() + IN_HALF_A_YEAR)
    await machine.shows(seconds=2)
    assert [each["state"] for each in await machine.findings()] == ["false_positive"]


@pytest.mark.parametrize("became", ["excepted", "false_positive", "withdrawn"])
async def test_a_signature_that_comes_later_undoes_no_decision(
    server: Server, ada: Person, carl: Person, became: str
) -> None:
    role = a_name("role")
    machine = await a_machine(server, role)
    await machine.shows()
    found = await machine.finding()
    if became == "false_positive":
        await ada.gives(found, "false_positive")
    elif became == "excepted":
        await carl.does(f"exceptions/{(await asks_exception(ada, found))['exception_id']}/approve", FINE)
    else:
        await carl.does(f"{version(await submits(ada, role, an_entry()))}/approve", FINE)
    assert (await machine.finding())["state"] == became
    await machine.signed("revoked", "Evil Ltd")
    [still] = await machine.findings()
    assert (still["state"], still["finding_id"]) == (became, found["finding_id"])


async def test_a_role_renamed_in_the_middle_takes_all_along(server: Server, carl: Person) -> None:
    old, new = a_name("role"), a_name("role")
    machine = await a_machine(server, old)
    ((role_id,),) = await ask(server.database, "SELECT role_id FROM roles WHERE name = :name", name=old)
    limited = await a_person(server, Duty.ANALYST, roles=[role_id])
    tuned = {
        "scope": f"role.{old}.windows",
        "document": {"Severities": {"low": 11}},
        "reason": "x",
        "forced_reason": "x",
    }
    assert (await server.api.post("/api/v1/knobs/versions", json=tuned)).status_code == 201
    submitted, exception = await submits(limited, old, an_entry(ports="4445")), await asks_for_role(limited, old)
    await rename_role(server.database, old, new, os_account("root"), utc_now())
    await carl.does(f"{version(submitted)}/approve", FINE)
    assert (await carl.does(f"exceptions/{exception['exception_id']}/approve", FINE))["role"] == new
    await machine.shows(4444)
    await machine.shows(4445)
    await machine.shows(4447)
    states = {each["behaviour"]["port"]: (each["state"], each["role"]) for each in await machine.findings()}
    assert states == {"4444": ("excepted", new), "4447": ("open", new)}
    assert (await machine.finding(4447))["knobs_version"] > 0
    assert [each["role"] for each in await limited.reads("baselines")] == [new]
    assert [each["role"] for each in (await limited.reads("exceptions"))["items"]] == [new]
    assert len((await limited.reads("findings", is_open=True))["items"]) == 1
    asked = await limited.asks(
        "POST", "baselines/drafts", {"role": old, "platform": "windows", "reason": "x", "entries": []}
    )
    assert (asked.status_code, asked.json()["field"]) == (422, "role")


async def test_a_node_in_another_role_leaves_what_was_decided_for_the_old_one(
    server: Server, ada: Person, carl: Person
) -> None:
    old, new = a_name("role"), a_name("role")
    document = an_enrollment(await a_secret(server.database, role=old))
    machine = Machine(server, str((await server.say("enroll", document))["node_key"]))
    await machine.shows(days_ago=2)
    exception = await asks_for_role(ada, old)
    await carl.does(f"exceptions/{exception['exception_id']}/approve", FINE)
    await carl.does(f"{version(await submits(ada, old, an_entry(ports='4445')))}/approve", FINE)
    assert (await machine.finding())["state"] == "excepted"
    ((old_id,),) = await ask(server.database, "SELECT role_id FROM roles WHERE name = :name", name=old)
    of_old = await a_person(server, Duty.ANALYST, roles=[old_id])
    document["enroll_secret"] = await a_secret(server.database, role=new)
    moved = Machine(server, str((await server.say("enroll", document))["node_key"]))
    await moved.shows(4444)
    await moved.shows(4445)
    states = {each["behaviour"]["port"]: (each["state"], each["role"]) for each in await moved.findings()}
    assert states == {"4444": ("reopened", new), "4445": ("open", new)}
    found = await moved.finding()
    assert (await of_old.asks("GET", f"findings/{found['finding_id']}")).status_code == 404
    assert (await of_old.asks("GET", f"exceptions/{exception['exception_id']}")).status_code == 200
    covered = await of_old.reads(f"exceptions/{exception['exception_id']}/effect")
    assert covered["first"] == []


async def test_a_fleet_finding_is_decided_on_in_every_way(server: Server, ada: Person, carl: Person) -> None:
    role = a_name("role")
    machines = [await a_machine(server, role) for _ in range(6)]
    for each in machines:
        await each.shows(4460, days_ago=1, seconds=-60)
    [fleet] = await fleets(server, is_open=True)
    assert fleet["nodes"] == 6
    members = [(await each.finding(4460))["finding_id"] for each in machines]
    bulk = {"state": "acknowledged", "reason": "all alike", "finding_ids": members}
    assert (await ada.does("findings/bulk/state", bulk))["findings"] == 6
    exception = await asks_for_role(ada, role, first_port=4460)
    await carl.does(f"exceptions/{exception['exception_id']}/approve", FINE)
    assert [each["state"] for each in await fleets(server, is_open=False)] == ["excepted"]
    late = await a_machine(server, role)
    await late.shows(4460)
    assert (await late.finding(4460))["state"] == "excepted"
    assert await fleets(server, is_open=True) == []
    assert (await carl.does(f"exceptions/{exception['exception_id']}/revoke", FINE))["reopened"] == 7
    [again] = await fleets(server, is_open=True)
    assert (again["nodes"], again["fleet_finding_id"] != fleet["fleet_finding_id"]) == (6, True)
    alone = await late.finding(4460)
    assert (alone["state"], alone["fleet_finding_id"]) == ("reopened", None), "its peers showed it the day before"
    approved = await carl.does(f"{version(await submits(ada, role, an_entry(ports='4460')))}/approve", FINE)
    assert approved["closed"]["total"] == 7
    assert await fleets(server, is_open=True) == []
    newest = await a_machine(server, role)
    await newest.shows(4460, seconds=2)
    assert await newest.findings() == []
    stranger = await a_machine(server, a_name("role"))
    await stranger.shows(4460, seconds=2)
    assert (await stranger.finding(4460))["state"] == "open"


async def fleets(server: Server, *, is_open: bool) -> list[dict[str, Any]]:
    params: dict[str, Any] = {"is_open": is_open, "program": "odd.exe"}
    answer = await server.api.get("/api/v1/fleet-findings", params=params)
    assert answer.status_code == 200, answer.text
    return [each for each in answer.json()["items"] if each["behaviour"]["port"] == "4460"]


async def test_who_lost_the_duty_the_token_or_the_account_decides_nothing(server: Server, ada: Person) -> None:
    role = a_name("role")
    machine = await a_machine(server, role)
    await machine.shows(days_ago=1)
    submitted, exception = await submits(ada, role, an_entry()), await asks_for_role(ada, role)
    admin = await a_person(server, Duty.ADMIN)
    for how, status in (("duty", 403), ("token", 401), ("account", 401)):
        carl = await a_person(server, Duty.APPROVER)
        for path in (version(submitted), f"exceptions/{exception['exception_id']}"):
            await carl.reads(f"{path}/effect")
        await loses(admin, carl, how)
        for path in (version(submitted), f"exceptions/{exception['exception_id']}"):
            await carl.fails(status, f"{path}/approve", FINE)
    assert (await machine.finding())["state"] == "open"


async def loses(admin: Person, who: Person, how: str) -> None:
    """A duty, a token, or all."""
    if how == "duty":
        answer = await admin.asks("PATCH", f"operators/{who.name}", {"duties": ["viewer"]})
    elif how == "token":
        name = (await ask(admin.server.database, "SELECT name FROM api_tokens ORDER BY created_at DESC LIMIT 1"))[0][0]
        answer = await admin.asks("DELETE", f"tokens/{name}")
    else:
        answer = await admin.asks("POST", f"operators/{who.name}/disable")
    assert answer.is_success, answer.text


async def test_the_work_of_who_was_disabled_is_given_to_somebody_else(server: Server, ada: Person) -> None:
    machine = await a_machine(server, a_name("role"))
    await machine.shows(days_ago=1)
    found, bob = await machine.finding(), await a_person(server, Duty.ANALYST)
    await ada.does(f"findings/{found['finding_id']}/assignee", {"assignee": bob.name})
    await bob.gives(found, "investigating")
    exception = await asks_exception(bob, found)
    admin = await a_person(server, Duty.ADMIN)
    await loses(admin, bob, "account")
    assert (await machine.finding())["assignee"] == bob.name
    await ada.does(f"findings/{found['finding_id']}/assignee", {"assignee": ada.name})
    changed = (await ada.reads(f"findings/{found['finding_id']}/changes"))["items"]
    assert [each["actor_name"] for each in changed] == [ada.name, bob.name, ada.name]
    assert (await ada.reads(f"exceptions/{exception['exception_id']}"))["requested_by"] == bob.name
    carl = await a_person(server, Duty.APPROVER)
    assert (await carl.does(f"exceptions/{exception['exception_id']}/approve", FINE))["covered"]["findings"] == 1


async def test_what_was_decided_answers_when_its_days_are_dropped(
    server: Server, settings: Settings, ada: Person, carl: Person
) -> None:
    machine = await a_machine(server, a_name("role"))
    await machine.shows(days_ago=1)
    found = await machine.finding()
    asked = await ada.does(f"findings/{found['finding_id']}/investigations", {"queries": ["sockets_now"]})
    exception = await asks_exception(ada, found)
    await carl.does(f"exceptions/{exception['exception_id']}/approve", FINE)
    dropped = len(await told(server.database, "day_dropped"))
    await keep_days(server.database, settings, utc_now() + timedelta(days=25))
    assert len(await told(server.database, "day_dropped")) > dropped
    path = f"findings/{found['finding_id']}"
    assert (await ada.reads(path))["state"] == "excepted"
    assert await ada.reads(f"{path}/rows") == []
    assert len((await ada.reads(f"{path}/changes"))["items"]) == 1
    await ada.reads(f"{path}/similar")
    assert (await ada.reads(f"investigations/{asked['investigation_id']}"))["finding_id"] == found["finding_id"]
    assert (await ada.reads(f"exceptions/{exception['exception_id']}"))["findings"] == 1
    assert (await carl.does(f"exceptions/{exception['exception_id']}/revoke", FINE))["reopened"] == 1
    await judge(server)
    assert (await machine.finding())["state"] == "reopened"
