"""What is known around behaviours in a replay, from the rows of its own files."""

from app.analysis.replay_jobs import ReplayJobs
from app.analysis.replay_software import ReplaySoftware
from app.analysis.replay_starts import ReplayStarts
from app.detection.approved import ApprovedList
from app.detection.behaviour import Behaviour
from app.detection.context import Context
from app.detection.facts import Fact, FactKind
from app.detection.knobs import Knobs
from app.detection.surroundings import Surroundings


class ReplaySurroundings:
    """Facts come in the order of the files, all of them before the first question."""

    def __init__(self, approved: ApprovedList | None = None) -> None:
        self._starts = ReplayStarts()
        self._software = ReplaySoftware(approved)
        self._jobs = ReplayJobs()
        self._keepers = {
            FactKind.PROCESS: self._starts.add,
            FactKind.SOFTWARE: self._software.add,
            FactKind.JOB: self._jobs.add,
        }

    def add(self, fact: Fact) -> None:
        """Raises: RejectedRow."""
        if keep := self._keepers.get(fact.kind):
            keep(fact)

    def around(self, node: str, behaviour: Behaviour, context: Context, seen_at: float, knobs: Knobs) -> Surroundings:
        """`context` has the signer of the program."""
        return Surroundings(
            start=self._starts.around(node, behaviour, context, seen_at, knobs.time_window.join_seconds),
            software=self._software.around(node, behaviour, context.signer, seen_at),
            job=self._jobs.behind(node, behaviour, context, seen_at),
        )
