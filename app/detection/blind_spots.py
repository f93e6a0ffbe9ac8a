"""What could not be seen, said aloud under every judgement."""

from collections.abc import Iterator

from app.detection.behaviour import Direction, Platform, Transport
from app.detection.context import Trust
from app.detection.deviation import Evidence
from app.detection.evidence import Case, line


def blind_spots(case: Case, *, flows_known: bool) -> tuple[Evidence, ...]:
    """At most one line, without points; none for inventory facts."""
    missing = "; ".join(_missing(case, flows_known=flows_known)) if case.networked else ""
    return (line("not_available", 0, f"Not available: {missing}."),) if missing else ()


def _missing(case: Case, *, flows_known: bool) -> Iterator[str]:
    behaviour, context = case.behaviour, case.context
    windows = behaviour.program.platform is Platform.WINDOWS
    if windows and behaviour.transport is Transport.UDP and not context.peer_address:
        yield "the peer of UDP sockets on Windows"
    if context.signer.trust is Trust.UNKNOWN:
        yield "signature of the program"
    if not behaviour.program.path:
        yield "path of the program"
    if context.attempt_only:
        yield "an answer (the connection was only attempted)"
    if behaviour.direction is Direction.OUTBOUND:
        yield from () if flows_known else ("flow log for this connection",)
        yield "bytes; name of the peer; most connections shorter than a poll (each 60 s sees 8 % of those of 5 s)"
