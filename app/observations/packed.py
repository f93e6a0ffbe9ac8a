"""Arrays in PostgreSQL's binary form, made a column at a time: row by row, as the driver makes them, this would cost
more than all else that intake does with a row.

Source: PostgreSQL's array_recv (src/backend/utils/adt/arrayfuncs.c) and the types' own recv functions.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from struct import Struct
from uuid import UUID

_HEADER = Struct("!iiIii")  #: dimensions, whether there are nulls, type of an element, elements, first index
_LENGTH = Struct("!i")
_EPOCH_UNIX = datetime(2000, 1, 1, tzinfo=UTC).timestamp()
_EPOCH_DAY = date(2000, 1, 1).toordinal()
_MICROSECONDS = 1_000_000

smallint = Struct("!h").pack
integer = Struct("!i").pack
bigint = Struct("!q").pack


def day(value: date) -> bytes:
    return integer(value.toordinal() - _EPOCH_DAY)


def instant(unix: float) -> bytes:
    return bigint(round((unix - _EPOCH_UNIX) * _MICROSECONDS))


class PackedArray:
    """One parameter; its elements are packed already and equally long."""

    def __init__(self, oid: int, size_bytes: int) -> None:
        self._oid = oid
        self._length = _LENGTH.pack(size_bytes)
        self._elements = bytearray()
        self._total = 0

    def repeat(self, element: bytes, times: int) -> None:
        self._elements += (self._length + element) * times
        self._total += times

    def extend(self, elements: Iterable[bytes]) -> None:
        length = self._length
        added = [length + element for element in elements]
        self._elements += b"".join(added)
        self._total += len(added)

    def __len__(self) -> int:
        return self._total

    def __bytes__(self) -> bytes:
        return _HEADER.pack(1, 0, self._oid, self._total, 1) + self._elements


@dataclass(frozen=True, slots=True)
class Origin:
    """What the sightings of one batch and day share."""

    day: date
    node_id: int
    role_id: int
    batch_day: date
    batch_id: UUID


class PackedSightings:
    """The columns of new sightings, in the order of the statement that inserts them."""

    def __init__(self) -> None:
        self._day, self._batch_day = PackedArray(1082, 4), PackedArray(1082, 4)
        self._node, self._role = PackedArray(20, 8), PackedArray(21, 2)
        self._behaviour, self._batch = PackedArray(2950, 16), PackedArray(2950, 16)
        self._seen = PackedArray(1184, 8)
        self._line, self._row = PackedArray(23, 4), PackedArray(23, 4)

    def __len__(self) -> int:
        return len(self._day)

    @property
    def columns(self) -> list[PackedArray]:
        """day, node, behaviour, role, first seen, batch's day, batch, line, row."""
        what = [self._day, self._node, self._behaviour, self._role, self._seen]
        return [*what, self._batch_day, self._batch, self._line, self._row]

    def add(self, origin: Origin, behaviours: list[bytes], rows: list[tuple[float, int, int]]) -> None:
        """`behaviours` are ids; `rows` says of each the unix time, the line and the row that showed it."""
        total = len(behaviours)
        self._day.repeat(day(origin.day), total)
        self._node.repeat(bigint(origin.node_id), total)
        self._role.repeat(smallint(origin.role_id), total)
        self._batch_day.repeat(day(origin.batch_day), total)
        self._batch.repeat(origin.batch_id.bytes, total)
        instants = {observed: instant(observed) for observed in {row[0] for row in rows}}
        self._behaviour.extend(behaviours)
        self._seen.extend([instants[observed] for observed, _, _ in rows])
        self._line.extend([integer(line) for _, line, _ in rows])
        self._row.extend([integer(row) for _, _, row in rows])
