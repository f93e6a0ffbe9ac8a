"""A backtest says of past days what other settings would have said, and changes nothing that is stored."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.analysis.backtest import engine, store, verdicts
from app.analysis.backtest.run import Cancelled, Request, run_now
from app.clock import utc_now
from app.collection.packs import load_packs
from app.database import Database
from app.main import create_app
from app.problems import Conflict, InvalidRequest
from app.settings import Settings
from tests.analysis.lived import A_TESTER, DAYS, Fleet, forget, tried
from tests.factories import Server, serving
from tests.observations.stored import ask, tell

COUNTED = ("tallies", "node_tallies", "images", "findings", "fresh_sightings", "sightings")


@pytest.fixture(scope="module")
async def lived(settings: Settings, database_url: str) -> AsyncIterator[Server]:
    """Its past is made once for all tests here, which only read it."""
    async with serving(create_app(settings, database_url)) as server:
        await forget(server.database)
        await Fleet(server, seed=1).live()
        yield server


@pytest.fixture
async def fleet(lived: Server) -> Server:
    await tell(lived.database, "TRUNCATE backtests")
    return lived


async def contents(database: Database) -> dict[str, Any]:
    return {name: await ask(database, f"SELECT * FROM {name} ORDER BY 1, 2, 3") for name in COUNTED}


async def test_nothing_that_is_stored_changes(fleet: Server) -> None:
    before = await contents(fleet.database)
    await tried(fleet.database, {"Severities": {"low": 1}})
    assert await contents(fleet.database) == before
    with pytest.raises(Exception, match="read-only transaction"):
        async with fleet.database.apart() as apart, apart.scratching() as session:
            await store.give_up_stale(session, utc_now())


async def test_lower_levels_gain_and_higher_ones_lose_what_lies_between(fleet: Server) -> None:
    current = (await tried(fleet.database)).current.findings
    lower = await tried(fleet.database, {"Severities": {"low": 10, "medium": 40}})
    assert lower.gained.total == lower.candidate.findings.all - current.all > 0
    assert lower.lost.total == 0
    assert sum(lower.gained.by_role.values()) == sum(lower.gained.by_program.values()) == lower.gained.total
    assert lower.gained.by_analytic == {"AN0633": lower.gained.total}
    for example in lower.gained.examples:
        assert (example.severity_before, example.severity_after) == ("none", "low")
        assert 10 <= example.score_before == example.score_after < 30
        assert example.hostname
    higher = await tried(fleet.database, {"Severities": {"high": 101, "medium": 101, "low": 101}})
    assert (higher.lost.total, higher.candidate.findings.all) == (current.all, 0)
    assert higher.candidate.alerts_per_100_nodes_and_day == 0
    assert [each.field for each in higher.settings_changed] == [
        "Severities.high",
        "Severities.low",
        "Severities.medium",
    ]


async def test_an_allow_list_loses_the_program_and_says_by_which_line(fleet: Server) -> None:
    everything = await tried(fleet.database, {"Severities": {"high": 101, "medium": 101, "low": 101}})
    program, total = next(iter(everything.lost.by_program.items()))
    result = await tried(fleet.database, {"ProcessAllowList": [f"c:\\*\\{program}"]})
    assert result.lost.by_program == {program: total}
    assert {line.reason for example in result.lost.examples for line in example.changed_lines} >= {"allow_listed"}
    assert result.gained.total == 0


async def test_weights_change_lines_scores_and_severities(fleet: Server) -> None:
    result = await tried(fleet.database, {"Weights": {"user_writable": 0, "uncommon_port": 40}})
    changed = {
        (line.reason, line.before.points, line.after.points)
        for part in (result.gained, result.lost, result.shifts)
        for example in part.examples
        for line in example.changed_lines
        if line.before and line.after
    }
    assert ("uncommon_port", 15, 40) in changed
    assert sum(each.findings for each in result.shifts.shifts) == result.shifts.total > 0
    days = [(each.candidate.high, each.candidate.medium, each.candidate.low) for each in result.days]
    totals = result.candidate.findings
    assert tuple(map(sum, zip(*days, strict=True))) == (totals.high, totals.medium, totals.low)


async def test_a_scope_judges_its_own_nodes_only(fleet: Server) -> None:
    every = await tried(fleet.database, {"Severities": {"low": 10}})
    servers = await tried(fleet.database, {"Severities": {"low": 10}}, scope="role.server.windows")
    assert (servers.nodes, every.nodes) == (2, 9)
    assert servers.gained.total == every.gained.by_role.get("server", 0)
    assert set(servers.gained.by_role) <= {"server"}
    assert servers.agreement.same == servers.agreement.stored
    macs = await tried(fleet.database, {"Severities": {"low": 10}}, scope="platform.macos")
    assert (macs.nodes, macs.gained.total, macs.agreement.stored) == (0, 0, 0)


async def test_telemetry_names_what_polls_miss_and_who_reports_what(fleet: Server) -> None:
    result = await tried(fleet.database)
    queries = {each.query: each for each in result.telemetry.queries}
    outbound, wfp = queries["pack/windows_network/outbound"], queries["pack/windows_network/wfp_events"]
    assert outbound.sees == {"1": pytest.approx(1 / 60), "5": pytest.approx(5 / 60), "60": 1.0}
    assert (outbound.nodes, outbound.nodes_reporting, outbound.sees_short) == (9, 9, False)
    assert (wfp.nodes_reporting, wfp.sees_short) == (0, True)
    assert queries["pack/windows_context/services"].sees is None
    assert not any(each.platform == "macos" for each in result.telemetry.queries)
    assert result.false_positives.note == "no triaged findings yet"
    assert result.false_positives.current is None


async def test_the_run_is_recorded_with_its_progress(fleet: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "CHUNK_SIGHTINGS", 10)
    heard: list[float] = []
    request = Request({"Severities": {"low": 20}}, "every", 3, A_TESTER)
    backtest_id, result = await run_now(fleet.database, request, load_packs(), heard.append)
    assert heard == sorted(heard)
    assert (len(heard) > 5, heard[-1]) == (True, 1.0)
    async with fleet.database.reading() as session:
        record = await store.find(session, backtest_id)
    assert record
    assert (record.state, record.progress, record.candidate) == ("finished", 1.0, {"Severities": {"low": 20}})
    assert record.started_at
    assert record.finished_at
    assert record.result
    assert record.result["version"] == result.version == 1
    assert record.result["gained"]["total"] == result.gained.total


async def test_however_days_are_cut_the_result_is_the_same(fleet: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = await tried(fleet.database, {"Severities": {"low": 10}})
    monkeypatch.setattr(engine, "CHUNK_SIGHTINGS", 7)
    monkeypatch.setattr(engine, "SEED_NODES", 2)
    assert await tried(fleet.database, {"Severities": {"low": 10}}) == whole


async def test_cancelled_in_its_record_it_ends(fleet: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "CHUNK_SIGHTINGS", 5)

    def hear(_: float) -> None:
        asyncio.ensure_future(cancel())  # noqa: RUF006 - it is over before the next chunk

    async def cancel() -> None:
        await tell(fleet.database, "UPDATE backtests SET state = 'cancelled' WHERE state = 'running'")

    with pytest.raises(Cancelled):
        await run_now(fleet.database, Request({}, "every", DAYS, A_TESTER), load_packs(), hear)
    assert await ask(fleet.database, "SELECT state, result FROM backtests") == [("cancelled", None)]


async def test_interrupted_it_says_so_and_the_next_may_run(fleet: Server) -> None:
    began = asyncio.Event()
    request = Request({}, "every", DAYS, A_TESTER)
    running = asyncio.create_task(run_now(fleet.database, request, load_packs(), lambda _: began.set()))
    await began.wait()
    with pytest.raises(Conflict, match="another backtest runs"):
        await tried(fleet.database)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await ask(fleet.database, "SELECT state, result FROM backtests") == [("cancelled", None)]
    await tried(fleet.database, days=1)


async def test_a_candidate_that_finds_everything_is_refused(fleet: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdicts, "FINDINGS_MAX", 10)
    with pytest.raises(InvalidRequest, match="more than 10 findings by"):
        await tried(fleet.database, {"Severities": {"low": 1}})
    [(state, error)] = await ask(fleet.database, "SELECT state, error FROM backtests")
    assert (state, "more than 10 findings" in error) == ("failed", True)


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({"Severities": {"lo": 3}}, r"\$\.Severities"),
        ({"Weights": {"novelty": 4000}}, r"\$\.Weights\.novelty"),
        ({"Severities": {"low": 60}}, r"\$\.Severities"),
    ],
)
async def test_bad_settings_are_named_and_leave_no_record(
    database: Database, document: dict[str, Any], field: str
) -> None:
    await tell(database, "TRUNCATE backtests")
    with pytest.raises(InvalidRequest, match=field):
        await tried(database, document)
    assert await ask(database, "SELECT 1 FROM backtests") == []


async def test_a_role_that_no_node_has_is_refused_and_leaves_no_record(fleet: Server) -> None:
    with pytest.raises(InvalidRequest, match="no node has the role 'lap-top'"):
        await tried(fleet.database, {"Weights": {"novelty": 30}}, scope="role.lap-top.macos")
    assert await ask(fleet.database, "SELECT 1 FROM backtests") == []
