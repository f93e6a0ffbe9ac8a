from datetime import date

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.detection.approved import allowed_ports
from app.software.approved_csv import FIELDS, read_approved, write_approved
from app.software.csv_text import MAX_BYTES, MAX_ROWS, MOST_PROBLEMS, CsvRefused
from tests.house.tree import ROOT

HEADER = "name,publisher,team_id,path,owner,until,ports,note"
ROW = 'Zoom,"Zoom Communications, Inc.",,,IT,2027-03-01,"tcp/443, listen tcp/5000",für alle'


def text(*rows, header=HEADER):
    return "\n".join((header, *rows)) + "\n"


def refused(content):
    with pytest.raises(CsvRefused) as problem:
        read_approved(content if isinstance(content, bytes) else content.encode())
    return [(each.line, each.field, each.text) for each in problem.value.problems]


def places(content):
    return [(line, field) for line, field, _ in refused(content)]


def test_a_row_is_an_entry():
    read = read_approved(text(ROW).encode())
    [entry] = read.entries
    assert (entry.name, entry.publisher, entry.owner, entry.note) == (
        "Zoom",
        "Zoom Communications, Inc.",
        "IT",
        "für alle",
    )
    assert (entry.until, entry.ports, entry.line) == (date(2027, 3, 1), allowed_ports("tcp/443, listen tcp/5000"), 2)
    assert (read.encoding, read.delimiter, len(read.sha256)) == ("utf-8", "comma", 64)


