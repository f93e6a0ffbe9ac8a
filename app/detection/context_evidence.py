"""Evidence from what a row says beside its port: what the program is, where it lies, who signed it, who is its peer.

Each rule takes a case and gives one line or none. Discounts never outweigh a port that belies the program.
"""

from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase

from app.detection.behaviour import Direction, Platform
from app.detection.classes import Mismatch, Trait
from app.detection.context import PeerScope, Trust
from app.detection.deviation import Evidence
from app.detection.evidence import Case, counted, line
from app.detection.flow_evidence import flow_belies
from app.detection.places import Place
from app.detection.ports import only_transport, port_name
from app.detection.tunnel_evidence import ends_a_tunnel
from app.detection.vouching import vouched_by_peers, vouched_for

_DNS, _KERBEROS = 53, 88

#: Programs that are on every host in one place, which is why others take their names. Source: ATT&CK T1036.005.
_SYSTEM_NAMES = {
    Platform.WINDOWS: frozenset(
        {"svchost.exe", "lsass.exe", "services.exe", "csrss.exe", "smss.exe", "wininit.exe", "winlogon.exe"}
        | {"explorer.exe", "dllhost.exe", "conhost.exe", "taskhostw.exe", "runtimebroker.exe", "spoolsv.exe"}
        | {"rundll32.exe", "regsvr32.exe", "sihost.exe", "dwm.exe", "ctfmon.exe", "audiodg.exe", "wmiprvse.exe"}
    ),
    Platform.MACOS: frozenset(
        {"launchd", "kernel_task", "mdnsresponder", "sshd", "windowserver", "loginwindow", "cfprefsd", "trustd"}
        | {"apsd", "rapportd", "sharingd", "controlcenter", "airportd", "configd", "distnoted", "nsurlsessiond"}
        | {"screensharingd", "softwareupdated", "syspolicyd", "systemuiserver", "dock", "finder", "coreaudiod"}
    ),
}

UNCOMMON_PORT = "uncommon_port"


def context_evidence(case: Case) -> tuple[Evidence, ...]:
    """The lines that speak against the behaviour, then those that speak for it."""
    against = [found for rule in _AGAINST if (found := rule(case))]
    belied = any(found.reason in _BELYING for found in against)
    favour = [found for rule in _IN_FAVOUR if (found := rule(case))]
    if flow_belies(case):
        favour = [found for found in favour if found.reason not in _OF_THE_PORT]
    return (*against, *(found for found in favour if not belied or found.reason in _UNCONDITIONAL))


def _class_evidence(case: Case) -> Evidence | None:
    """The gravest of what the kind of program says: never networks, a port that belies it, a script host."""
    if not case.networked:
        return None
    return max(_class_lines(case), key=lambda found: found.points, default=None)


def _class_lines(case: Case) -> Iterator[Evidence]:
    weights = case.weights
    if quiet := case.kind(Trait.NEVER_NETWORKS):
        yield line("never_networks", weights.never_networks, f"{case.name} is {quiet.says}.")
    points = {
        Mismatch.SEVERE: weights.mismatch_severe,
        Mismatch.PLAIN: weights.mismatch,
        Mismatch.MILD: weights.mismatch_mild,
    }
    for each in case.named_classes:
        if fit := each.fits(case.behaviour.port):
            yield line(
                "port_belies_program", points[fit], f"{case.name} is {each.says}, which has no business on {case.port}."
            )
    if case.outbound and case.kind(Trait.SCRIPT_HOST) and case.behaviour.port not in case.knobs.port_thresholds.web:
        yield line(
            "script_host", weights.script_host, f"{case.name} is a script host and {case.port} is not a web port."
        )


def belied(case: Case) -> Mismatch:
    """How gravely what the program is speaks against the port, or against any network at all."""
    if not case.networked:
        return Mismatch.NONE
    fits = {each.fits(case.behaviour.port) for each in case.named_classes}
    if Mismatch.SEVERE in fits:
        return Mismatch.SEVERE
    reasons = {found.reason for found in _class_lines(case)} - {"port_belies_program"}
    if reasons or Mismatch.PLAIN in fits or _not_a_resolver(case):
        return Mismatch.PLAIN
    return Mismatch.MILD if Mismatch.MILD in fits else Mismatch.NONE


def _not_a_resolver(case: Case) -> Evidence | None:
    if not case.outbound or case.behaviour.port != _DNS or case.kind(Trait.RESOLVER):
        return None
    return line(
        "not_a_resolver", case.weights.mismatch, f"{case.name} is no resolver that is known to ask port 53 itself."
    )


def _not_a_ticket_client(case: Case) -> Evidence | None:
    windows = case.behaviour.program.platform is Platform.WINDOWS
    if not (windows and case.outbound and case.behaviour.port == _KERBEROS) or case.kind(Trait.KERBEROS):
        return None
    text = f"On Windows lsass.exe asks for Kerberos tickets; {case.name} does it by itself."
    return line("not_a_ticket_client", case.weights.mismatch, text)


def _uncommon_port(case: Case) -> Evidence | None:
    if case.common or case.behaviour.direction not in {Direction.OUTBOUND, Direction.LISTENING}:
        return None
    port = case.behaviour.port
    name = port_name(port, case.behaviour.transport) if port is not None else ""
    registry = f'IANA assigns it to "{name}"' if name else "IANA assigns it to nobody"
    if port is None:
        registry = "the dynamic range is assigned to nobody"
    return line(UNCOMMON_PORT, case.weights.uncommon_port, f"{case.port} is outside the common set; {registry}.")


