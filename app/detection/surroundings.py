"""What is known around a behaviour on its node beside the row that showed it."""

from dataclasses import dataclass

from app.detection.baseline import Expected
from app.detection.flow_facts import FlowFacts
from app.detection.jobs import JobMatch
from app.detection.process_start import ProcessStart
from app.detection.software import KnownSoftware


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Each is None or empty where nothing is known, which is never evidence."""

    start: ProcessStart | None = None
    software: KnownSoftware | None = None
    job: JobMatch | None = None
    flows: tuple[FlowFacts, ...] = ()  #: of its connections, the judged one first
    expected: Expected | None = None  #: a baseline in force that covers it


NOTHING_KNOWN = Surroundings()
