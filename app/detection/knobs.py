"""Every weight and threshold of the judgement; MITRE's mutable elements bear MITRE's names.

Source: ATT&CK AN0633 (PortThresholds, ProcessAllowList, TimeWindow) and AN0635 (BaselinePortProfiles).
"""

import re
from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta, Struct, field

from app.detection.knob_rules import faults

Port = Annotated[int, Meta(ge=0, le=65535)]
Points = Annotated[float, Meta(ge=0, le=100)]
Share = Annotated[float, Meta(gt=0, le=1)]
Days = Annotated[int, Meta(ge=0, le=3650)]
Score = Annotated[int, Meta(ge=1, le=101)]


_PLACE = re.compile(r" - at `(\$[^`]*)`")
_UNKNOWN = re.compile(r"unknown field `([^`]*)`")


class KnobsProblem(ValueError):
    """A setting that is unknown or impossible; the text names the field, e.g. `$.TimeWindow.learning_days`."""

    @property
    def pointer(self) -> str:
        """The field alone; `$` when the whole is meant."""
        place, unknown = _PLACE.search(str(self)), _UNKNOWN.search(str(self))
        return (place[1] if place else "$") + (f".{unknown[1]}" if unknown else "")


class PortThresholds(Struct, frozen=True, forbid_unknown_fields=True):
    """Which ports are nothing special, and how surprising a port must be to count."""

    #: ports that are nothing special for any program
    common: frozenset[Port] = frozenset({25, 53, 80, 88, 123, 135, 389, 443, 445, 587, 636, 993, 995, 3268, 5985})
    web: frozenset[Port] = frozenset({80, 443})  #: ports on which a script host is no surprise
    bits_floor: Annotated[float, Meta(ge=0, le=64)] = 3.0  #: a port that 1 of 8 of the program's days shows is usual
    bits_span: Annotated[float, Meta(gt=0, le=64)] = 6.0  #: bits above the floor at which novelty counts in full
    new_ports_per_day: Annotated[float, Meta(gt=0, le=1000)] = 1.0  #: budget: a program that does more is routine
    rare_share: Share = 0.25  #: share of the peers above which nothing is rare


class TimeWindow(Struct, frozen=True, forbid_unknown_fields=True):
    """Days of history that must pass before it may speak."""

    learning_days: Days = 7  #: until then only evidence that needs no history alerts


class Vouching(Struct, frozen=True, forbid_unknown_fields=True):
    """How many nodes must show a behaviour that nobody approved before its history speaks for it."""

    nodes: Annotated[int, Meta(ge=1, le=1_000_000)] = 3  #: fewest nodes
    share: Share = 0.05  #: fewest of the peers, for programs of the system that attackers use
    dubious_share: Share = 0.25  #: likewise for unsigned programs, and those where any user could have put them
    halving_days: Annotated[float, Meta(gt=0, le=3650)] = 1.0  #: own earlier days that halve a novelty


class Weights(Struct, frozen=True, forbid_unknown_fields=True):
    """Points of each line of evidence; those of the last group are subtracted."""

    novelty: Points = 45  #: most for a port that is new for the program
    rarity: Points = 15  #: most for what few peers show
    newcomer: Points = 10  #: least novelty of a new program that nobody is known to have installed

    never_networks: Points = 30  #: a program that has no business on the network
    mismatch_severe: Points = 45  #: a port that belies the kind of program outright
    mismatch: Points = 25  #: a port that belies the kind of program
    mismatch_mild: Points = 10  #: a port that is odd for the kind of program
    transport_mismatch: Points = 10  #: a transport for which the port is not registered
    script_host: Points = 20  #: a script host outside the web ports
    uncommon_port: Points = 15  #: a port that is not common
    unsigned: Points = 10  #: no signature, or a broken one
    signer_changed: Points = 20  #: another signer than before
    user_writable: Points = 15  #: a folder into which any user may write
    odd_parent: Points = 10  #: a parent that the kind of program does not have

    known_vendor: Points = 10  #: signed by a vendor whose programs have ports of their own
    user_driven: Points = 15  #: a program whose user picks the ports
    dynamic_rpc: Points = 10  #: an RPC caller on a dynamic port of a private peer
    loopback: Points = 40  #: it stays on the node
    only_of_its_role: Points = 30  #: nothing to compare with: the only node of its role
    expected_port: Points = 30  #: a documented port of the program, or one of BaselinePortProfiles


class Severities(Struct, frozen=True, forbid_unknown_fields=True):
    """Scores from which a deviation has a severity; 101 switches one off."""

    high: Score = 50  #: a person looks today
    medium: Score = 40  #: this week
    low: Score = 30  #: hunt list
    learning_alert: Score = 45  #: points of context alone that alert while the history is still being learned


class Knobs(Struct, frozen=True, forbid_unknown_fields=True):
    port_thresholds: PortThresholds = field(name="PortThresholds", default=PortThresholds())
    #: normalised paths, `*` for any text; what a listed program does on the network is recorded only
    process_allow_list: tuple[str, ...] = field(name="ProcessAllowList", default=())
    time_window: TimeWindow = field(name="TimeWindow", default=TimeWindow())
    #: macOS program path → buckets on which it is expected to listen. ATT&CK's own examples are AirDrop and Bonjour.
    baseline_port_profiles: dict[str, tuple[str, ...]] = field(
        name="BaselinePortProfiles",
        default_factory=lambda: {
            "/usr/libexec/rapportd": ("3722", "dynamic"),
            "/usr/libexec/sharingd": ("8770", "8771", "dynamic"),
            "/usr/sbin/mDNSResponder": ("5353", "dynamic"),
            "/System/Library/CoreServices/ControlCenter.app/Contents/MacOS/ControlCenter": ("5000", "7000", "dynamic"),
        },
    )
    vouching: Vouching = field(name="Vouching", default=Vouching())
    weights: Weights = field(name="Weights", default=Weights())
    severities: Severities = field(name="Severities", default=Severities())


def knobs_from(mapping: Mapping[str, object]) -> Knobs:
    """Knobs from a whole document, the defaults filled in.

    Raises:
        KnobsProblem: unknown or impossible field, with its path; or fields that contradict each other.
    """
    knobs = fields_from(mapping)
    if contradiction := _contradiction(knobs):
        raise KnobsProblem(contradiction)
    return knobs


def fields_from(mapping: Mapping[str, object]) -> Knobs:
    """Like `knobs_from`, each field for itself: a document of one scope may make sense only upon a wider one.

    Raises:
        KnobsProblem: unknown or impossible field, with its path.
    """
    try:
        knobs = msgspec.convert(mapping, Knobs)
    except msgspec.ValidationError as problem:
        raise KnobsProblem(str(problem)) from None
    for fault in faults(mapping):
        raise KnobsProblem(fault)
    return knobs


def _contradiction(knobs: Knobs) -> str:
    levels, weights, vouching = knobs.severities, knobs.weights, knobs.vouching
    if not levels.low <= levels.medium <= levels.high:
        return "Expected low <= medium <= high - at `$.Severities`"
    if not weights.mismatch_mild <= weights.mismatch <= weights.mismatch_severe:
        return "Expected mismatch_mild <= mismatch <= mismatch_severe - at `$.Weights`"
    if vouching.share > vouching.dubious_share:
        return "Expected share <= dubious_share - at `$.Vouching`"
    return ""
