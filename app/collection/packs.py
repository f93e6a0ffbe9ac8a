"""Packs on disk: a folder per pack with a `pack.toml`, one commented `.sql` per query and example rows beside it."""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from app.collection.header import Header, PackError, read_header, read_lines
from app.osquery.configuration import PackDocument, QueryDocument

#: The packs of the checkout; Portbook is installed in editable mode.
PACKS_DIR = Path(__file__).parents[2] / "packs"
PACK_FILE = "pack.toml"
ANY_PLATFORM = "any"
#: osquery's words, as `platform` in a configuration understands them.
PLATFORMS = ("windows", "darwin", ANY_PLATFORM)

_LITERAL = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"")
_PACK_FIELDS = frozenset({"purpose", "platform", "version"})
_VERSION = re.compile(r"\d+\.\d+\.\d+")


class Mode(StrEnum):
    DIFFERENTIAL = "differential"
    SNAPSHOT = "snapshot"
    EVENT = "event"


@dataclass(frozen=True, slots=True)
class Query:
    """`body` is the SQL without comments, with the line number in the file that each piece stands on."""

    pack: str
    name: str
    path: Path
    title: str
    interval_seconds: int
    mode: Mode
    platform: str
    version: str
    removed: bool
    denylist: bool
    startup_priority: int | None
    needs: str
    noise: str
    references: str
    body: tuple[tuple[int, str], ...]
    header_lines: dict[str, int] = field(compare=False, repr=False)

    @property
    def result_name(self) -> str:
        """The `name` of its result lines when `pack_delimiter` is `/`."""
        return f"pack/{self.pack}/{self.name}"

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

    def document(self) -> QueryDocument:
        return QueryDocument(
            name=self.name,
            statement=self.statement,
            interval_seconds=self.interval_seconds,
            snapshot=self.mode is Mode.SNAPSHOT,
            removed=self.removed,
            platform=self.platform,
            version=self.version,
            denylist=self.denylist,
            startup_priority=self.startup_priority,
        )


@dataclass(frozen=True, slots=True)
class Pack:
    name: str
    path: Path
    purpose: str
    platform: str
    version: str
    queries: tuple[Query, ...]

    def document(self) -> PackDocument:
        queries = tuple(query.document() for query in self.queries)
        return PackDocument(name=self.name, platform=self.platform, version=self.version, queries=queries)

    def serves(self, platform: str) -> bool:
        return self.platform in (platform, ANY_PLATFORM)


def load_packs(root: Path = PACKS_DIR) -> tuple[Pack, ...]:
    """All packs under `root`, by name, and their queries by name.

    Raises:
        PackError: the first thing that cannot be read, with its file and line.
    """
    return tuple(load_pack(folder) for folder in pack_folders(root))


def pack_folders(root: Path) -> list[Path]:
    if not root.is_dir():
        raise PackError(root, 1, "there is no such folder of packs")
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def load_pack(folder: Path) -> Pack:
    manifest = load_manifest(folder / PACK_FILE)
    return Pack(
        name=folder.name,
        path=folder / PACK_FILE,
        purpose=manifest["purpose"],
        platform=manifest["platform"],
        version=manifest["version"],
        queries=tuple(load_query(path) for path in query_files(folder)),
    )


def query_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.sql"))


def load_manifest(path: Path) -> dict[str, str]:
    """The three fields of a `pack.toml`."""
    lines = read_lines(path)
    try:
        values = tomllib.loads("\n".join(lines))
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"at line (\d+)", str(error))
        raise PackError(path, int(found[1]) if found else len(lines), f"not TOML: {error}") from error
    for name in sorted(_PACK_FIELDS ^ values.keys()):
        problem = "is not a field of a pack" if name in values else "is missing"
        raise PackError(path, _line_of_field(lines, name), f"`{name}` {problem}")
    _check_manifest(path, lines, values)
    return {name: str(value) for name, value in values.items()}


def _check_manifest(path: Path, lines: list[str], values: dict[str, object]) -> None:
    for name, value in values.items():
        if not isinstance(value, str) or not value:
            raise PackError(path, _line_of_field(lines, name), f"`{name}` must be a text")
    if values["platform"] not in PLATFORMS:
        raise PackError(path, _line_of_field(lines, "platform"), f"platform must be one of {', '.join(PLATFORMS)}")
    if not _VERSION.fullmatch(str(values["version"])):
        raise PackError(path, _line_of_field(lines, "version"), "version must be like 5.15.0")


def _line_of_field(lines: list[str], name: str) -> int:
    pattern = re.compile(rf"\s*{re.escape(name)}\s*=")
    return next((number for number, text in enumerate(lines, start=1) if pattern.match(text)), 1)


def load_query(path: Path) -> Query:
    lines = read_lines(path)
    header = read_header(path, lines)
    return Query(
        pack=path.parent.name,
        name=path.stem,
        path=path,
        title=header.text("title"),
        interval_seconds=header.number("interval"),
        mode=Mode(header.one_of("mode", tuple(Mode))),
        platform=header.one_of("platform", PLATFORMS),
        version=header.matching("version", _VERSION, "5.15.0"),
        removed=header.flag("removed"),
        denylist=header.flag("denylist"),
        startup_priority=header.number("startup_priority") if "startup_priority" in header.values else None,
        needs=header.text("needs"),
        noise=header.text("noise"),
        references=header.text("references"),
        body=_statement_lines(header, lines),
        header_lines={name: line for name, (line, _) in header.values.items()},
    )


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
