"""Keeps what was judged: opens findings, sees living ones again, reopens and withdraws; each change has its row."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Protocol
from uuid import UUID, uuid4

from app.access.actor import PORTBOOK
from app.database import WriteSession
from app.detection.addresses import PeerScope
from app.detection.context import Signer, Trust
from app.detection.deviation import Deviation, Severity, Spread
from app.detection.expectations import UNKNOWN_SIGNER
from app.findings import store
from app.findings.changes import StateChange, change_states
from app.findings.living import Heeded, Judgement, heed
from app.findings.models import Finding
from app.findings.states import WITHDRAWABLE, State
from app.findings.store import Pair


class Where(Protocol):
    """The queue entry a finding came from."""

    node_id: Any
    role_id: Any
    day: Any
    batch_day: Any
    batch_id: Any
    again: Any


@dataclass(frozen=True, slots=True)
class NewFinding:
    where: Where
    deviation: Deviation
    first_seen_at: datetime
    line_number: int
    row_number: int
    process_id: int | None = None
    start_source: str = ""  #: which event told how the process began; empty if none did
    knobs_version: int = 0
    signer: Signer = UNKNOWN_SIGNER
    peer_scope: PeerScope = PeerScope.UNKNOWN

    @property
    def pair(self) -> Pair:
        return self.where.node_id, self.deviation.behaviour.behaviour_id

    @property
    def judgement(self) -> Judgement:
        said = self.deviation
        return Judgement(self.where.day, said.score, said.severity, said.spread, self.signer, self.peer_scope)

    def values(self) -> dict[str, Any]:
        """What goes together in a finding: a judgement and the row that it quotes."""
        return {
            "role_id": self.where.role_id,
            "severity": self.deviation.severity.value,
            "score": self.deviation.score,
            "evidence": [asdict(line) for line in self.deviation.evidence],
            "knobs_version": self.knobs_version,
            "batch_day": self.where.batch_day,
            "batch_id": self.where.batch_id,
            "line_number": self.line_number,
            "row_number": self.row_number,
            "process_id": self.process_id,
            "start_source": self.start_source,
            "trust": self.signer.trust.value,
            "signer": self.signer.name,
            "peer_scope": self.peer_scope.value,
        }


async def open_findings(session: WriteSession, found: Sequence[NewFinding], now: datetime) -> None:
    """Open what is new. What lives already is seen again, and reopened where it was closed too early."""
    living = {
        (each.node_id, each.behaviour_id): each
        for each in await store.lock_living(session, {each.pair for each in found})
    }
    reopened: dict[UUID, StateChange] = {}
    for each in found:
        known = living.get(each.pair)
        if known is None:
            living[each.pair] = _opened(each, now)
            session.add(living[each.pair])
            continue
        state = State.REOPENED if known.finding_id in reopened else State(known.state)
        heeded = heed(state, _kept(known), each.judgement, known.closed_at, each.first_seen_at)
        _see_again(known, each, heeded, now)
        if heeded.reopens:
            reopened[known.finding_id] = _change(known, State.REOPENED, heeded.reopens)
    await session.flush()
    await change_states(session, PORTBOOK, list(reopened.values()), now)


async def withdraw(session: WriteSession, day: date, light: Collection[Pair], now: datetime) -> set[UUID]:
    """(node, behaviour) pairs that weigh too little; those that a first judgement of the day opened go.

    Not those that somebody investigates or escalated. Returns the behaviours of which any went.
    """
    of_day = (Finding.day == day, Finding.state.in_(sorted(WITHDRAWABLE)))
    going = await store.lock_living(session, light, *of_day)
    why = f"judged anew on what became known of {day}: it weighs too little for a finding"
    for each in going:
        each.judged_at = now
    await session.flush()
    await change_states(session, PORTBOOK, [_change(each, State.WITHDRAWN, why) for each in going], now)
    return {each.behaviour_id for each in going}


def _opened(each: NewFinding, now: datetime) -> Finding:
    node_id, behaviour_id = each.pair
    return Finding(
        finding_id=uuid4(), node_id=node_id, behaviour_id=behaviour_id,
        state=State.OPEN.value, is_open=True, analytic=each.deviation.analytic.value, opened_at=now, judged_at=now,
        first_seen_at=each.first_seen_at, last_seen_at=each.first_seen_at, day=each.where.day, days_seen=1,
        new_to_peers=each.deviation.new_to_peers, spread=each.deviation.spread.value, **each.values(),
    )  # fmt: skip


def _see_again(known: Finding, each: NewFinding, heeded: Heeded, now: datetime) -> None:
    """A judgement of the role that the node has now takes the place of one of the role that it had."""
    moved = each.where.role_id != known.role_id and each.where.day > known.day
    known.days_seen += each.where.day != known.day
    known.day = max(known.day, each.where.day)
    known.last_seen_at = max(known.last_seen_at, each.first_seen_at)
    known.judged_at = now
    known.spread = heeded.spread.value
    if heeded.replaces or moved:
        for name, value in each.values().items():
            setattr(known, name, value)


def _kept(known: Finding) -> Judgement:
    severity, spread, scope = Severity(known.severity), Spread(known.spread), PeerScope(known.peer_scope)
    signer = Signer(Trust(known.trust), known.signer)
    return Judgement(known.day, known.score, severity, spread, signer, scope)


def _change(known: Finding, after: State, why: str) -> StateChange:
    return StateChange(known.finding_id, known.node_id, State(known.state), after, why)
