"""Every weight and threshold of the judgement; MITRE's mutable elements bear MITRE's names.

Source: ATT&CK AN0633 (PortThresholds, ProcessAllowList, TimeWindow) and AN0635 (BaselinePortProfiles).
"""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta, Struct, field

Port = Annotated[int, Meta(ge=0, le=65535)]
Points = Annotated[float, Meta(ge=0, le=100)]
Share = Annotated[float, Meta(gt=0, le=1)]
Days = Annotated[int, Meta(ge=0, le=3650)]
Score = Annotated[int, Meta(ge=0, le=101)]


class KnobsProblem(ValueError):
    """A setting that is unknown or impossible; the text names the field, e.g. `$.TimeWindow.learning_days`."""


class PortThresholds(Struct, frozen=True, forbid_unknown_fields=True):
    """Which ports are nothing special, and how surprising a port must be to count."""

    common: frozenset[Port] = frozenset({25, 53, 80, 88, 123, 135, 389, 443, 445, 587, 636, 993, 995, 3268, 5985})
    web: frozenset[Port] = frozenset({80, 443})
    bits_floor: Annotated[float, Meta(ge=0, le=64)] = 3.0  #: a port that 1 of 8 of the program's days shows is usual
    bits_span: Annotated[float, Meta(gt=0, le=64)] = 6.0  #: bits above the floor at which novelty counts in full
    new_ports_per_day: Annotated[float, Meta(gt=0, le=1000)] = 1.0  #: budget: a program that does more is routine
    rare_share: Share = 0.25  #: share of the peers above which nothing is rare


class TimeWindow(Struct, frozen=True, forbid_unknown_fields=True):
    """Days of history: how far it reaches back, and how many must pass before it may speak."""

    history_days: Days = 30
    learning_days: Days = 7


class Vouching(Struct, frozen=True, forbid_unknown_fields=True):
    """How many nodes must show a behaviour that nobody approved before its history speaks for it."""

    nodes: Annotated[int, Meta(ge=1, le=1_000_000)] = 3
    share: Share = 0.05  #: for programs of the system that attackers use
    dubious_share: Share = 0.25  #: for unsigned programs, and those where any user could have put them
    halving_days: Annotated[float, Meta(gt=0, le=3650)] = 1.0  #: own earlier days that halve a novelty


class RollOuts(Struct, frozen=True, forbid_unknown_fields=True):
    """On how many nodes within how many hours the same new behaviour is one finding of the fleet."""

    nodes: Annotated[int, Meta(ge=2, le=1_000_000)] = 5
    hours: Annotated[int, Meta(ge=1, le=720)] = 24


class Weights(Struct, frozen=True, forbid_unknown_fields=True):
    """Points of each line of evidence; those of the last group are subtracted."""

    novelty: Points = 45
    rarity: Points = 15
    newcomer: Points = 10  #: least novelty of a new program that nobody is known to have installed

    never_networks: Points = 30
    mismatch_severe: Points = 45
    mismatch: Points = 25
    mismatch_mild: Points = 10
    transport_mismatch: Points = 10
    script_host: Points = 20
    uncommon_port: Points = 15
    unsigned: Points = 10
    signer_changed: Points = 20
    user_writable: Points = 15
    odd_parent: Points = 10
    unsigned_spread: Points = 10  #: on a fleet finding

    known_vendor: Points = 10
    user_driven: Points = 15
    dynamic_rpc: Points = 10
    loopback: Points = 40
    only_of_its_role: Points = 30
    expected_port: Points = 30


class Severities(Struct, frozen=True, forbid_unknown_fields=True):
    """Scores from which a deviation has a severity; 101 switches one off."""

    high: Score = 50
    medium: Score = 40
    low: Score = 30
    learning_alert: Score = 45  #: points of context alone that alert while the history is still being learned


class Knobs(Struct, frozen=True, forbid_unknown_fields=True):
    port_thresholds: PortThresholds = field(name="PortThresholds", default=PortThresholds())
    #: Normalised paths, `*` for any text; what a listed program does on the network is recorded only.
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
    roll_outs: RollOuts = field(name="RollOuts", default=RollOuts())
    weights: Weights = field(name="Weights", default=Weights())
    severities: Severities = field(name="Severities", default=Severities())


def knobs_from(mapping: Mapping[str, object]) -> Knobs:
    """Knobs from a settings file's content, the defaults filled in.

    Raises:
        KnobsProblem: unknown or impossible field, with its path.
    """
    try:
        knobs = msgspec.convert(mapping, Knobs)
    except msgspec.ValidationError as problem:
        raise KnobsProblem(str(problem)) from None
    levels = knobs.severities
    if not levels.low <= levels.medium <= levels.high:
        raise KnobsProblem("Expected low <= medium <= high - at `$.Severities`")
    return knobs
