"""Joins connections that agents saw with flows that sensors saw. Pure: what is handed in decides.

In this order: Community ID and time; 5-tuple within the skew of the clocks; where an address was translated, the peer
and the time. What could be more than one flow is said to be ambiguous and is joined with none.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from app.detection.addresses import PeerScope, peer_scope
from app.flows.connections import Connection
from app.flows.pieces import Pieces, SensorFlows, sensor_flows
from app.flows.records import FlowRecord, Tool
from app.flows.skew import TOLERANCE_SECONDS, WITNESSES, Sample, Skew

#: Two tools may watch the same wire under one name.
Sensor = tuple[Tool, str]

#: Clocks further apart than that, or a 5-tuple used again, are told apart by nothing.
HORIZON_SECONDS = 26 * 3600.0


class How(StrEnum):
    COMMUNITY_ID = "Community ID"
    FIVE_TUPLE = "5-tuple"
    TRANSLATED = "peer and time"  #: the sensor saw another address than the node has (NAT)


@dataclass(frozen=True, slots=True)
class Match:
    connection: Connection
    pieces: Pieces
    how: How
    skew_seconds: float  #: sensor's time of the flow minus the node's first sight; 0 if open long before
    is_firm: bool  #: not by a translated address; and the clocks agree, or other joins show that they do not
    attempts: int  #: of a mere attempt: flows from that address to that peer and port that nobody answered

    @property
    def flow(self) -> FlowRecord:
        return self.pieces.first


@dataclass(frozen=True, slots=True)
class SensorJoin:
    """What one sensor's flows say of the connections."""

    sensor: Sensor
    sees: frozenset[str]
    matches: Mapping[Connection, Match]
    ambiguous: Mapping[Connection, int]  #: connections that more than one flow fits → how many
    skews: Mapping[Connection, float]  #: of joins that leave no doubt, in seconds


@dataclass(frozen=True, slots=True)
class Earlier:
    """What is known of a sensor before: what it recognises, and its skews by node."""

    sees: frozenset[str] = frozenset()
    skews: Mapping[str, Sequence[float]] = field(default_factory=dict)


def join(
    connections: Iterable[Connection], flows: Iterable[FlowRecord], earlier: Mapping[Sensor, Earlier] | None = None
) -> list[SensorJoin]:
    """One result for each sensor that the flows come from, by name."""
    wanted = list(dict.fromkeys(connections))
    by_sensor: defaultdict[Sensor, list[FlowRecord]] = defaultdict(list)
    for flow in flows:
        by_sensor[flow.tool, flow.sensor].append(flow)
    known = earlier or {}
    return [_Join(wanted, sensor, by_sensor[sensor], known.get(sensor, Earlier())).done for sensor in sorted(by_sensor)]


