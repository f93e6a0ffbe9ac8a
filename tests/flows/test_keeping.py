"""Parts of flows in the database: one record a flow, whatever comes when, how often and from whom."""

import asyncio
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import date, timedelta
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import text as sql

from app.analysis.retention import keep_days
from app.database import Database
from app.flows import keeping, store
from app.flows.keeping import Days, Keeper, make_days
from app.flows.merging import merged
from app.flows.models import Flow, FlowSensor
from app.flows.records import FlowRecord
from app.flows.store import record_of
from app.settings import Settings
from tests.flows.logs import (
    ANALYZER,
    CONN,
    DAY,
    HTTP,
    SSL,
    STARTED_AT,
    a_json,
    an_event,
    eve,
    read,
    recorded,
    text,
)
from tests.observations.stored import ask, tell

DAYS = Days.now(DAY, 4)
SECONDS_A_DAY = 86_400


@pytest.fixture(autouse=True)
async def days_of_the_recording(database: Database) -> None:
    await make_days(database, DAYS)


async def keep(database: Database, *contents: bytes, sensor: str = "edge") -> dict[str, int]:
    """What became of the flows of some streams, each committed by itself."""
    total = {"new": 0, "changed": 0, "same": 0}
    for content in contents:
        parts, account = read(content)
        keeper = Keeper(database, sensor, DAYS, now=DAY)
        await keeper.add(parts, account.logs)
        await keeper.commit()
        total = {name: total[name] + count for name, count in asdict(keeper.kept).items()}
    return total


async def stored(database: Database) -> list[FlowRecord]:
    async with database.reading() as session:
        rows: Sequence[tuple[Flow, FlowSensor]] = await store.list_flows(session, [], [Flow.started_at], 1000)
    return [record_of(flow, sensor.tool, "edge") for flow, sensor in rows]  # type: ignore[arg-type]


def by_id(records: Iterable[FlowRecord]) -> dict[str, FlowRecord]:
    return {record.flow_id: record for record in records}


async def test_a_recording_is_stored_as_replay_would_merge_it(clean: Database) -> None:
    logs = recorded("conn", "ssl", "http", "analyzer")
    assert await keep(clean, logs) == {"new": 111, "changed": 0, "same": 0}
    assert by_id(await stored(clean)) == by_id(merged(read(logs)[0]))


async def test_the_same_file_again_changes_nothing(clean: Database) -> None:
    logs = recorded("conn", "ssl", "analyzer")
    await keep(clean, logs)
    rows = "SELECT xmin::text, ctid::text, * FROM flows ORDER BY flow_id"
    before = await ask(clean, rows)
    assert await keep(clean, logs, recorded("conn"), recorded("ssl")) == {"new": 0, "changed": 0, "same": 227}
    assert await ask(clean, rows) == before


@pytest.mark.parametrize("order", list(permutations(["conn", "ssl", "analyzer"])), ids="-".join)
async def test_logs_that_come_apart_and_in_any_order_make_the_same_records(
    clean: Database, order: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "FLOWS_A_COMMIT", 7)
    await keep(clean, *(recorded(log) for log in order))
    assert by_id(await stored(clean)) == by_id(merged(read(recorded(*order))[0]))


def at(row: dict[str, str], seconds: float, **more: str) -> dict[str, str]:
    return row | {"ts": f"{STARTED_AT + seconds:.6f}"} | more


LONG = text("conn", at(CONN, 0, duration=str(2 * SECONDS_A_DAY)))
OVER_MIDNIGHT = {
    "tls-on-the-next-day": (LONG, text("ssl", at(SSL, SECONDS_A_DAY))),
    "two-days-of-others": (LONG, text("http", at(HTTP, 2 * SECONDS_A_DAY)), text("ssl", at(SSL, SECONDS_A_DAY))),
}


@pytest.mark.parametrize("lines", OVER_MIDNIGHT.values(), ids=OVER_MIDNIGHT)
async def test_a_flow_over_midnight_is_one_record_on_the_day_of_its_start(
    database: Database, lines: tuple[bytes, ...]
) -> None:
    days = Days.now(DAY + timedelta(days=2), 4)
    await make_days(database, days)
    expected = list(merged(part for line in lines for part in read(line)[0]))
    for order in permutations(lines):
        await keep_only(database, order)
        assert await stored(database) == expected
        assert await ask(database, "SELECT day FROM flows") == [(date(2023, 8, 16),)]


async def keep_only(database: Database, lines: Sequence[bytes]) -> None:
    await tell(database, "TRUNCATE flows")
    await keep(database, *lines)


