"""The SQL of joining flows with what is judged: a few statements for any number of connections."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause, delete, func, select, text
from sqlalchemy.dialects.postgresql import BIGINT, BOOLEAN, DATE, DOUBLE_PRECISION, INTEGER, TEXT, TIMESTAMP
from sqlalchemy.dialects.postgresql import UUID as PG_UUID

from app.analysis.models import FlowMark, FlowSkew, JudgedConnection
from app.analysis.store import arrays
from app.database import ReadSession, WriteSession
from app.detection.behaviour import Transport
from app.findings.again.store import ADD_TO_QUEUE
from app.flows.connections import Connection
from app.flows.join import Sensor
from app.flows.models import FlowSensor
from app.flows.records import FlowRecord
from app.flows.store import record_of

#: Of one connection: pieces of it, flows of the same 5-tuple at other times, attempts, flows with its peer.
FLOWS_OF_ONE_MAX = 20
SKEWS_MAX = 31
#: Time between the beginning and the end of a transaction that keeps flows: they become visible so late.
IN_FLIGHT = timedelta(seconds=10)

_INSTANT = TIMESTAMP(timezone=True)

Key = tuple[int, UUID, date]  #: node, behaviour, day


@dataclass(frozen=True, slots=True)
class Judged:
    """A connection that a judged row showed."""

    node_id: int
    behaviour_id: UUID
    day: date
    connection: Connection

    @property
    def key(self) -> Key:
        return self.node_id, self.behaviour_id, self.day


async def sensors(session: ReadSession) -> dict[int, FlowSensor]:
    return {each.sensor_id: each for each in await session.scalars(select(FlowSensor))}


_RECENT = arrays(
    """
    SELECT c.node_id, c.behaviour_id, c.day, c.community_id, c.transport, c.local_address, c.local_port,
           c.remote_address, c.remote_port, c.seen_at, c.sensor_ids
    FROM judged_connections c
    JOIN unnest(:nodes, :behaviours) AS w(node_id, behaviour_id) USING (node_id, behaviour_id)
    WHERE c.day BETWEEN :first AND :last ORDER BY c.day DESC
    """,
    nodes=BIGINT(), behaviours=PG_UUID(),
)  # fmt: skip


async def recent(
    session: ReadSession, wanted: Collection[tuple[int, UUID]], first: date, last: date
) -> dict[Judged, list[int]]:
    """Connections of (node, behaviour) pairs of these days, the newest first → sensors that they are joined with."""
    nodes, behaviours = (list(column) for column in zip(*wanted, strict=True))
    values = {"nodes": nodes, "behaviours": behaviours, "first": first, "last": last}
    return {_judged(row): row.sensor_ids for row in await session.execute(_RECENT, values)}


def _judged(row: Any) -> Judged:
    local, remote = (row.local_address, row.local_port), (row.remote_address, row.remote_port)
    node, program = str(row.node_id), str(row.behaviour_id)
    seen_at = row.seen_at.timestamp()
    connection = Connection(node, program, Transport(row.transport), local, remote, row.community_id, seen_at)
    return Judged(row.node_id, row.behaviour_id, row.day, connection)


_COLUMNS = """f.day, f.sensor_id, f.flow_id, f.started_at, f.transport, f.origin_address, f.origin_port,
  f.responder_address, f.responder_port, f.community_id, f.duration, f.services, f.failed_services, f.violations,
  f.tls_version, f.server_name, f.state, f.bytes_out, f.bytes_in, f.packets_out, f.packets_in, f.one_sided"""
_NEAR = "f.day BETWEEN a.seen_day - 1 AND a.seen_day + 1 AND f.transport = a.transport"

#: A plan made while a day was young, or for a limit of few, would read that whole day.
_KEYS_ONLY, _ANY_PLAN = text("SET LOCAL enable_seqscan = off"), text("SET LOCAL enable_seqscan = on")

#: By name; by both ends either way round, where a sensor seeds its names; unanswered attempts at the same peer.
#: A server's address and port may have millions of flows, so `|| ''` keeps their index out where the client's is meant.
_FLOWS = arrays(
    f"""
    SELECT found.* FROM unnest(:ids, :transports, :locals, :local_ports, :remotes, :remote_ports, :seen, :seen_days,
                              :attempts)
      AS a(community_id, transport, local, local_port, remote, remote_port, seen_at, seen_day, is_attempt)
    CROSS JOIN LATERAL (
      (SELECT {_COLUMNS} FROM flows f WHERE {_NEAR} AND f.community_id = a.community_id LIMIT {FLOWS_OF_ONE_MAX})
      UNION ALL
      (SELECT {_COLUMNS} FROM flows f WHERE {_NEAR} AND f.origin_address = a.local AND f.origin_port = a.local_port
         AND f.responder_address || '' = a.remote AND f.responder_port = a.remote_port LIMIT {FLOWS_OF_ONE_MAX})
      UNION ALL
      (SELECT {_COLUMNS} FROM flows f WHERE {_NEAR} AND f.responder_address = a.local
         AND f.responder_port = a.local_port AND f.origin_address || '' = a.remote AND f.origin_port = a.remote_port
         LIMIT {FLOWS_OF_ONE_MAX})
      UNION ALL
      (SELECT {_COLUMNS} FROM flows f WHERE a.is_attempt AND {_NEAR} AND f.responder_address = a.remote
         AND f.responder_port = a.remote_port AND f.origin_address || '' = a.local AND f.state IN ('S0', 'REJ', 'new')
         AND f.started_at BETWEEN a.seen_at - interval '30 min' AND a.seen_at + interval '30 min'
         LIMIT {FLOWS_OF_ONE_MAX})
    ) found
    """,  # noqa: S608 - constants
    ids=TEXT(), transports=TEXT(), locals=TEXT(), local_ports=INTEGER(), remotes=TEXT(), remote_ports=INTEGER(),
    seen=_INSTANT, seen_days=DATE(), attempts=BOOLEAN(),
)  # fmt: skip

_FLOWS_WITH_PEER = arrays(
    f"""
    SELECT found.* FROM unnest(:transports, :remotes, :remote_ports, :seen, :seen_days)
      AS a(transport, remote, remote_port, seen_at, seen_day)
    CROSS JOIN LATERAL (
      SELECT {_COLUMNS} FROM flows f WHERE {_NEAR} AND f.responder_address = a.remote
        AND f.responder_port = a.remote_port
        AND f.started_at BETWEEN a.seen_at - interval '5 min' AND a.seen_at + interval '5 min'
      LIMIT {FLOWS_OF_ONE_MAX}
    ) found
    """,  # noqa: S608 - constants
    transports=TEXT(), remotes=TEXT(), remote_ports=INTEGER(), seen=_INSTANT, seen_days=DATE(),
)  # fmt: skip


async def flows_near(
    session: ReadSession, connections: Iterable[Connection], known: Mapping[int, FlowSensor]
) -> list[FlowRecord]:
    """Every flow that could be one of the connections, or an attempt like it; each once."""
    wanted = list(dict.fromkeys(connections))
    values = _asked_by(wanted) | {
        "ids": [each.community_id for each in wanted],
        "locals": [each.local[0] for each in wanted],
        "local_ports": [each.local[1] for each in wanted],
        "attempts": [each.is_attempt for each in wanted],
    }
    return await _found(session, _FLOWS, values, known) if wanted else []


async def flows_with_peer(
    session: ReadSession, connections: Sequence[Connection], known: Mapping[int, FlowSensor]
) -> list[FlowRecord]:
    """Flows of the connections' peers at about the time, from whatever address."""
    return await _found(session, _FLOWS_WITH_PEER, _asked_by(connections), known) if connections else []


