"""Reads the rows that explain behaviours from the stored batches and hands each kind to its keeper."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from itertools import takewhile

import structlog
from prometheus_client import Counter

from app.analysis import store
from app.analysis.jobs.keeping import keep_jobs
from app.analysis.software import keep_software
from app.analysis.starts.keep import keep as keep_starts
from app.database import Database, WriteSession
from app.detection.behaviour import Platform
from app.detection.facts import FACT_QUERIES, Fact, FactKind
from app.observations.models import FreshFacts
from app.observations.originals import INFLATED_MAX_BYTES, Originals
from app.observations.store import bodies

CLAIM_BATCHES = 100

#: Keeps facts of one kind; they come in the order in which they were received.
Keeper = Callable[[WriteSession, Sequence[Fact]], Awaitable[None]]

KEEPERS: Mapping[FactKind, Keeper] = {
    FactKind.JOB: keep_jobs,
    FactKind.PROCESS: keep_starts,
    FactKind.SOFTWARE: keep_software,
}

log = structlog.get_logger()
KEPT = Counter("portbook_analysis_facts", "Rows kept that explain behaviours", ["kind"])
FAILED = Counter("portbook_analysis_facts_failures", "Queue entries whose facts could not be kept")


async def take_some(database: Database, limit: int = CLAIM_BATCHES) -> int:
    """Keep the facts of up to `limit` batches, which must come before what they explain is judged. Returns how many."""
    try:
        return await _take(database, limit)
    except Exception:
        log.exception("facts_not_kept")
    try:
        return await _take(database, 1)
    except Exception:
        FAILED.inc()
        log.exception("entry_without_facts")
    async with database.writing() as session:
        for fresh in await store.claim_facts(session, 1):
            await store.note_facts_failure(session, fresh.fresh_id)
    return 1


async def _take(database: Database, limit: int) -> int:
    async with database.writing() as session:
        if not await store.is_alone(session):
            return 0
        claimed = await store.claim_facts(session, limit)
        kept = await _keep(session, claimed) if claimed else []
        await store.finish_facts(session, [each.fresh_id for each in kept])
    return len(kept)


async def _keep(session: WriteSession, claimed: Sequence[FreshFacts]) -> list[FreshFacts]:
    """Returns those whose facts were kept: the first, until they fill the memory of one transaction."""
    platforms = await store.platforms(session, {each.node_id for each in claimed})
    originals = Originals(await bodies(session, claimed))
    by_kind: defaultdict[FactKind, list[Fact]] = defaultdict(list)
    read: list[FreshFacts] = []
    for each in takewhile(lambda _: originals.inflated < INFLATED_MAX_BYTES, claimed):
        for fact in _facts(each, originals, platforms.get(each.node_id, "")):
            by_kind[fact.kind].append(fact)
        read.append(each)
    for kind, facts in by_kind.items():
        await KEEPERS[kind](session, facts)
        KEPT.labels(kind.value).inc(len(facts))
    return read


def _facts(fresh: FreshFacts, originals: Originals, platform: str) -> Iterator[Fact]:
    for number in fresh.line_numbers:
        for row in originals.rows(fresh.batch_id, number):
            if row.query in FACT_QUERIES and FACT_QUERIES[row.query][0] == platform:
                kind = FACT_QUERIES[row.query][1]
                yield Fact(
                    node=str(fresh.node_id),
                    platform=Platform(platform),
                    kind=kind,
                    query=row.query,
                    action=row.action,
                    columns=row.columns,
                    observed_at=row.observed_at,
                    whole=row.whole,
                )
