"""The result of a backtest: a document that is kept, exported and shown. A version gains fields and changes none."""

from datetime import date, datetime
from typing import Any

from msgspec import Struct

VERSION = 1


class Levels(Struct, frozen=True):
    """Findings by severity."""

    high: int = 0
    medium: int = 0
    low: int = 0

    @property
    def all(self) -> int:
        return self.high + self.medium + self.low

    @property
    def alerts(self) -> int:
        """What a person is asked to look at."""
        return self.high + self.medium


class Side(Struct, frozen=True):
    """What one of the two settings finds in the period; a behaviour on a node counts once, as one finding does."""

    findings: Levels
    alerts_per_100_nodes_and_day: float


class DayLine(Struct, frozen=True):
    """A judged day. `current` and `candidate` are the findings that it opens."""

    day: date
    nodes: int
    sightings: int
    without_row: int
    current: Levels
    candidate: Levels


class Said(Struct, frozen=True):
    points: float
    text: str


class ChangedLine(Struct, frozen=True):
    """A line of evidence that the two settings weigh or word differently; null where one of them does not have it."""

    reason: str
    before: Said | None
    after: Said | None


class Example(Struct, frozen=True):
    """One finding that changes, on the day on which the two settings differ most."""

    node_id: int
    hostname: str
    role: str
    program: str
    unit: str
    path: str
    direction: str
    transport: str
    port: str
    analytic: str
    day: date
    seen_at: datetime
    score_before: int
    score_after: int
    severity_before: str
    severity_after: str
    changed_lines: list[ChangedLine]


class Changes(Struct, frozen=True):
    """Findings that one of the settings has and the other has not. Examples are the gravest, at most `examples_max`."""

    total: int
    by_analytic: dict[str, int]
    by_role: dict[str, int]
    by_program: dict[str, int]
    programs_not_listed: int
    examples: list[Example]
    examples_max: int


class Shift(Struct, frozen=True):
    """Findings of both settings whose severity changes."""

    before: str
    after: str
    findings: int


class Shifts(Struct, frozen=True):
    total: int
    shifts: list[Shift]
    score_only: int
    """Findings of the same severity with another score."""
    examples: list[Example]
    examples_max: int


class Triaged(Struct, frozen=True):
    """Of findings of the period that people have judged: how many these settings find, and how many of those people
    called false positives; the rate is null where they find none of them.
    """

    found: int
    false_positives: int
    rate: float | None


class FalsePositives(Struct, frozen=True):
    note: str
    triaged: int
    current: Triaged | None = None
    candidate: Triaged | None = None


class Agreement(Struct, frozen=True):
    """The findings that were opened in the period when it was live, beside those found again under the settings in
    force: what differs shows how far the past can be told from what is stored, and what settings changed since.
    """

    stored: int
    same: int
    other_score: int
    not_found_again: int
    found_only_now: int
    other_settings: int
    """Of the stored ones, those that were judged by other settings than those in force."""


class QueryLine(Struct, frozen=True):
    """`sees` is the share of connections of so many seconds that one node's query can see, null where it reads no
    connections or processes.
    """

    query: str
    platform: str
    mode: str
    interval_seconds: int
    sees_short: bool
    sees: dict[str, float] | None
    nodes: int
    nodes_reporting: int


class Joined(Struct, frozen=True):
    """Outbound connections, one a node and day, whose process start is known."""

    connections: int
    joined: int
    rate: float | None
    by_source: dict[str, int]


class Telemetry(Struct, frozen=True):
    queries: list[QueryLine]
    process_starts: Joined
    days_without_sightings: list[date]
    days_without_batches: list[date]
    """Days of which no row is left: they were judged without context."""


class Setting(Struct, frozen=True):
    """One knob that differs for the nodes of the scope; null where a table does not have it."""

    field: str
    current: Any
    candidate: Any


class Result(Struct, frozen=True):
    version: int
    first_day: date
    last_day: date
    history_first_day: date
    scope: str
    settings_changed: list[Setting]
    nodes: int
    node_days: int
    sightings: int
    days: list[DayLine]
    current: Side
    candidate: Side
    gained: Changes
    lost: Changes
    shifts: Shifts
    false_positives: FalsePositives
    agreement: Agreement
    telemetry: Telemetry
    notes: list[str]
    """What it cannot know of this period, in sentences."""
