"""What a query must keep to: each rule yields the line in the query's file and what is wrong there."""

import re
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from app.collection.packs import Manifest, Mode, Query
from app.collection.questions import Question
from app.collection.sql_file import ANY_PLATFORM, SqlFile
from app.collection.tables import SYSTEMS, EmptyAgent, Prepared, known_tables
from app.detection.behaviour import Platform
from app.detection.queries import NEEDED_COLUMNS, UNDERSTOOD
from app.osquery.binding import parameters_of

Complaint: TypeAlias = tuple[int, str]

#: osquery skips a query outside of this with a mere warning. Source: osquery/config/packs.cpp.
LONGEST_INTERVAL_SECONDS = 604_800

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_RESERVED_ENDS = ("epoch", "counter")
#: SQLite's other ways to write a parameter.
_FOREIGN_PARAMETER = re.compile(r"[?@$]")
_ENDS_BOUNDED = re.compile(r"\bLIMIT \d{1,4}\Z", re.IGNORECASE)
_STAR = re.compile(r"(?:\b(?:SELECT|DISTINCT|ALL)\b\s*|,\s*|\w\.)\*", re.IGNORECASE)
_SQL_WORD = re.compile(r"SELECT\b|WITH\b", re.IGNORECASE)
_NAMED = re.compile(r"(?:: |function )([\w.]+)(?:\(\))?$")
_ENDS_EARLY = "incomplete input"
_SYSTEM_WORDS = {Platform.WINDOWS: "windows", Platform.MACOS: "darwin", None: ANY_PLATFORM}


def header_complaints(pack: Manifest, file: SqlFile) -> Iterator[Complaint]:
    yield from _name_complaints(file)
    if isinstance(file, Query):
        yield from _schedule_complaints(file)
    if pack.platform not in (ANY_PLATFORM, file.platform):
        yield file.header_lines["platform"], f"platform {file.platform} in a pack for {pack.platform}"
    if version_key(file.version) < version_key(pack.version):
        yield file.header_lines["version"], f"version {file.version}, but the pack begins at {pack.version}"


def _schedule_complaints(query: Query) -> Iterator[Complaint]:
    if not 1 <= query.interval_seconds <= LONGEST_INTERVAL_SECONDS:
        message = f"the interval must be 1 to {LONGEST_INTERVAL_SECONDS} s; osquery skips the query otherwise"
        yield query.header_lines["interval"], message
    if query.mode is not Mode.DIFFERENTIAL and query.removed:
        yield query.header_lines["removed"], f"a {query.mode} query never reports removed rows: say false"


def _name_complaints(query: SqlFile) -> Iterator[Complaint]:
    for name in (query.pack, query.name):
        if not _NAME.fullmatch(name):
            yield 1, f"the name {name!r} must be of a-z, 0-9 and _, and begin with a letter"
        if name.endswith(_RESERVED_ENDS):
            yield 1, f"the name {name!r} ends in a word that osquery keeps for itself"


def text_complaints(query: SqlFile) -> Iterator[Complaint]:
    """Rules that need no agent, only the words of the statement."""
    first_line, first_text = query.body[0]
    if not _SQL_WORD.match(first_text):
        yield first_line, "a statement begins with SELECT or WITH"
    for number, text in query.masked():
        if ";" in text:
            yield number, "one statement, without a semicolon"
        if _STAR.search(text):
            yield number, "name the columns: `*` changes with the agent's version"
        if _FOREIGN_PARAMETER.search(text):
            yield number, "a parameter is written like `:pid`"
    yield from _parameter_complaints(query)
    if isinstance(query, Question) and not _ENDS_BOUNDED.search(query.statement):
        yield query.body[-1][0], "an answer is one message: end the statement with LIMIT and a number"


def _parameter_complaints(file: SqlFile) -> Iterator[Complaint]:
    declared = set(file.parameters) if isinstance(file, Question) else set()
    used = {name: number for number, text in reversed([*file.masked()]) for name in parameters_of(text)}
    for name in sorted(used.keys() - declared):
        yield used[name], f"the header declares no parameter {name}"
    for name in sorted(declared - used.keys()):
        yield file.header_lines["parameters"], f"the statement has no parameter {name}"


def system_complaints(query: SqlFile, agent: EmptyAgent, system: str) -> Iterator[Complaint]:
    """Prepares the statement on one operating system and looks at what it reads and returns."""
    try:
        prepared = agent.prepare(query.statement)
    except sqlite3.Error as error:
        yield _line_of_error(query, agent, str(error)), f"on {system}: {_explained(str(error))}"
        return
    yield from _result_complaints(query, prepared)
    yield from _required_complaints(query, prepared)
    if isinstance(query, Query):
        yield from _understood_complaints(query, prepared)
        yield from _mode_complaints(query, prepared)
    yield from _version_complaints(query, prepared)


