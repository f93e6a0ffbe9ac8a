"""What is known around behaviours in a replay, from the rows of its own files."""

from collections import defaultdict

from app.detection.behaviour import Behaviour
from app.detection.context import Context
from app.detection.facts import Fact, FactKind
from app.detection.knobs import Knobs
from app.detection.process_start import ProcessStart, Sought, join, sought, start_in_row
from app.detection.reported_starts import ReportedStart, reported_start
from app.detection.surroundings import Surroundings


class ReplaySurroundings:
    """Facts come in the order of the files, all of them before the first question."""

    def __init__(self) -> None:
        self._starts: defaultdict[tuple[str, int], list[ReportedStart]] = defaultdict(list)

    def add(self, fact: Fact) -> None:
        """Raises: RejectedRow."""
        if fact.kind is FactKind.PROCESS and (start := reported_start(fact)):
            self._starts[start.node, start.process_id].append(start)

    def around(self, node: str, behaviour: Behaviour, context: Context, seen_at: float, knobs: Knobs) -> Surroundings:
        one = sought(behaviour, context, seen_at)
        start = self._start(node, one, knobs.time_window.join_seconds) if one else None
        return Surroundings(start=start or start_in_row(context, seen_at))

    def _start(self, node: str, one: Sought, join_seconds: float) -> ProcessStart | None:
        return join(one, self._starts.get((node, one.process_id), ()), join_seconds)
