"""Exported lines as files: written whole or not at all, verified without a database."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from app.access.actor import Actor
from app.access.audit.deed import Outcome
from app.access.audit.verify import Chain, Checkpoint, Verdict, read_line
from app.access.auditor.checking import Hear
from app.access.auditor.exporting import Stretch, lines_of, record_export, stretch_of
from app.database import Database
from app.problems import InvalidRequest

LINE_MAX_BYTES = 1_048_576
HEAR_EACH = 10_000  #: lines


def verify_file(path: Path, expected: Checkpoint | None = None, hear: Hear = lambda _: None) -> Verdict:
    """Of a file of lines, from whichever on. Raises: OSError; InvalidRequest when it is no audit log at all."""
    chain, total, read = Chain(whole=False, expected=expected), max(path.stat().st_size, 1), 0
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(LINE_MAX_BYTES), b""), start=1):
            if number == 1:
                _recognise(line, path)
            read += len(line)
            chain.take(line.rstrip(b"\n"))
            if number % HEAR_EACH == 0:
                hear(read / total)
    if not read:
        raise InvalidRequest(f"{path} is empty", field="file")
    return chain.verdict()


def _recognise(line: bytes, path: Path) -> None:
    try:
        read_line(line)
    except ValueError:
        raise InvalidRequest(f"{path}: its first line is no line of an audit log", field="file") from None


async def export_file(
    database: Database, actor: Actor, path: Path, since: datetime | None = None, until: datetime | None = None
) -> Verdict:
    """A new file that only its owner may read, and what a verification of it says.

    Raises: NotFound, OSError when it is there already or cannot be written.
    """
    stretch = await stretch_of(database, since, until)
    await record_export(database, actor, stretch)
    try:
        await _write(database, stretch, path)
    except OSError as error:
        await record_export(database, actor, stretch, Outcome.ERROR, f"not written: {error.strerror}")
        raise
    return verify_file(path)


async def _write(database: Database, stretch: Stretch, path: Path) -> None:
    with _new_file(path) as file:
        async for piece in lines_of(database, stretch):
            file.write(piece)


@contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    """Gone again unless the block ends well."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        try:
            yield file
        except BaseException:
            path.unlink()
            raise
