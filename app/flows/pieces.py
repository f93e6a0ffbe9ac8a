"""One connection may be several flows: a sensor that hears nothing for a while closes one and begins the next."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from app.detection.behaviour import Transport
from app.flows.connections import FiveTuple, five_tuple
from app.flows.records import Address, FlowRecord

#: A client's port is not used again towards the same peer so soon. Source: Zeek's `tcp_inactivity_timeout`, 5 minutes.
SAME_CONNECTION_SECONDS = 300.0

#: States of an attempt that nobody answered, or that was refused. Source: Zeek's conn_state; Suricata's flow.state.
ATTEMPTS = frozenset({"S0", "REJ", "new"})
_PACKETS_OF_AN_ATTEMPT = 8  #: a first packet and what is sent again; more were sent by a capture that hears one side


@dataclass(frozen=True, slots=True)
class Pieces:
    """The flows of one connection, oldest first. The first names it, for it has the beginning of what was said."""

    flows: tuple[FlowRecord, ...]

    @property
    def first(self) -> FlowRecord:
        return self.flows[0]

    @property
    def ended_at(self) -> float:
        return max(_end(each) for each in self.flows)


@dataclass(frozen=True, slots=True)
class SensorFlows:
    """What one sensor saw, to be asked for in three ways."""

    by_community_id: Mapping[str, Sequence[Pieces]]
    by_five_tuple: Mapping[FiveTuple, Sequence[Pieces]]
    by_end: Mapping[tuple[Transport, Address], Sequence[Pieces]]  #: each flow under both of its ends
    attempts: Mapping[tuple[str, Address], int]  #: (calling address, called end) → attempts without an answer
    sees: frozenset[str]  #: protocols that the sensor was ever seen to recognise; `violations` if it reports those


def sensor_flows(flows: Iterable[FlowRecord], sees: frozenset[str] = frozenset()) -> SensorFlows:
    """An index of one sensor's flows. `sees`: what is known of the sensor from elsewhere."""
    by_tuple: defaultdict[FiveTuple, list[FlowRecord]] = defaultdict(list)
    for each in flows:
        by_tuple[five_tuple(each.transport, each.origin, each.responder)].append(each)
    pieces = {key: list(_chained(found)) for key, found in by_tuple.items()}
    by_id: defaultdict[str, list[Pieces]] = defaultdict(list)
    by_end: defaultdict[tuple[Transport, Address], list[Pieces]] = defaultdict(list)
    attempts: Counter[tuple[str, Address]] = Counter()
    for (transport, *ends), connections in pieces.items():
        for one in connections:
            by_id[one.first.community_id].append(one)
            for end in ends:
                by_end[transport, end].append(one)
            if _is_attempt(one.first):
                attempts[one.first.origin[0], one.first.responder] += 1
    seen = sees.union(*(_seen(flow) for found in by_tuple.values() for flow in found))
    return SensorFlows(by_id, pieces, by_end, attempts, seen)


def _chained(flows: Iterable[FlowRecord]) -> Iterator[Pieces]:
    """Flows of one 5-tuple, parted where the next began long after the end of the one before."""
    chain: list[FlowRecord] = []
    for each in sorted(flows, key=lambda flow: (flow.started_at, flow.flow_id)):
        if chain and each.started_at - max(map(_end, chain)) > SAME_CONNECTION_SECONDS:
            yield Pieces(tuple(chain))
            chain = []
        chain.append(each)
    if chain:
        yield Pieces(tuple(chain))


def _end(flow: FlowRecord) -> float:
    return flow.started_at + max(flow.duration or 0.0, 0.0)


def _is_attempt(flow: FlowRecord) -> bool:
    silent = not flow.bytes_out and not flow.bytes_in and (flow.packets_out or 0) <= _PACKETS_OF_AN_ATTEMPT
    return flow.transport is Transport.TCP and flow.state in ATTEMPTS and silent


def _seen(flow: FlowRecord) -> frozenset[str]:
    tls = {"tls"} if flow.tls_version or flow.services & {"ssl", "tls"} else set()
    violations = {"violations"} if flow.violations or flow.failed_services else set()
    return flow.services | tls | violations
