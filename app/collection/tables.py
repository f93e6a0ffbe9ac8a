"""An agent's tables, empty, in SQLite: a statement that prepares here prepares on that operating system."""

import sqlite3
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from app.collection.questions import Parameter

SYSTEMS = ("windows", "darwin", "linux")

#: osquery's own SQL functions and the numbers of arguments they take. Source: osquery/sql/sqlite_*.cpp.
FUNCTIONS: Mapping[str, tuple[int, ...]] = {
    "community_id_v1": (5, 6),
    "community_id_v1_strict": (5, 6),
    "concat": (-1,),
    "concat_ws": (-1,),
    "conditional_to_base64": (1,),
    "find_file_path_in_cmd": (1,),
    "from_base64": (1,),
    "in_cidr_block": (2,),
    "inet_aton": (1,),
    "is_path_deterministic": (1,),
    "md5": (1,),
    "parent_directory": (1,),
    "regex_match": (3,),
    "regex_split": (3,),
    "sha1": (1,),
    "sha256": (1,),
    "split": (3,),
    "to_base64": (1,),
    "version_compare": (2, 3),
    **dict.fromkeys(("sqrt", "log", "log10", "ceil", "floor", "sin", "cos", "tan", "asin", "acos", "atan"), (1,)),
    "power": (2,),
    "pi": (0,),
}

#: What osquery's own authoriser lets a query do. Source: osquery/sql/sqlite_util.cpp.
_MAY = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE})
_STEPS = 1_000_000
#: A statement with parameters prepares whatever their values are.
_NOTHING_KNOWN: Mapping[str, None] = {each.value: None for each in Parameter}


@dataclass(frozen=True, slots=True)
class Table:
    """`requires`: one of these columns must be constrained. `since` and `column_since` are osquery versions."""

    systems: frozenset[str]
    columns: Mapping[str, str]
    events: bool
    since: str | None
    column_since: Mapping[str, str]
    requires: frozenset[str]
    volatile: frozenset[str]

    def ddl(self, name: str, system: str) -> str:
        own = ", ".join(filter(None, (self.columns[""], self.columns.get(system, ""))))
        quoted = ", ".join('"{}" {}'.format(*column.split()) for column in own.split(","))
        return f'CREATE TABLE "{name}" ({quoted})'


@cache
def known_tables() -> Mapping[str, Table]:
    """The tables of `tables.toml`, by name."""
    document = tomllib.loads(Path(__file__).with_name("tables.toml").read_text("utf-8"))
    return {name: _table(spec) for name, spec in document.items()}


def _table(spec: Mapping[str, Any]) -> Table:
    return Table(
        systems=frozenset(spec["on"]),
        columns={"": spec["columns"], **{system: spec[system] for system in SYSTEMS if system in spec}},
        events=spec.get("events", False),
        since=spec.get("since"),
        column_since=spec.get("column_since", {}),
        requires=frozenset(spec.get("requires", ())),
        volatile=frozenset(spec.get("volatile", "").split()),
    )


@dataclass(frozen=True, slots=True)
class Prepared:
    """`reads`: every table and column that the statement asks an agent for."""

    columns: tuple[str, ...]
    reads: frozenset[tuple[str, str]]

    @property
    def tables(self) -> list[str]:
        return sorted({table for table, _ in self.reads})


class EmptyAgent:
    """All tables of one operating system, without a row; a context manager."""

    def __init__(self, system: str) -> None:
        self._reads: set[tuple[str, str]] = set()
        self._database = sqlite3.connect(":memory:", cached_statements=0)
        for name, table in known_tables().items():
            if system in table.systems:
                self._database.execute(table.ddl(name, system))
        for name, counts in FUNCTIONS.items():
            for count in counts:
                self._database.create_function(name, count, lambda *_: None)
        self._database.set_authorizer(self._authorize)
        self._database.set_progress_handler(lambda: 1, _STEPS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def prepare(self, statement: str) -> Prepared:
        """What the statement reads and returns.

        Raises:
            sqlite3.Error: it would fail on an agent, or does not end within a million steps.
        """
        self._reads.clear()
        self._database.execute(f"EXPLAIN {statement}", _NOTHING_KNOWN).close()
        cursor = self._database.execute(statement, _NOTHING_KNOWN)
        columns = tuple(name for name, *_ in cursor.description or ())
        cursor.close()
        return Prepared(columns=columns, reads=frozenset(self._reads))

    def _authorize(self, action: int, first: str | None, second: str | None, *_: str | None) -> int:
        if action == sqlite3.SQLITE_READ and first in known_tables():
            self._reads.add((str(first), second or ""))
        return sqlite3.SQLITE_OK if action in _MAY else sqlite3.SQLITE_DENY
