"""What it would mean if many nodes came to show a behaviour at once."""

from app.detection.context import Trust
from app.detection.context_evidence import UNCOMMON_PORT
from app.detection.deviation import Evidence, Spread
from app.detection.evidence import Case
from app.detection.vouching import of_every_host

_HOURS_OF_DAY = 24


def is_new_to_peers(case: Case) -> bool:
    """Whether the first of its peers to show it did so on a day that the time of a roll-out can touch."""
    days = case.standing.behaviour_days
    return days is None or days * _HOURS_OF_DAY < case.knobs.roll_outs.hours + _HOURS_OF_DAY


def spread_of(case: Case, beside_history: tuple[Evidence, ...]) -> Spread:
    """The kind of a behaviour on one node; `beside_history` is its evidence beyond novelty and rarity."""
    if case.context.signer.trust in {Trust.UNSIGNED, Trust.BROKEN}:
        return Spread.UNSIGNED
    if any(each.points > 0 and each.reason != UNCOMMON_PORT for each in beside_history):
        return Spread.SUSPECT
    return Spread.SIGNED if case.trusted and not of_every_host(case) else Spread.NOVEL
