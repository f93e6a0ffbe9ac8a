"""Evidence from how the process began. Source: ATT&CK AN0633, which joins process creation and connection."""

from app.detection.deviation import Evidence
from app.detection.evidence import Case, line

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def process_evidence(case: Case) -> tuple[Evidence, ...]:
    start = case.surroundings.start
    if start is None or not case.networked:
        return ()
    does = "connection" if case.outbound else "listening port"
    text = f"It was started {_duration(start.seconds_before)} before its first {does} was seen ({start.source})."
    return (line("started_before", 0, text),)


def _duration(seconds: float) -> str:
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"
