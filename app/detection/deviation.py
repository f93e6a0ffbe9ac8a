"""A judged behaviour: score, severity and the sentences behind every point."""

from dataclasses import dataclass
from enum import StrEnum

from app.detection.behaviour import Behaviour


class Severity(StrEnum):
    HIGH = "high"  #: a person looks today
    MEDIUM = "medium"  #: a person looks this week
    LOW = "low"  #: on the hunt list
    NONE = "none"  #: recorded only

    def reaches(self, other: "Severity") -> bool:
        """Whether this is as grave as `other`, or graver."""
        gravest_first = list(Severity)
        return gravest_first.index(self) <= gravest_first.index(other)


class Analytic(StrEnum):
    """MITRE ATT&CK analytics of T1571 Non-Standard Port, detection strategy DET0227."""

    WINDOWS = "AN0633"
    MACOS = "AN0635"


class Spread(StrEnum):
    """What it would mean if many nodes came to show a behaviour at once, the lightest first."""

    SIGNED = "signed"  #: a signed program against which nothing speaks but its novelty
    NOVEL = "novel"  #: nothing speaks against it but its novelty, and no signature for it
    SUSPECT = "suspect"  #: there is evidence beyond its novelty
    UNSIGNED = "unsigned"  #: nobody answers for what the program does


@dataclass(frozen=True, slots=True)
class Evidence:
    """One line of reasoning. `points` add up to the score; 0 for what is said without weight (blind spots, facts)."""

    reason: str  #: stable identifier of the rule, e.g. `port_new_for_program`
    points: float
    text: str


@dataclass(frozen=True, slots=True)
class Deviation:
    behaviour: Behaviour
    score: int  #: 0..100
    severity: Severity
    analytic: Analytic
    evidence: tuple[Evidence, ...]
    new_to_peers: bool = False  #: none of them showed it before the time of a roll-out
    spread: Spread = Spread.NOVEL