def _asked_by(connections: Iterable[Connection]) -> dict[str, list[Any]]:
    wanted = [(each, datetime.fromtimestamp(each.first_seen_at, UTC)) for each in connections]
    return {
        "transports": [each.transport.value for each, _ in wanted],
        "remotes": [each.remote[0] for each, _ in wanted],
        "remote_ports": [each.remote[1] for each, _ in wanted],
        "seen": [at for _, at in wanted],
        "seen_days": [at.date() for _, at in wanted],
    }


async def _found(
    session: ReadSession, statement: TextClause, values: Mapping[str, Any], known: Mapping[int, FlowSensor]
) -> list[FlowRecord]:
    await session.execute(_KEYS_ONLY)
    rows = {(row.sensor_id, row.day, row.flow_id): row for row in await session.execute(statement, values)}
    await session.execute(_ANY_PLAN)
    names = {sensor_id: named(sensor) for sensor_id, sensor in known.items()}
    return [record_of(row, *names[row.sensor_id]) for row in rows.values() if row.sensor_id in names]


def named(sensor: FlowSensor) -> Sensor:
    return ("zeek" if sensor.tool == "zeek" else "suricata"), sensor.name


async def skews(session: ReadSession, nodes: Collection[int]) -> dict[int, dict[str, list[float]]]:
    """Sensor → node → skews, oldest first."""
    found: defaultdict[int, dict[str, list[float]]] = defaultdict(dict)
    for row in await session.scalars(select(FlowSkew).where(FlowSkew.node_id.in_(nodes))):
        found[row.sensor_id][str(row.node_id)] = row.skews
    return found


