"""Entries as a person or a file gives them, become entries of a draft: the known keep their name and their date."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID, uuid4

from app.detection.baseline import ENTRIES_MAX, Entry, entry_faults, in_order
from app.detection.expectations import Expectation
from app.problems import InvalidRequest

FAULTS_MAX = 100  #: that one answer tells

Fault = tuple[int, str, str]  #: index, field, sentence


@dataclass(frozen=True, slots=True)
class NewEntry:
    """`entry_id` None: that of the entry in the version before which expects just this, or a new one."""

    expects: Expectation
    justification: str = ""
    owner: str = ""
    requested_by: str = ""
    why: str = ""
    entry_id: UUID | None = None


class EntriesRefused(InvalidRequest):
    """Which entries cannot be taken, and why; `faults` for who knows their lines. `under`: the list they stand in."""

    def __init__(self, faults: Sequence[Fault], under: str = "entries") -> None:
        errors = [{"pointer": f"{under}/{index}/{field}", "detail": said} for index, field, said in faults[:FAULTS_MAX]]
        index, field, said = faults[0]
        more = f", and {len(faults) - 1} more" if len(faults) > 1 else ""
        super().__init__(f"entry {index + 1}, {field}: {said}{more}", field=f"{under}/{index}/{field}", errors=errors)
        self.faults = tuple(faults)


def settled(wanted: Sequence[NewEntry], known: Iterable[Entry], requester: str, now: datetime) -> list[Entry]:
    """The entries of a draft, in order. `known`: those that it may name; of like ones the last counts.

    Raises: EntriesRefused, InvalidRequest for too many.
    """
    if len(wanted) > ENTRIES_MAX:
        raise InvalidRequest(f"{len(wanted):,} entries; a version has at most {ENTRIES_MAX:,}", field="entries")
    by_id = {each.entry_id: each for each in known}
    by_pattern = {each.expects: each for each in by_id.values()}
    named = {each.entry_id for each in wanted}
    before = [
        by_id.get(each.entry_id) if each.entry_id else _unnamed(by_pattern.get(each.expects), named) for each in wanted
    ]
    entries = [_entry(each, old, requester, now) for each, old in zip(wanted, before, strict=True)]
    if faults := [*_strangers(wanted, before), *_faults(entries)]:
        raise EntriesRefused(sorted(set(faults)))
    return in_order(entries)


def _unnamed(known: Entry | None, named: set[UUID | None]) -> Entry | None:
    return None if known and known.entry_id in named else known


def _entry(wanted: NewEntry, old: Entry | None, requester: str, now: datetime) -> Entry:
    fresh = Entry(
        entry_id=old.entry_id if old else wanted.entry_id or uuid4(),
        expects=wanted.expects,
        justification=wanted.justification,
        owner=wanted.owner,
        requested_by=wanted.requested_by or requester,
        why=wanted.why,
        added_at=now,
    )
    if old is None:
        return fresh
    asked = wanted.requested_by or old.requested_by
    return replace(fresh, requested_by=asked, why=wanted.why or old.why, added_at=old.added_at)


def _strangers(wanted: Sequence[NewEntry], before: Sequence[Entry | None]) -> Iterator[Fault]:
    for index, (each, old) in enumerate(zip(wanted, before, strict=True)):
        if each.entry_id and old is None:
            yield index, "entry", f"this baseline has no entry {each.entry_id}; leave it out for a new one"


_SAID = {"first_port": "ports", "last_port": "ports", "peer_scope": "peers"}


def _faults(entries: Sequence[Entry]) -> Iterator[Fault]:
    """Under the names that people give."""
    return ((index, _SAID.get(field, field), said) for index, field, said in entry_faults(entries))


def as_new(entry: Entry) -> NewEntry:
    """An entry that stays as it is."""
    names = ("expects", "justification", "owner", "requested_by", "why", "entry_id")
    return NewEntry(**{name: getattr(entry, name) for name in names})
