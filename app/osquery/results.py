"""Result lines of osquery in all their shapes → rows.

Source: osquery/core/sql/query_data.cpp and osquery/logger/logger.cpp (serializeQueryLogItem); result names as
`pack<delimiter>PACK<delimiter>QUERY` from osquery/config/packs.cpp.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

#: Packs whose names hold the delimiter `_` themselves, so that `pack_windows_network_outbound` can be told apart.
PACKS = ("windows_network", "macos_network", "windows_context", "macos_context", "telemetry")
ACTIONS = frozenset({"added", "removed", "snapshot"})

#: Fleet puts `Global` or the team before the name, and keeps the `/` of a query's own name: `pack/Global/PACK/QUERY`.
_KNOWN_PACK = re.compile(
    rf"\Apack(?P<d>[^A-Za-z0-9]{{1,4}})(?:(?:Global|team-\d{{1,9}})(?P=d))?"
    rf"(?P<pack>{'|'.join(PACKS)})(?:(?P=d)|/)(?P<query>.+)\Z",
    re.DOTALL,
)
_ANY_PACK = re.compile(r"\Apack(?P<d>[^A-Za-z0-9_])(?P<pack>.+?)(?P=d)(?P<query>.+)\Z", re.DOTALL)
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_LAST_SECOND = 2**53


class RejectedLine(Exception):
    """A line that is no result. `reason` is stable, e.g. `missing_name`; `field` says where."""

    def __init__(self, reason: str, field: str = "") -> None:
        super().__init__(f"{reason}: {field}" if field else reason)
        self.reason = reason
        self.field = field


@dataclass(frozen=True, slots=True)
class Row:
    query: str  #: result name with the delimiter `/`
    action: str  #: added, removed or snapshot
    observed_at_unix: int  #: seconds since 1970 by the node's clock; 0 when the node had none
    epoch: int
    counter: int
    columns: dict[str, str]  #: NULL is empty, numbers are text


def rows_of(line: Mapping[str, object]) -> Iterator[Row]:
    """The rows of one result line of event, batch or snapshot form; a snapshot may have none.

    Raises:
        RejectedLine: all rows of a line are understood, or none.
    """
    name = line.get("name")
    if not isinstance(name, str) or not name:
        raise RejectedLine("missing_name", "name")
    query, when = result_name(clean(name)), _whole(line, "unixTime", None)
    epoch, counter = _whole(line, "epoch", 0), _whole(line, "counter", 0)
    parts = [(action, _columns(columns)) for action, columns in _parts(line)]
    return iter([Row(query, action, when, epoch, counter, columns) for action, columns in parts])


def result_name(name: str) -> str:
    """A result name with the delimiter `/`, whichever the agent uses: `pack_telemetry_heartbeat`, `pack:P:Q`.

    Our packs in Fleet bear their own names, whatever the team; names that are not ours stay as they are.
    """
    match = _KNOWN_PACK.match(name) or _ANY_PACK.match(name)
    return f"pack/{match['pack']}/{match['query']}" if match else name


def clean(text: str) -> str:
    """`text` without what PostgreSQL and UTF-8 refuse; trailing NULs are dropped, others become U+FFFD."""
    return _UNSTORABLE.sub("\ufffd", text.rstrip("\0"))


def _parts(line: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    if "columns" in line:
        action = line.get("action")
        if not isinstance(action, str) or action not in ACTIONS:
            raise RejectedLine("action_unknown", "action")
        yield action, line["columns"]
    elif "snapshot" in line:
        for columns in _list(line["snapshot"], "snapshot"):
            yield "snapshot", columns
    elif isinstance(changes := line.get("diffResults"), Mapping):
        for action in ("removed", "added"):
            for columns in _list(changes.get(action, []), f"diffResults.{action}"):
                yield action, columns
    else:
        raise RejectedLine("missing_rows")


def _list(value: object, field: str) -> list[object]:
    if value == "":  # osquery before 5 wrote an empty list so
        return []
    if not isinstance(value, list):
        raise RejectedLine("not_a_list", field)
    return value


def _columns(columns: object) -> dict[str, str]:
    if not isinstance(columns, Mapping):
        raise RejectedLine("columns_not_an_object", "columns")
    return {clean(str(name)): _value(name, value) for name, value in columns.items()}


def _value(name: object, value: object) -> str:
    if isinstance(value, str):
        return clean(value)
    if value is None:
        return ""
    if isinstance(value, int | float):
        return str(int(value) if isinstance(value, bool) else value)
    raise RejectedLine("column_not_a_scalar", clean(str(name)))


def _whole(line: Mapping[str, object], field: str, default: int | None) -> int:
    """A number that older agents write as text."""
    value = line.get(field, default)
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= len(str(_LAST_SECOND)):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _LAST_SECOND:
        raise RejectedLine("not_a_number" if field in line else "missing_number", field)
    return value
