"""Which of the behaviours that are judged a baseline expected when they were seen."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from app.baselines import store
from app.database import ReadSession
from app.detection.baseline import Baseline, Expected
from app.detection.behaviour import Platform
from app.detection.expectations import ANY_PROGRAM, Observed


@dataclass(frozen=True, slots=True)
class SeenInRole:
    """A behaviour on a node of a role, and the times at any of which an approval of it counts."""

    role_id: int
    observed: Observed
    times: tuple[datetime, ...]


@dataclass(frozen=True)
class _InForce:
    baseline: Baseline
    role: str
    version: int
    approved_by: str
    since: datetime
    until: datetime | None

    def was(self, times: Sequence[datetime]) -> bool:
        return any(self.since <= at and (self.until is None or at < self.until) for at in times)


async def expected(session: ReadSession, seen: Sequence[SeenInRole]) -> Mapping[SeenInRole, Expected]:
    """Those that are expected, with who approved them. One statement, which reads entries on these programs only."""
    if not seen:
        return {}
    times = [at for each in seen for at in each.times]
    programs = {each.observed.behaviour.program.name for each in seen} | {ANY_PROGRAM}
    rows = await store.entries_in_force(session, {each.role_id for each in seen}, programs, min(times), max(times))
    versions = _versions(rows)
    return {each: found for each in set(seen) if (found := _expected(each, versions))}


def _versions(rows: Sequence[Any]) -> dict[tuple[int, str], list[_InForce]]:
    """(role, platform) → its versions."""
    found: dict[tuple[int, str], list[_InForce]] = {}
    for (role_id, platform, _), group in groupby(rows, key=lambda row: (row.role_id, row.platform, row.number)):
        found.setdefault((role_id, platform), []).append(_in_force(list(group), Platform(platform)))
    return found


def _in_force(rows: Sequence[Any], platform: Platform) -> _InForce:
    first = rows[0]
    baseline = Baseline([store.entry_of(row, platform) for row in rows])
    return _InForce(baseline, first.role, first.number, first.approver, first.in_force_from, first.superseded_at)


def _expected(seen: SeenInRole, versions: Mapping[tuple[int, str], Sequence[_InForce]]) -> Expected | None:
    return next(_covering(seen, versions), None)


def _covering(seen: SeenInRole, versions: Mapping[tuple[int, str], Sequence[_InForce]]) -> Iterator[Expected]:
    platform = seen.observed.behaviour.program.platform.value
    for each in versions.get((seen.role_id, platform), ()):
        entry = each.baseline.find(seen.observed) if each.was(seen.times) else None
        if entry:
            words = f"{each.role} on {platform}"
            since = each.since.date().isoformat()
            yield Expected(words, each.version, str(entry.entry_id), each.approved_by, since)
