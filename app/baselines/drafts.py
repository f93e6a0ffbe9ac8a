"""Drafts of versions: written, changed, submitted or given up, each in the audit log."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.access.actor import Actor
from app.access.audit.actions import Action
from app.access.audit.deed import Deed
from app.access.audit.record import record
from app.baselines import found, store
from app.baselines.entries import EntriesRefused, NewEntry, settled
from app.baselines.models import BaselineVersion
from app.baselines.store import Named
from app.database import Database, ReadSession, WriteSession
from app.detection.baseline import Entry, content_sha256, unfounded
from app.problems import Conflict


class Origin(StrEnum):
    PROPOSAL = "proposal"  #: out of the history
    FILE = "file"
    EDIT = "edit"
    REVIEW = "review"
    INCIDENT = "incident"  #: out of the review that followed one


@dataclass(frozen=True, slots=True)
class Draft:
    """What somebody wants a baseline to be, whole."""

    entries: Sequence[NewEntry]
    origin: Origin
    reason: str
    reference: str = ""


async def draft_for(
    session: WriteSession, actor: Actor, role: str, platform: str, wanted: Draft, now: datetime
) -> BaselineVersion:
    """A draft for a role and platform, whose first baseline this may be.

    Raises: InvalidRequest, EntriesRefused, Forbidden.
    """
    role_id = await found.role(session, actor, role)
    baseline_id = await store.get_or_add_baseline(session, role_id, platform, now)
    return await draft(session, actor, await found.baseline(session, actor, baseline_id), wanted, now)


async def draft(session: WriteSession, actor: Actor, named: Named, wanted: Draft, now: datetime) -> BaselineVersion:
    """Raises: InvalidRequest, EntriesRefused, Forbidden."""
    author = found.operator_of(actor)
    found.one_line("reason", wanted.reason)
    if wanted.reference:
        found.one_line("reference", wanted.reference)
    baseline_id = named[0].baseline_id
    await store.lock_baseline(session, baseline_id)
    before = await store.newest_approved(session, baseline_id)
    known = await known_entries(session, named, before, wanted.entries)
    entries = settled(wanted.entries, known, actor.name, now)
    number = await store.next_number(session, baseline_id)
    await store.insert_version(
        session,
        baseline_id=baseline_id,
        number=number,
        origin=wanted.origin.value,
        reason=wanted.reason,
        reference=wanted.reference,
        based_on=before.number if before else None,
        author_id=author,
        editors=[author],
        created_at=now,
        content_sha256=content_sha256(entries),
    )
    await store.insert_entries(session, baseline_id, number, entries)
    made = await found.version(session, baseline_id, number)
    before_sha256 = before.content_sha256 if before else None
    note(session, actor, Action.BASELINE_DRAFTED, made, reason=wanted.reason, before_sha256=before_sha256)
    return made


async def edit(  # noqa: PLR0913, PLR0917 - which, what, against what
    database: Database,
    actor: Actor,
    baseline_id: int,
    number: int,
    entries: Sequence[NewEntry],
    seen_sha256: str,
    now: datetime,
) -> BaselineVersion:
    """Put other entries into a draft. `seen_sha256`: of the content that the editor saw.

    Raises: NotFound, Conflict, EntriesRefused, Forbidden.
    """
    editor = found.operator_of(actor)
    async with database.writing() as session:
        named, version = await locked(session, actor, baseline_id, number)
        _in_state(version, "draft")
        if version.content_sha256.hex() != seen_sha256:
            raise Conflict("somebody else changed this draft; look at it and decide anew", field="content_sha256")
        known = await known_entries(session, named, version, entries)
        written = settled(entries, known, actor.name, now)
        await store.delete_entries(session, baseline_id, number)
        await store.insert_entries(session, baseline_id, number, written)
        editors = sorted({*version.editors, editor})
        before = version.content_sha256
        sha256 = content_sha256(written)
        await store.update_version(session, baseline_id, number, content_sha256=sha256, editors=editors)
        changed = await found.version(session, baseline_id, number)
        note(session, actor, Action.BASELINE_EDITED, changed, before_sha256=before)
        return changed


async def submit(database: Database, actor: Actor, baseline_id: int, number: int, now: datetime) -> BaselineVersion:
    """Ask for a decision.

    Raises: NotFound, Conflict, EntriesRefused for entries that nobody justifies, Forbidden.
    """
    by = found.operator_of(actor)
    async with database.writing() as session:
        named, version = await locked(session, actor, baseline_id, number)
        _in_state(version, "draft")
        await still_newest(session, version)
        if faults := list(unfounded(await _entries(session, named, number))):
            raise EntriesRefused(faults)
        await store.update_version(session, baseline_id, number, state="submitted", submitted_by=by, submitted_at=now)
        changed = await found.version(session, baseline_id, number)
        note(session, actor, Action.BASELINE_SUBMITTED, changed)
        return changed


async def abandon(database: Database, actor: Actor, baseline_id: int, number: int, reason: str) -> BaselineVersion:
    """Raises: NotFound, Conflict, InvalidRequest."""
    found.one_line("reason", reason)
    async with database.writing() as session:
        _, version = await locked(session, actor, baseline_id, number)
        _in_state(version, "draft", "submitted")
        await store.update_version(session, baseline_id, number, state="abandoned")
        changed = await found.version(session, baseline_id, number)
        note(session, actor, Action.BASELINE_ABANDONED, changed, reason=reason)
        return changed


async def locked(session: WriteSession, actor: Actor, baseline_id: int, number: int) -> tuple[Named, BaselineVersion]:
    """A version that nobody else changes until this transaction ends. Raises: NotFound."""
    named = await found.baseline(session, actor, baseline_id)
    await store.lock_baseline(session, baseline_id)
    return named, await found.version(session, baseline_id, number)


def _in_state(version: BaselineVersion, *states: str) -> None:
    if version.state not in states:
        raise Conflict(f"version {version.number} is {version.state}, not {' or '.join(states)}", field="state")


async def still_newest(session: WriteSession, version: BaselineVersion) -> BaselineVersion | None:
    """The newest approved version, which this one goes on from. Raises: Conflict if it does not."""
    newest = await store.newest_approved(session, version.baseline_id)
    number = newest.number if newest else None
    if number != version.based_on:
        raise Conflict(
            f"version {number} was approved after version {version.number} was drafted, which would undo it;"
            " draft anew from there",
            field="based_on",
            newest=number,
        )
    return newest


async def known_entries(
    session: ReadSession, named: Named, before: BaselineVersion | None, wanted: Sequence[NewEntry]
) -> list[Entry]:
    """Those of the version before, and those that `wanted` names out of any other: a file may come from a draft."""
    entries = await _entries(session, named, before.number) if before else []
    strangers = {each.entry_id for each in wanted if each.entry_id} - {each.entry_id for each in entries}
    others = await store.entries_named(session, named[0].baseline_id, strangers, found.platform(named))
    return [*others, *entries]


async def _entries(session: ReadSession, named: Named, number: int) -> list[Entry]:
    return await store.entries_of(session, named[0].baseline_id, number, found.platform(named))


def note(
    session: WriteSession,
    actor: Actor,
    action: Action,
    version: BaselineVersion,
    *,
    reason: str = "",
    before_sha256: bytes | None = None,
) -> None:
    """Into the audit log, under the version that it is about."""
    of = ("baseline", str(version.baseline_id), str(version.number))
    record(session, actor, Deed(action, *of, before_sha256, version.content_sha256, reason=reason))
