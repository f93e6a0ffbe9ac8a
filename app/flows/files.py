"""Flow logs in files, in directories and on standard input."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from app.flows.reading import FlowReader
from app.flows.records import FlowRecord

CHUNK_BYTES = 64 * 1024
STANDARD_INPUT = Path("-")

#: Called with the bytes of each chunk, as they stand in the file.
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class LogFile:
    path: Path
    is_named: bool  #: by the operator; others were found in a directory, where anything may lie


def log_files(paths: Iterable[Path]) -> Iterator[LogFile]:
    """Files as they are, directories with all below them in order; hidden files and linked folders are left out."""
    for path in paths:
        if path.is_dir():
            for found in sorted(path.rglob("*")):
                if found.is_file() and not any(part.startswith(".") for part in found.relative_to(path).parts):
                    yield LogFile(found, is_named=False)
        else:
            yield LogFile(path, is_named=True)


def read_file(path: Path, reader: FlowReader, progress: Progress | None = None) -> Iterator[list[FlowRecord]]:
    """Parts of records, in small lists. Raises: OSError, UnreadableStream, NotAFlowLog."""
    with _opened(path) as file:
        while chunk := file.read(CHUNK_BYTES):
            if progress:
                progress(len(chunk))
            yield from reader.read(chunk)
    yield reader.finish()


def _opened(path: Path) -> AbstractContextManager[BinaryIO]:
    return nullcontext(sys.stdin.buffer) if path == STANDARD_INPUT else path.open("rb")
