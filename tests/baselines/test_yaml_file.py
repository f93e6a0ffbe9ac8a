"""A file reads back as it was written; what is not plain is refused on its line."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.baselines.entries import settled
from app.baselines.yaml_file import FILE_MAX_BYTES, FileRefused, read_file, write_file
from app.clock import utc_now
from app.detection.addresses import PeerScope
from app.detection.baseline import Entry
from app.detection.behaviour import Direction, Platform, Transport
from app.detection.expectations import Expectation

GOOD = """\
role: till
platform: windows
entries:
- program: till.exe
  path: c:\\program files\\till\\till.exe
  direction: outbound
  transport: tcp
  ports: 443
  justification: the till
  owner: shop
"""
NAMES = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1, max_size=20)
BOMB = "\n".join(["a: &a [x, x]", *(f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}]" for a, b in zip("abcdefgh", "bcdefghi"))])  # noqa: B905


def refused(text: str) -> FileRefused:
    with pytest.raises(FileRefused) as problem:
        read_file(text.encode())
    return problem.value


def test_a_file_says_what_is_expected() -> None:
    found = read_file(GOOD.encode())
    [entry] = found.entries
    assert (found.role, found.platform, found.lines) == ("till", Platform.WINDOWS, (4,))
    assert (entry.expects.program, entry.expects.first_port, entry.expects.unit) == ("till.exe", 443, None)


@given(
    st.lists(
        st.builds(
            Entry,
            st.uuids(),
            st.builds(
                Expectation,
                st.just(Platform.MACOS),
                NAMES,
                NAMES,
                NAMES | st.just(""),
                st.just(Direction.OUTBOUND),
                st.sampled_from([Transport.TCP, Transport.UDP]),
                st.integers(1, 443),
                st.integers(443, 9000),
                NAMES | st.just("") | st.none(),
                st.sampled_from([PeerScope.PUBLIC, PeerScope.PRIVATE]) | st.none(),
            ),
            NAMES,
            NAMES,
            NAMES,
        ),
        max_size=5,
        unique_by=lambda each: each.entry_id,
    )
)
def test_what_is_written_reads_back(entries: list[Entry]) -> None:
    text = write_file("no", "macos", entries, "a heading\nof two lines")
    found = read_file(text.encode())
    assert found.role == "no"
    read = {each.entry_id: each for each in found.entries}
    for each in entries:
        again = read[each.entry_id]
        assert (again.expects, again.justification, again.owner) == (each.expects, each.justification, each.owner)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", 1, "empty"),
        ("- 1", 1, "a baseline has role, platform, entries"),
        (BOMB, 1, "anchors are not taken: &a"),
        ("role: &r till\nplatform: windows\nentries: []", 1, "anchors are not taken"),
        ("role: till\nplatform: *r\nentries: []", 2, "aliases are not taken"),
        ("role: !!python/object:os.system till\nplatform: windows\nentries: []", 1, "tags are not taken"),
        ("role: !x till\nplatform: windows\nentries: []", 1, "tags are not taken"),
        ("%TAG ! tag:example.com,2000:\n---\nrole: till", 1, "directives are not taken"),
        (f"{GOOD}---\nrole: x\n", 11, "one document a file"),
        ("a: " + "[" * 50 + "]" * 50, 1, "nested too deeply"),
        ("role: till\nrole: till", 2, "'role' stands twice"),
        ("role: till\nplatform: linux\nentries: []", 2, "one of windows, macos"),
        ("role: till\nplatform: windows\nentries: x", 3, "a list"),
        ("role: till\nplatform: windows", 1, "entries is missing"),
        ("role: till\nnodes: x", 2, "'nodes' is unknown"),
        ("role: [a]\nplatform: windows\nentries: []", 1, "a name"),
        ("role: {a: b", 2, "expected"),
        ("role: a\0b", 1, "U+0000"),
        (f"role: {'x' * 3000}\nplatform: windows\nentries: []", 1, "more than 2,000"),
        (GOOD.replace("443", "0x1BB"), 8, "a port as in 443"),
        (GOOD.replace("443", "[443]"), 8, "a text"),
        (GOOD.replace("outbound", "sideways"), 6, "outbound"),
        (GOOD.replace("owner", "signed_by"), 10, "Extra"),
        (GOOD.replace("  transport: tcp\n", ""), 4, "required"),
        (GOOD + "  entry: not-a-uuid\n", 11, "UUID"),
        (GOOD + "- x\n", 11, "an entry has fields"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, line: int, says: str) -> None:
    problem = refused(text)
    assert problem.status == 422
    first = problem.faults[0]
    assert (first.line, says in first.detail) == (line, True), problem.faults


def test_a_file_is_bounded_and_in_utf_8() -> None:
    with pytest.raises(FileRefused, match="longer than"):
        read_file(b"#" * (FILE_MAX_BYTES + 1))
    with pytest.raises(FileRefused, match="line 2: not in UTF-8"):
        read_file(b"role: x\nplatform: \xff")


def test_faults_of_entries_come_with_their_lines() -> None:
    second = GOOD.partition("entries:\n")[2].replace("443", "440-450")
    file = read_file((GOOD + second).encode())
    with pytest.raises(Exception, match="overlaps") as problem:
        settled(file.entries, [], "ada", utc_now())
    assert file.refused(problem.value.faults).faults[0].line == 11  # type: ignore[attr-defined]


def test_an_entry_that_is_not_named_keeps_the_name_of_its_like() -> None:
    [wanted] = read_file(GOOD.encode()).entries
    known = Entry(UUID(int=7), wanted.expects, "older words", "shop", "bob", "why", utc_now())
    [entry] = settled([wanted], [known], "ada", utc_now())
    assert (entry.entry_id, entry.requested_by, entry.why) == (UUID(int=7), "bob", "why")
    assert (entry.justification, entry.added_at) == ("the till", known.added_at)
