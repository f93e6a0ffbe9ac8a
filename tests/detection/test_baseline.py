"""Baselines find what covers a row, tell two versions apart in words, and name what no version may hold."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.detection.addresses import PeerScope
from app.detection.baseline import (
    Baseline,
    DifferenceKind,
    Entry,
    Expected,
    content_sha256,
    differences,
    entry_faults,
    in_order,
    unfounded,
)
from app.detection.behaviour import Behaviour, Direction, Platform, Program, Transport
from app.detection.context import Signer, Trust
from app.detection.deviation import Severity
from app.detection.expectations import Expectation, Observed
from app.detection.judgement import judge
from app.detection.knobs import Knobs
from app.detection.surroundings import Surroundings
from tests.detection.worked import UNSIGNED, behaviour, context, standing

PATH = "c:\\program files\\till\\{}"
IMPLANT = r"C:\Users\bob\AppData\Local\Temp\implant.exe"


def an_expectation(program: str = "till.exe", first: int = 443, last: int | None = None) -> Expectation:
    ports = (first, first if last is None else last)
    way = (Direction.OUTBOUND, Transport.TCP)
    return Expectation(Platform.WINDOWS, program, PATH.format(program), "", *way, *ports)


def an_entry(number: int = 1, **given: object) -> Entry:
    given = {"expects": an_expectation(), "justification": "the till", "owner": "shop"} | given
    return Entry(UUID(int=number), **given)  # type: ignore[arg-type]


def seen(program: str = "till.exe", port: str = "443") -> Observed:
    shown = Program(Platform.WINDOWS, PATH.format(program), program)
    return Observed(Behaviour(shown, Direction.OUTBOUND, Transport.TCP, port), Signer(Trust.TRUSTED, "Till Ltd"))


def test_a_baseline_finds_the_entry_that_covers_a_row() -> None:
    other = an_entry(2, expects=an_expectation("other.exe"))
    anything = replace(an_expectation(first=8443), program="*", path="", signer="Till Ltd")
    baseline = Baseline([an_entry(), other, an_entry(3, expects=anything)])
    assert baseline.find(seen()) == an_entry()
    assert baseline.find(seen("other.exe")) == other
    assert baseline.find(seen("third.exe", "8443")) == baseline.entries[2]
    assert baseline.find(seen("third.exe")) is None


@pytest.mark.parametrize(
    ("entries", "index", "field"),
    [
        ([an_entry(expects=an_expectation(first=0))], 0, "first_port"),
        ([an_entry(expects=an_expectation(first=70_000))], 0, "first_port"),
        ([an_entry(expects=an_expectation(first=20, last=10))], 0, "last_port"),
        ([an_entry(justification=" \t ")], 0, "justification"),
        ([an_entry(owner="x" * 256)], 0, "owner"),
        ([an_entry(owner="a\nb")], 0, "owner"),
        ([an_entry(), an_entry(expects=an_expectation("b.exe"))], 1, "entry"),
        ([an_entry(1, expects=an_expectation(first=8000, last=8100)),
          an_entry(2, expects=an_expectation(first=8100))], 1, "ports"),
    ],
)  # fmt: skip
def test_what_no_version_may_hold_is_named(entries: list[Entry], index: int, field: str) -> None:
    assert (index, field) in {(at, name) for at, name, _ in entry_faults(entries)}


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 12)), max_size=12))
def test_overlaps_are_found_exactly_where_two_ranges_share_a_port(ranges: list[tuple[int, int]]) -> None:
    expected = [an_expectation(first=first, last=first + more) for first, more in ranges]
    entries = [an_entry(number, expects=each) for number, each in enumerate(expected)]
    shared = any(
        one.first_port <= other.last_port and other.first_port <= one.last_port
        for place, one in enumerate(expected)
        for other in expected[:place]
    )
    assert any(field == "ports" for _, field, _ in entry_faults(entries)) == shared


def test_a_draft_that_nobody_justifies_or_owns_is_unfounded() -> None:
    found = list(unfounded([an_entry(), an_entry(2, justification="", owner="")]))
    assert [(index, field) for index, field, _ in found] == [(1, "justification"), (1, "owner")]


ENTRIES = st.lists(
    st.builds(
        lambda number, first, owner: an_entry(number, expects=an_expectation(first=first), owner=owner),
        st.integers(1, 9), st.integers(1, 9), st.sampled_from(["a", "b"]),
    ),
    max_size=9, unique_by=lambda each: each.entry_id,
)  # fmt: skip


@given(ENTRIES, ENTRIES)
def test_the_differences_lead_from_one_version_to_the_other(before: list[Entry], after: list[Entry]) -> None:
    entries = {each.entry_id: each for each in before}
    for each in differences(before, after):
        assert (each.before is None, each.after is None) == (
            each.kind is DifferenceKind.ADDED, each.kind is DifferenceKind.REMOVED
        )  # fmt: skip
        if each.before:
            assert entries.pop(each.before.entry_id) == each.before
        if each.after:
            entries[each.after.entry_id] = each.after
    assert entries == {each.entry_id: each for each in after}


@given(ENTRIES)
def test_the_hash_is_of_the_content_and_no_order_or_date_changes_it(entries: list[Entry]) -> None:
    dated = [replace(each, added_at=datetime(2026, 1, 1, tzinfo=UTC)) for each in reversed(entries)]
    assert content_sha256(dated) == content_sha256(entries)
    assert differences(entries, dated) == ()
    assert {each.entry_id for each in in_order(entries)} == {each.entry_id for each in entries}
    changed = [*entries, an_entry(99)]
    assert content_sha256(changed) != content_sha256(entries)


def test_differences_are_said_in_words() -> None:
    wide = an_entry(expects=replace(an_expectation(last=445), peer_scope=PeerScope.PRIVATE), owner="it")
    [changed] = differences([an_entry()], [wide])
    assert "ports tcp/443 becomes tcp/443-445" in changed.words
    assert "peers any becomes private" in changed.words
    assert "owner shop becomes it" in changed.words
    [added] = differences([], [an_entry()])
    assert added.words.endswith("connects out to tcp/443 is new: the till (owner shop)")
    [removed] = differences([an_entry()], [])
    assert removed.words.endswith("is gone")


def test_what_is_expected_is_recorded_only_and_keeps_its_evidence() -> None:
    what, known = behaviour(IMPLANT, 4782), standing(everything=(35, 5), days=7)
    expected = Expected("till on windows", 3, "e1", "bob", "2026-11-20")
    heavy = judge(what, context(UNSIGNED), known, Knobs())
    approved = judge(what, context(UNSIGNED), known, Knobs(), Surroundings(expected=expected))
    assert heavy.severity is Severity.HIGH
    assert (approved.score, approved.severity) == (0, Severity.NONE)
    reasons = [each.reason for each in approved.evidence]
    assert [each for each in reasons if each != "approved_baseline"] == [each.reason for each in heavy.evidence]
    [said] = [each for each in approved.evidence if each.reason == "approved_baseline"]
    assert said.points == -sum(each.points for each in heavy.evidence)
    assert said.text == (
        "The baseline of till on windows, version 3, expects it (entry e1, approved by bob, in force since 2026-11-20):"
        " recorded only."
    )
