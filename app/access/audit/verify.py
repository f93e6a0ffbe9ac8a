"""Whether lines of the audit log are one chain. Needs the lines and nothing else: of the database, or of a file."""

import json
import re
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from typing_extensions import override

from app.access.audit.line import FIELDS
from app.problems import InvalidRequest

#: What the first line names as the hash of the line before it.
BEGINNING = "0" * 64
FAULTS_MAX = 20

_CHECKPOINT = re.compile(r"([1-9][0-9]{0,18}):([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A line's sequence and hash, to be noted where nobody who can change the log can change them."""

    seq: int
    sha256: str

    @override
    def __str__(self) -> str:
        return f"{self.seq}:{self.sha256}"


def checkpoint_from(text: str) -> Checkpoint:
    """Reads SEQ:HASH. Raises: InvalidRequest."""
    found = _CHECKPOINT.fullmatch(text.strip().lower())
    if not found:
        raise InvalidRequest(f"{text[:100]!r} is no checkpoint; it is a number, a colon and 64 digits 0-9 a-f")
    return Checkpoint(int(found[1]), found[2])


@dataclass(frozen=True, slots=True)
class Columns:
    """What the database keeps beside a line, read out of it when it was appended."""

    seq: int
    at: datetime
    actor_name: str
    action: str
    object_type: str
    object_id: str
    outcome: str
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Fault:
    seq: int
    text: str

    @override
    def __str__(self) -> str:
        return f"line {self.seq}: {self.text}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`first_prev` is the hash of the line before the first; `faults` are the first of `faults_total`."""

    lines: int = 0
    first_seq: int = 0
    first_prev: str = ""
    last_seq: int = 0
    last_sha256: str = ""
    faults: tuple[Fault, ...] = ()
    faults_total: int = 0

    @property
    def holds(self) -> bool:
        return not self.faults_total

    @property
    def checkpoint(self) -> Checkpoint | None:
        return Checkpoint(self.last_seq, self.last_sha256) if self.lines else None

    @property
    def text(self) -> str:
        if self.faults:
            more = f" (and {self.faults_total - 1:,} more)" if self.faults_total > 1 else ""
            return f"broken at {self.faults[0]}{more}"
        return f"one chain of {self.lines:,} lines, {self.first_seq} to {self.last_seq}" if self.lines else "no lines"


class Chain:
    """Takes lines in their order and remembers the last one only."""

    def __init__(self, *, whole: bool, expected: Checkpoint | None = None) -> None:
        """`whole`: it must begin with line 1. `expected`: a line as it was noted earlier."""
        self._whole, self._expected = whole, expected
        self._lines = self._first_seq = self._seq = self._total = 0
        self._first_prev = self._sha256 = ""
        self._met = expected is None
        self._faults: list[Fault] = []

    def take(self, line: bytes, columns: Columns | None = None) -> None:
        hashed = sha256(line).hexdigest()
        try:
            said = read_line(line)
        except ValueError:
            self._fault(self._seq + 1, "this is no line of an audit log")
            said = {"seq": self._seq + 1, "prev": self._sha256 or BEGINNING}
        seq, prev = said["seq"], said["prev"]
        self._link(seq, prev)
        if not self._lines:
            self._first_seq, self._first_prev = seq, prev
        self._lines, self._seq, self._sha256 = self._lines + 1, seq, hashed
        if columns and "ts" in said:
            self._compare(said, hashed, columns)
        self._meet(seq, hashed)

    def verdict(self) -> Verdict:
        """Call it when there are no more lines."""
        if self._expected and not self._met:
            self._met, noted = True, self._expected.seq
            if self._seq < noted:
                self._fault(noted, f"it was noted, and the log ends at {self._seq}: lines were cut off")
            else:
                self._fault(noted, f"it was noted, and these lines begin at {self._first_seq}: nothing to compare")
        return Verdict(
            self._lines, self._first_seq, self._first_prev, self._seq, self._sha256, tuple(self._faults), self._total
        )

    def _link(self, seq: int, prev: str) -> None:
        first = not self._lines
        if first and self._whole and seq != 1:
            self._fault(1, f"the log begins at {seq}: lines are missing")
        elif not first and seq > self._seq + 1:
            self._fault(self._seq + 1, f"after {self._seq} comes {seq}: lines are missing")
        elif not first and seq <= self._seq:
            self._fault(seq, f"after {self._seq} comes {seq}: lines are out of order")
        elif seq == 1 and prev != BEGINNING:
            self._fault(1, "it names a line before the first")
        elif not first and prev != self._sha256:
            self._fault(seq, f"it does not name the hash of line {self._seq}: one of the two was changed")
        if first and self._expected and seq == self._expected.seq + 1:
            self._meet(self._expected.seq, prev)

    def _meet(self, seq: int, hashed: str) -> None:
        if self._expected and seq == self._expected.seq:
            self._met = True
            if hashed != self._expected.sha256:
                self._fault(seq, "its hash is not the one that was noted: the log was rewritten")

    def _compare(self, said: dict[str, Any], hashed: str, columns: Columns) -> None:
        if columns.sha256.hex() != hashed:
            self._fault(columns.seq, "its hash is not the one kept beside it: the line was changed")
        said = said | {"at": datetime.fromisoformat(said["ts"])}
        names = ("seq", "at", "actor_name", "action", "object_type", "object_id", "outcome")
        for name in names:
            if said[name] != getattr(columns, name):
                self._fault(columns.seq, f"its {name} is not the one kept beside it")

    def _fault(self, seq: int, text: str) -> None:
        self._total += 1
        if len(self._faults) < FAULTS_MAX:
            self._faults.append(Fault(seq, text))


def read_line(line: bytes) -> dict[str, Any]:
    """Raises: ValueError unless it has the fields of a line, each once, in their order."""
    try:
        pairs: list[tuple[str, Any]] = json.loads(line, object_pairs_hook=list)
        said = dict(pairs)
        datetime.fromisoformat(said["ts"])
        names = [name for name, _ in pairs]
    except (ValueError, TypeError, KeyError, RecursionError):
        names, said = [], {}
    if names != ["seq", "prev", *FIELDS] or type(said["seq"]) is not int or type(said["prev"]) is not str:
        raise ValueError("no line of an audit log")
    return said