def systems_of(query: SqlFile) -> Sequence[str]:
    return SYSTEMS if query.platform == ANY_PLATFORM else (query.platform,)


def _result_complaints(query: SqlFile, prepared: Prepared) -> Iterator[Complaint]:
    for name, count in Counter(prepared.columns).items():
        if count > 1:
            yield line_of(query, name), f"two result columns are named {name}: osquery keeps one of them"


def _understood_complaints(query: Query, prepared: Prepared) -> Iterator[Complaint]:
    if query.result_name not in UNDERSTOOD:
        return
    understood = UNDERSTOOD[query.result_name]
    if query.platform != _SYSTEM_WORDS[understood[0]]:
        wanted = _SYSTEM_WORDS[understood[0]]
        yield query.header_lines["platform"], f"Portbook reads {query.result_name} as rows of {wanted}"
    for name in sorted(NEEDED_COLUMNS[understood] - set(prepared.columns)):
        yield query.body[0][0], f"Portbook cannot read {query.result_name} without the column {name}"


def _required_complaints(query: SqlFile, prepared: Prepared) -> Iterator[Complaint]:
    for name in prepared.tables:
        requires = known_tables()[name].requires
        if requires and not any(_constrains(query, name, column) for column in requires):
            columns = " or ".join(sorted(requires))
            yield line_of(query, name), f"{name} must be asked for a {columns}, or osquery fails the whole query"


def _constrains(query: SqlFile, table: str, column: str) -> bool:
    """By name: `t.column =`, `IN`, `LIKE` or `GLOB`, for the table's name, its alias or no qualifier."""
    statement = " ".join(text for _, text in query.masked())
    alias = re.search(
        rf"\b{table}\b(?:\s+AS)?\s+(?!(?:ON|WHERE|JOIN|LEFT|CROSS|INNER)\b)(\w+)", statement, re.IGNORECASE
    )
    names = "|".join(filter(None, (table, alias[1] if alias else "")))
    owner = rf"(?<![\w.])(?:(?:{names})\.)?{column}\b"
    return bool(re.search(rf"{owner}\s*(?:==?|IN\b|LIKE\b|GLOB\b)|==?\s*{owner}", statement, re.IGNORECASE))


def _mode_complaints(query: Query, prepared: Prepared) -> Iterator[Complaint]:
    of_events = [name for name in prepared.tables if known_tables()[name].events]
    if (query.mode is Mode.EVENT) != bool(of_events):
        wanted = "event, because its table hands each row out once" if of_events else "differential or snapshot"
        yield query.header_lines["mode"], f"the mode must be {wanted}"
    if query.mode is not Mode.DIFFERENTIAL:
        return
    for table, column in sorted(prepared.reads):
        if column in known_tables()[table].volatile:
            message = f"{table}.{column} changes by itself: every run would be a change; use a snapshot"
            yield line_of(query, column), message


def _version_complaints(query: SqlFile, prepared: Prepared) -> Iterator[Complaint]:
    for name in prepared.tables:
        since = known_tables()[name].since
        if since and version_key(query.version) < version_key(since):
            yield query.header_lines["version"], f"{name} exists from {since}, the header says {query.version}"
    for name, column in sorted(prepared.reads):
        since = known_tables()[name].column_since.get(column)
        if since and version_key(query.version) < version_key(since):
            message = f"{name}.{column} is for {since} and newer, the header says {query.version}"
            yield query.header_lines["version"], message


def version_key(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def line_of(query: SqlFile, word: str) -> int:
    """The first line of the statement that has the word, else the statement's first line."""
    pattern = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)", re.IGNORECASE)
    return next((number for number, text in query.masked() if pattern.search(text)), query.body[0][0])


def _line_of_error(query: SqlFile, agent: EmptyAgent, message: str) -> int:
    """SQLite tells no position: a syntax error stands on the first line that provokes it, others name a word."""
    if "syntax error" in message or "unrecognized token" in message:
        return _first_line_with(query, agent, message)
    if message == _ENDS_EARLY:
        return query.body[-1][0]
    named = _NAMED.search(message)
    return line_of(query, named[1]) if named else query.body[0][0]


def _first_line_with(query: SqlFile, agent: EmptyAgent, message: str) -> int:
    for count, (number, _) in enumerate(query.body, start=1):
        beginning = " ".join(text for _, text in query.body[:count])
        try:
            agent.prepare(beginning)
        except sqlite3.Error as error:
            if str(error) == message:
                return number
    return query.body[-1][0]


def _explained(message: str) -> str:
    return "a pack may only SELECT" if message == "not authorized" else message