def _port_of_another(case: Case) -> Evidence | None:
    """On a port that a quarter of the peers give to another program, and not yet common property."""
    standing = case.standing
    others, peers = standing.port_owner_nodes, standing.everything.nodes
    enough = others >= max(case.knobs.vouching.nodes, case.knobs.vouching.dubious_share * peers)
    if case.behaviour.direction is not Direction.LISTENING or not enough or standing.behaviour.nodes >= others:
        return None
    text = f"On {others:,} of {counted(peers, 'other node')} {case.port} belongs to {standing.port_owner}."
    return line("port_of_another", case.weights.port_of_another, text)


def _impostor(case: Case) -> Evidence | None:
    program = case.behaviour.program
    named = program.name.lower() in _SYSTEM_NAMES[program.platform]
    if (
        not (named and case.networked and program.path)
        or case.place is Place.SYSTEM
        or (case.trusted and case.known_vendor)
    ):
        return None
    text = f"It bears the name of a program of the system, but lies at {program.path} (ATT&CK T1036.005)."
    return line("impostor", case.weights.impostor, text)


def _wrong_transport(case: Case) -> Evidence | None:
    port, transport = case.behaviour.port, case.behaviour.transport
    only = only_transport(port) if port is not None else None
    if only is None or only is transport:
        return None
    name = port_name(port or 0, only)
    text = (
        f"The service of port {port}{f' ({name})' if name else ''} uses {only.value} only, this is {transport.value}."
    )
    return line("wrong_transport", case.weights.transport_mismatch, text)


def _signature(case: Case) -> Evidence | None:
    signer, points = case.context.signer, case.weights.unsigned
    if case.behaviour.direction is Direction.SIGNATURE:
        known = case.standing.program.units and not case.standing.behaviour.units
        text = f"On every other node {case.name} was signed otherwise."
        return line("signer_changed", case.weights.signer_changed, text) if known else None
    if signer.trust is Trust.UNSIGNED:
        return line("unsigned", points, f"{case.name} is not signed.")
    if signer.trust is Trust.BROKEN:
        whose = f" of {signer.name}" if signer.name else ""
        return line("signature_broken", points, f"The signature{whose} on {case.name} does not hold.")
    return None


def _user_writable(case: Case) -> Evidence | None:
    if case.place is not Place.USER_WRITABLE or case.known_vendor:
        return None
    text = f"Any user could have put a program at {case.behaviour.program.path}."
    return line("user_writable_path", case.weights.user_writable, text)


def _loopback(case: Case) -> Evidence | None:
    within = case.context.peer_scope is PeerScope.LOOPBACK or case.context.bind_scope == "loopback"
    if not within or ends_a_tunnel(case):
        return None
    return line("loopback_only", -case.weights.loopback, "It stays on the node itself (loopback).")


def _expected_port(case: Case) -> Evidence | None:
    text = _profiled(case) or _documented(case)
    return line("expected_port", -case.weights.expected_port, text) if text else None


def _profiled(case: Case) -> str:
    profile = case.knobs.baseline_port_profiles.get(case.behaviour.program.path, ())
    listening = case.behaviour.direction is Direction.LISTENING
    return (
        f"BaselinePortProfiles expects {case.name} on this port."
        if listening and case.behaviour.bucket in profile
        else ""
    )


def _documented(case: Case) -> str:
    """Of a program that attackers inject code into, the fleet must be seen to use the port; of a login, its peers."""
    if case.dubious or (case.kind(Trait.INJECTED) and not vouched_for(case)):
        return ""
    if case.remote_login and not vouched_by_peers(case):
        return ""
    kind = next((each for each in case.classes if case.behaviour.port in each.expected), None)
    return f"{case.name} is {kind.says} and {case.port} is one of its own ports." if kind else ""


def _dynamic_rpc(case: Case) -> Evidence | None:
    near = case.context.peer_scope in {PeerScope.PRIVATE, PeerScope.LINK_LOCAL, PeerScope.OWN}
    if not (case.outbound and near and case.behaviour.port is None and case.kind(Trait.RPC_CALLER)):
        return None
    text = f"{case.name} calls RPC, whose servers live on dynamic ports, and the peer is private."
    return line("dynamic_rpc", -case.weights.dynamic_rpc, text)


def _familiar(case: Case) -> Evidence | None:
    """One discount at most: a program driven by its user explains more than a known vendor."""
    if not case.networked:
        return None
    if driven := case.kind(Trait.USER_DRIVEN):
        return line(
            "user_driven", -case.weights.user_driven, f"{case.name} is {driven.says}: its user picks the ports."
        )
    if case.known_vendor:
        return line(
            "known_vendor", -case.weights.known_vendor, f"A known vendor signed it ({case.context.signer.name})."
        )
    return None


def allow_listed(case: Case) -> bool:
    path = case.behaviour.program.path
    return bool(path) and any(fnmatchcase(path, pattern) for pattern in case.knobs.process_allow_list)


Rule = Callable[[Case], Evidence | None]

_AGAINST: tuple[Rule, ...] = (
    _class_evidence,
    _not_a_resolver,
    _not_a_ticket_client,
    _uncommon_port,
    _port_of_another,
    _impostor,
    _wrong_transport,
    _signature,
    _user_writable,
)
_IN_FAVOUR: tuple[Rule, ...] = (_loopback, _expected_port, _dynamic_rpc, _familiar)
_BELYING = frozenset({"never_networks", "port_belies_program", "script_host", "not_a_resolver"})
_UNCONDITIONAL = frozenset({"loopback_only"})
#: What speaks for a port says nothing when the flow shows another protocol on it.
_OF_THE_PORT = frozenset({"expected_port", "dynamic_rpc", "known_vendor"})
