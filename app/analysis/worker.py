"""The loop that judges: claim what intake found new, judge it against history, keep findings, count it, commit."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import accumulate, takewhile

import structlog
from prometheus_client import Counter, Histogram

from app.analysis import facts, standings, store, surroundings
from app.analysis.flow_joins import late
from app.analysis.software import heed_import
from app.analysis.standings import Seen
from app.analysis.starts import joins
from app.analysis.starts.joins import Joined
from app.analysis.surroundings import Asked, connection_in
from app.baselines.exceptions.in_force import ExceptionsInForce
from app.baselines.exceptions.judging import heed_exceptions
from app.baselines.in_force import SeenInRole, expected
from app.clock import utc_now
from app.database import Database, WriteSession
from app.detection.baseline import Expected
from app.detection.behaviour import Behaviour, Direction, Platform
from app.detection.context import Context, Signer, context_of
from app.detection.deviation import Severity
from app.detection.expectations import Observed
from app.detection.judgement import judge
from app.detection.knobs import Knobs
from app.detection.recognition import signer_of
from app.detection.standing import Standing
from app.detection.surroundings import Surroundings
from app.detection.windows_events import process_id
from app.findings.again.store import judge_again
from app.findings.keeping import NewFinding, open_findings, withdraw
from app.findings.roll_outs import gather_roll_outs
from app.fleet.store import list_roles
from app.observations.models import FreshSightings
from app.observations.originals import INFLATED_MAX_BYTES, Original, Originals
from app.observations.store import bodies
from app.tuning.in_force import KnobsInForce

CLAIM_BATCHES = 200
CLAIM_SIGHTINGS = 5_000
IDLE_SECONDS = 1.0
FAILED_SECONDS = 5.0

log = structlog.get_logger()
JUDGED = Counter("portbook_analysis_judged", "Sightings judged")
FOUND = Counter("portbook_analysis_findings", "Findings opened or seen again", ["severity"])
FAILED = Counter("portbook_analysis_failures", "Queue entries that could not be judged")
SECONDS = Histogram("portbook_analysis_seconds", "Time to judge one claim of the queue")


@dataclass(frozen=True, slots=True)
class Sighted:
    """One fresh sighting with the row that showed it; without a row where retention was faster than we were."""

    fresh: FreshSightings
    behaviour: Behaviour
    line_number: int
    row_number: int
    seen_at: datetime
    original: Original | None

    @property
    def seen(self) -> Seen:
        return Seen(self.fresh.node_id, self.fresh.role_id, self.behaviour)

    @property
    def platform(self) -> Platform:
        return self.behaviour.program.platform

    @property
    def image(self) -> tuple[int, str]:
        """Node and file, of which signatures speak."""
        return self.fresh.node_id, self.behaviour.program.path

    def asked(self, signer: Signer, join_seconds: float) -> Asked:
        node_id, role_id = self.fresh.node_id, self.fresh.role_id
        connection = connection_in(self.original, node_id, self.behaviour, self.seen_at)
        return Asked(node_id, role_id, self.behaviour, self._context(signer), self.seen_at, join_seconds, connection)

    def _context(self, signer: Signer) -> Context:
        query, columns = (self.original.query, self.original.columns) if self.original else ("", {})
        return context_of(query, columns, node=str(self.fresh.node_id), signer=signer)


async def work(database: Database, defaults: Knobs) -> None:
    """Judge until cancelled. A claim that fails is tried entry by entry, so that one cannot hold up the rest."""
    knobs, exceptions = KnobsInForce(defaults), ExceptionsInForce()
    while True:
        await _learn(database)
        try:
            judged = await analyse_some(database, knobs, exceptions=exceptions)
        except Exception:
            log.exception("analysis_failed")
            judged = await _analyse_one_by_one(database, knobs, exceptions)
        if not judged:
            await asyncio.sleep(IDLE_SECONDS)


async def _learn(database: Database) -> None:
    """What may explain behaviours comes first. Where that fails, judging goes on without it."""
    try:
        while await facts.take_some(database):
            pass
        await heed_import(database)
        await late.look(database, utc_now())
    except Exception:
        log.exception("nothing_learnt")


async def _analyse_one_by_one(database: Database, knobs: KnobsInForce, exceptions: ExceptionsInForce) -> int:
    try:
        judged = await analyse_some(database, knobs, limit=1, exceptions=exceptions)
    except Exception:
        FAILED.inc()
        log.exception("entry_not_judged")
        await asyncio.sleep(FAILED_SECONDS)
        await _blame_oldest(database)
        return 1
    return judged


async def _blame_oldest(database: Database) -> None:
    try:
        async with database.writing() as session:
            for fresh in await store.claim(session, 1):
                await store.note_failure(session, fresh.fresh_id)
    except Exception:
        log.exception("database_away")


async def analyse_some(
    database: Database,
    knobs: Knobs | KnobsInForce,
    limit: int = CLAIM_BATCHES,
    *,
    exceptions: ExceptionsInForce | None = None,
) -> int:
    """Judge up to `limit` queue entries in one transaction. Returns how many sightings were judged.

    One worker judges at a time, or a signature and the connection that it explains could pass each other.
    `knobs`: what remembers those in force between claims, or the defaults that they stand upon. `exceptions` likewise.
    """
    in_force = knobs if isinstance(knobs, KnobsInForce) else KnobsInForce(knobs)
    accepted = exceptions or ExceptionsInForce()
    with SECONDS.time():
        async with database.writing() as session:
            if not await store.is_alone(session):
                return 0
            claimed = _bounded(await store.claim(session, limit))
            if not claimed:
                return 0
            sighted = await _sighted(session, claimed)
            read = {each.fresh.fresh_id for each in sighted}
            await store.finish(session, read)  # what is judged again queues anew
            await in_force.refresh(session)
            await accepted.refresh(session, utc_now())
            roles = await list_roles(session)
            for day in sorted({each.fresh.day for each in sighted}):
                of_day = [each for each in sighted if each.fresh.day == day]
                await _judge_day(session, day, of_day, in_force, roles, accepted)
    JUDGED.inc(len(sighted))
    return len(sighted)


def _bounded(claimed: Sequence[FreshSightings]) -> list[FreshSightings]:
    """The first of a claim, until they hold enough sightings for one transaction; the others wait for the next."""
    totals = accumulate((len(each.behaviour_ids) for each in claimed), initial=0)
    return [each for each, before in zip(claimed, totals, strict=False) if before < CLAIM_SIGHTINGS]


async def _sighted(session: WriteSession, claimed: Sequence[FreshSightings]) -> list[Sighted]:
    """The claimed sightings with their behaviours and rows, in the order in which they came, while memory lasts."""
    behaviours = await store.behaviours(session, {key for each in claimed for key in each.behaviour_ids})
    rows = Originals(await bodies(session, claimed))
    return [
        Sighted(fresh, behaviours[key], line, row, at, rows.find(fresh.batch_id, line, row))
        for fresh in takewhile(lambda _: rows.inflated < INFLATED_MAX_BYTES, claimed)
        for key, line, row, at in zip(
            fresh.behaviour_ids, fresh.line_numbers, fresh.row_numbers, fresh.seen_at, strict=True
        )
    ]


async def _judge_day(
    session: WriteSession,
    day: date,
    sighted: Sequence[Sighted],
    knobs: KnobsInForce,
    roles: Mapping[int, str],
    exceptions: ExceptionsInForce,
) -> None:
    newly_signed = await store.keep_signers(session, _signatures(sighted))
    known = await standings.load(session, day, {each.seen for each in sighted}, roles)
    signed = await store.signers(session, {each.image for each in sighted})
    in_force = [knobs.of(roles.get(each.fresh.role_id, ""), each.platform) for each in sighted]
    asked = [
        each.asked(signed.get(each.image, Signer()), settings.time_window.join_seconds)
        for each, (settings, _) in zip(sighted, in_force, strict=True)
    ]
    around = await surroundings.load(session, day, asked)
    approved = await _approved(session, sighted, asked)
    judged = [
        _judge(each, question, known[each.seen], replace(around[question], expected=approval), settings)
        for each, question, approval, settings in zip(sighted, asked, approved, in_force, strict=True)
    ]
    await joins.count(session, day, _joined(judged))
    await _keep(session, day, judged, knobs, exceptions)
    await judge_again(session, day, newly_signed)
    await standings.count(session, day, {each.seen for each in sighted})


async def _approved(session: WriteSession, sighted: Sequence[Sighted], asked: Sequence[Asked]) -> list[Expected | None]:
    """What a baseline expected when it was seen; of what is judged again, also what is expected by now."""
    now = utc_now()
    seen = [
        SeenInRole(
            each.fresh.role_id,
            Observed(each.behaviour, question.context.signer, question.context.peer_scope),
            (each.seen_at, now) if each.fresh.again else (each.seen_at,),
        )
        for each, question in zip(sighted, asked, strict=True)
    ]
    known = await expected(session, seen)
    return [known.get(each) for each in seen]


async def _keep(
    session: WriteSession,
    day: date,
    judged: Sequence[NewFinding],
    knobs: KnobsInForce,
    exceptions: ExceptionsInForce,
) -> None:
    heavy = [each for each in judged if each.deviation.severity is not Severity.NONE]
    light = {each.pair for each in judged} - {each.pair for each in heavy}
    now = utc_now()
    withdrawn = await withdraw(session, day, light, now)
    await open_findings(session, heavy, now)
    await heed_exceptions(session, day, heavy, exceptions, now)
    opened = {each.deviation.behaviour.behaviour_id for each in heavy}
    shown = {each.deviation.behaviour for each in judged}
    for platform in Platform:
        changed = {each.behaviour_id for each in shown if each.program.platform is platform}
        settings, _ = knobs.of("", platform)  # a roll-out knows no roles
        await gather_roll_outs(session, changed & (withdrawn | opened), settings, now)
    for each in heavy:
        FOUND.labels(each.deviation.severity.value).inc()


def _judge(
    each: Sighted, asked: Asked, standing: Standing, around: Surroundings, in_force: tuple[Knobs, int]
) -> NewFinding:
    knobs, version = in_force
    deviation = judge(each.behaviour, asked.context, standing, knobs, around)
    source = around.start.event if around.start else ""
    pid = process_id(asked.context.process_id)
    context = asked.context
    return NewFinding(
        each.fresh,
        deviation,
        each.seen_at,
        each.line_number,
        each.row_number,
        pid,
        source,
        version,
        context.signer,
        context.peer_scope,
    )


def _joined(judged: Sequence[NewFinding]) -> list[Joined]:
    return [
        Joined(each.where.node_id, each.deviation.behaviour.behaviour_id, each.start_source, again=each.where.again)
        for each in judged
        if each.deviation.behaviour.direction is Direction.OUTBOUND
    ]


def _signatures(sighted: Sequence[Sighted]) -> dict[tuple[int, str], tuple[Signer, datetime]]:
    """The newest signature rows of the claim, by node and normalised path."""
    newest: dict[tuple[int, str], tuple[Signer, datetime]] = {}
    for each in sighted:
        said = each.original and signer_of(each.original.query, each.original.columns)
        if each.original and said:
            key = (each.fresh.node_id, said[0])
            if key not in newest or newest[key][1] < each.seen_at:
                newest[key] = (said[1], each.seen_at)
    return newest
