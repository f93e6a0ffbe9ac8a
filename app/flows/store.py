"""The SQL of flows. A sensor's row is locked first, so that its flows have one writer at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, cast

import psycopg
from sqlalchemy import ColumnElement, func, or_, select, text

from app.database import ReadSession, WriteSession
from app.detection.behaviour import Transport
from app.flows.models import Flow, FlowSensor
from app.flows.records import FlowRecord, Tool

#: Names come from the input: past so many a sensor's set grows no more.
SENSOR_NAMES_MAX = 200

INSERT_SENSOR = """
INSERT INTO flow_sensors (name, tool, first_flow_at, last_flow_at, received_at, logs, services)
VALUES (:name, :tool, :first_flow_at, :last_flow_at, :received_at, '{}', '{}')
ON CONFLICT DO NOTHING
"""

UPDATE_SENSOR = """
UPDATE flow_sensors SET
  first_flow_at = least(first_flow_at, :first_flow_at),
  last_flow_at = greatest(last_flow_at, :last_flow_at),
  received_at = greatest(received_at, :received_at),
  logs = ARRAY(SELECT DISTINCT unnest(logs || CAST(:logs AS text[])) ORDER BY 1 LIMIT :most),
  services = ARRAY(SELECT DISTINCT unnest(services || CAST(:services AS text[])) ORDER BY 1 LIMIT :most)
WHERE name = :name AND tool = :tool
RETURNING sensor_id
"""

#: All is found by key, planned anew for each commit: a plan made while a day was empty would read all of it later.
KEYS_ONLY = """
SELECT set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),
       set_config('enable_mergejoin', 'off', true), set_config('plan_cache_mode', 'force_custom_plan', true)
"""

#: OFFSET 0 keeps the look-up a look-up: an empty day seems cheap to read from the other side.
SELECT_KEPT = """
SELECT kept.* FROM unnest(CAST(:flow_ids AS text[]), CAST(:first_days AS date[]), CAST(:last_days AS date[]))
                   AS asked(flow_id, first_day, last_day)
CROSS JOIN LATERAL (
  SELECT * FROM flows AS f
  WHERE f.sensor_id = :sensor_id AND f.flow_id = asked.flow_id AND f.day BETWEEN asked.first_day AND asked.last_day
  OFFSET 0
) AS kept
"""

DELETE_FLOWS = """
DELETE FROM flows AS f USING unnest(CAST(:days AS date[]), CAST(:flow_ids AS text[])) AS gone(day, flow_id)
WHERE f.day = gone.day AND f.sensor_id = :sensor_id AND f.flow_id = gone.flow_id
"""

COPY_FLOWS = """
COPY flows (day, sensor_id, flow_id, started_at, transport, origin_address, origin_port, responder_address,
            responder_port, community_id, duration, services, failed_services, violations, tls_version, server_name,
            state, bytes_out, bytes_in, packets_out, packets_in, one_sided)
