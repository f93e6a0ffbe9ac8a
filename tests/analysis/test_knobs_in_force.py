"""The worker judges with the knobs of each sighting's role and platform, and findings remember which."""

from typing import Any

import pytest

from app.access.actor import os_account
from app.analysis.worker import analyse_some
from app.clock import utc_now
from app.database import Database
from app.detection.knobs import Knobs
from app.detection.scopes import EVERY, Document, Scope
from app.tuning.changes import Why, change_one
from app.tuning.in_force import KnobsInForce
from tests.analysis.test_worker import findings_of, say
from tests.factories import Server, a_node
from tests.observations.stored import tell

#: No finding weighs so much.
DEAF: Document = {"Severities": {"low": 101, "medium": 101, "high": 101}}


@pytest.fixture(autouse=True)
async def _quiet(database: Database) -> None:
    await tell(database, "ALTER TABLE knob_versions DISABLE TRIGGER USER")
    await tell(database, "TRUNCATE fresh_sightings, tallies, node_tallies, findings, knob_versions")
    await tell(database, "ALTER TABLE knob_versions ENABLE TRIGGER USER")


async def put(database: Database, scope: Scope, document: Document) -> int:
    why = Why(os_account("ada"), "A test", forced_reason="A test")
    return (await change_one(database, scope, document, why, utc_now(), replaces=None)).version


async def found(server: Server, knobs: Knobs | KnobsInForce, *roles: str) -> dict[str, list[dict[str, Any]]]:
    keys = {role: await a_node(server, role=role) for role in roles}
    for key in keys.values():
        await say(server, key, 8088)
    while await analyse_some(server.database, knobs):
        pass
    return {role: await findings_of(server, key) for role, key in keys.items()}


async def test_each_role_is_judged_by_its_own_knobs(server: Server) -> None:
    for role in ("kiosk", "laptop"):
        await a_node(server, role=role)
    await put(server.database, Scope("windows", "kiosk"), DEAF)
    judged = await found(server, Knobs(), "kiosk", "laptop")
    assert judged["kiosk"] == []
    assert [each["knobs_version"] for each in judged["laptop"]] == [0]


async def test_a_change_counts_for_what_is_judged_afterwards(server: Server) -> None:
    knobs = KnobsInForce()
    [before] = (await found(server, knobs, "laptop"))["laptop"]
    version = await put(server.database, EVERY, {"Weights": {"uncommon_port": 17}})
    [after] = (await found(server, knobs, "laptop"))["laptop"]
    assert (before["knobs_version"], after["knobs_version"]) == (0, version)
    points = {each["reason"]: each["points"] for each in after["evidence"]}
    assert points["uncommon_port"] == 17
    listed = (await server.api.get("/api/v1/knobs", params={"platform": "windows", "version": version})).json()
    assert listed["version"] == version


async def test_a_finding_remembers_the_knobs_of_the_judgement_that_it_shows(server: Server) -> None:
    key = await a_node(server)
    first = await put(server.database, EVERY, {"Severities": {"low": 1}})
    await say(server, key, 8088, days_ago=1)
    await analyse_some(server.database, Knobs())
    await put(server.database, EVERY, {"Severities": {"low": 1}, "Weights": {"uncommon_port": 1}})
    await say(server, key, 8088)
    await analyse_some(server.database, Knobs())
    [finding] = await findings_of(server, key)
    assert (finding["days_seen"], finding["knobs_version"]) == (2, first)
