"""Which behaviours of a role's history may be proposed for its baseline, and the sentence that says why or why not.

Seen before is not approved: a proposal is a draft, and a person decides on it. What attackers like to hide in is left
for people to enter by hand.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from app.detection.addresses import PeerScope
from app.detection.behaviour import DYNAMIC_PORT, NETWORK, Behaviour, Direction
from app.detection.classes import Trait, named_classes
from app.detection.columns import LAST_PORT
from app.detection.context import Signer, Trust
from app.detection.evidence import counted
from app.detection.expectations import Expectation

#: Kinds of programs that run whatever they are told to. Source: ATT&CK T1059, T1055, T1218.
_BY_HAND = {
    Trait.SCRIPT_HOST: "it runs whatever script it is given",
    Trait.NEVER_NETWORKS: "programs of its kind have no business on the network",
    Trait.INJECTED: "code of others is often injected into it",
}
_ASKED_FOR = frozenset({PeerScope.PUBLIC, PeerScope.PRIVATE, PeerScope.LINK_LOCAL})


@dataclass(frozen=True, slots=True)
class Shown:
    """A behaviour in the history of a role: on how many nodes and days, who signed it there, whom it spoke to."""

    behaviour: Behaviour
    nodes: int  #: on the day with the most of them, or of all days where no day had enough
    days: int
    node_days: int
    signers: Mapping[Signer, int] = field(default_factory=dict)  #: on how many nodes each; unknown ones are missing
    peers: Mapping[PeerScope, int] = field(default_factory=dict)  #: of the rows that were looked at
    open_findings: int = 0


@dataclass(frozen=True, slots=True)
class Enough:
    """What makes a behaviour regular."""

    nodes: int
    days: int
    window_days: int


@dataclass(frozen=True, slots=True)
class Proposal:
    """An entry to be, the counts that speak for it, and whether somebody should look at it first."""

    expects: Expectation
    why: str
    flagged: bool


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A regular behaviour that is not proposed, and why."""

    behaviour: Behaviour
    because: str

    @property
    def words(self) -> str:
        """E.g. `powershell.exe outbound tcp/443`."""
        behaviour = self.behaviour
        unit = f" ({behaviour.program.unit})" if behaviour.program.unit else ""
        port = f"{behaviour.transport.value}/{behaviour.bucket}"
        return f"{behaviour.program.name}{unit} {behaviour.direction.value} {port}"


def propose(shown: Shown, enough: Enough) -> Proposal | LeftOut:
    """Of a behaviour that is regular."""
    because = _by_hand(shown.behaviour) or _unsigned(shown.signers)
    if because:
        return LeftOut(shown.behaviour, because)
    [signer] = shown.signers
    scope, peers = _peers(shown)
    return Proposal(_expects(shown.behaviour, signer, scope), _why(shown, enough, peers), shown.open_findings > 0)


def _by_hand(behaviour: Behaviour) -> str:
    if behaviour.direction not in NETWORK:
        return "it is an inventory fact, no use of a port"
    if not behaviour.program.path:
        return "no path of it is known"
    way = Direction.OUTBOUND if behaviour.direction is Direction.LOOPBACK else behaviour.direction
    traits = {trait for direction in {way, Direction.OUTBOUND} for each in named_classes(behaviour.program, direction)
              for trait in each.traits}  # fmt: skip
    return next((says for trait, says in _BY_HAND.items() if trait in traits), "")


def _unsigned(signers: Mapping[Signer, int]) -> str:
    if not signers:
        return "no node said who signed it"
    for each, nodes in signers.items():
        if each.trust is not Trust.TRUSTED:
            return f"its signature is {each.trust.value} on {counted(nodes, 'node')}"
    if len(signers) > 1:
        return f"it is signed by {len(signers)} different signers"
    return "" if next(iter(signers)).name else "its signer has no name"


def _peers(shown: Shown) -> tuple[PeerScope | None, str]:
    """The scope that all rows agree on; None for any, with the sentence that says what was looked at."""
    if shown.behaviour.direction is not Direction.OUTBOUND:
        return None, ""
    looked_at = Counter(shown.peers)
    total = looked_at.total()
    if not total:
        return None, " No rows of it are kept, so peers anywhere are proposed."
    if len(looked_at) == 1 and (scope := next(iter(looked_at))) in _ASKED_FOR:
        return scope, f" All {total} rows looked at speak to {scope.value} peers."
    named = ", ".join(f"{number} {scope.value}" for scope, number in looked_at.most_common())
    return None, f" Of {total} rows looked at the peers are {named}, so peers anywhere are proposed."


def _why(shown: Shown, enough: Enough, peers: str) -> str:
    said = next(iter(shown.signers.values()))
    counts = (
        f"Seen on {counted(shown.nodes, 'node')} (enough: {enough.nodes:,}), on {shown.days} of {enough.window_days}"
        f" days (enough: {enough.days}), {counted(shown.node_days, 'node-day')}; signed so on"
        f" {'the one node' if said == 1 else f'all {said:,} nodes'} that said who signed it."
    )
    flag = f" Look first: {counted(shown.open_findings, 'open finding')} on it." if shown.open_findings else ""
    return f"{counts}{peers}{flag}"


def _expects(behaviour: Behaviour, signer: Signer, scope: PeerScope | None) -> Expectation:
    program, port = behaviour.program, behaviour.port
    return Expectation(
        platform=program.platform,
        program=program.name,
        path=program.path,
        signer=signer.name,
        direction=behaviour.direction,
        transport=behaviour.transport,
        first_port=port or DYNAMIC_PORT,
        last_port=port or LAST_PORT,
        unit=program.unit,
        peer_scope=scope,
    )