FROM STDIN (FORMAT BINARY)
"""
COPY_TYPES = (
    "date", "int4", "text", "timestamptz", "text", "text", "int4", "text", "int4", "text", "float8", "text[]",
    "text[]", "text[]", "text", "text", "text", "int8", "int8", "int8", "int8", "bool",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SeenSensor:
    """What some lines say of the sensor that wrote them."""

    name: str
    tool: Tool
    first_flow_at: datetime
    last_flow_at: datetime
    received_at: datetime
    logs: list[str]
    services: list[str]


@dataclass(frozen=True, slots=True)
class Asked:
    """A flow that may be stored already, under any of these days."""

    flow_id: str
    first_day: date
    last_day: date


async def lock_sensor(session: WriteSession, seen: SeenSensor) -> int:
    """Write what was seen of the sensor, and hold its row until the end of the transaction. Returns its id.

    Only a sensor without a row is inserted: an INSERT that finds one uses up an id each time.
    """
    named = {name: getattr(seen, name) for name in SeenSensor.__slots__} | {"most": SENSOR_NAMES_MAX}
    sensor_id = await session.scalar(text(UPDATE_SENSOR), named)
    if sensor_id is None:
        await session.execute(text(INSERT_SENSOR), named)
        sensor_id = await session.scalar(text(UPDATE_SENSOR), named)
    assert isinstance(sensor_id, int)
    await session.execute(text(KEYS_ONLY))
    return sensor_id


async def find_kept(
    session: ReadSession, sensor: SeenSensor, sensor_id: int, asked: Sequence[Asked]
) -> Mapping[str, list[tuple[date, FlowRecord]]]:
    """By flow_id: the day under which it is stored, and the record; more than one where days were not known yet."""
    values = {
        "sensor_id": sensor_id,
        "flow_ids": [each.flow_id for each in asked],
        "first_days": [each.first_day for each in asked],
        "last_days": [each.last_day for each in asked],
    }
    found: dict[str, list[tuple[date, FlowRecord]]] = {}
    for row in await session.execute(text(SELECT_KEPT), values):
        found.setdefault(row.flow_id, []).append((row.day, record_of(row, sensor.tool, sensor.name)))
    return found


async def delete_flows(session: WriteSession, sensor_id: int, flows: Sequence[tuple[date, str]]) -> None:
    if flows:
        days, flow_ids = [day for day, _ in flows], [flow_id for _, flow_id in flows]
        await session.execute(text(DELETE_FLOWS), {"sensor_id": sensor_id, "days": days, "flow_ids": flow_ids})


async def copy_flows(session: WriteSession, sensor_id: int, records: Sequence[FlowRecord]) -> None:
    """Records that are not stored, or were just deleted."""
    if not records:
        return
    connection = await session.connection()
    driver = cast("psycopg.AsyncConnection[Any]", (await connection.get_raw_connection()).driver_connection)
    async with driver.cursor() as cursor, cursor.copy(COPY_FLOWS) as copy:
        copy.set_types(COPY_TYPES)
        for record in records:
            await copy.write_row(_row(sensor_id, record))


def day_of(unix: float) -> date:
    return datetime.fromtimestamp(unix, UTC).date()


def _row(sensor_id: int, record: FlowRecord) -> tuple[object, ...]:
    started_at = datetime.fromtimestamp(record.started_at, UTC)
    return (
        started_at.date(), sensor_id, record.flow_id, started_at, record.transport.value, *record.origin,
        *record.responder, record.community_id, record.duration, sorted(record.services),
        sorted(record.failed_services), list(record.violations), record.tls_version, record.server_name, record.state,
        record.bytes_out, record.bytes_in, record.packets_out, record.packets_in, record.one_sided,
    )  # fmt: skip


def record_of(row: Any, tool: Tool, sensor: str) -> FlowRecord:
    """Of a row of `flows`, mapped or not."""
    return FlowRecord(
        tool, sensor, row.flow_id, row.started_at.timestamp(), Transport(row.transport),
        (row.origin_address, row.origin_port), (row.responder_address, row.responder_port), row.community_id,
        row.duration, frozenset(row.services), frozenset(row.failed_services), tuple(row.violations),
        row.tls_version, row.server_name, row.state,
        row.bytes_out, row.bytes_in, row.packets_out, row.packets_in, row.one_sided,
    )  # fmt: skip


#: Breaks ties between flows that started in the same microsecond.
NAME = func.concat(Flow.sensor_id, "/", Flow.flow_id)


async def list_flows(
    session: ReadSession, conditions: Sequence[Any], order: Sequence[Any], limit: int
) -> Sequence[tuple[Flow, FlowSensor]]:
    query = select(Flow, FlowSensor).join(FlowSensor, FlowSensor.sensor_id == Flow.sensor_id)
    found = await session.execute(query.where(*conditions).order_by(*order).limit(limit))
    return [(flow, sensor) for flow, sensor in found]


def touches(address: str) -> ColumnElement[bool]:
    return or_(Flow.origin_address == address, Flow.responder_address == address)


def started(since: datetime | None, until: datetime | None) -> list[ColumnElement[bool]]:
    """Bounds of the start; days are named too, so that only theirs are read."""
    bounds = [Flow.started_at >= since, Flow.day >= since.astimezone(UTC).date()] if since else []
    return bounds + ([Flow.started_at < until, Flow.day <= until.astimezone(UTC).date()] if until else [])


async def list_sensors(session: ReadSession) -> Sequence[FlowSensor]:
    return (await session.scalars(select(FlowSensor).order_by(FlowSensor.name, FlowSensor.tool))).all()
