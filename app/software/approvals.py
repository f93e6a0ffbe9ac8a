"""Imports of the approved inventory: one file takes the place of the whole list, or nothing happens."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from app.access.actor import Actor
from app.access.audit.actions import Action
from app.access.audit.deed import Deed
from app.access.audit.record import record
from app.database import Database, ReadSession
from app.detection.approved import ApprovedList, ApprovedSoftware
from app.software import store
from app.software.approved_csv import ReadList
from app.software.models import ApprovedImport

LONGEST_NAME = 256

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Difference:
    """Entries that one list has so and the other has not; a changed one is on both sides."""

    added: tuple[ApprovedSoftware, ...]
    removed: tuple[ApprovedSoftware, ...]


def difference(before: Iterable[ApprovedSoftware], after: Iterable[ApprovedSoftware]) -> Difference:
    """Where an entry stands in its file makes no difference."""
    old = {replace(each, line=0): each for each in before}
    new = {replace(each, line=0): each for each in after}
    added = tuple(each for key, each in new.items() if key not in old)
    return Difference(added, tuple(each for key, each in old.items() if key not in new))


async def compare(session: ReadSession, read: ReadList) -> Difference:
    """What an import would change."""
    newest = await store.find_import(session)
    before = await store.entries_of(session, newest.import_id) if newest else []
    return difference(before, read.entries)


async def import_list(
    database: Database, read: ReadList, actor: Actor, *, file_name: str, imported_by: str, now: datetime
) -> tuple[ApprovedImport, Difference]:
    """Returns when the list is committed. Workers then queue the open findings that it speaks of."""
    async with database.writing() as session:
        await store.lock_imports(session)
        before = await store.find_import(session)
        changes = await compare(session, read)
        imported = await store.insert_import(
            session,
            read.entries,
            imported_at=now,
            imported_by=imported_by[:LONGEST_NAME],
            file_name=file_name[:LONGEST_NAME],
            sha256=bytes.fromhex(read.sha256),
            encoding=read.encoding,
            delimiter=read.delimiter,
            entries=len(read.entries),
            added=len(changes.added),
            removed=len(changes.removed),
        )
        record(session, actor, _deed(imported, before))
    return imported, changes


def _deed(imported: ApprovedImport, before: ApprovedImport | None) -> Deed:
    return Deed(
        Action.APPROVED_SOFTWARE_IMPORTED,
        "approved_software",
        imported.file_name,
        str(imported.import_id),
        before.sha256 if before else None,
        imported.sha256,
        reason=f"{imported.imported_by}: {imported.added} added, {imported.removed} removed",
    )


def usable_list(entries: Iterable[ApprovedSoftware]) -> ApprovedList:
    """Without stored entries whose paths today's rules refuse: they must not stop the judging."""
    return ApprovedList(filter(_is_usable, entries))


def _is_usable(entry: ApprovedSoftware) -> bool:
    try:
        return entry.pattern is not None or bool(entry.publisher or entry.team_id)
    except ValueError as problem:
        log.warning("approved_entry_unusable", line=entry.line, problem=str(problem))
        return False


#: The newest list of this process, so that not every judgement reads it: (import, hash) → list.
_newest: dict[tuple[int, bytes], ApprovedList] = {}


async def current_list(session: ReadSession) -> ApprovedList | None:
    """The list that holds, or None when none was ever imported."""
    newest = await store.find_import(session)
    if newest is None:
        return None
    key = (newest.import_id, newest.sha256)
    known = _newest.get(key)
    if known is None:
        known = usable_list(await store.entries_of(session, newest.import_id))
        _newest.clear()
        _newest[key] = known
    return known
