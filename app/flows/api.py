"""Flow logs come in over HTTP as streams of lines; flows and their sensors go out as JSON."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from app.access.actor import Actor
from app.access.api import Reading, may
from app.access.audit.actions import Action
from app.access.audit.deed import Deed
from app.access.audit.record import recorded
from app.access.duties import Permission
from app.database import Database
from app.flows import store
from app.flows.keeping import Days, Keeper
from app.flows.lines import UnreadableStream
from app.flows.models import Flow, FlowSensor
from app.flows.reading import Account, FlowReader, NotAFlowLog
from app.flows.records import SENSOR_NAME, Tool
from app.keyset import Cursor, Limit, Page, Sorting, instant, keyset
from app.problems import InvalidRequest
from app.settings import Settings

router = APIRouter(prefix="/flows", tags=["flows"])
_READ = [may(Permission.READ)]

#: Requests of one worker that commit at once; the others wait without a connection, which agents need.
COMMITS_AT_ONCE = 2
SORTS = {"started_at": Sorting(Flow.started_at, store.NAME, instant, str)}


@dataclass(frozen=True)
class FlowDoor:
    settings: Settings
    database: Database
    now: Callable[[], datetime]
    gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(COMMITS_AT_ONCE))


class FaultOut(BaseModel):
    """Lines left out because one of their fields says something impossible."""

    lines: int
    first_line: int
    """From 1, in what was sent after gunzip."""
    field: str
    """Empty when the whole line is wrong."""
    problem: str
    sample: str


class FlowReceiptOut(BaseModel):
    """All of it is committed when you read this."""

    lines: int
    """Without headers and blank lines."""
    new: int
    changed: int
    """Flows of which these lines said more."""
    same: int
    """Flows of which everything was known."""
    logs: dict[str, int]
    """Lines that told something, by `TOOL/LOG`."""
    ignored: dict[str, int]
    """Lines of other logs and events, by name."""
    skipped: int
    faults: list[FaultOut]


class FlowOut(BaseModel):
    sensor: str
    tool: Tool
    flow_id: str
    started_at: datetime
    """By the sensor's clock."""
    transport: str
    origin_address: str
    origin_port: int
    responder_address: str
    responder_port: int
    community_id: str
    duration: float | None
    """Seconds."""
    services: list[str]
    failed_services: list[str]
    violations: list[str]
    tls_version: str
    server_name: str
    state: str
    """Zeek's conn_state or Suricata's flow.state; empty until that line came."""
    bytes_out: int | None
    bytes_in: int | None
    packets_out: int | None
    packets_in: int | None
    one_sided: bool
    """The sensor saw one direction only: that it recognised no service means nothing."""


class FlowSensorOut(BaseModel):
    name: str
    tool: Tool
    first_flow_at: datetime
    last_flow_at: datetime
    received_at: datetime
    logs: list[str]
    """Logs or events that ever told something of a flow; another one cannot be missed."""
    services: list[str]


@router.post("")
async def post_flows(
    request: Request,
    sensor: Annotated[str, Query(pattern=SENSOR_NAME, description="your name for the sensor")],
    actor: Annotated[Actor, may(Permission.IMPORT)],
) -> FlowReceiptOut:
    """Take in lines of Zeek logs (text with header, or JSON) or of Suricata's EVE log, gzip or not.

    They are read as they come and committed in pieces. Sending them again changes nothing.
    """
    door: FlowDoor = request.app.state.flow_door
    async with recorded(door.database, actor, Deed(Action.FLOWS_IMPORTED, "sensor", sensor)) as say:
        receipt = await _keep(request, door, sensor)
        say(f"{receipt.lines} lines: {receipt.new} new, {receipt.changed} changed")
    return receipt


async def _keep(request: Request, door: FlowDoor, sensor: str) -> FlowReceiptOut:
    """Raises: InvalidRequest."""
    days = Days.now(door.now(), door.settings.flow_retention_days)
    reader = FlowReader(sensor, span=days.span, max_bytes=door.settings.flow_body_max_bytes)
    keeper = Keeper(door.database, sensor, days, now=door.now(), gate=door.gate)
    try:
        async for chunk in request.stream():
            for parts in reader.read(chunk):
                await keeper.add(parts, reader.account.logs)
                await asyncio.sleep(0)  # a chunk may inflate to many pieces, and agents wait
        await keeper.add(reader.finish(), reader.account.logs)
    except NotAFlowLog as strange:
        raise InvalidRequest(str(strange)) from strange
    except UnreadableStream as problem:
        await keeper.commit()
        raise InvalidRequest(f"after line {reader.line}: {problem}; the lines up to there are kept") from problem
    await keeper.commit()
    return _receipt(reader.account, keeper)


def _receipt(account: Account, keeper: Keeper) -> FlowReceiptOut:
    kept = keeper.kept
    faults = [
        FaultOut(
            lines=each.lines, first_line=each.first_line, field=each.field, problem=each.problem, sample=each.sample
        )
        for each in account.faults.values()
    ]
    return FlowReceiptOut(
        lines=account.lines, new=kept.new, changed=kept.changed, same=kept.same, logs=account.logs,
        ignored=account.ignored, skipped=account.faulty, faults=faults,
    )  # fmt: skip


@router.get("", dependencies=_READ)
async def list_flows(  # noqa: PLR0913, PLR0917 - filters of a list
    session: Reading,
    address: Annotated[str | None, Query(description="of either end, canonical", max_length=64)] = None,
    port: Annotated[int | None, Query(description="of the responder", ge=0, le=65535)] = None,
    sensor: Annotated[str | None, Query(max_length=63)] = None,
    community_id: Annotated[str | None, Query(max_length=60)] = None,
    since: Annotated[datetime | None, Query(description="started at or after")] = None,
    until: Annotated[datetime | None, Query(description="started before")] = None,
    sort: str = "-started_at",
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[FlowOut]:
    """Flows, newest first."""
    wanted: list[tuple[Any, Any]] = [
        (Flow.responder_port, port), (FlowSensor.name, sensor), (Flow.community_id, community_id),
    ]  # fmt: skip
    conditions = [column == value for column, value in wanted if value is not None]
    conditions += [store.touches(address)] if address is not None else []
    conditions += store.started(since, until)
    pages = keyset(sort, cursor, SORTS)
    rows = await store.list_flows(session, conditions + pages.conditions, pages.order, limit + 1)
    following = pages.next(rows, limit, lambda row: (row[0].started_at, f"{row[0].sensor_id}/{row[0].flow_id}"))
    return Page(items=[_flow_out(*row) for row in rows[:limit]], next=following)


@router.get("/sensors", dependencies=_READ)
async def list_flow_sensors(session: Reading) -> list[FlowSensorOut]:
    """Sensors whose logs ever came, with what they ever wrote."""
    names = FlowSensorOut.model_fields
    return [
        FlowSensorOut(**{name: getattr(sensor, name) for name in names}) for sensor in await store.list_sensors(session)
    ]


def _flow_out(flow: Flow, sensor: FlowSensor) -> FlowOut:
    named = {name: getattr(flow, name) for name in FlowOut.model_fields if hasattr(flow, name)}
    return FlowOut(**named, sensor=sensor.name, tool=sensor.tool)
