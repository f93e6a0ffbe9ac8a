"""How the process behind a connection began: which of the reported starts is its own."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from app.detection.behaviour import NETWORK, Behaviour
from app.detection.context import Context
from app.detection.reported_starts import SOURCES, ReportedStart
from app.detection.windows_events import process_id

#: Two clocks of one host tell one start: the process table counts whole seconds, events fractions of them.
TOLERANCE_SECONDS = 2.0
#: How long starts are kept, and so how old a start may be that is joined by more than its process id.
KEPT_DAYS = 3
IN_ROW = "the socket row"


@dataclass(frozen=True, slots=True)
class ProcessStart:
    started_at: float  #: unix seconds by the node's clock
    seconds_before: float  #: from the start to the first row of the day that shows the behaviour
    source: str  #: who said so, e.g. `process_etw_events`
    parent: str = ""
    command_line: str = ""
    user: str = ""

    @property
    def event(self) -> str:
        """The kind of event that told of it; empty when only the socket row did."""
        return "" if self.source == IN_ROW else self.source


@dataclass(frozen=True, slots=True)
class Sought:
    """The process behind a connection, as far as its row tells."""

    process_id: int
    path: str  #: normalised, never empty
    seen_at: float  #: when the connection was seen: that of the event itself if it is one
    started_at: float | None
    guid: str
    user: str

    def span(self, join_seconds: float) -> tuple[float, float]:
        """When the starts happened among which its own may be, first and last."""
        oldest = self.seen_at - KEPT_DAYS * 86_400
        if self.started_at is not None:
            return max(self.started_at - TOLERANCE_SECONDS, oldest), self.started_at + TOLERANCE_SECONDS
        return oldest if self.guid else self.seen_at - join_seconds, self.seen_at


def sought(behaviour: Behaviour, context: Context, seen_at: float) -> Sought | None:
    """None where the row names no process, or no path by which the process could be told from a stranger."""
    number = process_id(context.process_id)
    if number is None or not behaviour.program.path or behaviour.direction not in NETWORK:
        return None
    at = _number(context.event_time) or seen_at
    started = _number(context.process_started)
    return Sought(number, behaviour.program.path, at, started, context.process_guid, context.user)


def join(sought: Sought, starts: Iterable[ReportedStart], join_seconds: float) -> ProcessStart | None:
    """The start of the process that is sought, among those of its process id on its node.

    A process id is used again, so a start must agree in path and, where both are known, in user and Sysmon's name.
    Where the row says when its process began, the start must be of that time. Where it does not, only the last one
    before the connection can be its own: if that one is another program's, there is none.
    """
    first, last = sought.span(join_seconds)
    within = [each for each in starts if first <= each.started_at <= last]
    own = _same_time(sought, within) if sought.started_at is not None else _latest(sought, within, join_seconds)
    return _told_together(sought, own) if own else None


def _same_time(sought: Sought, starts: Sequence[ReportedStart]) -> list[ReportedStart]:
    return [each for each in starts if _agree(sought, each)]


def _latest(sought: Sought, starts: Sequence[ReportedStart], join_seconds: float) -> list[ReportedStart]:
    named = [each for each in starts if sought.guid and each.guid == sought.guid and _agree(sought, each)]
    recent = [each for each in starts if sought.seen_at - each.started_at <= join_seconds]
    last = max(named or recent, key=lambda each: each.started_at, default=None)
    if last is None or not _agree(sought, last):
        return []
    near = [each for each in starts if abs(each.started_at - last.started_at) <= TOLERANCE_SECONDS]
    return [each for each in near if _agree(sought, each)]


def _agree(sought: Sought, start: ReportedStart) -> bool:
    same_process = not (sought.guid and start.guid) or sought.guid == start.guid
    return same_process and start.path == sought.path and _same_user(sought.user, start.user)


def _same_user(one: str, other: str) -> bool:
    """Without the domain, which osquery does not report; empty agrees with anybody."""
    names = {each.rpartition("\\")[2].casefold() for each in (one, other)} - {""}
    return len(names) <= 1


def _told_together(sought: Sought, starts: Sequence[ReportedStart]) -> ProcessStart:
    """One start out of what several sources told of it; who says most is quoted."""

    def weight(each: ReportedStart) -> tuple[int, float]:
        return SOURCES.index(each.source), -each.started_at

    ranked = sorted(starts, key=weight)
    best = ranked[0]
    return ProcessStart(
        started_at=best.started_at,
        seconds_before=max(sought.seen_at - best.started_at, 0.0),
        source=best.source,
        parent=next((each.parent for each in ranked if each.parent), ""),
        command_line=next((each.command_line for each in ranked if each.command_line), ""),
        user=next((each.user for each in ranked if each.user), ""),
    )


def start_in_row(context: Context, seen_at: float) -> ProcessStart | None:
    """What a socket row says of its process itself; Windows says -1 for what it cannot read."""
    started = _number(context.process_started)
    return ProcessStart(started, seen_at - started, IN_ROW) if started and started <= seen_at else None


def with_start(context: Context, start: ProcessStart | None) -> Context:
    """The context with what only the start tells; what the row says itself stays."""
    if start is None:
        return context
    return replace(
        context,
        parent=context.parent or start.parent,
        command_line=context.command_line or start.command_line,
        user=context.user or start.user,
    )


def _number(said: str) -> float | None:
    """Unix seconds; None for what is none."""
    try:
        value = float(said or -1)
    except ValueError:
        return None
    return value if 0 < value < 2**33 else None
