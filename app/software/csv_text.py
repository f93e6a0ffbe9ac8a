"""Reads CSV as people save it: any usual encoding and delimiter, each row with its line, every growth bounded."""

import csv
import io
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from typing_extensions import override

MAX_BYTES = 4 * 1024 * 1024
MAX_ROWS = 10_000
MOST_PROBLEMS = 50  #: told at once; a file with more is the wrong file

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab"}
_SEPARATOR_LINE = re.compile(r"\Asep=[,;\t]?\Z", re.IGNORECASE)
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_HEADER_CHARACTERS = 10_000
_FEW_LATIN_BYTES = 3  #: of so many bytes of UTF-16 without a mark, at least one is NUL in the text of a header


@dataclass(frozen=True, slots=True)
class CsvProblem:
    """What is wrong with a file, where: `line` from 1, 0 for the whole file; `field` may be empty."""

    line: int
    field: str
    text: str

    @override
    def __str__(self) -> str:
        place = f"line {self.line}: " if self.line else ""
        return f"{place}{f'{self.field}: ' if self.field else ''}{self.text}"


class CsvRefused(Exception):
    """A file that is not taken, with all that is wrong in it as far as it was read."""

    def __init__(self, *problems: CsvProblem) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class CsvText:
    """`rows` are line and cells, the header first, blank rows left out."""

    encoding: str
    delimiter: str  #: by name
    rows: tuple[tuple[int, list[str]], ...]


def read_text(raw: bytes, known_headers: Collection[str]) -> CsvText:
    """Decode and cut into cells; the delimiter is the one that shows the most headers that are known.

    Raises:
        CsvRefused: too long, no text, or quotes that do not end.
    """
    if len(raw) > MAX_BYTES:
        raise CsvRefused(CsvProblem(0, "", f"is over the limit of {MAX_BYTES:,} bytes"))
    if raw.startswith(_WORKBOOKS):
        raise CsvRefused(CsvProblem(0, "", "is a workbook; save it as CSV"))
    text, encoding = _decoded(raw)
    if "\0" in text:
        raise CsvRefused(CsvProblem(text.count("\n", 0, text.index("\0")) + 1, "", "holds a NUL: this is no CSV"))
    delimiter = _delimiter(text, known_headers)
    return CsvText(encoding, DELIMITERS[delimiter], tuple(_rows(text, delimiter)))


def _decoded(raw: bytes) -> tuple[str, str]:
    """What a mark says; else UTF-16 where NULs say so, UTF-8, and Windows' Western code page at last."""
    if encoding := _marked(raw):
        try:
            return raw.decode(encoding), encoding.removesuffix("-sig")
        except UnicodeDecodeError as problem:
            line = raw.count(b"\n", 0, problem.start) + 1
            raise CsvRefused(CsvProblem(line, "", f"is marked as {encoding} and is not: {problem.reason}")) from None
    for encoding in ("utf-8", "windows-1252"):
        try:
            return raw.decode(encoding), encoding
        except UnicodeDecodeError:
            continue
    raise CsvRefused(CsvProblem(0, "", "is neither UTF-8, UTF-16 nor Windows-1252"))


def _marked(raw: bytes) -> str:
    if raw.startswith(BOM_UTF8):
        return "utf-8-sig"
    if raw.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        return "utf-16"
    for encoding, high in (("utf-16-le", raw[1::2]), ("utf-16-be", raw[::2])):
        if len(raw) % 2 == 0 and high.count(0) * _FEW_LATIN_BYTES > len(raw) // 2:
            return encoding
    return ""


def _delimiter(text: str, known_headers: Collection[str]) -> str:
    lines = (
        line
        for line in text.lstrip("\r\n")[:_HEADER_CHARACTERS].splitlines()[:2]
        if not _SEPARATOR_LINE.match(line.strip("\r\n "))
    )
    header = next(lines, "")
    known = set(known_headers)

    def score(delimiter: str) -> int:
        return sum(header_name(cell) in known for cell in header.replace('"', "").split(delimiter))

    return max(DELIMITERS, key=score)


def header_name(cell: str) -> str:
    """A header as names are compared: lower case, words joined by `_`."""
    return re.sub(r"[\s_-]+", "_", cell.strip().casefold())


def _rows(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    taken = 0
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as problem:
            raise CsvRefused(CsvProblem(line, "", f"cannot be read as CSV: {problem}")) from None
        if _is_blank(cells, first=not taken):
            continue
        if taken > MAX_ROWS:
            raise CsvRefused(CsvProblem(line, "", f"is over the limit of {MAX_ROWS:,} rows"))
        taken += 1
        yield line, cells


def _is_blank(cells: list[str], *, first: bool) -> bool:
    """Excel's own line that names the delimiter says nothing more either."""
    named = first and len(cells) <= 2 and bool(_SEPARATOR_LINE.match(cells[0].strip())) if cells else False  # noqa: PLR2004
    return named or not any(cell.strip() for cell in cells)