_ADD_SKEWS = arrays(
    f"""
    INSERT INTO flow_skews AS s (node_id, sensor_id, skews, joins, changed_at)
    SELECT node_id, sensor_id, (array_agg(skew ORDER BY seen_at))[greatest(1, count(*) - {SKEWS_MAX - 1}):], count(*),
           now()
    FROM unnest(:nodes, :sensors, :seen, :skews) AS new(node_id, sensor_id, seen_at, skew)
    GROUP BY node_id, sensor_id ORDER BY node_id, sensor_id
    ON CONFLICT (node_id, sensor_id) DO UPDATE SET
      skews = (s.skews || excluded.skews)[
        greatest(1, cardinality(s.skews || excluded.skews) - {SKEWS_MAX - 1}):],
      joins = s.joins + excluded.joins,
      changed_at = excluded.changed_at
    """,  # noqa: S608 - a constant
    nodes=BIGINT(), sensors=INTEGER(), seen=_INSTANT, skews=DOUBLE_PRECISION(),
)  # fmt: skip


async def add_skews(session: WriteSession, added: Sequence[tuple[int, int, float, float]]) -> None:
    """(node, sensor, when the node saw it, skew in seconds) of joins that leave no doubt and were not counted yet."""
    if not added:
        return
    values = {
        "nodes": [node for node, *_ in added],
        "sensors": [sensor for _, sensor, *_ in added],
        "seen": [datetime.fromtimestamp(at, UTC) for _, _, at, _ in added],
        "skews": [skew for *_, skew in added],
    }
    await session.execute(_ADD_SKEWS, values)


_KEEP = arrays(
    """
    INSERT INTO judged_connections AS c (node_id, behaviour_id, day, community_id, transport, local_address, local_port,
                                         remote_address, remote_port, seen_at, sensor_ids)
    SELECT node_id, behaviour_id, day, community_id, transport, local, local_port, remote, remote_port, seen_at,
           string_to_array(sensor_ids, ',')::int[]
    FROM unnest(:nodes, :behaviours, :days, :ids, :transports, :locals, :local_ports, :remotes, :remote_ports, :seen,
                :sensors)
      AS new(node_id, behaviour_id, day, community_id, transport, local, local_port, remote, remote_port, seen_at,
             sensor_ids)
    ORDER BY node_id, behaviour_id, day
    ON CONFLICT (node_id, behaviour_id, day) DO UPDATE SET
      community_id = excluded.community_id, transport = excluded.transport, local_address = excluded.local_address,
      local_port = excluded.local_port, remote_address = excluded.remote_address, remote_port = excluded.remote_port,
      seen_at = excluded.seen_at, asked_at = now(), sensor_ids = excluded.sensor_ids
    """,
    nodes=BIGINT(), behaviours=PG_UUID(), days=DATE(), ids=TEXT(), transports=TEXT(), locals=TEXT(),
    local_ports=INTEGER(), remotes=TEXT(), remote_ports=INTEGER(), seen=_INSTANT, sensors=TEXT(),
)  # fmt: skip


async def keep(session: WriteSession, joined: Mapping[Judged, Sequence[int]]) -> None:
    """Connections that were looked up just now, with the sensors whose flows they are joined with."""
    rows = list({each.key: (each, found) for each, found in joined.items()}.values())
    if not rows:
        return
    connections = [each.connection for each, _ in rows]
    values = {
        "nodes": [each.node_id for each, _ in rows],
        "behaviours": [each.behaviour_id for each, _ in rows],
        "days": [each.day for each, _ in rows],
        "ids": [each.community_id for each in connections],
        "transports": [each.transport.value for each in connections],
        "locals": [each.local[0] for each in connections],
        "local_ports": [each.local[1] for each in connections],
        "remotes": [each.remote[0] for each in connections],
        "remote_ports": [each.remote[1] for each in connections],
        "seen": [datetime.fromtimestamp(each.first_seen_at, UTC) for each in connections],
        "sensors": [",".join(map(str, found)) for _, found in rows],
    }
    await session.execute(_KEEP, values)


_USERS = arrays(
    """
    SELECT w.port, w.transport, count(*) FROM unnest(:ports, :transports) AS w(port, transport)
    CROSS JOIN LATERAL (
      SELECT 1 FROM behaviours b JOIN sightings s ON s.behaviour_id = b.behaviour_id AND s.day = :day
      WHERE b.direction = 'outbound' AND b.bucket = w.port AND b.transport = w.transport LIMIT 2
    ) users GROUP BY w.port, w.transport
    """,
    ports=TEXT(), transports=TEXT(),
)  # fmt: skip


