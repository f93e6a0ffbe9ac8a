"""The approved inventory as a CSV file, read whole or not at all, and written so that it can be read again."""

import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path

from app.detection.approved import ApprovedSoftware, allowed_ports, path_pattern, publisher_key, words
from app.detection.behaviour import Platform
from app.detection.paths import LONGEST_PATH
from app.detection.places import Place, place_of
from app.software.csv_text import MAX_BYTES, MOST_PROBLEMS, CsvProblem, CsvRefused, CsvText, header_name, read_text

FIELDS = ("name", "publisher", "team_id", "path", "owner", "until", "ports", "note")
#: Other headers for them, as asset registers name such columns.
_SYNONYMS: Mapping[str, str] = {
    "software": "name", "product": "name", "application": "name", "program": "name",
    "vendor": "publisher", "signer": "publisher", "manufacturer": "publisher",
    "team": "team_id", "teamid": "team_id", "team_identifier": "team_id",
    "path_pattern": "path", "install_path": "path",
    "expires": "until", "expiry": "until", "valid_until": "until", "approved_until": "until",
    "port": "ports", "allowed_ports": "ports",
    "notes": "note", "comment": "note",
}  # fmt: skip
_HEADERS: Mapping[str, str] = {**{field: field for field in FIELDS}, **_SYNONYMS}
_LONGEST = {"path": LONGEST_PATH, "ports": 1000, "note": 1000}
_LONGEST_CELL = 256
#: What a spreadsheet takes for a formula, also in its wide forms. Source: OWASP, CSV Injection.
_FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TEAM = re.compile(r"[A-Z0-9]{10}", re.ASCII)
_FIRST_YEAR = 2000


@dataclass(frozen=True, slots=True)
class ReadList:
    """A file that was read, and how."""

    entries: tuple[ApprovedSoftware, ...]
    encoding: str
    delimiter: str
    sha256: str


def read_approved(raw: bytes) -> ReadList:
    """The entries of a file.

    Raises:
        CsvRefused: anything in it is wrong; names line and field of each, up to a number.
    """
    table = read_text(raw, _HEADERS)
    fields = _fields(table)
    problems: list[CsvProblem] = []
    entries: list[ApprovedSoftware] = []
    for line, cells in table.rows[1:]:
        entry = _entry(line, cells, fields, len(table.rows[0][1]), problems)
        if len(problems) >= MOST_PROBLEMS:
            break
        entries += [entry] if entry else []
    problems += _repeated(entries)
    if problems:
        raise CsvRefused(*problems[:MOST_PROBLEMS])
    if not entries:
        raise CsvRefused(CsvProblem(0, "", "has no entry; an empty list would end every approval"))
    return ReadList(tuple(entries), table.encoding, table.delimiter, sha256(raw).hexdigest())


def read_approved_file(path: Path) -> ReadList:
    """Raises: CsvRefused, OSError."""
    with path.open("rb") as file:
        return read_approved(file.read(MAX_BYTES + 1))


