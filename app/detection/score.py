"""The statistics of one behaviour: how surprising its port is for the program, and how rare among the peers."""

from dataclasses import dataclass, replace
from math import log2

from app.detection.knobs import Knobs
from app.detection.prevalence import jeffreys_upper
from app.detection.standing import Standing, Tally


@dataclass(frozen=True, slots=True)
class Statistics:
    """`novelty_points` are damped already; see `statistics_of` for the formula."""

    port_share: float  #: B, the share of the group's node-days that show the port, any program
    bits: float  #: -log2 of the probability that a node-day of the program shows the port
    new_ports_per_day: float  #: new ports of the program, or new programs when it is new itself
    damping: float  #: 1 when new ports are rare for the program, towards 0 when they are routine
    peers: int  #: other nodes that could show it
    peers_showing: int
    upper_share: float  #: with 95 % confidence at most this share of such nodes shows it
    novelty_points: float
    rarity_points: float
    young: bool  #: the program is still being learned, so that the rate of new programs speaks for its ports too

    @property
    def points(self) -> float:
        return self.novelty_points + self.rarity_points


def statistics_of(standing: Standing, knobs: Knobs, *, new_program_is_routine: bool, young: bool = False) -> Statistics:
    """Witten-Bell back-off for the port given the program, Good-Turing for the rate of new ports, Jeffreys for rarity.

        B = (u + 0.5) / (U + 1)     u, U: node-days of the group with the port, with any port
        P = (c + T B) / (C + T)     c, C: node-days of the program with the port, with any; T: its ports; P = B if C = 0
        bits = -log2 P

    Novelty is damped by 1 / (1 + new ports per day / budget): a port that is new or rare is no news of a program that
    shows many others only once. So is rarity when the program itself is new, for then both say the same. A program
    that comes as others do counts as new while it is `young`: its ports come one by one.
    Source: Witten and Bell 1991, Good 1953.
    """
    limits, weights = knobs.port_thresholds, knobs.weights
    port_share, bits = _surprise(standing)
    rate, damping = _damping(
        standing, limits.new_ports_per_day, new_program_is_routine=new_program_is_routine, young=young
    )
    peers = standing.program.nodes or standing.everything.nodes
    upper = jeffreys_upper(min(standing.behaviour.nodes, peers), peers)
    surprise = min(max((bits - limits.bits_floor) / limits.bits_span, 0.0), 1.0)
    rarity = weights.rarity * max(0.0, 1 - upper / limits.rare_share) if bits > limits.bits_floor else 0.0
    return Statistics(
        port_share=port_share,
        bits=bits,
        new_ports_per_day=rate,
        damping=damping,
        peers=peers,
        peers_showing=min(standing.behaviour.nodes, peers),
        upper_share=upper,
        novelty_points=max(weights.novelty * surprise * damping, _least(standing, knobs, new_program_is_routine)),
        rarity_points=rarity * (damping if young or not standing.program.units else 1.0),
        young=young,
    )


def is_young(standing: Standing, knobs: Knobs) -> bool:
    """Whether the group knows the program, but for fewer days than learning takes."""
    known = standing.program_days
    return bool(standing.program.units) and known is not None and known < knobs.time_window.learning_days


def _least(standing: Standing, knobs: Knobs, new_program_is_routine: bool) -> float:  # noqa: FBT001
    """A new program of unknown origin is never usual, whatever its port."""
    new = standing.everything.units > 0 and standing.program.units == 0
    return knobs.weights.newcomer if new and not new_program_is_routine else 0.0


def without_behaviour(standing: Standing, bucket: str) -> Standing:
    """The standing as if nobody had ever shown the behaviour: what is left when its sightings do not vouch for it."""
    seen = standing.behaviour
    units = standing.program.units - seen.units
    return replace(
        standing,
        behaviour=Tally(),
        program=Tally(units, standing.program.nodes) if units > 0 else Tally(),
        port=Tally(max(standing.port.units - seen.units, 0), standing.port.nodes),
        everything=Tally(max(standing.everything.units - seen.units, 0), standing.everything.nodes),
        program_ports=tuple(each for each in standing.program_ports if each[0] != bucket),
    )


def _surprise(standing: Standing) -> tuple[float, float]:
    base = (standing.port.units + 0.5) / (standing.everything.units + 1)
    seen, total = standing.behaviour.units, standing.program.units
    ports = max(len(standing.program_ports), 1)
    probability = (seen + ports * base) / (total + ports) if total else base
    return base, max(0.0, -log2(probability))


def _damping(standing: Standing, budget: float, *, new_program_is_routine: bool, young: bool) -> tuple[float, float]:
    total = standing.program.units
    if not (total or standing.everything.units):
        return 0.0, 1.0
    if total:
        others_once = sum(units == 1 for _, units in standing.program_ports) - (standing.behaviour.units == 1)
        rate = (max(others_once, 0) + 0.5) / (total + 1) * total / max(standing.days, 1)
        rate = max(rate, standing.new_programs_per_day) if young else rate
    else:
        rate = standing.new_programs_per_day if new_program_is_routine else 0.0
    return rate, 1 / (1 + rate / budget)
