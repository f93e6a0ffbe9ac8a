"""The rows behind sightings, read from the stored batches."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
from isal import isal_zlib

from app.detection.facts import tells_whole_state
from app.osquery.protocol import mend
from app.osquery.results import clean, result_name

GZIP_WINDOW = 31
#: Of batches whose rows are held at a time: past it, the others of a claim wait for the next.
INFLATED_MAX_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Original:
    """One row as the agent sent it."""

    query: str
    action: str
    columns: Mapping[str, object]
    observed_at: int = 0  #: unix seconds by the node's clock, as said; 0 when it said none
    whole: bool = False  #: of an execution that told the query's whole state anew


class _Stored(msgspec.Struct):
    data: list[msgspec.Raw] | None = None


class Originals:
    """The batches of one claim, inflated one at a time: ask for the rows of one after those of the other.

    `inflated` counts the bytes, so that who keeps rows can stop before they are too many.
    """

    def __init__(self, bodies: Mapping[UUID, bytes]) -> None:
        self.inflated = 0
        self._bodies = bodies
        self._batch_id: UUID | None = None
        self._lines: list[msgspec.Raw] = []
        self._rows: dict[int, list[Original]] = {}

    def find(self, batch_id: UUID, line_number: int, row_number: int) -> Original | None:
        """None when the batch is gone, or does not hold such a row."""
        rows = self.rows(batch_id, line_number)
        return rows[row_number] if 0 <= row_number < len(rows) else None

    def rows(self, batch_id: UUID, line_number: int) -> list[Original]:
        """All rows of a line; none when the batch is gone, or does not hold such a line."""
        if batch_id != self._batch_id:
            self._open(batch_id)
        if not 0 <= line_number < len(self._lines):
            return []
        if line_number not in self._rows:
            self._rows[line_number] = _originals(_line(self._lines[line_number]))
        return self._rows[line_number]

    def _open(self, batch_id: UUID) -> None:
        self._batch_id, self._rows = batch_id, {}
        self._lines = lines_of(self._bodies[batch_id]) if batch_id in self._bodies else []
        self.inflated += sum(memoryview(line).nbytes for line in self._lines)


def lines_of(body: bytes) -> list[msgspec.Raw]:
    """The elements of `data` of a stored batch, not yet read."""
    raw = isal_zlib.decompress(body, GZIP_WINDOW)
    try:
        return _STORED.decode(raw).data or []
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _STORED.decode(mend(raw)).data or []


_STORED = msgspec.json.Decoder(_Stored)


def _line(raw: msgspec.Raw) -> Mapping[str, Any]:
    try:
        line = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        line = msgspec.json.decode(mend(bytes(raw)))
    return line if isinstance(line, dict) else {}


def _originals(line: Mapping[str, Any]) -> list[Original]:
    query = result_name(clean(str(line.get("name", ""))))
    at = _seconds(line.get("unixTime"))
    whole = tells_whole_state(line.get("epoch"), line.get("counter"))
    return [Original(query, action, columns, at, whole) for action, columns in rows_in(line)]


def _seconds(value: object) -> int:
    try:
        return int(float(value)) if isinstance(value, str | int | float) else 0
    except (ValueError, OverflowError):
        return 0


def rows_in(line: Mapping[str, Any]) -> list[tuple[str, dict[str, object]]]:
    """(action, columns) of a line, numbered as intake numbers them; as lenient as intake, so that no row hides."""
    if isinstance(line.get("columns"), dict):
        return [(str(line.get("action", "")), _cells(line["columns"]))]
    if isinstance(line.get("snapshot"), list):
        return [("snapshot", _cells(columns)) for columns in line["snapshot"]]
    changes = line.get("diffResults")
    if not isinstance(changes, dict):
        return []
    return [(action, _cells(columns)) for action in ("removed", "added") for columns in changes.get(action) or ()]


def _cells(columns: object) -> dict[str, object]:
    """A value that is no scalar says nothing."""
    if not isinstance(columns, dict):
        return {}
    return {_text(name): _cell(value) for name, value in columns.items()}


def _cell(value: object) -> object:
    if isinstance(value, str):
        return _text(value)
    return value if isinstance(value, int | float) else ""


def _text(value: str) -> str:
    """The JSON reader has refused lone surrogates already; what is left to clean are NULs."""
    return clean(value) if "\0" in value else value
