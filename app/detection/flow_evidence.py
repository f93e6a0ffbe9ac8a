"""Evidence from flow logs: a protocol that does not fit its port. Source: ATT&CK T1571; docs/mismatch.md has the table.

Each flow is read by itself, and the most telling one speaks. Two of its lines count at most: what was spoken, and one
that supports it. What a sensor could not have seen is said and never counted.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from app.detection.behaviour import Transport
from app.detection.classes import Trait, is_placed
from app.detection.deviation import Evidence
from app.detection.evidence import Case, counted, line
from app.detection.flow_facts import FlowFacts
from app.detection.flow_words import seen_by
from app.detection.protocols import judged_protocols, own_protocols, protocol

#: Packets each way after which TLS would have shown: five with data, and what opens and closes the connection.
PACKETS_ENOUGH = 8
_ATTEMPTS_ENOUGH = 3
_MOST_OF_A_VIOLATION = 120
#: In the names of Suricata's events 2260000 to 2260005: it could not tell the protocol, or found another one.
_DETECTION = "APPLAYER_"
#: Of meetings and QUIC: they share ports with TLS, and no sensor's silence about TLS speaks against them.
_REAL_TIME = frozenset({"stun", "dtls", "quic", "rtp"})


@dataclass(frozen=True, slots=True)
class Reading:
    """What one flow says: the points, why, and what the sensor saw in words."""

    reason: str
    points: float
    saw: str


def flow_evidence(case: Case) -> tuple[Evidence, ...]:
    """The lines of the flow that says most; without points where it shows nothing odd."""
    if not case.outbound:
        return ()
    said = [_lines(case, flow) for flow in case.surroundings.flows]
    return max(said, key=lambda lines: sum(each.points for each in lines), default=())


def flow_belies(case: Case) -> bool:
    """Whether a firmly joined flow spoke a protocol that does not fit the port."""
    firm = (flow for flow in case.surroundings.flows if flow.is_firm and case.outbound)
    return any(reading.points > 0 for flow in firm if (reading := _spoken(case, flow)))


def _lines(case: Case, flow: FlowFacts) -> tuple[Evidence, ...]:
    spoken, support = _spoken(case, flow), _support(case, flow)
    read = [each for each in (spoken, support) if each] or [_nothing_odd(flow)]
    return tuple(_capped(case, flow, read))


def _capped(case: Case, flow: FlowFacts, read: list[Reading]) -> Iterator[Evidence]:
    left = 100.0 if flow.is_firm else case.weights.flow_weak
    for each in read:
        points = min(each.points, left)
        left -= points
        yield line(each.reason, points, seen_by(flow, each.saw))


def _spoken(case: Case, flow: FlowFacts) -> Reading | None:
    if flow.transport is not Transport.TCP:
        return None
    found = (reading for rule in _SPOKEN if (reading := rule(case, flow)))
    return max(found, key=lambda reading: reading.points, default=None)


def _tls_elsewhere(case: Case, flow: FlowFacts) -> Reading | None:
    port = flow.port
    if not flow.has_tls or protocol("tls").belongs(port) or port in protocol("starttls").ports:
        return None
    tunnelled = flow.services & (protocol("http").names | protocol("socks").names)
    if port in protocol("socks").ports and tunnelled:
        return None
    version = f" ({flow.tls_version})" if flow.tls_version else ""
    return _elsewhere(case, flow, Reading("flow_tls_elsewhere", case.weights.flow_tls, f"TLS{version}"))


def _no_tls(case: Case, flow: FlowFacts) -> Reading | None:
    if flow.has_tls or flow.one_sided or not protocol("tls").belongs(flow.port) or flow.services & _REAL_TIME:
        return None
    if not flow.sees & protocol("tls").names or not _has_talked(flow):
        return None
    packets = (flow.packets_out or 0) + (flow.packets_in or 0)
    instead = f", but {_spelled(flow.services)}," if flow.services else ""
    saw = f"no TLS{instead} in {packets:,} packets both ways on port {flow.port}"
    return Reading("flow_without_tls", case.weights.flow_tls, saw)


def _has_talked(flow: FlowFacts) -> bool:
    """Suricata counts packets, and no payload."""
    silent = 0 in {flow.bytes_out, flow.bytes_in}
    return not silent and all(each and each > PACKETS_ENOUGH for each in (flow.packets_out, flow.packets_in))


def _http_elsewhere(case: Case, flow: FlowFacts) -> Reading | None:
    http = protocol("http")
    if not flow.services & http.names or http.belongs(flow.port):
        return None
    return _elsewhere(case, flow, Reading("flow_http_elsewhere", case.weights.flow_http, "HTTP"))


def _ssh_elsewhere(case: Case, flow: FlowFacts) -> Reading | None:
    if "ssh" not in flow.services or flow.port in protocol("ssh").ports:
        return None
    if (client := case.kind(Trait.SPEAKS_SSH)) and is_placed(case.behaviour.program, trusted=case.trusted):
        saw = f"SSH on port {flow.port}, by {client.says}"
        return Reading("flow_ssh_elsewhere", case.weights.flow_ssh_client, saw)
    saw = f"SSH on port {flow.port}, and {case.name} is not known to speak it"
    return Reading("flow_ssh_elsewhere", case.weights.flow_ssh, saw)


def _elsewhere(case: Case, flow: FlowFacts, found: Reading) -> Reading:
    """On a port that has a protocol of its own, all points; on nobody's port, none where that is no news."""
    owners = own_protocols(flow.port)
    if owners:
        belongs = " and ".join(each.says for each in owners)
        return Reading(found.reason, found.points, f"{found.saw} on port {flow.port}, where {belongs} belongs")
    known = _known_use(case, flow)
    saw = f"{found.saw} on port {flow.port}, where none belongs"
    return Reading(found.reason, 0, f"{saw}; {known}") if known else Reading(found.reason, found.points, saw)


