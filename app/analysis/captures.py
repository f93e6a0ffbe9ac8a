"""Reads captured osquery result lines and node lists from files, plain or gzip."""

import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

import msgspec

from app.osquery.results import RejectedLine, Row, rows_of

#: Called with the bytes of each line that has been read, uncompressed.
Progress = Callable[[int], None]


class BadInput(Exception):
    """A file that cannot be used; the text names the file, the line and the field."""

    def __init__(self, path: Path, line: int, problem: object) -> None:
        super().__init__(f"{path}:{line}: {problem}" if line else f"{path}: {problem}")


@dataclass(frozen=True, slots=True)
class CapturedRow:
    node: str
    row: Row
    path: Path
    line: int  #: in its file, from 1
    position: int  #: across all files, from 1


class _Node(msgspec.Struct):
    host_identifier: str
    role: str = ""
    platform: str = ""


def captured_rows(paths: Iterable[Path], progress: Progress | None = None) -> Iterator[CapturedRow]:
    """The rows of all result lines, in order.

    Raises:
        BadInput: unreadable file, or a line that is no result line.
    """
    position = 0
    decoder = msgspec.json.Decoder(dict[str, object])
    for path in paths:
        for line, content in _lines(path, progress):
            position += 1
            yield from _rows(decoder, content, path=path, line=line, position=position)


def roles(path: Path) -> Mapping[str, str]:
    """Node → role, from JSON Lines with `host_identifier`, `platform` and `role`.

    Raises:
        BadInput: unreadable file, or a line that is no node.
    """
    found: dict[str, str] = {}
    decoder = msgspec.json.Decoder(_Node)
    for line, content in _lines(path, None):
        try:
            node = decoder.decode(content)
        except (msgspec.DecodeError, UnicodeDecodeError) as problem:
            raise BadInput(path, line, problem) from None
        found[node.host_identifier] = node.role
    return found


def _lines(path: Path, progress: Progress | None) -> Iterator[tuple[int, bytes]]:
    """Numbered lines that are not blank."""
    number = 0
    try:
        with _opened(path) as file:
            for number, content in enumerate(file, start=1):
                if progress:
                    progress(len(content))
                if not content.isspace():
                    yield number, content
    except (OSError, EOFError, zlib.error) as problem:
        raise BadInput(path, number, getattr(problem, "strerror", None) or problem) from None


def _opened(path: Path) -> gzip.GzipFile | BufferedReader:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


def _rows(
    decoder: "msgspec.json.Decoder[dict[str, object]]", content: bytes, *, path: Path, line: int, position: int
) -> Iterator[CapturedRow]:
    try:
        decoded = decoder.decode(content)
        rows = rows_of(decoded)
    except (msgspec.DecodeError, UnicodeDecodeError, RejectedLine) as problem:
        raise BadInput(path, line, problem) from None
    node = decoded.get("hostIdentifier")
    if not isinstance(node, str) or not node:
        raise BadInput(path, line, "missing_node: hostIdentifier")
    for row in rows:
        yield CapturedRow(node, row, path, line, position)