@pytest.mark.parametrize(
    ("codec", "said"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("windows-1252", "windows-1252"),
    ],
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_encodings_delimiters_and_line_ends_read_alike(codec, said, delimiter, ending):
    rows = [
        HEADER.split(","),
        ["Zoom", "Zoom Communications, Inc.", "", "", "Jürgen", "", "tcp/443;udp/53", "für alle"],
    ]
    content = ending.join(delimiter.join(f'"{cell}"' for cell in row) for row in rows)
    read = read_approved(content.encode(codec))
    assert read.encoding == said
    assert [(each.owner, each.note, len(each.ports)) for each in read.entries] == [("Jürgen", "für alle", 2)]


def test_headers_come_in_any_order_case_and_by_other_names():
    content = text("IT;Zoom Inc;Zoom;;2027-01-01", header="Owner; VENDOR;Product ;Team ID;Valid-Until")
    [entry] = read_approved(content.encode()).entries
    assert (entry.name, entry.publisher, entry.owner, entry.until) == ("Zoom", "Zoom Inc", "IT", date(2027, 1, 1))


def test_columns_without_a_header_must_be_empty():
    [entry] = read_approved(text("A,Maker,,", header="name,publisher,,").encode()).entries
    assert entry.publisher == "Maker"
    assert places(text("A,Maker,2027-01-01,", header="name,publisher,,")) == [(2, "")]


def test_the_line_with_which_excel_names_the_delimiter_is_passed_over():
    content = "sep=;\nname;publisher\nZoom;Zoom Inc\n"
    assert [each.line for each in read_approved(content.encode()).entries] == [3]


def test_lines_are_those_of_the_file_though_cells_hold_line_ends():
    content = text('A,Maker,,,,,,"first\nsecond"', "", ",,,,,,,", "B,Maker,,,,2026-02-30,,")
    assert refused(content) == [(6, "until", "'2026-02-30' is no date as 2027-03-01")]


@pytest.mark.parametrize(
    ("row", "place"),
    [
        (",Maker,,,,,,", "name"),
        ("---,Maker,,,,,,", "name"),
        ("...,Maker,,,,,,", "name"),
        ("A,,,,,,,", "publisher"),
        ("A,...,,,,,,", "publisher"),
        ("A,,SHORT,,,,,", "team_id"),
        ("A,,ABCDE12345X,,,,,", "team_id"),
        ("A,,,zoom.exe,,,,", "path"),
        ("A,Maker,,C:\\*,,,,", "path"),
        ("A,Maker,,/**,,,,", "path"),
        ("A,,,C:\\Users\\bob\\zoom.exe,,,,", "path"),
        ("A,,,/private/tmp/zoom,,,,", "path"),
        ("A,,ABCDE12345,C:\\Program Files\\Zoom\\**,,,,", "team_id"),
        ("A,Maker,,,,2026-02-30,,", "until"),
        ("A,Maker,,,,01.03.2027,,", "until"),
        ("A,Maker,,,,20270301,,", "until"),
        ("A,Maker,,,,0001-01-01,,", "until"),
        ("A,Maker,,,,\u0662027-03-01,,", "until"),
        ("A,Maker,,,,,443,", "ports"),
        ("A,Maker,,,,,tcp/70000,", "ports"),
        ("A,Maker,,,,,tcp/50000,", "ports"),
        ("=cmd|' /C calc'!A0,Maker,,,,,,", "name"),
        ("A,+1+1,,,,,,", "publisher"),
        ("A,Maker,,,@SUM(A1),,,", "owner"),
        ("A,Maker,,,,,,-2+3", "note"),
        ("A,Maker,,,,,,\uff1d1", "note"),
        ("A,Maker,,,,,,\t=1", "note"),
        ("A\u202egnp.exe,Maker,,,,,,", "name"),
        ("A,Maker,,,,,,bell\x07", "note"),
        (f"{'x' * 257},Maker,,,,,,", "name"),
        (f"A,Maker,,,,,,{'x' * 1001}", "note"),
        ("A,Maker,,", ""),
        ("A,Maker,,,,,,,more", ""),
        ("A,Zoom Communications, Inc.,,,,,,", ""),
    ],
)
def test_what_is_wrong_is_named_by_line_and_field(row, place):
    assert places(text("Good,Maker,,,,,,", row)) == [(3, place)]


def test_all_that_is_wrong_is_named_at_once_up_to_a_number():
    assert places(text("A,,,,,2026-13-01,tcp/0,", "=B,Maker,,,,,,")) == [(2, "until"), (2, "ports"), (3, "name")]
    assert len(refused(text(*(["=,,,,,x,y,"] * 1000)))) == MOST_PROBLEMS


def test_rows_that_repeat_an_identity_are_named():
    content = text("Zoom,Zoom Inc,,,IT,,,", 'ZOOM,"Zoom, Inc.",,,HR,,tcp/443,', "Zoom,Other,,,,,,")
    assert refused(content) == [(3, "name", "'ZOOM' repeats line 2")]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (HEADER.encode(), "no entry"),
        (b"publisher\nMaker\n", "no such column"),
        (b"name,publisher,untill\nA,B,2027-01-01\n", "unknown column"),
        (b"name,publisher,vendor\nA,B,C\n", "two columns"),
        (b'name,publisher\n"A,B\n', "cannot be read"),
        (b'name,publisher\n"A"x,B\n', "cannot be read"),
        (b"PK\x03\x04\x14\x00\x06\x00\x08\x00!\x00", "workbook"),
        (b"name,publisher\nA,\x00B\n", "NUL"),
        (b"name,publisher\nA,\x81\n", "neither UTF-8, UTF-16 nor Windows-1252"),
        (b"\xef\xbb\xbfname,publisher\nA,\xff\n", "marked as utf-8"),
        (b"\xff\xfen\x00a\x00\x00\xd8", "marked as utf-16"),
        (b"x" * (MAX_BYTES + 1), "over the limit"),
        (b"name,publisher\n" + b"A,B\n" * (MAX_ROWS + 1), "over the limit"),
        (b"name,publisher\nA," + b"x" * 200_000, "cannot be read"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_list_is_refused_whole(content, says):
    assert any(says in problem for *_, problem in refused(content))


CELLS = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ["Zoom", "=1", "tcp/443", "2027-03-01", "C:\\Program Files\\Zoom\\**", "/opt/zoom", '"', "ABCDE12345", ";", "\r\n"]
)


@given(st.lists(st.lists(CELLS, max_size=9), max_size=6), st.sampled_from([",", ";", "\t"]), st.booleans())
def test_any_table_is_read_or_refused_with_a_place(rows, delimiter, quoted):
    shown = ['"' + cell.replace('"', '""') + '"' if quoted else cell for row in rows for cell in row]
    cells = iter(shown)
    lines = [delimiter.join(next(cells) for _ in row) for row in rows]
    content = "\n".join([HEADER.replace(",", delimiter), *lines])
    _read_or_refused(content.encode())


@given(st.binary(max_size=300))
@example(b"\xff\xfe")
@example(b"name,publisher\r\rA,B")
def test_any_bytes_are_read_or_refused(raw):
    _read_or_refused(raw)
    _read_or_refused(HEADER.encode() + b"\n" + raw)


def _read_or_refused(raw):
    """Whatever is read can be written and read again as the same."""
    try:
        entries, problems = read_approved(raw).entries, None
    except CsvRefused as refused:
        entries, problems = (), refused.problems
    if problems is not None:
        assert problems
        assert all(each.text for each in problems)
        return
    again = read_approved(write_approved(entries).encode()).entries
    assert [_without_line(each) for each in again] == [_without_line(each) for each in entries]


def _without_line(entry):
    return [getattr(entry, field) for field in FIELDS]


NAMES = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "Zs"]), min_size=1, max_size=20)


@given(NAMES, NAMES, st.dates(date(2000, 1, 1)), st.integers(1, 49151))
def test_what_is_written_can_be_read(name, publisher, until, port):
    cells = ["x" + name, "x" + publisher, "", "", "", until.isoformat(), f"tcp/{port}", ""]
    _read_or_refused(text(",".join('"' + cell.replace('"', '""') + '"' for cell in cells)).encode())


def test_the_example_of_the_page_can_be_imported():
    page = (ROOT / "docs" / "software.md").read_text("utf-8")
    block = page.partition("## The file\n\n")[2].partition("\n\n")[0]
    entries = read_approved("\n".join(line[4:] for line in block.splitlines()).encode()).entries
    assert [each.name for each in entries][-2:] == ["Build agent", "PostgreSQL"]
