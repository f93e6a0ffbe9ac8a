"""What a backtest says of days that were judged live, of days whose batches are gone, and of findings people judged."""

import pytest

from app.access.actor import os_account
from app.clock import utc_now
from app.database import Database
from app.detection.scopes import EVERY
from app.tuning.changes import Why, change
from tests.analysis.lived import DAYS, Fleet, forget, tried
from tests.factories import Server
from tests.findings.found import decide
from tests.observations.stored import ask, tell


@pytest.fixture
async def fleet(server: Server) -> Fleet:
    await forget(server.database)
    fleet = Fleet(server, seed=1)
    await fleet.live(nodes=5)
    return fleet


@pytest.mark.parametrize("seed", [2, 3])
async def test_under_the_settings_in_force_it_finds_what_was_found_live(server: Server, seed: int) -> None:
    await forget(server.database)
    await Fleet(server, seed).live()
    for days in (DAYS, 5, 1):
        result = await tried(server.database, days=days)
        found = result.agreement
        assert found.same == found.stored
        assert (found.other_score, found.not_found_again, found.found_only_now) == (0, 0, 0)
        assert (result.gained.total, result.lost.total, result.shifts.total) == (0, 0, 0)
        assert result.current == result.candidate
        assert not result.settings_changed
    assert (
        (await tried(server.database)).agreement.stored
        == len(await ask(server.database, "SELECT DISTINCT node_id, behaviour_id FROM findings WHERE state = 'open'"))
        > 5
    )


@pytest.mark.usefixtures("fleet")
async def test_where_batches_are_gone_it_judges_without_rows_and_says_so(server: Server) -> None:
    full = await tried(server.database)
    assert not full.telemetry.days_without_batches
    await tell(server.database, "DELETE FROM batches")
    bare = await tried(server.database)
    assert bare.sightings == full.sightings == sum(each.without_row for each in bare.days)
    assert bare.telemetry.days_without_batches == [each.day for each in bare.days]
    assert bare.telemetry.process_starts.connections == 0
    assert any("without their row" in note for note in bare.notes)
    assert bare.current.findings.all > 0


@pytest.mark.usefixtures("fleet")
async def test_findings_that_people_called_false_make_a_rate(server: Server) -> None:
    chosen = "SELECT finding_id FROM findings WHERE state = 'open' ORDER BY score DESC LIMIT 7"
    ids = [found for (found,) in await ask(server.database, chosen)]
    states = [*["false_positive"] * 3, "remediated", "acknowledged", "escalated", "investigating"]
    for finding, state in zip(ids, states, strict=True):
        assert (await decide(server, {"finding_id": finding}, state)).status_code == 200
    result = await tried(server.database, {"Severities": {"high": 101, "medium": 101, "low": 101}})
    said = result.false_positives
    assert said.triaged == 4
    assert said.current
    assert (said.current.found, said.current.false_positives, said.current.rate) == (4, 3, 0.75)
    assert said.candidate
    assert (said.candidate.found, said.candidate.rate) == (0, None)


async def test_without_any_sighting_there_is_an_empty_result(database: Database) -> None:
    await forget(database)
    result = await tried(database, {"Severities": {"low": 20}}, days=7)
    assert (result.nodes, result.sightings, result.gained.total) == (0, 0, 0)
    assert result.first_day == result.last_day
    assert result.telemetry.days_without_sightings == [result.last_day]


@pytest.mark.usefixtures("fleet")
async def test_findings_that_other_settings_judged_are_counted(server: Server) -> None:
    before = (await tried(server.database)).agreement
    assert before.other_settings == 0
    why = Why(os_account("a test"), "to see", forced_reason="to see")
    await change(server.database, {EVERY: {"Severities": {"low": 20}}}, why, utc_now(), replaces=None)
    after = (await tried(server.database, {"Severities": {"low": 20}})).agreement
    assert (after.other_settings, after.stored) == (before.stored, before.stored)
    assert after.found_only_now > 0
