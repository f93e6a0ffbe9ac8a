"""How far sightings that nobody approved may speak for a behaviour.

Seen before is not approved. For a program that anybody could have put there, or that attackers use because it is on
every host, sightings on a few nodes may be the attacker's own.
"""

from app.detection.classes import Trait
from app.detection.evidence import Case
from app.detection.standing import Tally

_EVERYWHERE = (Trait.SCRIPT_HOST, Trait.NEVER_NETWORKS, Trait.INJECTED)


def too_few_to_vouch(case: Case) -> bool:
    """Whether earlier sightings are left out of the count."""
    seen = case.standing.behaviour.nodes or case.standing.own_days
    return bool(seen and case.networked and not case.common and _needs_vouching(case)) and not vouched_for(case)


def vouched_for(case: Case) -> bool:
    """Whether enough other nodes show it: of the peer group, or of the platform where the group is small."""
    standing = case.standing
    return vouched_by_peers(case) or _enough(case, standing.platform_behaviour, standing.platform_everything)


def vouched_by_peers(case: Case) -> bool:
    """Whether enough nodes of the peer group itself show it."""
    return _enough(case, case.standing.behaviour, case.standing.everything)


def of_every_host(case: Case) -> bool:
    """Whether it is a program of the system that attackers use, so that it is never a newcomer by itself."""
    return any(case.kind(trait) for trait in _EVERYWHERE)


def _needs_vouching(case: Case) -> bool:
    return case.dubious or of_every_host(case)


def _enough(case: Case, showing: Tally, all_nodes: Tally) -> bool:
    rules = case.knobs.vouching
    share = rules.dubious_share if case.dubious else rules.share
    return showing.nodes >= max(rules.nodes, share * all_nodes.nodes)
