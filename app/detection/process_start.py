"""How the process behind a connection began."""

from dataclasses import dataclass

from app.detection.context import Context


@dataclass(frozen=True, slots=True)
class ProcessStart:
    started_at: float  #: unix seconds by the node's clock
    seconds_before: float  #: from the start to the first row of the day that shows the behaviour
    source: str  #: who said so, e.g. `process_etw_events`
    parent: str = ""
    command_line: str = ""
    user: str = ""


def start_in_row(context: Context, seen_at: float) -> ProcessStart | None:
    """What a socket row says of its process itself; Windows says -1 for what it cannot read."""
    try:
        started = float(context.process_started or -1)
    except ValueError:
        return None
    if not 0 < started <= seen_at:
        return None
    return ProcessStart(started, seen_at - started, "the socket row")
