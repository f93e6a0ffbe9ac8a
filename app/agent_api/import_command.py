"""The command `portbook import`: send files of result lines, or standard input, to a server."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from gzip import open as open_gzip
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
from isal import igzip

from app.problems import InvalidRequest

LINES_A_REQUEST = 5_000
TOTALS = ("lines", "rows", "quarantined")


def import_files(client: httpx.Client, files: Iterable[Path], role: str) -> dict[str, int]:
    """Totals of what the server took. `-` is standard input; `.gz` files are read as such.

    Raises: InvalidRequest with file and line, OSError.
    """
    totals = dict.fromkeys(TOTALS, 0)
    for path in files:
        first = 1
        for chunk in _chunks(path):
            receipt = _send(client, chunk, role, f"{path}:{first}")
            for number in receipt["unreadable_lines"]:
                sys.stderr.write(f"{path}:{first + number - 1}: not a result line\n")
            for name in TOTALS:
                totals[name] += receipt[name]
            first += len(chunk)
    return totals


def _send(client: httpx.Client, lines: list[bytes], role: str, where: str) -> dict[str, Any]:
    body = igzip.compress(b"".join(lines), 1)
    headers = {"Content-Encoding": "gzip"}
    try:
        answer = client.post("/api/v1/results", params={"role": role}, content=body, headers=headers)
        document: dict[str, Any] = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise InvalidRequest(f"{where}: no answer from {client.base_url}: {error}") from error
    if answer.is_error:
        raise InvalidRequest(f"{where}: {document.get('detail')}")
    return document


def _chunks(path: Path) -> Iterator[list[bytes]]:
    with _opened(path) as file:
        while lines := list(islice(file, LINES_A_REQUEST)):
            yield lines


def _opened(path: Path) -> AbstractContextManager[Iterable[bytes]]:
    if str(path) == "-":
        return nullcontext(sys.stdin.buffer)
    return open_gzip(path, "rb") if path.suffix == ".gz" else path.open("rb")
