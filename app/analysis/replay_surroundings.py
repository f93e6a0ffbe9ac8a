"""What is known around behaviours in a replay, from the rows of its own files."""

from app.detection.behaviour import Behaviour
from app.detection.context import Context
from app.detection.facts import Fact
from app.detection.process_start import start_in_row
from app.detection.surroundings import Surroundings


class ReplaySurroundings:
    """Facts come in the order of the files, all of them before the first question."""

    def __init__(self) -> None:
        self._facts: list[Fact] = []

    def add(self, fact: Fact) -> None:
        self._facts.append(fact)

    def around(self, _node: str, _behaviour: Behaviour, context: Context, seen_at: float) -> Surroundings:
        return Surroundings(start=start_in_row(context, seen_at))
