"""A baseline: what people approved for nodes of a role and platform, and how two versions of it differ."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from hashlib import sha256
from itertools import pairwise
from uuid import UUID

from app.detection.expectations import ANY_PROGRAM, Expectation, Observed, faults, overlap
from app.detection.knob_rules import is_line

ENTRIES_MAX = 2_000  #: of one version
JUSTIFICATION_MAX = 1_000  #: characters
NAME_MAX = 255


@dataclass(frozen=True)
class Entry:
    """What is expected, why the organisation needs it, who answers for it. `entry_id` stays over versions."""

    entry_id: UUID
    expects: Expectation
    justification: str = ""
    owner: str = ""
    requested_by: str = ""
    why: str = ""  #: where it was proposed from history: the counts that speak for it
    added_at: datetime | None = field(default=None, compare=False)  #: when a draft first held it


@dataclass(frozen=True, slots=True)
class Expected:
    """That a baseline in force expects a behaviour, and who said so."""

    baseline: str  #: its role and platform in words, e.g. `office-laptop on windows`
    version: int
    entry: str
    approved_by: str
    since: str  #: day from which the version is in force


class Baseline:
    """Entries, looked up by the program that each names, so that many of them cost no more than few."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = tuple(entries)

    @cached_property
    def _by_program(self) -> dict[str, list[Entry]]:
        found: dict[str, list[Entry]] = {}
        for each in self.entries:
            found.setdefault(each.expects.program, []).append(each)
        return found

    def find(self, observed: Observed) -> Entry | None:
        """The entry that covers it, if any does."""
        named = (observed.behaviour.program.name, ANY_PROGRAM)
        candidates = (each for name in named for each in self._by_program.get(name, ()))
        return next((each for each in candidates if each.expects.covers(observed)), None)


def entry_faults(entries: Sequence[Entry]) -> Iterator[tuple[int, str, str]]:
    """Index, field and sentence of whatever no version may hold, submitted or not."""
    for index, each in enumerate(entries):
        yield from ((index, field, sentence) for field, sentence in faults(each.expects))
        for said, most in (("justification", JUSTIFICATION_MAX), ("owner", NAME_MAX), ("requested_by", NAME_MAX)):
            text = getattr(each, said)
            if text and not is_line(text, most):
                yield index, said, f"one visible line of at most {most} characters"
    yield from _repeated(entries)
    yield from _overlapping(entries)


def unfounded(entries: Sequence[Entry]) -> Iterator[tuple[int, str, str]]:
    """What keeps a draft from being submitted: entries that nobody justifies or answers for."""
    for index, each in enumerate(entries):
        if not each.justification:
            yield index, "justification", f"nobody says why {each.expects} is needed"
        if not each.owner:
            yield index, "owner", f"nobody answers for {each.expects}"


def _repeated(entries: Sequence[Entry]) -> Iterator[tuple[int, str, str]]:
    known: dict[UUID, int] = {}
    for index, each in enumerate(entries):
        if known.setdefault(each.entry_id, index) != index:
            yield index, "entry", f"entry {each.entry_id} stands twice"


def _overlapping(entries: Sequence[Entry]) -> Iterator[tuple[int, str, str]]:
    """Neighbours in the order of ports suffice: of three that overlap, two neighbours do."""
    ordered = sorted(enumerate(entries), key=lambda pair: (_pattern(pair[1].expects), pair[1].expects.first_port))
    for (one, before), (other, after) in pairwise(ordered):
        if overlap(before.expects, after.expects):
            later, earlier = (entries[place].expects for place in (max(one, other), min(one, other)))
            yield max(one, other), "ports", f"{later.ports} overlaps {earlier}"


def _pattern(expects: Expectation) -> tuple[str, ...]:
    unit, peers = expects.unit, expects.peer_scope
    named = (expects.platform, expects.program, expects.path, expects.signer, expects.direction, expects.transport)
    return (*named, "" if unit is None else f"={unit}", peers or "")


def in_order(entries: Sequence[Entry]) -> list[Entry]:
    """As people read them and files hold them: by program, use and port."""
    return sorted(entries, key=lambda each: (_pattern(each.expects), each.expects.first_port, str(each.entry_id)))


def content_sha256(entries: Sequence[Entry]) -> bytes:
    """Of the canonical JSON of the entries, whatever order they came in."""
    documents = [asdict(replace(each, added_at=None)) for each in sorted(entries, key=lambda each: each.entry_id)]
    text = json.dumps(documents, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return sha256(text.encode("utf-8", "surrogatepass")).digest()


class DifferenceKind(StrEnum):
    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Difference:
    """One entry that two versions do not share as it is; `words` say in one sentence what differs."""

    kind: DifferenceKind
    before: Entry | None
    after: Entry | None
    words: str


def differences(before: Sequence[Entry], after: Sequence[Entry]) -> tuple[Difference, ...]:
    """What the second does otherwise than the first, in the order in which people read entries."""
    old, new = ({each.entry_id: each for each in entries} for entries in (before, after))
    every = {
        each.entry_id: each for each in in_order([*before, *(each for key, each in new.items() if key not in old)])
    }
    return tuple(found for key in every if (found := _difference(old.get(key), new.get(key))))


def _difference(before: Entry | None, after: Entry | None) -> Difference | None:
    if before == after:
        return None
    if before is None:
        assert after is not None
        return Difference(DifferenceKind.ADDED, None, after, f"{after.expects} is new{_because(after)}")
    if after is None:
        return Difference(DifferenceKind.REMOVED, before, None, f"{before.expects} is gone")
    changed = "; ".join(_changes(before, after))
    return Difference(DifferenceKind.CHANGED, before, after, f"{before.expects}: {changed}")


def _because(entry: Entry) -> str:
    said = f": {entry.justification}" if entry.justification else ", not yet justified"
    return f"{said} (owner {entry.owner})" if entry.owner else said


_SAID = {
    "program": "program", "path": "path", "signer": "signer", "unit": "service or job", "direction": "direction",
    "ports": "ports", "peer_scope": "peers", "justification": "justification", "owner": "owner",
    "requested_by": "requester", "why": "reason of the proposal",
}  # fmt: skip


def _changes(before: Entry, after: Entry) -> Iterator[str]:
    for name, said in _SAID.items():
        one, other = (getattr(each.expects if hasattr(each.expects, name) else each, name) for each in (before, after))
        if one != other:
            yield f"{said} {_shown(one)} becomes {_shown(other)}"


def _shown(value: object) -> str:
    return "any" if value is None else f"{value}" or "nothing"
