"""What is known around behaviours in a replay, from the rows of its own files."""

from collections.abc import Mapping

from app.analysis.replay_flows import ReplayFlows
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
    """Facts and connections come in the order of the files, all of them before the first question."""

    def __init__(self, flows: ReplayFlows, approved: ApprovedList | None = None) -> None:
        self._flows = flows
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
        self._keepers[fact.kind](fact)

    def connect(self, node: str, behaviour: Behaviour, columns: Mapping[str, object], seen_at: float) -> None:
        """A row that shows a connection of a behaviour."""
        self._flows.connect(node, behaviour, columns, seen_at)

    def around(self, node: str, behaviour: Behaviour, context: Context, seen_at: float, knobs: Knobs) -> Surroundings:
        """`context` has the signer of the program."""
        return Surroundings(
            start=self._starts.around(node, behaviour, context, seen_at, knobs.time_window.join_seconds),
            software=self._software.around(node, behaviour, context.signer, seen_at),
            flows=self._flows.around(node, behaviour, seen_at),
            job=self._jobs.behind(node, behaviour, context, seen_at),
        )
