import asyncio
import json
from datetime import UTC, datetime

import pytest
from fake_portbook import CUT, FakeServer

from app.simulator.agent import EnrollmentFailed
from app.simulator.connection import Connection
from app.simulator.play import Performance, Progress
from app.simulator.scenario import Scenario, scenario

NOW = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)


def secrets(play: Scenario) -> dict[str, str]:
    return {role: f"secret of {role}" for role in play.roles}


async def test_every_line_is_acknowledged_once_and_in_the_order_of_days(
    server: FakeServer, connection: Connection
) -> None:
    play = scenario("smoke")
    performance = Performance(play, connection, secrets(play), concurrency=4)
    await performance.run(NOW)

    played, lines = performance.played(), server.lines()
    assert (played.nodes, played.kept) == (6, 0)
    assert len(lines) == played.rows + played.resent
    days = [json.loads(line)["epoch"] for line in lines]
    assert days == sorted(days)


async def test_each_node_enrolls_with_the_secret_of_its_role_and_asks_for_its_config(
    server: FakeServer, connection: Connection
) -> None:
    play = scenario("smoke")
    await Performance(play, connection, secrets(play)).run(NOW)

    asked = {(str(a.body["host_identifier"]), str(a.body["enroll_secret"])) for a in server.to("enroll")}
    assert asked == {(node.identity.host_identifier, f"secret of {node.role}") for node in play.fleet}
    assert len(server.to("config")) == 6
    assert len(server.to("distributed/read")) == 6


async def test_heartbeats_report_the_hash_of_the_config(server: FakeServer, connection: Connection) -> None:
    play = scenario("smoke")
    performance = Performance(play, connection, secrets(play))
    await performance.run(NOW)

    beats = [json.loads(line)["snapshot"][0] for line in server.lines() if "telemetry/heartbeat" in line]
    assert {beat["config_hash"] for beat in beats} == {performance._agents[0].config_hash}


async def test_a_server_that_fails_now_and_then_loses_nothing(server: FakeServer, connection: Connection) -> None:
    play = scenario("smoke", nodes=2)
    server.script["log"] = [b'{"error":"busy"}', b"<html>", b'{"node_invalid":true}', CUT]
    performance = Performance(play, connection, secrets(play))
    await performance.run(NOW)

    troubled, first_part = performance.played(), set(server.lines())
    server.asked.clear()
    calm = Performance(play, connection, secrets(play))
    await calm.run(NOW)
    assert set(server.lines()) == first_part
    assert (troubled.rows, troubled.kept) == (calm.played().rows, 0)


async def test_lines_of_a_server_that_takes_none_are_kept_and_counted(
    connection: Connection, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.simulator import play as module
    from app.simulator.agent import Patience

    monkeypatch.setattr(module, "FAST", Patience(period_seconds=0, attempts=1))
    play = scenario("smoke", nodes=1)
    server.script["log"] = [b'{"error":"full"}'] * 1000
    performance = Performance(play, connection, secrets(play))
    await performance.run(NOW)

    assert performance.played().rows == 0
    assert performance.played().kept > 500


async def test_a_refused_secret_ends_the_play_with_a_plain_error(
    connection: Connection, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.simulator import play as module
    from app.simulator.agent import Patience

    monkeypatch.setattr(module, "FAST", Patience(period_seconds=0, attempts=2))
    play = scenario("smoke")
    server.script["enroll"] = [b'{"node_invalid":true}'] * 100

    with pytest.raises(EnrollmentFailed):
        await Performance(play, connection, secrets(play)).run(NOW)


async def test_progress_is_told_after_every_node_and_day(connection: Connection) -> None:
    told: list[Progress] = []
    play = scenario("smoke", nodes=2)
    await Performance(play, connection, secrets(play), on_progress=told.append).run(NOW)

    assert [progress.node_days for progress in told] == list(range(1, 21))
    assert (told[-1].day, told[-1].days, told[-1].node_days_total) == (9, 10, 20)


async def test_a_load_goes_on_until_it_is_cancelled(connection: Connection, server: FakeServer) -> None:
    enough = asyncio.Event()
    play = scenario("load", nodes=3, poll_seconds=0)

    def watch(progress: Progress) -> None:
        if progress.node_days > 60:
            enough.set()

    task = asyncio.create_task(Performance(play, connection, secrets(play), on_progress=watch).run(NOW))
    await asyncio.wait_for(enough.wait(), timeout=20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    counters = [json.loads(line)["counter"] for line in server.lines() if "outbound" in line]
    assert max(counters) > 10
