"""What could not be seen, said aloud under every judgement."""

from collections.abc import Iterator

from app.detection.behaviour import Direction, Platform, Transport
from app.detection.context import Trust
from app.detection.deviation import Evidence
from app.detection.evidence import Case, line
from app.detection.flow_facts import FlowFacts


def blind_spots(case: Case) -> tuple[Evidence, ...]:
    """At most one line, without points; none for inventory facts."""
    missing = "; ".join(_missing(case)) if case.networked else ""
    return (line("not_available", 0, f"Not available: {missing}."),) if missing else ()


def _missing(case: Case) -> Iterator[str]:
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
        yield from _unknown_to_sensors(case.surroundings.flows)
        yield "most connections shorter than a poll (each 60 s sees 8 % of those of 5 s)"


def _unknown_to_sensors(flows: tuple[FlowFacts, ...]) -> Iterator[str]:
    if not flows:
        yield "flow log for this connection"
    if all(each.bytes_out is None and each.bytes_in is None for each in flows):
        yield "bytes"
    if not any(each.server_name for each in flows):
        yield "name of the peer"
