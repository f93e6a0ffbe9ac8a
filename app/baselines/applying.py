"""A file out of git against what is approved: what it would change, and the draft that proposes it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.access.actor import Actor
from app.baselines import found, store
from app.baselines.drafts import Draft, Origin, draft_for, known_entries
from app.baselines.entries import EntriesRefused, settled
from app.baselines.models import BaselineVersion
from app.baselines.yaml_file import BaselineFile
from app.database import Database, ReadSession
from app.detection.baseline import Difference, Entry, differences


@dataclass(frozen=True, slots=True)
class Applied:
    """`draft` None: nothing differs, or nothing was to be written."""

    baseline_id: int | None
    compared_with: int | None
    differences: Sequence[Difference]
    draft: BaselineVersion | None = None


async def compare(database: Database, actor: Actor, file: BaselineFile, now: datetime) -> Applied:
    """What a file says otherwise than the newest approved version.

    Raises: FileRefused, InvalidRequest for an unknown role.
    """
    async with database.reading() as session:
        return await _compare(session, actor, file, now)


async def apply_file(
    database: Database, actor: Actor, file: BaselineFile, reason: str, reference: str, now: datetime
) -> Applied:
    """Draft what a file says, for somebody to submit and somebody else to decide on.

    Raises: FileRefused, InvalidRequest, Forbidden.
    """
    async with database.writing() as session:
        compared = await _compare(session, actor, file, now)
        if not compared.differences:
            return compared
        wanted = Draft(file.entries, Origin.FILE, reason, reference)
        made = await draft_for(session, actor, file.role, file.platform.value, wanted, now)
        return Applied(made.baseline_id, made.based_on, compared.differences, made)


async def _compare(session: ReadSession, actor: Actor, file: BaselineFile, now: datetime) -> Applied:
    role_id = await found.role(session, actor, file.role)
    named = await store.find_baseline_of(session, role_id, file.platform.value)
    newest = await store.newest_approved(session, named[0].baseline_id) if named else None
    known = await known_entries(session, named, newest, file.entries) if named else []
    approved: list[Entry] = []
    if newest:
        approved = await store.entries_of(session, newest.baseline_id, newest.number, file.platform)
    try:
        wanted = settled(file.entries, known, actor.name, now)
    except EntriesRefused as refused:
        raise file.refused(refused.faults) from None
    return Applied(
        named[0].baseline_id if named else None, newest.number if newest else None, differences(approved, wanted)
    )
