"""A backtest says of past days what the live judging said, and what other settings would have said."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from random import Random
from typing import Any

import pytest

from app.analysis.backtest import engine, store, verdicts
from app.analysis.backtest.document import Result
from app.analysis.backtest.run import Cancelled, Request, run_now
from app.analysis.worker import analyse_some
from app.clock import utc_now
from app.collection.packs import load_packs
from app.database import Database
from app.detection.knobs import Knobs
from app.problems import Conflict, InvalidRequest
from tests.factories import Server, a_line, a_log, a_node, an_outbound_row
from tests.observations.stored import ask, tell

DAYS = 12
TEMP = "C:\\Users\\bob\\AppData\\Local\\Temp\\{}"
TABLES = "fresh_sightings, tallies, node_tallies, images, findings, sightings, backtests, executions"
COUNTED = ("tallies", "node_tallies", "images", "findings", "fresh_sightings", "sightings")


async def forget(database: Database) -> None:
    await tell(database, f"TRUNCATE {TABLES}")
    await tell(database, "DELETE FROM batches")


def at(days_ago: int, second: int = 0) -> int:
    """A time of that day; of today, one that has passed."""
    day = utc_now().date() - timedelta(days=days_ago)
    wanted = int(datetime.combine(day, time(10), UTC).timestamp()) + second
    return min(wanted, int(utc_now().timestamp()))


async def say(server: Server, key: str, lines: Sequence[Mapping[str, Any]]) -> None:
    assert await server.say("log", a_log(key, lines), compress=True) == {}


async def analyse(server: Server) -> None:
    while await analyse_some(server.database, Knobs()):
        pass


def connects(program: str, port: int, when: int, **columns: str) -> dict[str, Any]:
    path = columns.pop("path", f"C:\\Program Files\\{program}\\{program}")
    row = an_outbound_row(proc_path=path, proc_name=program, svchost_hint="", remote_port=str(port), **columns)
    return a_line(row, unix_time=when)


def signed(path: str, when: int, status: str = "trusted", by: str = "Example Ltd") -> dict[str, Any]:
    row = {"path": path, "sign_status": status, "subject_name": by}
    return a_line(row, query="pack/windows_context/signatures", unix_time=when)


class Fleet:
    """Nodes that do the same every day, and now and then something new, signed at once, later, or never."""

    def __init__(self, server: Server, seed: int) -> None:
        self._server, self._chance = server, Random(seed)
        self.keys: list[str] = []

    async def live(self, nodes: int = 9) -> None:
        roles = ["laptop"] * (nodes - 3) + ["server"] * 2 + ["kiosk"]
        self.keys = [await a_node(self._server, role=role) for role in roles]
        for days_ago in range(DAYS - 1, -1, -1):
            for key in self.keys:
                await say(self._server, key, list(self._usual(days_ago)))
            await analyse(self._server)
            for key in self._chance.sample(self.keys, 4):
                await self._odd(key, days_ago)
            await analyse(self._server)

    def _usual(self, days_ago: int) -> list[dict[str, Any]]:
        programs = [("svchost.exe", 443), ("office.exe", 443), ("updater.exe", 8443)]
        seen = [pair for pair in programs if self._chance.random() < 0.9]
        return [connects(name, port, at(days_ago)) for name, port in seen]

    async def _odd(self, key: str, days_ago: int) -> None:
        """What is found without its signature may be withdrawn, or grow, when the signature comes."""
        name = f"tool{self._chance.randrange(5)}.exe"
        path = TEMP.format(name) if self._chance.random() < 0.5 else f"C:\\tools\\{name}"
        port = self._chance.choice([4444, 8088, 50_500, 25, 443])
        lines = [connects(name, port, at(days_ago, 60), path=path)]
        status = self._chance.choice(["trusted", "missing", "distrusted", "late", "never"])
        if status not in {"late", "never"}:
            lines.append(signed(path, at(days_ago, 120), status, "Tools Ltd"))
        await say(self._server, key, lines)
        await analyse(self._server)
        if status == "late":
            await say(self._server, key, [signed(path, at(days_ago, 120), "trusted", "Tools Ltd")])


async def tried(
    database: Database, document: Mapping[str, Any] | None = None, *, scope: str = "every", days: int = DAYS
) -> Result:
    _, result = await run_now(database, Request(document or {}, scope, days, "a test"), load_packs())
    return result


async def contents(database: Database) -> dict[str, Any]:
    return {name: await ask(database, f"SELECT * FROM {name} ORDER BY 1, 2, 3") for name in COUNTED}


@pytest.fixture
async def fleet(server: Server) -> Fleet:
    await forget(server.database)
    fleet = Fleet(server, seed=1)
    await fleet.live()
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
async def test_nothing_that_is_stored_changes(server: Server) -> None:
    before = await contents(server.database)
    await tried(server.database, {"Severities": {"low": 1}})
    assert await contents(server.database) == before
    with pytest.raises(Exception, match="read-only transaction"):
        async with server.database.apart() as apart, apart.scratching() as session:
            await store.give_up_stale(session, utc_now())


@pytest.mark.usefixtures("fleet")
async def test_lower_levels_gain_and_higher_ones_lose_what_lies_between(server: Server) -> None:
    current = (await tried(server.database)).current.findings
    lower = await tried(server.database, {"Severities": {"low": 10, "medium": 40}})
    assert lower.gained.total == lower.candidate.findings.all - current.all > 0
    assert lower.lost.total == 0
    assert sum(lower.gained.by_role.values()) == sum(lower.gained.by_program.values()) == lower.gained.total
    assert lower.gained.by_analytic == {"AN0633": lower.gained.total}
    for example in lower.gained.examples:
        assert (example.severity_before, example.severity_after) == ("none", "low")
        assert 10 <= example.score_before == example.score_after < 30
        assert example.hostname
    higher = await tried(server.database, {"Severities": {"high": 101, "medium": 101, "low": 101}})
    assert (higher.lost.total, higher.candidate.findings.all) == (current.all, 0)
    assert higher.candidate.alerts_per_100_nodes_and_day == 0
    assert [each.field for each in higher.settings_changed] == [
        "Severities.high",
        "Severities.low",
        "Severities.medium",
    ]


@pytest.mark.usefixtures("fleet")
async def test_an_allow_list_loses_the_program_and_says_by_which_line(server: Server) -> None:
    everything = await tried(server.database, {"Severities": {"high": 101, "medium": 101, "low": 101}})
    program, total = next(iter(everything.lost.by_program.items()))
    result = await tried(server.database, {"ProcessAllowList": [f"c:\\*\\{program}"]})
    assert result.lost.by_program == {program: total}
    assert {line.reason for example in result.lost.examples for line in example.changed_lines} >= {"allow_listed"}
    assert result.gained.total == 0


@pytest.mark.usefixtures("fleet")
async def test_weights_change_lines_scores_and_severities(server: Server) -> None:
    result = await tried(server.database, {"Weights": {"user_writable": 0, "uncommon_port": 40}})
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


@pytest.mark.usefixtures("fleet")
async def test_a_scope_judges_its_own_nodes_only(server: Server) -> None:
    every = await tried(server.database, {"Severities": {"low": 10}})
    servers = await tried(server.database, {"Severities": {"low": 10}}, scope="role.server.windows")
    assert (servers.nodes, every.nodes) == (2, 9)
    assert servers.gained.total == every.gained.by_role.get("server", 0)
    assert set(servers.gained.by_role) <= {"server"}
    assert servers.agreement.same == servers.agreement.stored
    macs = await tried(server.database, {"Severities": {"low": 10}}, scope="platform.macos")
    assert (macs.nodes, macs.gained.total, macs.agreement.stored) == (0, 0, 0)


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
async def test_telemetry_names_what_polls_miss_and_who_reports_what(server: Server) -> None:
    result = await tried(server.database)
    queries = {each.query: each for each in result.telemetry.queries}
    outbound, wfp = queries["pack/windows_network/outbound"], queries["pack/windows_network/wfp_events"]
    assert outbound.sees == {"1": pytest.approx(1 / 60), "5": pytest.approx(5 / 60), "60": 1.0}
    assert (outbound.nodes, outbound.nodes_reporting, outbound.sees_short) == (9, 9, False)
    assert (wfp.nodes_reporting, wfp.sees_short) == (0, True)
    assert queries["pack/windows_context/services"].sees is None
    assert not any(each.platform == "macos" for each in result.telemetry.queries)
    assert result.false_positives.note == "no triaged findings yet"
    assert result.false_positives.current is None


@pytest.mark.usefixtures("fleet")
async def test_findings_that_people_called_false_make_a_rate(server: Server) -> None:
    await tell(server.database, "ALTER TABLE findings DROP CONSTRAINT ck_findings_state")
    chosen = "SELECT finding_id FROM findings WHERE state = 'open' ORDER BY score DESC LIMIT 4"
    ids = [found for (found,) in await ask(server.database, chosen)]
    for finding, state in zip(ids, ["false_positive", "false_positive", "false_positive", "confirmed"], strict=True):
        await tell(server.database, "UPDATE findings SET state = :s WHERE finding_id = :f", s=state, f=finding)
    result = await tried(server.database, {"Severities": {"high": 101, "medium": 101, "low": 101}})
    said = result.false_positives
    assert said.triaged == 4
    assert said.current
    assert (said.current.found, said.current.false_positives, said.current.rate) == (4, 3, 0.75)
    assert said.candidate
    assert (said.candidate.found, said.candidate.rate) == (0, None)


@pytest.mark.usefixtures("fleet")
async def test_the_run_is_recorded_with_its_progress(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "CHUNK_SIGHTINGS", 10)
    heard: list[float] = []
    request = Request({"Severities": {"low": 20}}, "every", 3, "a test")
    backtest_id, result = await run_now(server.database, request, load_packs(), heard.append)
    assert heard == sorted(heard)
    assert (len(heard) > 5, heard[-1]) == (True, 1.0)
    async with server.database.reading() as session:
        record = await store.find(session, backtest_id)
    assert record
    assert (record.state, record.progress, record.candidate) == ("finished", 1.0, {"Severities": {"low": 20}})
    assert record.started_at
    assert record.finished_at
    assert record.result
    assert record.result["version"] == result.version == 1
    assert record.result["gained"]["total"] == result.gained.total


@pytest.mark.usefixtures("fleet")
async def test_however_days_are_cut_the_result_is_the_same(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = await tried(server.database, {"Severities": {"low": 10}})
    monkeypatch.setattr(engine, "CHUNK_SIGHTINGS", 7)
    monkeypatch.setattr(engine, "SEED_NODES", 2)
    assert await tried(server.database, {"Severities": {"low": 10}}) == whole


@pytest.mark.usefixtures("fleet")
async def test_cancelled_in_its_record_it_ends(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "CHUNK_SIGHTINGS", 5)

    def hear(_: float) -> None:
        asyncio.ensure_future(cancel())  # noqa: RUF006 - it is over before the next chunk

    async def cancel() -> None:
        await tell(server.database, "UPDATE backtests SET state = 'cancelled' WHERE state = 'running'")

    with pytest.raises(Cancelled):
        await run_now(server.database, Request({}, "every", DAYS, "a test"), load_packs(), hear)
    assert await ask(server.database, "SELECT state, result FROM backtests") == [("cancelled", None)]


@pytest.mark.usefixtures("fleet")
async def test_interrupted_it_says_so_and_the_next_may_run(server: Server) -> None:
    began = asyncio.Event()
    request = Request({}, "every", DAYS, "a test")
    running = asyncio.create_task(run_now(server.database, request, load_packs(), lambda _: began.set()))
    await began.wait()
    with pytest.raises(Conflict, match="another backtest runs"):
        await tried(server.database)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await ask(server.database, "SELECT state, result FROM backtests") == [("cancelled", None)]
    await tried(server.database, days=1)


@pytest.mark.usefixtures("fleet")
async def test_a_candidate_that_finds_everything_is_refused(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdicts, "FINDINGS_MAX", 10)
    with pytest.raises(InvalidRequest, match="more than 10 findings by"):
        await tried(server.database, {"Severities": {"low": 0}})
    [(state, error)] = await ask(server.database, "SELECT state, error FROM backtests")
    assert (state, "more than 10 findings" in error) == ("failed", True)


async def test_without_any_sighting_there_is_an_empty_result(database: Database) -> None:
    await forget(database)
    result = await tried(database, {"Severities": {"low": 20}}, days=7)
    assert (result.nodes, result.sightings, result.gained.total) == (0, 0, 0)
    assert result.first_day == result.last_day
    assert result.telemetry.days_without_sightings == [result.last_day]


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
    await forget(database)
    with pytest.raises(InvalidRequest, match=field):
        await tried(database, document)
    assert await ask(database, "SELECT 1 FROM backtests") == []
