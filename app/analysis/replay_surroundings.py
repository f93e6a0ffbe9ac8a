"""What is known around behaviours in a replay, from the rows of its own files."""

from app.analysis.replay_software import ReplaySoftware
from app.detection.approved import ApprovedList
from app.detection.behaviour import Behaviour
from app.detection.context import Context
from app.detection.facts import Fact, FactKind
from app.detection.process_start import start_in_row
from app.detection.surroundings import Surroundings


class ReplaySurroundings:
    """Facts come in the order of the files, all of them before the first question."""

    def __init__(self, approved: ApprovedList | None = None) -> None:
        self._facts: list[Fact] = []
        self._software = ReplaySoftware(approved)

    def add(self, fact: Fact) -> None:
        if fact.kind is FactKind.SOFTWARE:
            self._software.add(fact)
        else:
            self._facts.append(fact)

    def around(self, node: str, behaviour: Behaviour, context: Context, seen_at: float) -> Surroundings:
        """`context` has the signer of the program."""
        software = self._software.around(node, behaviour, context.signer, seen_at)
        return Surroundings(start=start_in_row(context, seen_at), software=software)
