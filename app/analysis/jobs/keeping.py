"""Keeps what nodes say of their jobs, and asks for open findings that it explains to be judged again."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import structlog

from app.analysis.jobs import store
from app.analysis.jobs.store import PartKey
from app.clock import utc_now
from app.database import WriteSession
from app.detection.facts import Fact
from app.detection.job_parts import MOST_PARTS, JobKind, JobPart, SaidOfJob, hear_all, said_in
from app.detection.jobs import LAUNCHD
from app.detection.paths import stable_label
from app.findings.again.store import EVERY_PROGRAM, judge_again

#: How far a node's clock may be off before the time of receipt stands in for what it says.
OLDEST_SECONDS, FUTURE_SECONDS = 30 * 86_400, 86_400

log = structlog.get_logger()


async def keep_jobs(session: WriteSession, facts: Sequence[Fact]) -> None:
    """What each row says of its job, in the order of the nodes' clocks. Past the limit of a node no job is added."""
    now = utc_now().timestamp()
    by_node: defaultdict[int, list[Fact]] = defaultdict(list)
    for fact in facts:
        by_node[int(fact.node)].append(replace(fact, observed_at=_credible(fact.observed_at, now)))
    said = {node: said_in(rows) for node, rows in by_node.items()}
    wanted = {(node, each.part.part_id) for node, rows in said.items() for each in rows}
    if wanted:
        room = await _room(session, said.keys())  # first, for it may forget parts
        known = await store.parts(session, wanted)
        before: defaultdict[int, dict[UUID, JobPart]] = defaultdict(dict)
        for (node, part_id), part in known.items():
            before[node][part_id] = part
        changed = {
            (node, part_id): part
            for node, rows in said.items()
            for part_id, part in _hear(node, rows, before[node], room[node])
        }
        await store.keep_parts(session, changed)
        await store.count_parts(session, [(key[0], part) for key, part in changed.items() if key not in known])
        await _judge_again(session, changed)


def _hear(
    node: int, said: Sequence[SaidOfJob], parts: MutableMapping[UUID, JobPart], room: int
) -> Iterator[tuple[UUID, JobPart]]:
    most = len(parts) + room
    changed = hear_all(parts, said, room)
    if len(parts) >= most:
        log.warning("inventory_of_jobs_full", node=node, parts_max=MOST_PARTS)
    return ((part_id, parts[part_id]) for part_id in changed)


async def _room(session: WriteSession, nodes: Collection[int]) -> dict[int, int]:
    """How many parts more each node may have."""
    _, totals = await store.inventories(session, nodes)
    full = {node for node, total in totals.items() if total >= MOST_PARTS}
    if full:
        await store.forget_ended(session, full)
        _, totals = await store.inventories(session, nodes)
    return {node: MOST_PARTS - totals.get(node, 0) for node in nodes}


async def _judge_again(session: WriteSession, changed: Mapping[PartKey, JobPart]) -> None:
    for day in sorted({datetime.fromtimestamp(part.said_at, UTC).date() for part in changed.values()}):
        today = {key: part for key, part in changed.items() if datetime.fromtimestamp(part.said_at, UTC).date() == day}
        explained = {(node, word) for (node, _), part in today.items() for word in _explains(part)}
        await judge_again(session, day, explained)


def _explains(part: JobPart) -> set[str]:
    """The programs, services and labels of which a part may say something; a pid alone is no news."""
    if part.kind is JobKind.HIDDEN_PLIST:
        return {EVERY_PROGRAM}
    if part.kind is JobKind.RUNNING:
        return set()
    held = {LAUNCHD} if part.kind in {JobKind.LAUNCHD, JobKind.SOCKETS, JobKind.SWITCH} else set()
    return ({part.known_by, stable_label(part.label)} | held) - {""}


def _credible(observed_at: int, now: float) -> int:
    return observed_at if now - OLDEST_SECONDS <= observed_at <= now + FUTURE_SECONDS else int(now)
