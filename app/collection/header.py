"""The header of a query file: strict `-- field: value` comments, each error with its file and line."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

#: Of every query, and of those that agents run by themselves.
REQUIRED = ("title", "platform", "version", "needs", "noise", "references")
SCHEDULED = ("interval", "mode", "removed", "denylist")

_FIELD = re.compile(r"-- ([a-z_]+):(?: (.*))?")
_CONTINUATION = re.compile(r"--   (\S.*)")
_NUMBER = re.compile(r"\d{1,9}")
_FLAGS = {"true": True, "false": False}


class PackError(ValueError):
    """A pack that cannot be read; the message begins with file and line."""

    def __init__(self, path: Path, line: int, message: str) -> None:
        super().__init__(f"{path}:{line}: {message}")
        self.path = path
        self.line = line
        self.message = message


@dataclass(frozen=True, slots=True)
class Header:
    """`values`: field → the line that it begins on, and its text."""

    path: Path
    values: Mapping[str, tuple[int, str]]

    def text(self, name: str) -> str:
        return self.values[name][1]

    def number(self, name: str) -> int:
        return int(self.matching(name, _NUMBER, "a whole number"))

    def flag(self, name: str) -> bool:
        return _FLAGS[self.one_of(name, tuple(_FLAGS))]

    def one_of(self, name: str, choices: Sequence[str]) -> str:
        line, text = self.values[name]
        if text not in choices:
            raise PackError(self.path, line, f"`{name}` must be one of {', '.join(choices)}, not {text!r}")
        return text

    def matching(self, name: str, pattern: re.Pattern[str], example: str) -> str:
        line, text = self.values[name]
        if not pattern.fullmatch(text):
            raise PackError(self.path, line, f"`{name}` must be like {example}, not {text!r}")
        return text


def read_lines(path: Path) -> list[str]:
    """The lines of a text file; control characters are refused, for agents and servers write them differently."""
    try:
        lines = path.read_text("utf-8").split("\n")
    except FileNotFoundError as error:
        raise PackError(path, 1, "the file is missing") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise PackError(path, line, "not UTF-8") from error
    for number, text in enumerate(lines, start=1):
        if not text.isprintable():
            raise PackError(path, number, "a tab or another control character")
    return lines


def read_header(path: Path, lines: Sequence[str], *, required: Sequence[str], optional: Sequence[str]) -> Header:
    values: dict[str, tuple[int, str]] = {}
    for number, name, text in _fields(path, lines):
        if name in values:
            raise PackError(path, number, f"`{name}` stands here twice")
        if name not in (*required, *optional):
            raise PackError(path, number, f"`{name}` is not a field of a query")
        if not text:
            raise PackError(path, number, f"`{name}` is empty")
        values[name] = (number, text)
    for name in required:
        if name not in values:
            raise PackError(path, 1, f"the header lacks `{name}`")
    return Header(path, values)


def _fields(path: Path, lines: Sequence[str]) -> Iterator[tuple[int, str, str]]:
    """Line, name and text of each field; a line indented by three spaces goes on with the field above it."""
    begun: tuple[int, str, str] | None = None
    for number, line in enumerate(lines, start=1):
        if not line.startswith("--"):
            break
        continued = _CONTINUATION.fullmatch(line)
        if continued and begun:
            begun = (begun[0], begun[1], f"{begun[2]} {continued[1].strip()}".strip())
            continue
        found = _FIELD.fullmatch(line)
        if not found:
            raise PackError(path, number, "a header line reads `-- field: value` or, going on, `--   more`")
        if begun:
            yield begun
        begun = (number, found[1], (found[2] or "").strip())
    if begun:
        yield begun
