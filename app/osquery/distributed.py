"""osquery's distributed talk: questions out, answers in. Source: osquery/distributed/distributed.cpp; recorded 5.23.1.

An agent that hears `error` holds its answers and sends them again with each poll, so an answer is refused for no reason
that lies in it: what of it cannot be understood is left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from app.osquery.protocol import UnreadableBody, mend
from app.osquery.results import clean

NO_QUERIES = b'{"queries":{}}'

ROWS_MAX = 1_000
BYTES_MAX = 256 * 1024  #: of the rows of one answer, as JSON
COLUMNS_MAX = 64
NAME_MAX = 100
MESSAGE_MAX = 1_000
IDS_MAX = 256  #: queries of one request that are looked at
_STATS = ("wall_time_ms", "user_time", "system_time", "memory")
_LARGEST = 2**53
FAILED = 1


@dataclass(frozen=True, slots=True)
class Answer:
    """`rows_total` counts what the node sent; `rows` are the first of them that fit."""

    status: int
    message: str
    rows: list[dict[str, str]]
    rows_total: int
    stats: dict[str, int]


class _Request(msgspec.Struct):
    node_key: str = ""
    queries: msgspec.Raw = msgspec.Raw(b"{}")
    statuses: msgspec.Raw = msgspec.Raw(b"{}")
    messages: msgspec.Raw = msgspec.Raw(b"{}")
    stats: msgspec.Raw = msgspec.Raw(b"{}")


_REQUEST = msgspec.json.Decoder(_Request)
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ROWS = msgspec.json.Decoder(list[msgspec.Raw])
_NOTHING = msgspec.Raw(b"null")
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Answers:
    """What an agent posts to the write endpoint; each answer is read when it is asked for."""

    def __init__(self, request: _Request) -> None:
        self.node_key = request.node_key
        self._queries = _members(request.queries)
        self._statuses = _members(request.statuses)
        self._messages = _members(request.messages)
        self._stats = _members(request.stats)

    @property
    def ids(self) -> list[str]:
        return list(dict.fromkeys([*self._queries, *self._statuses]))[:IDS_MAX]

    def answer(self, query_id: str) -> Answer:
        """Never raises: a status that is none is an error, a row that is none is left out."""
        status = _value(self._statuses.get(query_id, _NOTHING))
        message = _value(self._messages.get(query_id, _NOTHING))
        rows, total = _rows(self._queries.get(query_id, _NOTHING))
        known = isinstance(status, int) and 0 <= status <= 2**31 - 1
        return Answer(
            status=int(status) if known else FAILED,
            message=_text(message)[:MESSAGE_MAX] if known else "the node gave no status",
            rows=rows,
            rows_total=total,
            stats=_numbers(_value(self._stats.get(query_id, _NOTHING))),
        )


def decode_answers(body: bytes) -> Answers:
    """Raises: UnreadableBody when it is no JSON object at all."""
    try:
        return Answers(_REQUEST.decode(mend(body)))
    except _UNREADABLE as error:
        raise UnreadableBody(f"no answers to queries: {error}") from error


def queries_document(statements: Mapping[str, str]) -> bytes:
    """Query id → statement. Both must be texts that are not empty: the agent drops what comes after one that is not."""
    return msgspec.json.encode({"queries": statements})


def _members(raw: msgspec.Raw) -> dict[str, msgspec.Raw]:
    try:
        return _MEMBERS.decode(raw)
    except _UNREADABLE:
        return {}


def _value(raw: msgspec.Raw) -> Any:
    try:
        return msgspec.json.decode(raw)
    except _UNREADABLE:
        return None


def _rows(raw: msgspec.Raw) -> tuple[list[dict[str, str]], int]:
    try:
        sent = _ROWS.decode(raw)
    except _UNREADABLE:  # also the empty text that old agents write for an empty list
        return [], 0
    kept, free = [], BYTES_MAX
    for each in sent[:ROWS_MAX]:
        row = _row(_value(each))
        free -= len(msgspec.json.encode(row))
        if free < 0:
            break
        if row:
            kept.append(row)
    return kept, len(sent)


def _row(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    return {clean(name)[:NAME_MAX]: _text(value[name]) for name in list(value)[:COLUMNS_MAX]}


def _text(value: Any) -> str:
    if isinstance(value, str):
        return clean(value)
    return str(value) if isinstance(value, int | float) else ""


def _numbers(value: Any) -> dict[str, int]:
    said = value if isinstance(value, dict) else {}
    return {name: said[name] for name in _STATS if isinstance(said.get(name), int) and 0 <= said[name] <= _LARGEST}
