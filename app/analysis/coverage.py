"""What we can see of whom: per node the heartbeat, the configuration it runs, and how far each query has come."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from pydantic import BaseModel

from app.analysis import store
from app.analysis.flow_joins.coverage import FlowCoverage, flow_coverage
from app.analysis.starts.store import tallies
from app.collection.packs import Pack, Query
from app.collection.schedule import configuration_for, osquery_name
from app.database import ReadSession
from app.detection.evidence import counted, percent
from app.fleet.models import Node
from app.observations.models import Execution

#: A query is silent when nothing came for this many intervals; differential queries speak at least daily.
SILENT_INTERVALS = 3
DAILY_RESYNC = timedelta(hours=25)
#: A configuration changes once a day; a node may run the one before until its next refresh.
CONFIGURATION_AGE = timedelta(hours=2)
HEARTBEAT_SILENT = timedelta(minutes=10)


class QueryCoverage(BaseModel):
    query: str
    interval_seconds: int
    received_at: datetime | None
    """Null: it never reported. That is not the same as a quiet host."""
    observed_at: datetime | None
    is_silent: bool
    epoch: int | None
    counter: int | None
    rows_total: int
    missing_executions: int | None
    """Counters skipped within an epoch: executions that never arrived. Null where a query may skip by design."""
    restarts: int
    resyncs: int


class StartCoverage(BaseModel):
    """How many of a node's outbound behaviours since yesterday 00:00 UTC could be joined with a process start event.

    Counted when they were judged. An event that came later counts where a finding was judged again for it.
    """

    connections: int
    joined: int
    share: float | None
    """Null where nothing reports process events, or nothing connected out."""
    joined_by: dict[str, int]
    """Kind of event → connections that it explained."""
    reported_by: dict[str, int]
    """Kind of event → process starts that it told of."""
    says: str


class NodeCoverage(BaseModel):
    node_id: int
    hostname: str
    platform: str
    role: str
    heartbeat_at: datetime | None
    is_silent: bool
    """No heartbeat in the last 10 minutes."""
    configuration: str
    """`current`, `previous` (the one before today's resync), `other`, or `unknown` before the first heartbeat."""
    reported_config_hash: str | None
    notices: dict[str, int]
    """What the agent said of itself that means lost or doubtful rows, by kind."""
    quarantined_lines: int
    """Lines of the last 30 days that could not be understood."""
    queries: list[QueryCoverage]
    process_starts: StartCoverage
    flows: FlowCoverage


async def coverage(
    session: ReadSession, packs: Sequence[Pack], nodes: Sequence[tuple[Node, str]], now: datetime
) -> list[NodeCoverage]:
    """Coverage of the given nodes, each with its role, in their order."""
    ids = [node.node_id for node, _ in nodes]
    executions = await store.executions(session, ids)
    notices = await store.notices(session, ids)
    quarantined = await store.quarantined(session, ids)
    starts = await tallies(session, ids, now.date() - timedelta(days=1))
    flows = await flow_coverage(session, ids)
    return [
        NodeCoverage(
            node_id=node.node_id,
            hostname=node.hostname,
            platform=node.platform,
            role=role,
            heartbeat_at=node.heartbeat_at,
            is_silent=node.heartbeat_at is None or now - node.heartbeat_at > HEARTBEAT_SILENT,
            configuration=_configuration(node, packs, now),
            reported_config_hash=node.reported_config_hash,
            notices=notices.get(node.node_id, {}),
            quarantined_lines=quarantined.get(node.node_id, 0),
            queries=[
                _query(query, executions.get((node.node_id, query.result_name)), now)
                for query in asked_of(packs, node.platform)
            ],
            process_starts=_process_starts(starts.get(node.node_id, {})),
            flows=flows[node.node_id],
        )
        for node, role in nodes
    ]


def _process_starts(tallied: Mapping[str, tuple[int, int]]) -> StartCoverage:
    reported = {source: starts for source, (starts, _) in sorted(tallied.items()) if starts}
    joined_by = {source: total for source, (_, total) in sorted(tallied.items()) if source and total}
    connections, joined = sum(total for _, total in tallied.values()), sum(joined_by.values())
    is_seen = bool(reported or joined_by)
    return StartCoverage(
        connections=connections,
        joined=joined,
        share=joined / connections if is_seen and connections else None,
        joined_by=joined_by,
        reported_by=reported,
        says=_in_words(connections, joined, joined_by) if is_seen else "no process events reported",
    )


def _in_words(connections: int, joined: int, joined_by: Mapping[str, int]) -> str:
    if not connections:
        return "no connection out since yesterday"
    by = f" ({', '.join(f'{source}: {total}' for source, total in joined_by.items())})" if joined_by else ""
    return f"{percent(joined / connections)} of {counted(connections, 'connection')} joined with a process start{by}"


def asked_of(packs: Sequence[Pack], platform: str) -> list[Query]:
    """The queries that a node of a platform is asked."""
    return [query for pack in packs if pack.serves(osquery_name(platform)) for query in pack.queries]


def _configuration(node: Node, packs: Sequence[Pack], now: datetime) -> str:
    if not node.reported_config_hash:
        return "unknown"
    platform = osquery_name(node.platform)

    def served(at: datetime) -> str:
        return configuration_for(packs, platform, node_phase=node.node_id, now=at).config_hash

    if node.reported_config_hash == served(now):
        return "current"
    return "previous" if node.reported_config_hash == served(now - CONFIGURATION_AGE) else "other"


def _query(query: Query, execution: Execution | None, now: datetime) -> QueryCoverage:
    quiet_for = max(timedelta(seconds=query.interval_seconds * SILENT_INTERVALS), DAILY_RESYNC)
    return QueryCoverage(
        query=query.result_name,
        interval_seconds=query.interval_seconds,
        received_at=execution and execution.received_at,
        observed_at=execution and execution.observed_at,
        is_silent=execution is None or now - execution.received_at > quiet_for,
        epoch=execution and execution.epoch,
        counter=execution and execution.counter,
        rows_total=execution.rows_total if execution else 0,
        missing_executions=execution.missing_total if execution and query.removed else None,
        restarts=execution.restarts_total if execution else 0,
        resyncs=execution.resyncs_total if execution else 0,
    )
