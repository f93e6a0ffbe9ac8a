"""Evidence of tunnels: programs that carry other programs' connections.

Source: ATT&CK T1572 Protocol Tunneling, T1090.001 Internal Proxy; Sigma's rules on remote desktop through tunnels.
"""

from collections.abc import Callable
from typing import Final

from app.detection.addresses import PeerScope
from app.detection.behaviour import Direction, Transport
from app.detection.classes import Trait, named_classes
from app.detection.deviation import Evidence
from app.detection.evidence import Case, line

#: What one would want to reach from outside: SSH, RPC, SMB, remote desktop, screen sharing, WinRM.
_ADMINISTRATION: Final = frozenset({22, 135, 139, 445, 3389, 5900, 5985, 5986})


def tunnel_evidence(case: Case) -> tuple[Evidence, ...]:
    return tuple(found for rule in _RULES if (found := rule(case)))


def ends_a_tunnel(case: Case) -> bool:
    """Whether a program that carries connections for others reaches this node's own administration."""
    within = case.behaviour.direction is Direction.LOOPBACK or (
        case.outbound and case.context.peer_scope in {PeerScope.LOOPBACK, PeerScope.OWN}
    )
    return within and case.behaviour.port in _ADMINISTRATION and _is(case, Trait.CARRIES)


def _tunnel_end(case: Case) -> Evidence | None:
    if not ends_a_tunnel(case):
        return None
    server = f", held by {case.context.server}" if case.context.server else ""
    text = (
        f"{case.name} carries connections for others and reaches {case.port} on its own host{server}: a tunnel's end."
    )
    return line("tunnel_end", case.weights.mismatch_severe, text)


def _from_listener(case: Case) -> Evidence | None:
    """Direction is told from ports: a peer on a port below 1024 is a server, whatever listens here."""
    context, tcp = case.context, case.behaviour.transport is Transport.TCP
    if not (case.outbound and tcp and context.from_listener) or context.peer_scope is PeerScope.LOOPBACK:
        return None
    text = (
        f"It speaks to {case.port} of its peer from tcp/{context.local_port}, on which this host listens:"
        " tunnels and reused listeners do that, clients do not."
    )
    return line("from_a_listener", case.weights.mismatch, text)


def _forwards(case: Case) -> Evidence | None:
    listening = case.behaviour.direction is Direction.LISTENING
    if not listening or case.context.bind_scope == "loopback" or not _is(case, Trait.FORWARDS):
        return None
    text = f"{case.name} listens for others: it forwards what comes to {case.port} to somewhere else."
    return line("forwards_a_port", case.weights.mismatch_mild, text)


def _is(case: Case, trait: Trait) -> bool:
    """By name, wherever it lies: who tunnels brings the program along."""
    return any(trait in each.traits for each in named_classes(case.behaviour.program, Direction.OUTBOUND))


_RULES: tuple[Callable[[Case], Evidence | None], ...] = (_tunnel_end, _from_listener, _forwards)
