"""Flows in a replay: every connection in its files is joined with the flows that were handed in."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cached_property

from app.analysis.flow_joins.words import FLOWS_MAX, RECENT_DAYS
from app.detection.behaviour import Behaviour, Direction
from app.detection.flow_facts import FlowFacts
from app.flows.connections import Connection, connection_of
from app.flows.facts import facts_of
from app.flows.join import SensorJoin, join
from app.flows.records import FlowRecord

_DAY = 86_400


class ReplayFlows:
    def __init__(self, flows: Iterable[FlowRecord] = ()) -> None:
        self._flows = tuple(flows)
        self._first: dict[object, Connection] = {}

    def connect(self, node: str, behaviour: Behaviour, columns: Mapping[str, object], seen_at: float) -> None:
        if not self._flows or behaviour.direction is not Direction.OUTBOUND:
            return
        found = connection_of(node, str(behaviour.behaviour_id), columns, seen_at)
        if found:
            self._first.setdefault((node, found.program, found.five_tuple), found)

    def around(self, node: str, behaviour: Behaviour, seen_at: float) -> tuple[FlowFacts, ...]:
        """Of the behaviour's connections of that day and the days before, the newest first."""
        day = seen_at // _DAY
        found = self._by_behaviour.get((node, str(behaviour.behaviour_id)), ())
        recent = [each for each in found if 0 <= day - each[0] // _DAY <= RECENT_DAYS]
        newest = sorted(recent, key=lambda each: (each[0] // _DAY != day, -each[0] // _DAY, each[0]))
        return tuple(facts for _, facts in newest[:FLOWS_MAX])

    @property
    def share(self) -> tuple[int, int]:
        """Connections that were joined with a flow of any sensor, and all of them."""
        return len({each for one in self._joined for each in one.matches}), len(self._first)

    @cached_property
    def _joined(self) -> list[SensorJoin]:
        return join(self._first.values(), self._flows)

    @cached_property
    def _by_behaviour(self) -> Mapping[tuple[str, str], list[tuple[float, FlowFacts]]]:
        found: defaultdict[tuple[str, str], list[tuple[float, FlowFacts]]] = defaultdict(list)
        for one in self._joined:
            for connection, match in one.matches.items():
                seen = connection.first_seen_at, facts_of(match, one)
                found[connection.node, connection.program].append(seen)
        return found
