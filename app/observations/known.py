"""What a worker remembers of today, so that it need not ask the database: losing it costs a few idle inserts."""

from collections.abc import Iterable, Mapping

from app.observations.reduction import BehaviourId, Day


class KnownSightings:
    """Sightings known to be committed, by day and node, at most `limit` of them.

    Ids are shared with the reducer's memory, so an entry costs a slot of a set and no copy.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._total = 0
        self._days: dict[Day, dict[int, set[BehaviourId]]] = {}

    def __len__(self) -> int:
        return self._total

    def of(self, day: Day, node_id: int) -> set[BehaviourId] | frozenset[BehaviourId]:
        return self._days.get(day, {}).get(node_id, _NOTHING)

    def add(self, day: Day, node_id: int, behaviours: Iterable[BehaviourId]) -> None:
        known = self._days.setdefault(day, {}).setdefault(node_id, set())
        before = len(known)
        known.update(behaviours)
        self._total += len(known) - before
        while self._total > self._limit:
            self._forget_some()

    def _forget_some(self) -> None:
        """The oldest day first; within one day, the nodes that came first."""
        day = min(self._days)
        nodes = self._days[day]
        node_id = next(iter(nodes))
        self._total -= len(nodes.pop(node_id))
        if not nodes:
            del self._days[day]


_NOTHING: frozenset[BehaviourId] = frozenset()


class RecentEnds:
    """Ends written lately. A busy program closes connections all the time; one note in a while is enough."""

    def __init__(self, *, every_seconds: float = 900.0, limit: int = 500_000) -> None:
        self._every_seconds = every_seconds
        self._limit = limit
        self._total = 0
        self._next: dict[int, dict[BehaviourId, float]] = {}

    def due(self, node_id: int, ended: Mapping[BehaviourId, float]) -> list[tuple[BehaviourId, float]]:
        """Those of a batch's ends that are worth a note."""
        following = self._next.get(node_id)
        if following is None:
            return list(ended.items())
        return [(behaviour, at) for behaviour, at in ended.items() if at >= following.get(behaviour, 0.0)]

    def add(self, node_id: int, behaviour: BehaviourId, observed: float) -> None:
        if self._total >= self._limit:
            self._next.clear()
            self._total = 0
        following = self._next.setdefault(node_id, {})
        self._total += behaviour not in following
        following[behaviour] = observed + self._every_seconds
