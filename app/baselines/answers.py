"""What the API says of baselines, as JSON."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel

from app.baselines import found, store
from app.baselines.drafts import Origin
from app.baselines.effects import Expectable
from app.baselines.forms import EntryOut
from app.baselines.models import BaselineVersion
from app.baselines.proposals.proposing import Proposed
from app.baselines.reviews.store import next_due
from app.baselines.store import Named
from app.database import ReadSession
from app.detection.baseline import Difference, DifferenceKind, in_order
from app.observations.api import BehaviourOut

SHOWN_MAX = 100  #: findings, or left out behaviours, that one answer lists

State = Literal["draft", "submitted", "approved", "rejected", "abandoned"]


class VersionOut(BaseModel):
    baseline_id: int
    number: int
    state: State
    origin: Origin
    reason: str
    reference: str
    based_on: int | None
    """The newest approved version when this one was drafted."""
    author: str
    editors: list[str]
    """Everyone who wrote in it; none of them may approve it."""
    created_at: datetime
    entries: int
    content_sha256: str
    submitted_by: str | None
    submitted_at: datetime | None
    decided_by: str | None
    decided_at: datetime | None
    decision_reason: str | None
    override_reason: str | None
    """Why its only approver decided on their own work; null where somebody else decided."""
    in_force_from: datetime | None
    superseded_at: datetime | None
    """In force until then."""


class WholeVersionOut(VersionOut):
    role: str
    platform: str
    whole: list[EntryOut]


class BaselineOut(BaseModel):
    baseline_id: int
    role: str
    platform: str
    review_interval_days: int
    next_review_due: datetime | None
    """The first of the reviews that wait, scheduled or not."""
    in_force: VersionOut | None
    waiting: list[VersionOut]
    """Drafts and submitted versions, and one approved for later."""


class DifferenceOut(BaseModel):
    kind: DifferenceKind
    words: str
    before: EntryOut | None
    after: EntryOut | None

    @classmethod
    def of(cls, difference: Difference) -> "DifferenceOut":
        before, after = (each and EntryOut.of(each) for each in (difference.before, difference.after))
        return cls(kind=difference.kind, words=difference.words, before=before, after=after)


class ExpectableOut(BaseModel):
    finding_id: UUID
    node_id: int
    hostname: str
    state: str
    severity: str
    score: int
    behaviour: BehaviourOut
    entry: UUID
    """Which expects it."""


class EffectOut(BaseModel):
    total: int
    findings: list[ExpectableOut]
    """At most 100, the gravest first."""


class ApprovedOut(BaseModel):
    version: VersionOut
    closed: EffectOut | None
    """Open findings that it expects, withdrawn by the approval; null where it comes into force later."""


class FileOut(BaseModel):
    """What a file would change, or did propose."""

    baseline_id: int | None
    compared_with: int | None
    """The newest approved version; null without one."""
    differences: list[DifferenceOut]
    draft: VersionOut | None
    """Null on a dry run, and where nothing differs."""


class LeftOutOut(BaseModel):
    behaviour: str
    path: str
    because: str


class ProposedOut(BaseModel):
    version: VersionOut
    kept: int
    proposed: int
    flagged: int
    """Proposed although an open finding speaks of them: look at these first."""
    left_out: list[LeftOutOut]
    left_out_total: int
    too_rare: int
    nodes: int
    enough_nodes: int
    enough_days: int


async def versions_out(session: ReadSession, versions: Sequence[BaselineVersion]) -> list[VersionOut]:
    ids = {each for version in versions for each in _operators(version)}
    names = await store.names_of(session, ids)
    entries = await store.count_entries(session, {each.baseline_id for each in versions})
    return [_version_out(each, names, entries.get((each.baseline_id, each.number), 0)) for each in versions]


async def version_out(session: ReadSession, version: BaselineVersion) -> VersionOut:
    return (await versions_out(session, [version]))[0]


def _operators(version: BaselineVersion) -> list[int | None]:
    return [*version.editors, version.author_id, version.submitted_by, version.decided_by]


_NAMED = {"author", "editors", "submitted_by", "decided_by", "entries", "content_sha256"}


def _version_out(version: BaselineVersion, names: dict[int, str], entries: int) -> VersionOut:
    same = {name: getattr(version, name) for name in VersionOut.model_fields if name not in _NAMED}
    return VersionOut(
        **same,
        author=names[version.author_id],
        editors=[names[each] for each in version.editors],
        submitted_by=names.get(version.submitted_by or 0),
        decided_by=names.get(version.decided_by or 0),
        entries=entries,
        content_sha256=version.content_sha256.hex(),
    )


async def whole_out(session: ReadSession, named: Named, version: BaselineVersion) -> WholeVersionOut:
    entries = await store.entries_of(session, version.baseline_id, version.number, found.platform(named))
    shown = await version_out(session, version)
    of, role = named
    whole = [EntryOut.of(each) for each in in_order(entries)]
    return WholeVersionOut(**dict(shown), role=role, platform=of.platform, whole=whole)


async def baselines_out(session: ReadSession, listed: Sequence[Named], now: datetime) -> list[BaselineOut]:
    ids = [of.baseline_id for of, _ in listed]
    due = await next_due(session, ids)
    in_force = await store.versions_in_force(session, ids, now)
    waiting = await store.waiting_versions(session, ids, now)
    shown = await versions_out(session, [*in_force.values(), *waiting])
    by_baseline: dict[int, list[VersionOut]] = {each: [] for each in ids}
    for version in shown:
        by_baseline[version.baseline_id].append(version)
    return [
        BaselineOut(
            baseline_id=of.baseline_id,
            role=role,
            platform=of.platform,
            review_interval_days=of.review_interval_days,
            next_review_due=due.get(of.baseline_id),
            in_force=next((each for each in by_baseline[of.baseline_id] if _is(each, in_force)), None),
            waiting=[each for each in by_baseline[of.baseline_id] if not _is(each, in_force)],
        )
        for of, role in listed
    ]


def _is(version: VersionOut, in_force: dict[int, BaselineVersion]) -> bool:
    current = in_force.get(version.baseline_id)
    return current is not None and current.number == version.number


def effect_out(closing: Sequence[Expectable]) -> EffectOut:
    return EffectOut(total=len(closing), findings=[_expectable_out(each) for each in closing[:SHOWN_MAX]])


def _expectable_out(each: Expectable) -> ExpectableOut:
    finding, behaviour, hostname = each.row
    same = ("finding_id", "node_id", "state", "severity", "score")
    return ExpectableOut(
        hostname=hostname,
        behaviour=BehaviourOut.of(behaviour),
        entry=each.entry.entry_id,
        **{name: getattr(finding, name) for name in same},
    )


async def proposed_out(session: ReadSession, proposed: Proposed) -> ProposedOut:
    return ProposedOut(
        version=await version_out(session, proposed.version),
        kept=proposed.kept,
        proposed=len(proposed.proposals),
        flagged=sum(each.flagged for each in proposed.proposals),
        left_out=[
            LeftOutOut(behaviour=each.words, path=each.behaviour.program.path, because=each.because)
            for each in proposed.left_out[:SHOWN_MAX]
        ],
        left_out_total=len(proposed.left_out),
        too_rare=proposed.too_rare,
        nodes=proposed.nodes,
        enough_nodes=proposed.enough.nodes,
        enough_days=proposed.enough.days,
    )
