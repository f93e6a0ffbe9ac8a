"""Gathers the findings of one behaviour on many nodes into one finding of the fleet."""

from collections.abc import Collection
from dataclasses import asdict
from datetime import datetime
from uuid import UUID, uuid4

from app.database import WriteSession
from app.detection.deviation import Evidence, Severity, Spread
from app.detection.knobs import Knobs
from app.detection.roll_out import RollOut, Spreading, gather, judge_roll_out
from app.findings import store
from app.findings.models import Finding, FleetFinding
from app.findings.states import WITHDRAWABLE, State


async def gather_roll_outs(session: WriteSession, behaviours: Collection[UUID], knobs: Knobs, now: datetime) -> None:
    """Bring up to date the fleet findings of behaviours whose findings were opened, judged again or withdrawn.

    It belongs into the transaction that did so. Doing it again changes nothing.
    """
    for behaviour_id in await store.spreading(session, behaviours, knobs.roll_outs.nodes):
        await _gather(session, behaviour_id, knobs, now)


async def _gather(session: WriteSession, behaviour_id: UUID, knobs: Knobs, now: datetime) -> None:
    fleet = await store.lock_fleet_finding(session, behaviour_id)
    wave = await store.wave_of(session, fleet, knobs.roll_outs.nodes) if fleet else None
    rolled = gather(wave, await store.loose_findings(session, behaviour_id), knobs.roll_outs)
    if fleet:
        stays = rolled or State(fleet.state) not in WITHDRAWABLE  # whoever works on it keeps it, and its nodes
        kept = rolled.spread if rolled else Spread.UNSIGNED if stays else None
        fleet.nodes -= await store.release(session, fleet.fleet_finding_id, kept)
        fleet.judged_at = now
        if not stays:
            fleet.state, fleet.is_open = State.WITHDRAWN.value, False
    if rolled:
        await _take_in(session, fleet or _begun(behaviour_id, rolled, now), rolled, knobs)


def _begun(behaviour_id: UUID, rolled: RollOut, now: datetime) -> FleetFinding:
    first = rolled.joined[0].seen_at
    return FleetFinding(
        fleet_finding_id=uuid4(), behaviour_id=behaviour_id, state="open", is_open=True, nodes=0,
        opened_at=now, judged_at=now, first_seen_at=first, last_seen_at=first,
    )  # fmt: skip


async def _take_in(session: WriteSession, fleet: FleetFinding, rolled: RollOut, knobs: Knobs) -> None:
    await store.join(session, fleet.fleet_finding_id, rolled.joined)
    times = [fleet.first_seen_at, fleet.last_seen_at, *(each.seen_at for each in rolled.joined)]
    fleet.nodes += len(rolled.joined)
    fleet.first_seen_at, fleet.last_seen_at = min(times), max(times)
    fleet.spread = rolled.spread.value
    gravest = await store.gravest_member(session, fleet.fleet_finding_id)
    judged = judge_roll_out(_spreading(fleet, rolled, gravest), knobs)
    fleet.analytic, fleet.score, fleet.severity = gravest.analytic, judged.score, judged.severity.value
    fleet.evidence = [asdict(line) for line in judged.evidence]
    session.add(fleet)


def _spreading(fleet: FleetFinding, rolled: RollOut, gravest: Finding) -> Spreading:
    evidence = tuple(Evidence(**line) for line in gravest.evidence)
    severity = Severity(gravest.severity)
    return Spreading(rolled.spread, fleet.nodes, fleet.first_seen_at, fleet.last_seen_at, severity, evidence)
