"""The jobs of each node in a replay."""

from collections import defaultdict
from collections.abc import Mapping
from uuid import UUID

from app.detection.behaviour import Behaviour
from app.detection.context import Context
from app.detection.facts import Fact
from app.detection.job_parts import MOST_PARTS, JobKind, JobPart, hear_all, said_in
from app.detection.jobs import JobMatch, job_behind, relevant, wanted


class ReplayJobs:
    """Heard when the first question is asked."""

    def __init__(self) -> None:
        self._unheard: defaultdict[str, list[Fact]] = defaultdict(list)
        self._parts: dict[str, dict[UUID, JobPart]] = {}

    def add(self, fact: Fact) -> None:
        self._unheard[fact.node].append(fact)

    def behind(self, node: str, behaviour: Behaviour, context: Context, seen_at: float) -> JobMatch | None:
        wish = wanted(behaviour, context)
        if wish is None:
            return None
        parts = self._heard(node)
        return job_behind(relevant(parts.values(), wish), _since(parts), behaviour, context, seen_at)

    def _heard(self, node: str) -> dict[UUID, JobPart]:
        if node not in self._parts:
            self._parts[node] = {}
            hear_all(self._parts[node], said_in(self._unheard.pop(node, ())), MOST_PARTS)
        return self._parts[node]


def _since(parts: Mapping[UUID, JobPart]) -> dict[JobKind, int]:
    """Since when each inventory is known."""
    since: dict[JobKind, int] = {}
    for part in parts.values():
        since[part.kind] = min(part.first_seen_at, since.get(part.kind, part.first_seen_at))
    return since