def write_approved(entries: Iterable[ApprovedSoftware]) -> str:
    """A file that reads as the same entries."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(FIELDS)
    for entry in entries:
        until, ports = entry.until.isoformat() if entry.until else "", ports_text(entry)
        writer.writerow((entry.name, entry.publisher, entry.team_id, entry.path, entry.owner, until, ports, entry.note))
    return text.getvalue()


def ports_text(entry: ApprovedSoftware) -> str:
    return ", ".join(map(str, entry.ports))


def _fields(table: CsvText) -> Sequence[str]:
    """The field of each column. A column that nobody understands might be a misspelt end of an approval."""
    if not table.rows:
        raise CsvRefused(CsvProblem(0, "", "is empty"))
    line, header = table.rows[0]
    while header and not header[-1].strip():
        header = header[:-1]
    names = [header_name(cell) for cell in header]
    problems = [
        CsvProblem(line, _quoted(cell), f"unknown column; known are {', '.join(FIELDS)}")
        for cell, name in zip(header, names, strict=True)
        if name not in _HEADERS
    ]
    fields = [_HEADERS.get(name, "") for name in names]
    problems += [CsvProblem(line, field, "two columns for it") for field in FIELDS if fields.count(field) > 1]
    if "name" not in fields:
        problems.append(CsvProblem(line, "name", "no such column; the first row must name the columns"))
    if problems:
        raise CsvRefused(*problems[:MOST_PROBLEMS])
    return fields


def _entry(
    line: int, cells: Sequence[str], fields: Sequence[str], width: int, problems: list[CsvProblem]
) -> ApprovedSoftware | None:
    """One row; what is wrong with it goes to `problems`. Empty headers at the end are part of the width."""
    if len(cells) != width or any(cell.strip() for cell in cells[len(fields) :]):
        problems.append(CsvProblem(line, "", f"has {len(cells)} cells, the header {len(fields)}; quote a delimiter"))
        return None
    found: list[CsvProblem] = []
    values: dict[str, object] = {}
    for field, cell in zip(fields, cells, strict=False):  # the header may end with columns without a name
        try:
            values[field] = _READERS.get(field, str)(_clean(field, cell))
        except ValueError as problem:
            found.append(CsvProblem(line, field, str(problem)))
    if not found:
        entry = ApprovedSoftware(line=line, **values)  # type: ignore[arg-type]
        found = list(_contradictions(entry))
        if not found:
            return entry
    problems += found
    return None


def _clean(field: str, cell: str) -> str:
    """A cell without what a spreadsheet would run or a page would not show."""
    text = " ".join(cell.split())
    if text.startswith(_FORMULA):
        raise ValueError(f"{_quoted(text)} begins as a formula does")
    if len(text) > _LONGEST.get(field, _LONGEST_CELL):
        raise ValueError(f"is longer than {_LONGEST.get(field, _LONGEST_CELL)} characters")
    if hidden := next((each for each in text if not each.isprintable()), ""):
        raise ValueError(f"holds a hidden character, U+{ord(hidden):04X}")
    return text


def _quoted(text: str) -> str:
    """The start of a text that may be anything."""
    return repr(text[:40])


def _name(text: str) -> str:
    if not words(text):
        raise ValueError("is empty" if not text else f"{_quoted(text)} has neither letter nor digit")
    return text


def _publisher(text: str) -> str:
    if text and not publisher_key(text):
        raise ValueError(f"{_quoted(text)} has neither letter nor digit")
    return text


def _team_id(text: str) -> str:
    if text and not _TEAM.fullmatch(text.upper()):
        raise ValueError(f"{_quoted(text)} is no Apple team identifier: ten letters and digits")
    return text.upper()


def _path(text: str) -> str:
    try:
        if text:
            path_pattern(text)
    except ValueError as problem:
        raise ValueError(f"{_quoted(text)} {problem}") from None
    return text


def _until(text: str) -> date | None:
    if not text:
        return None
    try:
        day = date.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        day = None
    if day is None or day.year < _FIRST_YEAR:
        raise ValueError(f"{_quoted(text)} is no date as 2027-03-01")
    return day


_READERS: Mapping[str, Callable[[str], object]] = {
    "name": _name,
    "publisher": _publisher,
    "team_id": _team_id,
    "path": _path,
    "until": _until,
    "ports": allowed_ports,
}


def _contradictions(entry: ApprovedSoftware) -> Iterable[CsvProblem]:
    """A name is text that anybody can write; so is a file where any user may put one."""
    signed = entry.publisher or entry.team_id
    if not signed and entry.pattern is None:
        yield CsvProblem(entry.line, "publisher", "a name alone approves nothing: give publisher, team_id or path")
    elif not signed and entry.pattern and _anybodys(entry):
        text = "any user could put a program there: give publisher or team_id as well"
        yield CsvProblem(entry.line, "path", text)
    elif entry.pattern and entry.pattern.platform is Platform.WINDOWS and not entry.publisher and entry.team_id:
        yield CsvProblem(entry.line, "team_id", "only macOS has teams, and the path is one of Windows: give publisher")


def _anybodys(entry: ApprovedSoftware) -> bool:
    pattern = entry.pattern
    return pattern is not None and place_of(pattern.platform, str(pattern)) is Place.USER_WRITABLE


def _repeated(entries: Iterable[ApprovedSoftware]) -> list[CsvProblem]:
    first: dict[tuple[str, str, str, str], int] = {}
    problems = []
    for entry in entries:
        before = first.setdefault(entry.identity, entry.line)
        if before != entry.line:
            problems.append(CsvProblem(entry.line, "name", f"{_quoted(entry.name)} repeats line {before}"))
    return problems