async def used_by_one(session: ReadSession, day: date, ports: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """Of these (port bucket, transport), those to which one program of one node at most connected out on that day."""
    if not ports:
        return set()
    buckets, transports = (list(column) for column in zip(*ports, strict=True))
    users = {
        (port, transport): total
        for port, transport, total in await session.execute(
            _USERS, {"ports": buckets, "transports": transports, "day": day}
        )
    }
    return {each for each in ports if users.get(each, 0) <= 1}


async def take_mark(session: WriteSession, every: timedelta) -> datetime | None:
    """Until when flows were looked through; None when somebody did so less than `every` ago."""
    query = select(FlowMark, func.now()).where(FlowMark.kept_at <= func.now() - every)
    found = (await session.execute(query)).one_or_none()
    if found is None:
        return None
    mark, now = found
    before, mark.kept_at = mark.kept_at, now
    return before - IN_FLIGHT


#: A flow that came, or of which more became known, after its connection was looked up.
_COME = text(
    """
    WITH come AS (
      SELECT community_id, day, max(kept_at) AS kept_at FROM flows
      WHERE kept_at > :mark AND day >= :first AND community_id <> '' GROUP BY community_id, day
    )
    UPDATE judged_connections c SET asked_at = now() FROM come
    WHERE c.community_id = come.community_id AND c.day BETWEEN come.day - 1 AND come.day + 1
      AND come.kept_at > c.asked_at - CAST(:in_flight AS interval)
    RETURNING c.node_id, c.behaviour_id, c.day
    """
)


async def flows_came(session: WriteSession, mark: datetime, first: date) -> set[Key]:
    """Judged connections of `first` and later of which flows tell more than when they were judged."""
    found = await session.execute(_COME, {"mark": mark, "first": first, "in_flight": IN_FLIGHT})
    return {(node, behaviour, day) for node, behaviour, day in found}


_QUEUE = arrays(
    f"""
    INSERT INTO fresh_sightings AS q (node_id, batch_id, day, batch_day, role_id,
                                      behaviour_ids, line_numbers, row_numbers, seen_at, again)
    SELECT s.node_id, s.batch_id, s.day, s.batch_day, s.role_id, array_agg(s.behaviour_id),
           array_agg(s.line_number), array_agg(s.row_number), array_agg(s.first_seen_at), true
    FROM sightings s JOIN unnest(:nodes, :behaviours, :days) AS w(node_id, behaviour_id, day)
      USING (node_id, behaviour_id, day)
    WHERE NOT EXISTS (SELECT FROM findings f WHERE f.node_id = s.node_id AND f.behaviour_id = s.behaviour_id
                      AND f.is_open)
    GROUP BY s.node_id, s.batch_id, s.day, s.batch_day, s.role_id
    {ADD_TO_QUEUE}
    """,  # noqa: S608 - a constant
    nodes=BIGINT(), behaviours=PG_UUID(), days=DATE(),
)  # fmt: skip


async def queue_sightings(session: WriteSession, keys: Collection[Key]) -> None:
    """Judge again what is no open finding: what weighed too little may weigh enough now."""
    if keys:
        nodes, behaviours, days = (list(column) for column in zip(*sorted(keys), strict=True))
        await session.execute(_QUEUE, {"nodes": nodes, "behaviours": behaviours, "days": days})


async def forget(session: WriteSession, first: date) -> None:
    """Connections older than `first`."""
    await session.execute(delete(JudgedConnection).where(JudgedConnection.day < first))


async def joined(session: ReadSession, nodes: Collection[int]) -> dict[int, tuple[int, int]]:
    """Node → connections that were judged in the last days, and those of them that were joined with a flow."""
    any_sensor = func.cardinality(JudgedConnection.sensor_ids) > 0
    query = select(JudgedConnection.node_id, func.count(), func.count().filter(any_sensor))
    query = query.where(JudgedConnection.node_id.in_(nodes)).group_by(JudgedConnection.node_id)
    return {node: (total, found) for node, total, found in await session.execute(query)}


async def joined_by_sensor(session: ReadSession, nodes: Collection[int]) -> dict[tuple[int, int], int]:
    """(node, sensor) → connections that were joined with a flow of it."""
    sensor = func.unnest(JudgedConnection.sensor_ids).label("sensor")
    inner = select(JudgedConnection.node_id, sensor).where(JudgedConnection.node_id.in_(nodes)).subquery()
    query = select(inner.c.node_id, inner.c.sensor, func.count()).group_by(inner.c.node_id, inner.c.sensor)
    return {(node, sensor_id): total for node, sensor_id, total in await session.execute(query)}
