"""What people send when they ask for exceptions and decide on them, as JSON."""

from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict

from app.baselines.exceptions.asking import Wanted, Why
from app.baselines.exceptions.covering import shown_in
from app.baselines.exceptions.deciding import Decision
from app.baselines.exceptions.states import Risk
from app.detection.addresses import PeerScope
from app.detection.behaviour import DYNAMIC, DYNAMIC_PORT, Direction, Platform, Transport
from app.detection.columns import LAST_PORT
from app.detection.expectations import PEERS, Expectation
from app.findings.models import Finding
from app.observations.models import Behaviour

#: Of what is no use of a port, such as a changed service: refused, like any port that is none.
NO_PORTS = (0, 0)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class RenewIn(_Strict):
    reason: str
    business_need: str
    risk: Risk
    compensating_control: str
    """What lessens the risk meanwhile; say so if there is nothing."""
    ticket: str = ""
    expires_at: AwareDatetime | None = None
    """At most 180 days away, which is also what you get without one."""

    def why(self) -> Why:
        control, until = self.compensating_control, self.expires_at
        return Why(self.reason, self.business_need, self.risk, control, self.ticket, until)


class AskIn(RenewIn):
    platform: Platform
    program: str
    """File name; `*` for every program of a signer."""
    path: str = ""
    """As Portbook writes paths. It, or `signer`, or both must be there: a name alone proves nothing."""
    signer: str = ""
    direction: Direction
    transport: Transport
    first_port: int
    last_port: int | None = None
    """`first_port` without it."""
    unit: str | None = None
    """Service or launchd label; any without one, none with an empty one."""
    peer_scope: PeerScope | None = None
    role: str | None = None
    node_ids: list[int] | None = None
    finding_id: UUID | None = None

    def wanted(self) -> Wanted:
        pattern = Expectation(
            self.platform,
            self.program,
            self.path,
            self.signer,
            self.direction,
            self.transport,
            self.first_port,
            self.first_port if self.last_port is None else self.last_port,
            self.unit,
            self.peer_scope,
        )
        nodes = None if self.node_ids is None else tuple(self.node_ids)
        return Wanted(pattern, self.why(), self.role, nodes, self.finding_id)


class FromFindingIn(RenewIn):
    finding_id: UUID
    held_by: Literal["path", "signer"] = "path"
    """What the program is known by."""

    def wanted(self, finding: Finding, behaviour: Behaviour) -> Wanted:
        shown = shown_in(finding, behaviour).observed
        dynamic = (DYNAMIC_PORT, LAST_PORT) if behaviour.bucket == DYNAMIC else NO_PORTS
        ports = dynamic if shown.behaviour.port is None else (shown.behaviour.port,) * 2
        speaks_of_peers = shown.behaviour.direction is Direction.OUTBOUND and shown.peer_scope in PEERS
        pattern = Expectation(
            Platform(behaviour.platform),
            behaviour.name,
            behaviour.path if self.held_by == "path" else "",
            finding.signer if self.held_by == "signer" else "",
            shown.behaviour.direction,
            shown.behaviour.transport,
            *ports,
            behaviour.unit,
            shown.peer_scope if speaks_of_peers else None,
        )
        return Wanted(pattern, self.why(), None, (finding.node_id,), finding.finding_id)


class DecisionIn(_Strict):
    reason: str
    override_reason: str | None = None
    """Why the only approver there is decides on a request of their own; refused where another one could."""

    def decision(self) -> Decision:
        return Decision(self.reason, self.override_reason)


class RevokeIn(_Strict):
    reason: str
