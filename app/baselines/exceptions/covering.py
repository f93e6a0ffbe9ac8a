"""What an exception does to findings: covers them, hands them to another one, lets them go."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from typing_extensions import override

from app.access.actor import PORTBOOK, Actor
from app.baselines.exceptions import store
from app.baselines.exceptions.in_force import ExceptionsInForce, Shown, in_force
from app.baselines.exceptions.models import RequestedException
from app.baselines.exceptions.store import Candidate
from app.baselines.regathering import regather
from app.database import ReadSession, WriteSession
from app.detection.behaviour import Platform
from app.findings.changes import StateChange, change_states
from app.findings.models import Finding
from app.findings.states import State
from app.findings.store import among, lock_findings, observed_in
from app.observations.models import Behaviour


@dataclass(frozen=True, slots=True)
class LetGo:
    """What became of findings that an exception no longer covers."""

    reopened: int = 0
    went_over: int = 0

    @override
    def __str__(self) -> str:
        return f"findings opened again: {self.reopened}, gone over to another exception: {self.went_over}"


def shown_in(finding: Finding, row: Behaviour) -> Shown:
    """What the judgement of a finding speaks of."""
    return Shown(finding.node_id, finding.role_id, observed_in(finding, row))


async def coverable(session: ReadSession, one: RequestedException, now: datetime) -> list[Candidate]:
    """What it covers of what is open now, and of what the exception that it renews covers; the heaviest first."""
    wanted = [store.is_open_or_covered_by(one.renewal_of)]
    said = in_force(one)
    found = await store.candidates(session, one, wanted)
    return [each for each in found if said.covers(shown_in(each[0], each[1]), now)]


async def cover(
    session: WriteSession, actor: Actor, one: RequestedException, found: Sequence[Candidate], why: str, now: datetime
) -> list[tuple[Candidate, State]]:
    """Except what is `coverable`. It is this transaction's turn. Returns each with its state before."""
    ids = [finding.finding_id for finding, *_ in found]
    still = [Finding.finding_id == among(ids), store.is_open_or_covered_by(one.renewal_of)]
    before = {each.finding_id: each for each in await lock_findings(session, still)}
    changes = {key: excepted(each, one.exception_id, why) for key, each in before.items()}
    await change_states(session, actor, list(changes.values()), now)
    await regather(session, Platform(one.platform), {each.behaviour_id for each in before.values()}, now)
    return [(each, changes[each[0].finding_id].before) for each in found if each[0].finding_id in changes]


async def let_go(session: WriteSession, one: RequestedException, why: str, now: datetime) -> LetGo:
    """Open again what it covered, but for what another one covers. It is this transaction's turn."""
    locked = await lock_findings(session, [store.covered_by(one.exception_id)])
    others = ExceptionsInForce()
    await others.refresh(session, now)
    rows = await store.behaviours_of(session, locked)
    changes = []
    for each in locked:
        other = others.choose([shown_in(each, rows[each.behaviour_id])], now)
        changes.append(excepted(each, other, why) if other else reopened(each, why))
    await change_states(session, PORTBOOK, changes, now)
    await regather(session, Platform(one.platform), {each.behaviour_id for each in locked}, now)
    kept = sum(each.after is State.EXCEPTED for each in changes)
    return LetGo(len(changes) - kept, kept)


def excepted(finding: Finding, exception_id: UUID, why: str) -> StateChange:
    return StateChange(
        finding.finding_id,
        finding.node_id,
        State(finding.state),
        State.EXCEPTED,
        why,
        exception_id=exception_id,
        reference=named(exception_id),
    )


def reopened(finding: Finding, why: str) -> StateChange:
    assert finding.exception_id is not None
    reference = named(finding.exception_id)
    before = State(finding.state)
    return StateChange(finding.finding_id, finding.node_id, before, State.REOPENED, why, reference=reference)


def named(exception_id: UUID) -> str:
    return f"exception {exception_id}"