class _Join:
    def __init__(
        self, connections: Sequence[Connection], sensor: Sensor, flows: Iterable[FlowRecord], earlier: Earlier
    ) -> None:
        self._index = sensor_flows(flows, earlier.sees)
        exact = {each: list(_exact(self._index, each)) for each in connections}
        sure = {each: _skew(each, found[0][1]) for each, found in exact.items() if len(found) == 1}
        samples: defaultdict[str, list[Sample]] = defaultdict(list)
        for each, skew in sure.items():
            samples[each.node].append((each.first_seen_at, skew))
        nodes = {each.node for each in connections}
        self._skews = {node: Skew(samples[node], earlier.skews.get(node, ())) for node in nodes}
        self._matches: dict[Connection, Match] = {}
        self._ambiguous: dict[Connection, int] = {}
        for each, candidates in exact.items():
            self._choose(each, candidates)
        self._own = {each.local[0] for each in connections}
        self._translate([each for each, candidates in exact.items() if not candidates])
        self.done = SensorJoin(sensor, self._index.sees, self._matches, self._ambiguous, sure)

    def _choose(self, connection: Connection, candidates: Sequence[tuple[How, Pieces]]) -> None:
        """The only candidate, or the only one whose time fits; the others are said to be ambiguous."""
        skew = self._skews[connection.node].at(connection.first_seen_at)
        fitting = [each for each in candidates if skew is not None and _fits(connection, each[1], skew)]
        chosen = fitting or candidates
        if len(chosen) == 1:
            self._match(connection, *chosen[0])
        elif chosen:
            self._ambiguous[connection] = len(chosen)

    def _match(self, connection: Connection, how: How, pieces: Pieces) -> None:
        skew = _skew(connection, pieces)
        witnesses = self._skews[connection.node].witnesses(connection.first_seen_at, skew)
        is_firm = how is not How.TRANSLATED and (_fits(connection, pieces, 0.0) or witnesses > WITNESSES)
        tried = self._index.attempts.get((_other_end(pieces, connection), connection.remote), 0)
        attempts = tried if connection.is_attempt else 0
        self._matches[connection] = Match(connection, pieces, how, skew, is_firm, attempts)

    def _translate(self, left: Sequence[Connection]) -> None:
        """Connections of one program to one peer, with flows that nobody else can have caused."""
        taken = {match.flow.flow_id for match in self._matches.values()}
        rivals: defaultdict[tuple[object, ...], list[Connection]] = defaultdict(list)
        for each in left:
            if peer_scope(each.local[0]) is PeerScope.PRIVATE:
                rivals[each.transport, each.remote].append(each)
        for connections in rivals.values():
            pairs = {each: self._translated(each, taken) for each in connections}
            self._share_out(pairs)

    def _translated(self, connection: Connection, taken: set[str]) -> list[Pieces]:
        """Flows with the peer, at the time, from an address that no node has."""
        skew = self._skews[connection.node].at(connection.first_seen_at) or 0.0
        return [
            each
            for each in self._index.by_end.get((connection.transport, connection.remote), ())
            if each.first.flow_id not in taken
            and _other_end(each, connection) not in self._own
            and _fits(connection, each, skew)
        ]

    def _share_out(self, pairs: Mapping[Connection, Sequence[Pieces]]) -> None:
        for connection, candidates in pairs.items():
            near = [each for each, others in pairs.items() if _overlap(candidates, others)]
            whose = {(each.node, each.program) for each in near}
            if candidates and len(whose) == 1 and len(candidates) <= len(near):
                nearest = min(candidates, key=lambda each: abs(_apart(connection, each)))
                self._match(connection, How.TRANSLATED, nearest)
            elif candidates:
                self._ambiguous[connection] = len(candidates)


def _exact(index: SensorFlows, connection: Connection) -> Iterator[tuple[How, Pieces]]:
    """By Community ID; by 5-tuple, either way round, where one side has none or the sensor seeds its own."""
    by_id = index.by_community_id.get(connection.community_id, ()) if connection.community_id else ()
    how = How.COMMUNITY_ID if by_id else How.FIVE_TUPLE
    for each in by_id or index.by_five_tuple.get(connection.five_tuple, ()):
        if abs(_apart(connection, each)) <= HORIZON_SECONDS:
            yield how, each


def _apart(connection: Connection, pieces: Pieces) -> float:
    return pieces.first.started_at - connection.first_seen_at


def _skew(connection: Connection, pieces: Pieces) -> float:
    """What a join says of the clocks. One that was open long before a node first looked says that they may agree."""
    apart = _apart(connection, pieces)
    was_open = pieces.first.started_at <= connection.first_seen_at <= pieces.ended_at
    return 0.0 if was_open and apart < -TOLERANCE_SECONDS else apart


def _fits(connection: Connection, pieces: Pieces, skew: float) -> bool:
    """Whether the node could have seen the flow then: it may have lasted long before a poll first showed it."""
    seen_at = connection.first_seen_at + skew
    return pieces.first.started_at - TOLERANCE_SECONDS <= seen_at <= pieces.ended_at + TOLERANCE_SECONDS


def _other_end(pieces: Pieces, connection: Connection) -> str:
    """The address that speaks with the connection's peer, as the sensor saw it."""
    flow = pieces.first
    return flow.origin[0] if flow.responder == connection.remote else flow.responder[0]


def _overlap(one: Sequence[Pieces], other: Sequence[Pieces]) -> bool:
    return bool({each.first.flow_id for each in one} & {each.first.flow_id for each in other})
