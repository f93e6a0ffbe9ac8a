"""Evidence from the history: novelty, rarity, and how far sightings that nobody approved may speak."""

from collections.abc import Iterator

from app.detection.behaviour import Direction
from app.detection.classes import Trait
from app.detection.context import Trust
from app.detection.deviation import Evidence
from app.detection.evidence import Case, counted, line, pace
from app.detection.history_words import known_port, new_port, new_program, peers, share
from app.detection.places import Place
from app.detection.score import Statistics, is_young, statistics_of, without_behaviour
from app.detection.standing import Standing
from app.detection.vouching import of_every_host, too_few_to_vouch

_FEW_PEERS = 20
_ROUTINE = 0.5  # damping below which novelty says more of the program than of the day


def statistical_evidence(case: Case) -> tuple[Evidence, ...]:
    """Lines on novelty, damping, rarity and the node's own past, in the order in which they are read."""
    if case.behaviour.direction is Direction.SIGNATURE and not case.standing.program.units:
        return ()  # another signer is a change, a first one is not
    ignored = too_few_to_vouch(case)
    standing, statistics = _graver(case) if ignored else _as_counted(case, case.standing)
    return (
        *(_ignored(case) if ignored else ()),
        _novelty(case, standing, statistics),
        *_elsewhere(case),
        *_damping(case, standing, statistics),
        *_rarity(case, standing, statistics),
        *_own_past(case, statistics, ignored=ignored),
    )


def _as_counted(case: Case, standing: Standing) -> tuple[Standing, Statistics]:
    routine = _is_routine_newcomer(case)
    young = routine and not of_every_host(case) and is_young(standing, case.knobs)
    return standing, statistics_of(standing, case.knobs, new_program_is_routine=routine, young=young)


def _graver(case: Case) -> tuple[Standing, Statistics]:
    """With or without the sightings that do not vouch: they must not speak for the program, but may against it."""
    without = without_behaviour(case.standing, case.behaviour.bucket)
    return max(_as_counted(case, without), _as_counted(case, case.standing), key=lambda each: each[1].points)


def _is_routine_newcomer(case: Case) -> bool:
    """Whether a new program is one of the many that come by themselves: signed, or where installers put programs.

    Where neither is known, a listener gets the benefit of the doubt and a connection to the outside does not. What
    attackers inject code into is on every host, so that its first connection is no newcomer's; nor is a remote login
    that somebody switched on.
    """
    if case.remote_login or case.kind(Trait.INJECTED):
        return False
    if case.context.signer.trust is not Trust.UNKNOWN:
        return case.trusted
    return case.place is Place.INSTALLED or (case.place is Place.UNKNOWN and not case.outbound)


def _ignored(case: Case) -> Iterator[Evidence]:
    seen = case.standing.behaviour
    yield line(
        "too_few_to_vouch",
        0,
        f"Seen before on {counted(seen.nodes, 'other node')} ({counted(seen.units, 'node-day')}) and on "
        f"{counted(case.standing.own_days, 'earlier day')} here, approved by nobody: too few to speak for "
        "a program of this kind.",
    )


def _novelty(case: Case, standing: Standing, statistics: Statistics) -> Evidence:
    if not (standing.everything.units or standing.program.units):
        days = counted(standing.own_days, "earlier day")
        text = f"No other node to compare with: this node speaks from its own past only, which has it on {days}."
        return line("no_peers", 0, text)
    if standing.behaviour.units:
        text = known_port(case, standing, statistics)
        return line("port_rare_for_program", statistics.novelty_points, text)
    text = new_port(case, standing) if standing.program.units else new_program(case, standing)
    return line("port_new_for_program", statistics.novelty_points, text)


def _elsewhere(case: Case) -> Iterator[Evidence]:
    """That other roles have what a role never showed excuses nothing, but it says where to ask."""
    standing, elsewhere = case.standing, case.standing.platform_behaviour.nodes
    silent = standing.new_to_role and not standing.behaviour.nodes
    if elsewhere and silent and case.behaviour.direction is Direction.LISTENING:
        says = f"{counted(elsewhere, 'node')} of other roles show it; a role is held to what its own nodes do."
        yield line("usual_elsewhere", 0, says)


def _damping(case: Case, standing: Standing, statistics: Statistics) -> Iterator[Evidence]:
    usual = standing.behaviour.units and not statistics.novelty_points
    if usual or not statistics.new_ports_per_day:
        return
    routine = "this is routine" if statistics.damping < _ROUTINE else "this is not routine"
    rate = f"about {pace(statistics.new_ports_per_day)} in this fleet, so {routine}. [damping {statistics.damping:.2f}]"
    if not standing.program.units:
        yield line("new_program_rate", 0, f"A new program appears {rate}")
    elif statistics.young:
        known, window = counted(standing.program_days or 0, "day"), case.knobs.time_window.learning_days
        text = f"{case.name} is new itself, known for {known} of {window} that learning takes; a new program appears"
        yield line("young_program", 0, f"{text} {rate}")
    elif case.networked:
        yield line("new_port_rate", 0, f"A new port for {case.name} appears {rate}")


def _rarity(case: Case, standing: Standing, statistics: Statistics) -> Iterator[Evidence]:
    if not statistics.peers or statistics.bits <= case.knobs.port_thresholds.bits_floor:
        return
    says = share(standing, statistics)
    if statistics.rarity_points:
        yield line("rare_among_peers", statistics.rarity_points, f"{says}.")
    elif statistics.peers < _FEW_PEERS:
        yield line("few_peers", 0, f"{counted(statistics.peers, 'peer')}: no prevalence claim ({says}).")
    else:
        yield line("not_rare", 0, f"Not rare among {peers(standing)}: {says}.")


def _own_past(case: Case, statistics: Statistics, *, ignored: bool) -> Iterator[Evidence]:
    days, points = case.standing.own_days, statistics.points
    if case.standing.only_of_its_role and points:
        less = min(case.weights.only_of_its_role, points)
        points -= less
        yield line("only_of_its_role", -less, "No other node has this role: it is compared with nodes of other roles.")
    if days and points and not ignored:
        half = case.knobs.vouching.halving_days
        text = f"This node itself showed it on {counted(days, 'earlier day')}, approved by nobody."
        yield line("seen_here_before", -points * days / (days + half), text)
