"""More like this, and how long findings waited."""

from typing import Any

import pytest

from app.database import Database
from tests.factories import Server, a_name, a_node
from tests.findings.found import DAY, a_finding, decide, found, show
from tests.observations.stored import tell

pytestmark = pytest.mark.usefixtures("quiet")


@pytest.fixture
async def quiet(database: Database) -> Database:
    await tell(database, "TRUNCATE fresh_sightings, tallies, node_tallies, findings, fleet_findings, images")
    await tell(database, "ALTER TABLE finding_changes DISABLE TRIGGER USER")
    await tell(database, "TRUNCATE finding_changes")
    await tell(database, "ALTER TABLE finding_changes ENABLE TRIGGER USER")
    return database


async def similar(server: Server, finding: dict[str, Any], **params: Any) -> dict[str, tuple[int, set[str]]]:
    """Likeness → how many, and which are shown."""
    answer = await server.api.get(f"/api/v1/findings/{finding['finding_id']}/similar", params=params)
    assert answer.status_code == 200, answer.text
    return {
        each["likeness"]: (each["total"], {one["finding_id"] for one in each["findings"]}) for each in answer.json()
    }


async def shown(server: Server, key: str, *args: Any, **given: Any) -> dict[str, Any]:
    await show(server, key, *args, seconds_ago=DAY, **given)
    return (await found(server, key))[-1]


async def test_findings_are_alike_in_behaviour_program_port_or_signer(server: Server) -> None:
    keys = [await a_node(server) for _ in range(4)]
    one = await shown(server, keys[0], 4444, signed="Odd Ltd")
    same = await shown(server, keys[1], 4444)
    program = await shown(server, keys[1], 4445)
    port = await shown(server, keys[2], 4444, program="even.exe")
    signer = await shown(server, keys[3], 4449, program="both.exe", signed="Odd Ltd")
    ids = {name: each["finding_id"] for name, each in
           {"same": same, "program": program, "port": port, "signer": signer}.items()}  # fmt: skip
    alike = await similar(server, one)
    assert {each: there & set(ids.values()) for each, (_, there) in alike.items()} == {
        "same_behaviour": {ids["same"]},
        "same_program": {ids["program"]},
        "same_port": {ids["port"]},
        "same_signer": {ids["signer"]},
    }
    assert all(total == len(there) for total, there in alike.values())
    assert "same_signer" not in await similar(server, same)
    assert await similar(server, one, likeness="same_port", limit=0) == {"same_port": (1, set())}
    await decide(server, same, "remediated")
    assert (await similar(server, one))["same_behaviour"] == (0, set())


async def times(server: Server, **params: Any) -> dict[tuple[str | None, str | None], dict[str, Any]]:
    answer = await server.api.get("/api/v1/triage/times", params=params)
    assert answer.status_code == 200, answer.text
    return {(each["severity"], each["role"]): each for each in answer.json()["items"]}


async def test_times_are_medians_with_the_number_of_findings_they_rest_on(server: Server) -> None:
    role = a_name("role")
    those = [await a_finding(server, role=role) for _ in range(4)]
    for hours, each in enumerate(those, 1):
        opened = "UPDATE findings SET opened_at = now() - :h * interval '1 hour' WHERE finding_id = :f"
        await tell(server.database, opened, h=hours, f=each["finding_id"])
    for each in those[:3]:
        await decide(server, each, "acknowledged")
    await decide(server, those[0], "remediated")
    found = await times(server)
    assert list(found) == [(None, None), ("low", None), ("low", role)]
    for each in found.values():
        assert (each["findings"], each["acknowledged"], each["closed"]) == (3, 3, 1)
        assert (each["open_now"], each["unacknowledged_now"]) == (3, 1)
        assert 7_200 <= each["median_seconds_to_acknowledge"] < 7_300
        assert 10_080 <= each["p90_seconds_to_acknowledge"] < 10_180
        assert 3_600 <= each["median_seconds_to_close"] < 3_700


async def test_what_was_measured_stays_when_a_finding_is_reopened(server: Server) -> None:
    one = await a_finding(server)
    await tell(server.database, "UPDATE findings SET opened_at = now() - interval '1 hour'")
    await decide(server, one, "remediated")
    before = (await times(server))[None, None]
    await decide(server, one, "reopened")
    reopened = (await times(server))[None, None]
    for name in ("acknowledged", "median_seconds_to_acknowledge", "closed", "median_seconds_to_close"):
        assert reopened[name] == before[name] != 0
    await decide(server, one, "acknowledged")
    after = (await times(server))[None, None]
    assert (after["findings"], after["acknowledged"]) == (1, 2)
    assert after["median_seconds_to_acknowledge"] < before["median_seconds_to_acknowledge"]


async def test_a_period_has_its_own_figures_and_must_have_a_length(server: Server) -> None:
    await decide(server, await a_finding(server), "acknowledged")
    past = await times(server, since="2026-01-01T00:00:00Z", until="2026-01-02T00:00:00Z")
    assert (past[None, None]["acknowledged"], past[None, None]["median_seconds_to_acknowledge"]) == (0, None)
    assert past[None, None]["open_now"] == 1
    answer = await server.api.get("/api/v1/triage/times", params={"since": "2100-01-01T00:00:00Z"})
    assert (answer.status_code, answer.json()["field"]) == (422, "since")
    assert (await server.api.get("/api/v1/triage/times", params={"since": "2026-01-01"})).status_code == 422
