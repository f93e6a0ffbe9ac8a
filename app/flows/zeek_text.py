"""Zeek's own text format: a header that may come again in the middle of a stream, then lines of columns.

Source: the ASCII writer, src/logging/writers/ascii/Ascii.cc.
"""

import re
from operator import itemgetter

from app.flows.fields import BadField
from app.flows.zeek import FIELDS, Values, log_of

_ESCAPED = re.compile(r"\\x([0-9a-fA-F]{2})")
_SETS = ("set[", "vector[")
MOST_COLUMNS = 1000


class ZeekText:
    """What the header said that was read last."""

    def __init__(self) -> None:
        self.log = ""  #: of the lines that follow, e.g. conn; empty before a header
        self._start("\t")

    def _start(self, separator: str) -> None:
        self._separator = separator
        self._set_separator, self._unset, self._empty = ",", "-", "(empty)"
        self._path = ""
        self._names: tuple[str, ...] = ()
        self._types: tuple[str, ...] = ()

    def head(self, line: str) -> None:
        """Take in a line that starts with `#`. Raises: BadField."""
        if line.startswith("#separator"):
            separator = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), line[len("#separator") :].strip(" "))
            if len(separator) != 1:
                raise BadField("#separator", "not one character", separator)
            self._start(separator)
            return
        name, _, value = line.partition(self._separator)
        if name == "#path":
            self._path = value
        elif name == "#set_separator":
            self._set_separator = value or ","
        elif name == "#unset_field":
            self._unset = value
        elif name == "#empty_field":
            self._empty = value
        elif name in {"#fields", "#types"}:
            self._columns(name, tuple(value.split(self._separator)))

    def _columns(self, name: str, columns: tuple[str, ...]) -> None:
        if len(columns) > MOST_COLUMNS:
            raise BadField(name, "too many columns", len(columns))
        if name == "#fields":
            self._names, self._types = columns, ()
        else:
            self._types = columns
        self.log = self._path or log_of(self._names) or "unnamed"
        if self.log in FIELDS:
            self._find(FIELDS[self.log])

    def _find(self, wanted: tuple[str, ...]) -> None:
        """Where each wanted field stands; one that this log has not stands in a column added after the last."""
        places = {name: place for place, name in enumerate(self._names)}
        absent = len(self._names)
        self._pick = itemgetter(*(places.get(name, absent) for name in wanted))
        kinds = dict(zip(self._names, self._types, strict=False))
        self._sets = [place for place, name in enumerate(wanted) if kinds.get(name, "").startswith(_SETS)]
        self._wanted = wanted

    def values(self, line: bytes) -> Values:
        """Of a line of one of our logs. Raises: BadField."""
        try:
            columns = line.decode().split(self._separator)
        except UnicodeDecodeError:
            columns = line.decode("utf-8", "surrogateescape").split(self._separator)
        if len(columns) != len(self._names):
            raise BadField("", f"not {len(self._names)} columns: the line was cut or run together", len(columns))
        columns.append(self._unset)
        picked = self._pick(columns)
        if not line.isascii():
            self._check(picked)
        return self._typed(picked)

    def _typed(self, picked: tuple[str, ...]) -> Values:
        unset, empty = self._unset, self._empty
        values: list[object] = [None if text == unset else "" if text == empty else text for text in picked]
        for place in self._sets:
            text = values[place]
            values[place] = text.split(self._set_separator) if isinstance(text, str) and text else None
        return values

    def _check(self, picked: tuple[str, ...]) -> None:
        """Bytes that are no UTF-8 spoil a line only where they stand in a field that is kept."""
        for name, text in zip(self._wanted, picked, strict=True):
            if any("\udc80" <= character <= "\udcff" for character in text):
                raise BadField(name, "not UTF-8", text)
