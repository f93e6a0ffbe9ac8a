"""One finding from its first row to its baseline, by several people, over HTTP."""

from datetime import timedelta
from typing import Any

from app.access.auditor.checking import verify_log
from app.access.duties import Duty
from app.baselines.exceptions.calendar import keep as keep_exceptions
from app.clock import utc_now
from tests.api.lives import Machine, Person, a_machine, a_person, asks_exception, submits, version
from tests.baselines.people import an_entry
from tests.factories import Server, a_name
from tests.findings.found import CHECKS


async def test_a_finding_lives_through_all_that_can_become_of_it(server: Server) -> None:
    server.app.state.agent_door.desk.refresh_seconds = 0.0
    ada, bob = await a_person(server, Duty.ANALYST, Duty.APPROVER), await a_person(server, Duty.ANALYST)
    carl, eve = await a_person(server, Duty.APPROVER), await a_person(server, Duty.AUDITOR)
    role = a_name("role")
    machine = await a_machine(server, role)
    await machine.shows(days_ago=2)
    found = await machine.finding()
    assert (found["state"], found["severity"]) == ("open", "high"), found["score"]

    await bob.gives(found, "acknowledged")
    await bob.does(f"findings/{found['finding_id']}/assignee", {"assignee": ada.name})
    assert (await machine.finding())["assignee"] == ada.name
    await investigated(ada, machine, found)

    exception = await excepted(ada, carl, machine, found)
    await machine.shows(days_ago=1)
    again = await machine.finding()
    assert (again["state"], again["days_seen"], again["finding_id"]) == ("excepted", 2, found["finding_id"])
    one = await eve.reads(f"exceptions/{exception['exception_id']}")
    assert (one["state"], one["findings"], one["sightings"]) == ("active", 1, 1)
    await keep_exceptions(server.database, utc_now() + timedelta(days=11))
    assert (await machine.finding())["state"] == "reopened"

    some = {name: CHECKS[name] for name in list(CHECKS)[:4]}
    body = {"state": "remediated", "reason": "removed", "checks": some}
    refused = await bob.fails(422, f"findings/{found['finding_id']}/state", body)
    assert [each["pointer"] for each in refused["errors"]] == ["checks/justification"]
    await bob.gives(found, "remediated")
    await machine.shows(seconds=2)
    back = await machine.finding()
    assert (back["state"], back["finding_id"], back["days_seen"]) == ("reopened", found["finding_id"], 3)

    approved = await baselined(ada, carl, role, found)
    gone = await machine.finding()
    assert (gone["state"], gone["finding_id"]) == ("withdrawn", found["finding_id"])
    of = {
        "finding": found["finding_id"],
        "exception": exception["exception_id"],
        "baseline": str(approved["baseline_id"]),
    }
    people = {"ada": ada, "bob": bob, "carl": carl}
    assert await told(eve, of, people) == [tuple(line.split()) for line in TOLD.strip().splitlines()]
    assert (await verify_log(server.database)).holds


async def investigated(by: Person, machine: Machine, found: dict[str, Any]) -> None:
    asked = await by.does(f"findings/{found['finding_id']}/investigations", {"queries": ["sockets_now"]})
    questions = (await machine.server.say("distributed/read", {"node_key": machine.key}))["queries"]
    rows = {each: [{"pid": "1234", "remote_port": "4444"}] for each in questions}
    said = {"node_key": machine.key, "queries": rows, "statuses": dict.fromkeys(rows, 0)}
    assert await machine.server.say("distributed/write", said) == {}
    filed = await by.reads(f"investigations/{asked['investigation_id']}")
    assert (filed["state"], [each["query"] for each in filed["answers"]]) == ("answered", ["sockets_now"])
    assert filed["answers"][0]["rows"] == [{"pid": "1234", "remote_port": "4444"}]


async def excepted(by: Person, other: Person, machine: Machine, found: dict[str, Any]) -> dict[str, Any]:
    until = (utc_now() + timedelta(days=10)).isoformat()
    asked = await asks_exception(by, found, expires_at=until)
    path = f"exceptions/{asked['exception_id']}"
    assert (await by.fails(403, f"{path}/approve", {"reason": "mine"}))["field"] == "decided_by"
    assert (await machine.finding())["state"] == "acknowledged"
    approved: dict[str, Any] = await other.does(f"{path}/approve", {"reason": "for ten days"})
    assert [each["finding_id"] for each in approved["covered"]["first"]] == [found["finding_id"]]
    return approved


async def baselined(by: Person, other: Person, role: str, found: dict[str, Any]) -> dict[str, Any]:
    submitted = await submits(by, role, an_entry())
    path = version(submitted)
    assert (await by.fails(403, f"{path}/approve", {"reason": "mine"}))["field"] == "decided_by"
    approved = await other.does(f"{path}/approve", {"reason": "known"})
    assert [each["finding_id"] for each in approved["closed"]["findings"]] == [found["finding_id"]]
    return submitted


#: Action, who, and how it ended, in this order.
TOLD = """
finding_triaged        bob       success
finding_assigned       bob       success
investigation_asked    ada       success
investigation_ended    portbook  success
exception_requested    ada       success
exception_decided      ada       denied
exception_approved     carl      success
exception_expired      portbook  success
finding_triaged        bob       success
baseline_drafted       ada       success
baseline_submitted     ada       success
request_denied         ada       denied
baseline_approved      carl      success
"""


async def told(eve: Person, objects: dict[str, str], people: dict[str, Person]) -> list[tuple[str, str, str]]:
    """Each step with who did it; one of a person also has their number, their token and the request."""
    events = []
    for of, one in objects.items():
        events += (await eve.reads("audit", object_type=of, object_id=one, limit=500))["items"]
    events.sort(key=lambda each: each["seq"])
    names = {person.name: known for known, person in people.items()}
    by_people = [each for each in events if each["actor_name"] in names]
    assert all(each["actor_id"] and each["auth_method"] == "token" and each["request_id"] for each in by_people)
    return [(each["action"], names.get(each["actor_name"], each["actor_name"]), each["outcome"]) for each in events]
