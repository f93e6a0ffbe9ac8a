"""Packs on disk: a folder per pack with a `pack.toml`, one commented `.sql` per query and example rows beside it."""

import re
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from app.collection.header import REQUIRED, SCHEDULED, PackError, read_header, read_lines
from app.collection.sql_file import ANY_PLATFORM, PLATFORMS, VERSION, SqlFile, facts_of
from app.osquery.configuration import PackDocument, QueryDocument

__all__ = ["ANY_PLATFORM", "PACKS_DIR", "PLATFORMS", "Asked", "Manifest", "Mode", "Pack", "Query", "load_packs"]

#: The packs of the checkout; Portbook is installed in editable mode.
PACKS_DIR = Path(__file__).parents[2] / "packs"
PACK_FILE = "pack.toml"
_PACK_FIELDS = frozenset({"purpose", "asked", "platform", "version"})
_OPTIONAL = ("startup_priority",)


class Asked(StrEnum):
    """How agents come to run the queries of a pack."""

    SCHEDULED = "scheduled"  #: by themselves, as their configuration says
    DISTRIBUTED = "distributed"  #: when somebody investigates; never in a configuration or an export


class Mode(StrEnum):
    DIFFERENTIAL = "differential"
    SNAPSHOT = "snapshot"
    EVENT = "event"


@dataclass(frozen=True, slots=True)
class Query(SqlFile):
    """A query that agents run by themselves."""

    interval_seconds: int
    mode: Mode
    removed: bool
    denylist: bool
    startup_priority: int | None

    @property
    def result_name(self) -> str:
        """The `name` of its result lines when `pack_delimiter` is `/`."""
        return f"pack/{self.pack}/{self.name}"

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
class Manifest:
    """What a `pack.toml` says."""

    path: Path
    purpose: str
    asked: Asked
    platform: str
    version: str


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
    """The packs under `root` that agents run by themselves, by name, and their queries by name.

    Raises:
        PackError: the first thing that cannot be read, with its file and line.
    """
    manifests = [(folder, load_manifest(folder / PACK_FILE)) for folder in pack_folders(root)]
    return tuple(_pack(folder, manifest) for folder, manifest in manifests if manifest.asked is Asked.SCHEDULED)


def pack_folders(root: Path) -> list[Path]:
    if not root.is_dir():
        raise PackError(root, 1, "there is no such folder of packs")
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def _pack(folder: Path, manifest: Manifest) -> Pack:
    queries = tuple(load_query(path) for path in query_files(folder))
    return Pack(folder.name, manifest.path, manifest.purpose, manifest.platform, manifest.version, queries)


def query_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.sql"))


def load_manifest(path: Path) -> Manifest:
    """Raises: PackError."""
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
    return Manifest(path, values["purpose"], Asked(values["asked"]), values["platform"], values["version"])


def _check_manifest(path: Path, lines: list[str], values: dict[str, object]) -> None:
    for name, value in values.items():
        if not isinstance(value, str) or not value:
            raise PackError(path, _line_of_field(lines, name), f"`{name}` must be a text")
    for name, choices in (("platform", PLATFORMS), ("asked", tuple(Asked))):
        if values[name] not in choices:
            raise PackError(path, _line_of_field(lines, name), f"{name} must be one of {', '.join(choices)}")
    if not VERSION.fullmatch(str(values["version"])):
        raise PackError(path, _line_of_field(lines, "version"), "version must be like 5.15.0")


def _line_of_field(lines: list[str], name: str) -> int:
    pattern = re.compile(rf"\s*{re.escape(name)}\s*=")
    return next((number for number, text in enumerate(lines, start=1) if pattern.match(text)), 1)


def load_query(path: Path) -> Query:
    """Raises: PackError."""
    lines = read_lines(path)
    header = read_header(path, lines, required=(*REQUIRED, *SCHEDULED), optional=_OPTIONAL)
    return Query(
        **facts_of(header, lines),
        interval_seconds=header.number("interval"),
        mode=Mode(header.one_of("mode", tuple(Mode))),
        removed=header.flag("removed"),
        denylist=header.flag("denylist"),
        startup_priority=header.number("startup_priority") if "startup_priority" in header.values else None,
    )
