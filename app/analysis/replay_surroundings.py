"""What is known around behaviours in a replay, from the rows of its own files."""

from collections.abc import Mapping

from app.analysis.replay_flows import ReplayFlows
from app.detection.behaviour import Behaviour
from app.detection.context import Context
from app.detection.facts import Fact
from app.detection.process_start import start_in_row
from app.detection.surroundings import Surroundings


class ReplaySurroundings:
    """Facts and connections come in the order of the files, all of them before the first question."""

    def __init__(self, flows: ReplayFlows) -> None:
        self._facts: list[Fact] = []
        self._flows = flows

    def add(self, fact: Fact) -> None:
        self._facts.append(fact)

    def connect(self, node: str, behaviour: Behaviour, columns: Mapping[str, object], seen_at: float) -> None:
        """A row that shows a connection of a behaviour."""
        self._flows.connect(node, behaviour, columns, seen_at)

    def around(self, node: str, behaviour: Behaviour, context: Context, seen_at: float) -> Surroundings:
        return Surroundings(start=start_in_row(context, seen_at), flows=self._flows.around(node, behaviour, seen_at))
