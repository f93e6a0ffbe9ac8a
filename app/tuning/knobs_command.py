"""What `portbook knobs` does with the database: read what is in force and was, show what a file changes, apply it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from app.database import Database, ReadSession
from app.detection.knob_changes import KnobChange, changes
from app.detection.scopes import Document, Origin, Scope, scope_from
from app.problems import InvalidRequest
from app.tuning import store
from app.tuning.changes import Why, change, found_version
from app.tuning.in_force import applying, origins_of
from app.tuning.models import KnobVersion
from app.tuning.settings_file import read_settings, settings_text

_NOTHING_SET = """\
# Nothing is set: the defaults are in force, see docs/tuning.md. A line like these two sets one for all nodes:
# [every.Severities]
# low = 35
"""

Differences = list[tuple[Scope, list[KnobChange]]]


async def show(
    database: Database, role: str, platform: str
) -> tuple[list[tuple[Origin, int | None]], list[KnobVersion]]:
    """Every value for a role and platform, and the versions that they come from."""
    async with database.reading() as session:
        versions = applying(await store.in_force(session), role, platform)
    return origins_of(versions), versions


async def export(database: Database) -> str:
    """What is in force in all scopes, as a settings file."""
    async with database.reading() as session:
        return settings_text(await _documents(session)) or _NOTHING_SET


async def history(database: Database, scope: Scope | None, limit: int) -> Sequence[KnobVersion]:
    """The newest versions, of one scope or of all."""
    conditions = [KnobVersion.scope == str(scope)] if scope else []
    async with database.reading() as session:
        return await store.list_versions(session, conditions, [KnobVersion.version.desc()], limit)


async def file_differences(database: Database, path: Path) -> Differences:
    """What applying a file would change. Raises: SettingsFileProblem."""
    wanted = read_settings(path)
    async with database.reading() as session:
        there = await _documents(session)
    return _differences(there, wanted)


async def version_differences(database: Database, before: int, after: int) -> Differences:
    """What one version sets otherwise than another of the same scope. Raises: NotFound, InvalidRequest."""
    async with database.reading() as session:
        first, second = [await found_version(session, each) for each in (before, after)]
    if first.scope != second.scope:
        raise InvalidRequest(f"version {before} is of {first.scope}, version {after} of {second.scope}")
    scope = scope_from(first.scope)
    return _differences({scope: first.document}, {scope: second.document})


async def apply(database: Database, path: Path, why: Why, now: datetime) -> list[KnobVersion]:
    """Put a file's scopes in force, all or none. Raises: SettingsFileProblem, and what `change` does."""
    return await change(database, read_settings(path), why, now, replaces=None)


async def _documents(session: ReadSession) -> dict[Scope, Document]:
    return {scope_from(each.scope): each.document for each in await store.in_force(session)}


def _differences(before: Mapping[Scope, Document], after: Mapping[Scope, Document]) -> Differences:
    return [(scope, changes(before.get(scope, {}), document)) for scope, document in sorted(after.items())]
