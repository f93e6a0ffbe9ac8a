"""A team of one decides on its own work, and everybody can see so for ever."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.access.duties import Duty
from tests.api.lives import Person, a_machine, a_person, asks_exception, asks_for_role, submits, version
from tests.baselines.people import an_entry
from tests.factories import Server, a_name
from tests.observations.stored import ask, tell

WHY_ALONE = {"reason": "known", "override_reason": "nobody else is there"}


@pytest.fixture
async def only(server: Server) -> AsyncIterator[Person]:
    """The only active approver, who is an analyst too."""
    others = "UPDATE operators SET disabled_at = now() WHERE 'approver' = ANY(duties) AND disabled_at IS NULL"
    await tell(server.database, others)
    yield await a_person(server, Duty.ANALYST, Duty.APPROVER)
    await tell(server.database, "UPDATE operators SET disabled_at = NULL")


async def test_the_only_approver_overrides_and_it_is_shown_everywhere(server: Server, only: Person) -> None:
    role = a_name("role")
    machine = await a_machine(server, role)
    await machine.shows(days_ago=1)
    submitted = await submits(only, role, an_entry(ports="4445"))
    await only.fails(403, f"{version(submitted)}/approve", {"reason": "known"})
    await only.does(f"{version(submitted)}/approve", WHY_ALONE)
    asked = await asks_exception(only, await machine.finding())
    await only.does(f"exceptions/{asked['exception_id']}/approve", WHY_ALONE)
    for_role = await asks_for_role(only, role, first_port=4446)
    await only.does(f"exceptions/{for_role['exception_id']}/reject", WHY_ALONE)

    reader = await a_person(server, Duty.VIEWER)
    of = {"kind": "baseline", "baseline_id": submitted["baseline_id"], "number": 1, "exception_id": None}
    first = {"kind": "exception", "baseline_id": None, "number": None, "exception_id": asked["exception_id"]}
    second = first | {"exception_id": for_role["exception_id"]}
    same = {"decided_by": only.name, "platform": "windows", "override_reason": "nobody else is there"}
    listed = await overrides(reader)
    assert [{name: each[name] for name in of} for each in listed] == [second, first, of]
    assert [each["decision"] for each in listed] == ["rejected", "approved", "approved"]
    assert [each["role"] for each in listed] == [role, None, role]
    assert all(each.items() >= same.items() for each in listed)
    assert (await reader.reads(version(submitted)))["override_reason"] == same["override_reason"]
    assert (await reader.reads(f"exceptions/{asked['exception_id']}"))["override_reason"] == same["override_reason"]
    told = "SELECT count(*) FROM audit_events WHERE line LIKE '%OVERRIDE by the only approver: nobody else is there%'"
    assert await ask(server.database, told) == [(3,)]


async def test_overrides_come_in_pages_and_only_of_the_roles_that_one_may_see(server: Server, only: Person) -> None:
    roles = [a_name("role") for _ in range(2)]
    for role in roles:
        await a_machine(server, role)
        await only.does(f"{version(await submits(only, role, an_entry()))}/approve", WHY_ALONE)
    everything = await overrides(only, limit=500)
    paged: list[dict[str, Any]] = []
    cursor = None
    while len(paged) <= len(everything):
        page = await only.reads("overrides", limit=1, **({"cursor": cursor} if cursor else {}))
        paged, cursor = paged + page["items"], page["next"]
        if cursor is None:
            break
    assert paged == everything
    ((role_id,),) = await ask(server.database, "SELECT role_id FROM roles WHERE name = :name", name=roles[0])
    limited = await a_person(server, Duty.VIEWER, roles=[role_id])
    assert [each["role"] for each in await overrides(limited)] == [roles[0]]


async def test_as_soon_as_there_is_another_nobody_overrides(server: Server, only: Person) -> None:
    role = a_name("role")
    machine = await a_machine(server, role)
    await machine.shows(days_ago=1)
    submitted = await submits(only, role, an_entry(ports="4445"))
    asked = await asks_exception(only, await machine.finding())
    before = await overrides(only, limit=500)
    other = await a_person(server, Duty.APPROVER)
    for path in (version(submitted), f"exceptions/{asked['exception_id']}"):
        refused = await only.fails(403, f"{path}/approve", WHY_ALONE)
        assert refused["field"] == "override_reason"
        assert other.name in refused["detail"]
    assert await overrides(only, limit=500) == before


async def overrides(by: Person, **params: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await by.reads("overrides", **params))["items"]
    return found
