"""What a row of osquery's windows_events says in its `data` column: JSON with the event's named fields.

Source: osquery/tables/events/windows/windows_events.cpp, which writes `{"EventData": {name: text}}`.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from app.detection.columns import RejectedRow, text

#: Characters of `data`; Windows itself keeps an event below 64 KiB.
LONGEST_DATA = 131_072
_LONGEST_NUMBER = 12
_LONGEST_TIME = 40
_NOTHING_SAID = frozenset({"-", "<unknown process>"})
_EARLIEST, _LATEST = 0.0, 2.0**33

_JSON = msgspec.json.Decoder()


class EventData:
    """The named fields of one event; names are found whatever their case, for Windows is not of one mind there."""

    def __init__(self, fields: Mapping[str, object]) -> None:
        self.columns = {name.lower(): value for name, value in fields.items()}

    def said(self, name: str) -> str:
        """A field as clean text; empty when it is absent, no text, or one of the ways to say nothing."""
        value = text(self.columns, name.lower())
        return "" if value in _NOTHING_SAID else value

    def time(self, row: Mapping[str, object]) -> float | None:
        """When it happened, in unix seconds: Sysmon says so itself, for others the row does."""
        stamps = (self.said("UtcTime"), text(row, "datetime"), text(row, "time"))
        return next((at for stamp in stamps if (at := instant(stamp)) is not None), None)


def event_data(row: Mapping[str, object]) -> EventData:
    """The fields below `EventData`, or at the top where a forwarder has unwrapped them.

    Raises:
        RejectedRow: `event_unreadable`.
    """
    data = row.get("data")
    if not isinstance(data, str) or len(data) > LONGEST_DATA:
        raise RejectedRow("event_unreadable", "data")
    try:
        document: Any = _JSON.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise RejectedRow("event_unreadable", "data") from None
    fields = document.get("EventData", document) if isinstance(document, dict) else None
    if not isinstance(fields, dict):
        raise RejectedRow("event_unreadable", "data")
    return EventData(fields)


def process_id(said: str) -> int | None:
    """A process id, decimal or like `0x1a4`; None for what is none. 0 is the idle process, which starts nothing."""
    if len(said) > _LONGEST_NUMBER or not (said.isascii() and said.isalnum()):
        return None
    try:
        value = int(said, 16 if said[:2].lower() == "0x" else 10)
    except ValueError:
        return None
    return value if 0 < value < 2**32 else None


def instant(said: str) -> float | None:
    """Unix seconds of `2020-09-01 12:00:00.123`, which is UTC, of an ISO time with a zone, or of seconds as text."""
    if not said or len(said) > _LONGEST_TIME or not said.isascii():
        return None
    try:
        at = float(said) if said.replace(".", "", 1).isdecimal() else _iso(said)
    except (ValueError, OverflowError):
        return None
    return at if _EARLIEST < at < _LATEST else None


def _iso(said: str) -> float:
    parsed = datetime.fromisoformat(said)
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
