"""Reads the columns of one result row: text that may be numbers, numbers that may be text, and `""` for NULL."""

from collections.abc import Mapping

from app.detection.paths import visible

LONGEST_TEXT = 4096  #: characters of one column that the core looks at
_LONGEST_NUMBER = 10
LAST_PORT = 65535


class RejectedRow(Exception):
    """A row that cannot be understood. `reason` is stable, e.g. `port_out_of_range`; `column` says where."""

    def __init__(self, reason: str, column: str = "") -> None:
        super().__init__(f"{reason}: {column}" if column else reason)
        self.reason = reason
        self.column = column


def text(columns: Mapping[str, object], name: str) -> str:
    """A column as clean text; what is absent, NULL or no text at all is empty."""
    value = columns.get(name)
    if isinstance(value, str):
        return visible(value[:LONGEST_TEXT]).strip()
    return str(value) if isinstance(value, int | float) else ""


def number(columns: Mapping[str, object], name: str) -> int:
    """A column as a whole number.

    Raises:
        RejectedRow: `missing_column` or `not_a_number`.
    """
    if name not in columns:
        raise RejectedRow("missing_column", name)
    value = columns[name]
    if isinstance(value, int):
        return int(value)
    digits = value.strip() if isinstance(value, str) else ""
    if len(digits) > _LONGEST_NUMBER or not digits.removeprefix("-").isdecimal() or not digits.isascii():
        raise RejectedRow("not_a_number", name)
    return int(digits)


def port(columns: Mapping[str, object], name: str) -> int:
    """A port, 0 to 65535.

    Raises:
        RejectedRow: `port_out_of_range`, or as `number`.
    """
    value = number(columns, name)
    if not 0 <= value <= LAST_PORT:
        raise RejectedRow("port_out_of_range", name)
    return value
