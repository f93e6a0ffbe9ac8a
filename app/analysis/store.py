"""The SQL of analysis: claim what is new, read the rows behind it, keep who signed what."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause, and_, bindparam, delete, func, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import ARRAY, BIGINT, TEXT, insert
from sqlalchemy.types import TypeEngine

from app.analysis.models import Image
from app.database import ReadSession, WriteSession
from app.detection.behaviour import Behaviour, Platform, Program
from app.detection.context import Signer, Trust
from app.findings.turns.store import JUDGING_LOCK
from app.fleet.models import Node
from app.observations import models as observed
from app.observations.store import behaviour_of

FAILURES_MAX = 5


def arrays(statement: str, **types: TypeEngine[Any]) -> TextClause:
    return text(statement).bindparams(*(bindparam(name, type_=ARRAY(type_)) for name, type_ in types.items()))


async def is_alone(session: WriteSession) -> bool:
    """Whether this transaction is the one that judges; another's commit lets the next one in."""
    query = text("SELECT pg_try_advisory_xact_lock(:key)")
    return bool(await session.scalar(query, {"key": JUDGING_LOCK}))


async def claim(session: WriteSession, limit: int) -> Sequence[observed.FreshSightings]:
    """The oldest unread entries of the queue, locked for this transaction."""
    query = select(observed.FreshSightings).where(observed.FreshSightings.failures < FAILURES_MAX)
    query = query.order_by(observed.FreshSightings.fresh_id).limit(limit)
    return (await session.scalars(query.with_for_update(skip_locked=True))).all()


async def claim_facts(session: WriteSession, limit: int) -> Sequence[observed.FreshFacts]:
    query = select(observed.FreshFacts).where(observed.FreshFacts.failures < FAILURES_MAX)
    query = query.order_by(observed.FreshFacts.fresh_id).limit(limit)
    return (await session.scalars(query.with_for_update(skip_locked=True))).all()


async def finish_facts(session: WriteSession, fresh_ids: Collection[int]) -> None:
    await session.execute(delete(observed.FreshFacts).where(observed.FreshFacts.fresh_id.in_(fresh_ids)))


async def note_facts_failure(session: WriteSession, fresh_id: int) -> None:
    failed = update(observed.FreshFacts).where(observed.FreshFacts.fresh_id == fresh_id)
    await session.execute(failed.values(failures=observed.FreshFacts.failures + 1))


async def platforms(session: WriteSession, node_ids: Collection[int]) -> dict[int, str]:
    """Node → platform as enrolled."""
    found = await session.execute(select(Node.node_id, Node.platform).where(Node.node_id.in_(node_ids)))
    return {node_id: platform for node_id, platform in found}  # noqa: C416 - rows are no pairs to the type checker


async def queue_length(session: ReadSession) -> tuple[int, int]:
    """Entries that wait, and entries that were set aside."""
    waiting = set_aside = 0
    for queue in (observed.FreshFacts, observed.FreshSightings):
        given_up = queue.failures >= FAILURES_MAX
        query = select(func.count().filter(~given_up), func.count().filter(given_up)).select_from(queue)
        counts = (await session.execute(query)).one()
        waiting, set_aside = waiting + counts[0], set_aside + counts[1]
    return waiting, set_aside


async def finish(session: WriteSession, fresh_ids: Collection[int]) -> None:
    await session.execute(delete(observed.FreshSightings).where(observed.FreshSightings.fresh_id.in_(fresh_ids)))


async def note_failure(session: WriteSession, fresh_id: int) -> None:
    failed = update(observed.FreshSightings).where(observed.FreshSightings.fresh_id == fresh_id)
    await session.execute(failed.values(failures=observed.FreshSightings.failures + 1))


async def behaviours(session: WriteSession, ids: Collection[UUID]) -> dict[UUID, Behaviour]:
    found = await session.scalars(select(observed.Behaviour).where(observed.Behaviour.behaviour_id.in_(ids)))
    return {row.behaviour_id: behaviour_of(row) for row in found}


_SIGNERS = arrays(
    """
    SELECT i.node_id, i.path, i.trust, i.signer FROM images i
    JOIN unnest(:nodes, :paths) AS w(node_id, path) USING (node_id, path)
    """,
    nodes=BIGINT(), paths=TEXT(),
)  # fmt: skip


async def signers(session: WriteSession, wanted: set[tuple[int, str]]) -> dict[tuple[int, str], Signer]:
    """(node, normalised path) → what its signature query last said."""
    nodes, paths = (list(column) for column in zip(*wanted, strict=True))
    found = await session.execute(_SIGNERS, {"nodes": nodes, "paths": paths})
    return {(node, path): Signer(Trust(trust), name) for node, path, trust, name in found}


async def keep_signers(
    session: WriteSession, images: Mapping[tuple[int, str], tuple[Signer, datetime]]
) -> set[tuple[int, str]]:
    """The newest word on each image wins. Returns the (node, path) of those that were unknown or are signed anew."""
    if not images:
        return set()
    rows = [
        {"node_id": node, "path": path, "trust": signer.trust.value, "signer": signer.name, "observed_at": at}
        for (node, path), (signer, at) in sorted(images.items())
    ]
    added = insert(Image).values(rows)
    newer = {"trust": added.excluded.trust, "signer": added.excluded.signer, "observed_at": added.excluded.observed_at}
    is_newer = Image.observed_at < added.excluded.observed_at
    is_other = tuple_(Image.trust, Image.signer) != tuple_(added.excluded.trust, added.excluded.signer)
    keys = ("node_id", "path")
    changed = added.on_conflict_do_update(index_elements=keys, set_=newer, where=and_(is_newer, is_other))
    found = await session.execute(changed.returning(Image.node_id, Image.path))
    return {(node, path) for node, path in found}


_OPEN_PROGRAMS = text(
    """
    SELECT DISTINCT b.platform, b.path, b.name, i.trust, i.signer
    FROM findings f JOIN behaviours b USING (behaviour_id)
    LEFT JOIN images i ON i.node_id = f.node_id AND i.path = b.path
    WHERE f.is_open AND b.direction IN ('outbound', 'listening') LIMIT :most
    """
)


async def open_programs(session: ReadSession, most: int) -> list[tuple[Program, Signer]]:
    """The programs that open findings speak of, once for each way in which they are signed."""
    found = await session.execute(_OPEN_PROGRAMS, {"most": most})
    return [
        (Program(Platform(platform), path, name), Signer(Trust(trust), signer) if trust else Signer())
        for platform, path, name, trust, signer in found
    ]


async def executions(session: ReadSession, nodes: Collection[int]) -> dict[tuple[int, str], observed.Execution]:
    found = await session.scalars(select(observed.Execution).where(observed.Execution.node_id.in_(nodes)))
    return {(row.node_id, row.query): row for row in found}


async def notices(session: ReadSession, nodes: Collection[int]) -> dict[int, dict[str, int]]:
    found: dict[int, dict[str, int]] = {}
    for row in await session.scalars(select(observed.Notice).where(observed.Notice.node_id.in_(nodes))):
        found.setdefault(row.node_id, {})[row.kind] = row.total
    return found


async def quarantined(session: ReadSession, nodes: Collection[int]) -> dict[int, int]:
    lines = observed.QuarantinedLines
    query = select(lines.node_id, func.sum(lines.lines)).where(lines.node_id.in_(nodes)).group_by(lines.node_id)
    return {node: int(total) for node, total in await session.execute(query)}