def _known_use(case: Case, flow: FlowFacts) -> str:
    """Why a web protocol on a port that is nobody's is no news, or empty."""
    if case.dubious:
        return ""
    if driven := case.kind(Trait.ANY_PORT):
        return f"{case.name} is {driven.says}, whose user picks the ports"
    if any(flow.port in each.expected for each in case.classes) and not case.kind(Trait.INJECTED):
        return f"it is one of the ports that {case.name}'s maker documents"
    standing, share = case.standing, case.knobs.port_thresholds.rare_share
    if standing.behaviour.nodes >= max(case.knobs.vouching.nodes, share * standing.everything.nodes):
        return f"{counted(standing.behaviour.nodes, 'other node')} use that port with {case.name} too"
    return ""


def _support(case: Case, flow: FlowFacts) -> Reading | None:
    found = (reading for rule in _SUPPORT if (reading := rule(case, flow)))
    return max(found, key=lambda reading: reading.points, default=None)


def _violation(case: Case, flow: FlowFacts) -> Reading | None:
    owners = {name for each in judged_protocols(flow.port) for name in each.names}
    broken = (each.partition(":") for each in flow.violations if _DETECTION not in each)
    name, _, what = next((each for each in broken if each[0].strip().lower() in owners), ("", "", ""))
    if not name:
        return None
    saw = f"the port's own protocol broken on port {flow.port}: {name.strip()}, {_quoted(what)}"
    return Reading("flow_violation", case.weights.flow_violation, saw)


def _failed(case: Case, flow: FlowFacts) -> Reading | None:
    """Only where the port has a protocol that the sensor would have recognised."""
    owners = judged_protocols(flow.port)
    owned = {name for each in owners for name in each.names}
    mismatch = any(_DETECTION in each for each in flow.violations)
    if not owners or flow.has_tls or flow.one_sided or not (mismatch or flow.failed_services & (owned | {"failed"})):
        return None
    belongs = " and ".join(each.says for each in owners)
    return Reading("flow_failed", case.weights.flow_failed, f"nothing that reads as {belongs} on port {flow.port}")


def _attempts(case: Case, flow: FlowFacts) -> Reading | None:
    if flow.attempts < _ATTEMPTS_ENOUGH:
        return None
    saw = f"{flow.attempts:,} attempts to reach this peer on port {flow.port} that nobody answered"
    return Reading("flow_attempts", case.weights.flow_attempts, saw)


def _nothing_odd(flow: FlowFacts) -> Reading:
    """What the flow shows when it speaks neither for nor against, or could not."""
    way = f"{flow.transport.value}/{flow.port}"
    if flow.services or flow.has_tls:
        names = flow.services or {"tls"}
        return Reading("flow_fits", 0, f"{_spelled(frozenset(names))} on {way}, which is no mismatch")
    if flow.one_sided:
        return Reading("flow_one_sided", 0, f"one direction only on {way}: that it names no protocol means nothing")
    needed = {"TLS": protocol("tls").names, "HTTP": protocol("http").names, "violations": {"violations"}}
    missing = [name for name, names in needed.items() if not flow.sees & names]
    blind = f" (it never reported {' or '.join(missing)} anywhere, so that none here means nothing)" if missing else ""
    return Reading("flow_unnamed", 0, f"no protocol that it knows on {way}{blind}")


def _spelled(names: frozenset[str]) -> str:
    return ", ".join(sorted(_quoted(name).upper() for name in names)[:4])


def _quoted(text: str) -> str:
    """What a peer may have chosen the words of: short, and on one line."""
    short = " ".join(text.split())
    return short if len(short) <= _MOST_OF_A_VIOLATION else f"{short[:_MOST_OF_A_VIOLATION]}…"


Rule = Callable[[Case, FlowFacts], Reading | None]
_SPOKEN: tuple[Rule, ...] = (_tls_elsewhere, _no_tls, _http_elsewhere, _ssh_elsewhere)
_SUPPORT: tuple[Rule, ...] = (_violation, _failed, _attempts)
