"""What every query file has, whoever asks it: the facts of its header, and one statement."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.collection.header import Header, PackError

ANY_PLATFORM = "any"
#: osquery's words, as `platform` in a configuration understands them.
PLATFORMS = ("windows", "darwin", ANY_PLATFORM)
VERSION = re.compile(r"\d+\.\d+\.\d+")

_LITERAL = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"")


@dataclass(frozen=True, slots=True)
class SqlFile:
    """`body` is the SQL without comments, with the line number in the file that each piece stands on."""

    pack: str
    name: str
    path: Path
    title: str
    platform: str
    version: str
    needs: str
    noise: str
    references: str
    body: tuple[tuple[int, str], ...]
    header_lines: dict[str, int] = field(compare=False, repr=False)

    @property
    def statement(self) -> str:
        """The SQL on one line; literals stay whole because none may run over a line's end."""
        return " ".join(text for _, text in self.body)

    @property
    def examples_path(self) -> Path:
        return self.path.with_suffix(".examples.jsonl")

    def masked(self) -> Iterator[tuple[int, str]]:
        """The lines of `body` with every literal emptied, for rules that look at words and signs."""
        return ((number, mask_literals(text)) for number, text in self.body)

    def serves(self, platform: str) -> bool:
        return self.platform in (platform, ANY_PLATFORM)


def facts_of(header: Header, lines: list[str]) -> dict[str, Any]:
    """The fields of `SqlFile`. Raises: PackError."""
    path = header.path
    return {
        "pack": path.parent.name,
        "name": path.stem,
        "path": path,
        "title": header.text("title"),
        "platform": header.one_of("platform", PLATFORMS),
        "version": header.matching("version", VERSION, "5.15.0"),
        "needs": header.text("needs"),
        "noise": header.text("noise"),
        "references": header.text("references"),
        "body": _statement_lines(header, lines),
        "header_lines": {name: line for name, (line, _) in header.values.items()},
    }


def _statement_lines(header: Header, lines: list[str]) -> tuple[tuple[int, str], ...]:
    numbered = [(number, text.strip()) for number, text in enumerate(lines, start=1)]
    body = tuple((number, text) for number, text in numbered if text and not text.startswith("--"))
    if not body:
        raise PackError(header.path, len(lines) or 1, "there is no statement below the header")
    for number, text in body:
        _refuse_unjoinable(header.path, number, text)
    return body


def _refuse_unjoinable(path: Path, number: int, text: str) -> None:
    """A statement is sent as one line: nothing may stand on a line that would swallow or split what follows."""
    masked = mask_literals(text)
    if "'" in masked.replace("''", "") or '"' in masked.replace('""', ""):
        raise PackError(path, number, "a quoted text must end on the line that it begins on")
    if "--" in masked or "/*" in masked or "*/" in masked:
        raise PackError(path, number, "a comment must have a line of its own, begun with `--`")


def mask_literals(text: str) -> str:
    return _LITERAL.sub(lambda found: found[0][0] * 2, text)