async def test_two_writers_of_one_sensor_lose_nothing(clean: Database) -> None:
    reasons = [text("analyzer", ANALYZER | {"failure_reason": f"reason {n}"}) for n in range(6)]
    await asyncio.gather(*(keep(clean, line) for line in [*reasons, text("conn", CONN), text("ssl", SSL)]))
    (record,) = await stored(clean)
    assert record.violations == tuple(f"HTTP: reason {n}" for n in range(6))
    assert (record.state, record.tls_version) == ("SF", "TLSv12")


async def test_a_flow_is_its_sensors_own(clean: Database) -> None:
    for sensor in ("edge", "core"):
        assert await keep(clean, text("conn", CONN), eve(flow_id="1"), sensor=sensor) == {
            "new": 2, "changed": 0, "same": 0,
        }  # fmt: skip
    assert len(await stored(clean)) == 4


async def test_a_sensor_is_known_by_what_it_ever_wrote(clean: Database) -> None:
    await keep(
        clean, text("conn", at(CONN, 60, service="dns")), text("ssl", SSL), a_json(HTTP), an_event("tls", tls={})
    )
    async with clean.reading() as session:
        suricata, zeek = sorted(await store.list_sensors(session), key=lambda each: each.tool)
    assert (zeek.name, zeek.logs, zeek.services) == ("edge", ["conn", "http", "ssl"], ["dns", "http", "tls"])
    assert (suricata.name, suricata.logs, suricata.services) == ("edge", ["tls"], ["tls"])
    assert (zeek.first_flow_at.timestamp(), zeek.last_flow_at.timestamp()) == (STARTED_AT, STARTED_AT + 60)
    assert zeek.received_at == DAY


async def test_a_sensors_commits_use_up_no_ids(clean: Database) -> None:
    await keep(clean, *(text("conn", CONN | {"uid": f"C{n}"}) for n in range(5)))
    await keep(clean, text("conn", CONN), sensor="core")
    ((first,), (second,)) = await ask(clean, "SELECT sensor_id FROM flow_sensors ORDER BY 1")
    assert second == first + 1


async def test_the_names_of_a_sensor_do_not_grow_without_end(clean: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "SENSOR_NAMES_MAX", 3)
    await keep(clean, *(text("conn", CONN | {"service": f"s{n},t{n}"}) for n in range(4)))
    assert await ask(clean, "SELECT cardinality(services) FROM flow_sensors") == [(3,)]


async def test_days_are_dropped_whole_with_a_line_in_the_log(
    clean: Database, settings: Settings, logged: list[dict[str, Any]]
) -> None:
    await keep(clean, text("conn", CONN, at(CONN, -SECONDS_A_DAY, uid="Cyesterday")))
    await keep_days(clean, settings.model_copy(update={"flow_retention_days": 1}), DAY)
    assert [record.flow_id for record in await stored(clean)] == [CONN["uid"]]
    dropped = [(each["table"], each["day"]) for each in logged if each["event"] == "day_dropped"]
    assert ("flows", "2023-08-15") in dropped


def test_what_is_kept_is_what_a_reader_takes() -> None:
    span = DAYS.span
    rows = [at(CONN, -4 * SECONDS_A_DAY), CONN, at(CONN, 2 * SECONDS_A_DAY), at(CONN, SECONDS_A_DAY)]
    parts, account = read(text("conn", *rows), span=span)
    assert [part.started_at - STARTED_AT for part in parts] == [0, SECONDS_A_DAY]
    assert [fault.problem for fault in account.faults.values()] == [
        "older than the 4 days for which flows are kept", "in the future",
    ]  # fmt: skip


FROM = "origin_address = 'x' AND origin_port = 1"
TO = "responder_address = 'y' AND responder_port = 2"
LOOK_UPS = [
    ("community_id = 'x' AND started_at > now()", "community_id"),
    (f"{FROM} AND {TO}", "origin|responder"),
    (TO, "responder"),
]


@pytest.mark.parametrize(("where", "index"), LOOK_UPS)
async def test_each_way_to_look_a_flow_up_has_an_index(database: Database, where: str, index: str) -> None:
    async with database.reading() as session:
        await session.execute(sql("SET LOCAL enable_seqscan = off"))  # of a table that is known to be small, it is best
        plan = list(await session.scalars(sql(f"EXPLAIN SELECT * FROM flows WHERE {where}")))
    assert not [line for line in plan if "Seq Scan" in line]
    assert [line for line in plan if re.search(index, line)]
