"""How processes began, in a replay."""

from collections import defaultdict

from app.detection.behaviour import Behaviour
from app.detection.context import Context
from app.detection.facts import Fact
from app.detection.process_start import ProcessStart, join, sought, start_in_row
from app.detection.reported_starts import ReportedStart, reported_start


class ReplayStarts:
    def __init__(self) -> None:
        self._starts: defaultdict[tuple[str, int], list[ReportedStart]] = defaultdict(list)

    def add(self, fact: Fact) -> None:
        """Raises: RejectedRow."""
        if start := reported_start(fact):
            self._starts[start.node, start.process_id].append(start)

    def around(
        self, node: str, behaviour: Behaviour, context: Context, seen_at: float, join_seconds: float
    ) -> ProcessStart | None:
        """What an event told, or the row itself."""
        one = sought(behaviour, context, seen_at)
        event = join(one, self._starts.get((node, one.process_id), ()), join_seconds) if one else None
        return event or start_in_row(context, seen_at)
