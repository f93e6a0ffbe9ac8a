"""Looks up the flows of connections that are about to be judged, and remembers what was found."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from uuid import UUID

from app.analysis.flow_joins import store
from app.analysis.flow_joins.store import Judged, named
from app.analysis.flow_joins.words import FLOWS_MAX, RECENT_DAYS
from app.database import WriteSession
from app.detection.addresses import PeerScope, peer_scope
from app.detection.behaviour import Behaviour
from app.detection.flow_facts import FlowFacts
from app.flows.connections import Connection, five_tuple
from app.flows.facts import facts_of
from app.flows.join import Earlier, Sensor, SensorJoin, join
from app.flows.models import FlowSensor
from app.flows.records import FlowRecord

#: Logs and events in which a sensor reports violations.
_OF_VIOLATIONS = frozenset({"analyzer", "dpd", "anomaly", "alert"})
#: Logs that a sensor writes only where it looks for the protocol.
_OF_PROTOCOLS = {"ssl": "tls", "tls": "tls", "http": "http"}

Pair = tuple[int, UUID]


async def flows_of(
    session: WriteSession, day: date, judged: Mapping[Judged, Behaviour], *, learns: bool = True
) -> dict[Pair, tuple[FlowFacts, ...]]:
    """(node, behaviour) → flows of the judged connection, then of the days before; a few statements for all.

    `learns`: keep what was judged and how far clocks are apart, for flows that come later.
    """
    known = await store.sensors(session)
    if not known or not judged:
        if learns:
            await store.keep(session, dict.fromkeys(judged, ()))
        return {}
    wanted = {(each.node_id, each.behaviour_id) for each in judged}
    before = await store.recent(session, wanted, day - timedelta(days=RECENT_DAYS), day)
    keys = {each.key for each in judged}
    everything = [*judged, *(each for each in before if each.key not in keys)]
    flows = await store.flows_near(session, (each.connection for each in everything), known)
    flows += await store.flows_with_peer(session, await _translated(session, day, judged, flows), known)
    earlier = _earlier(known, await store.skews(session, {each.node_id for each in judged}))
    joins = join((each.connection for each in everything), flows, earlier)
    found = _Found(joins, {named(each): sensor_id for sensor_id, each in known.items()})
    if learns:
        await store.add_skews(session, list(found.fresh_skews(before)))
        sensors = {each: found.sensors(each) for each in everything}
        await store.keep(session, {each: ids for each, ids in sensors.items() if each in judged or ids != before[each]})
    return found.facts(everything)


def _earlier(
    known: Mapping[int, FlowSensor], skews: Mapping[int, Mapping[str, Sequence[float]]]
) -> dict[Sensor, Earlier]:
    return {named(each): Earlier(_sees(each), skews.get(sensor_id, {})) for sensor_id, each in known.items()}


def _sees(sensor: FlowSensor) -> frozenset[str]:
    violations = {"violations"} if _OF_VIOLATIONS & set(sensor.logs) else set()
    return frozenset(
        {*sensor.services, *(_OF_PROTOCOLS[log] for log in sensor.logs if log in _OF_PROTOCOLS), *violations}
    )


async def _translated(
    session: WriteSession, day: date, judged: Mapping[Judged, Behaviour], flows: Iterable[FlowRecord]
) -> list[Connection]:
    """Private ones without a flow, to a port that one program of one node used on the day: no other's can be meant."""
    ids = {each.community_id for each in flows}
    tuples = {five_tuple(each.transport, each.origin, each.responder) for each in flows}
    left = {
        each.connection: (what.bucket, what.transport.value)
        for each, what in judged.items()
        if each.connection.community_id not in ids
        and each.connection.five_tuple not in tuples
        and peer_scope(each.connection.local[0]) is PeerScope.PRIVATE
    }
    alone = await store.used_by_one(session, day, set(left.values()))
    return [each for each, port in left.items() if port in alone]


class _Found:
    """What joins say, by what was judged."""

    def __init__(self, joins: Sequence[SensorJoin], sensor_ids: Mapping[Sensor, int]) -> None:
        self._joins, self._ids = joins, sensor_ids

    def sensors(self, judged: Judged) -> list[int]:
        return sorted(self._ids[one.sensor] for one, _ in self._of(judged))

    def facts(self, everything: Iterable[Judged]) -> dict[Pair, tuple[FlowFacts, ...]]:
        found: defaultdict[Pair, list[FlowFacts]] = defaultdict(list)
        for each in everything:
            found[each.node_id, each.behaviour_id] += [facts for _, facts in self._of(each)]
        return {pair: tuple(facts[:FLOWS_MAX]) for pair, facts in found.items() if facts}

    def fresh_skews(self, before: Mapping[Judged, Sequence[int]]) -> Iterator[tuple[int, int, float, float]]:
        """Of connections that were not joined with the sensor when they were judged before."""
        known = {(each.connection, sensor) for each, sensors in before.items() for sensor in sensors}
        for one in self._joins:
            sensor_id = self._ids[one.sensor]
            for each, skew in one.skews.items():
                if (each, sensor_id) not in known:
                    yield int(each.node), sensor_id, each.first_seen_at, skew

    def _of(self, judged: Judged) -> Iterator[tuple[SensorJoin, FlowFacts]]:
        for one in self._joins:
            if match := one.matches.get(judged.connection):
                yield one, facts_of(match, one)
