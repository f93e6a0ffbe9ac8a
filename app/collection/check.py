"""Checks packs before an agent sees them: what would fail, cost or say nothing there is a fault here."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from app.collection import packs as shelf
from app.collection.header import PackError, read_lines
from app.collection.packs import PACKS_DIR, Asked, Manifest, Pack, Query
from app.collection.questions import load_question
from app.collection.rules import Complaint, header_complaints, system_complaints, systems_of, text_complaints
from app.collection.sql_file import SqlFile
from app.collection.tables import SYSTEMS, EmptyAgent
from app.osquery.configuration import configuration

FEWEST_EXAMPLES, MOST_EXAMPLES = 2, 4


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    path: Path
    line: int
    message: str

    @property
    def text(self) -> str:
        """As compilers say it, so that editors can jump there."""
        return f"{self.path}:{self.line}: {self.message}"


def check_packs(root: Path = PACKS_DIR) -> tuple[Fault, ...]:
    """Everything that is wrong under `root`, by file and line; empty when the packs may be served."""
    faults: list[Fault] = []
    packs = _readable(root, faults)
    with ExitStack() as stack:
        agents = {system: stack.enter_context(EmptyAgent(system)) for system in SYSTEMS}
        for pack in packs:
            faults.extend(_stray_files(pack))
            for query in pack.queries:
                faults.extend(_query_faults(pack.manifest, query, agents))
    faults.extend(_size_faults(root, packs))
    return tuple(sorted(set(faults)))


@dataclass(frozen=True, slots=True)
class _Read:
    """A pack of either kind, as far as it could be read."""

    manifest: Manifest
    queries: tuple[SqlFile, ...]


def _readable(root: Path, faults: list[Fault]) -> list[_Read]:
    """Reads each file on its own, so that one broken file does not hide the faults of another."""
    try:
        folders = shelf.pack_folders(root)
    except PackError as error:
        faults.append(_fault(error))
        return []
    return [pack for folder in folders if (pack := _readable_pack(folder, faults))]


def _readable_pack(folder: Path, faults: list[Fault]) -> _Read | None:
    """Where it cannot be known how a pack is asked, its queries are read as scheduled ones, like most."""
    manifest: Manifest | None = None
    try:
        manifest = shelf.load_manifest(folder / shelf.PACK_FILE)
    except PackError as error:
        faults.append(_fault(error))
    queries: list[SqlFile] = []
    load = load_question if manifest and manifest.asked is Asked.DISTRIBUTED else shelf.load_query
    for path in shelf.query_files(folder):
        try:
            queries.append(load(path))
        except PackError as error:
            faults.append(_fault(error))
    if manifest is None:
        return None
    if not queries:
        faults.append(Fault(manifest.path, 1, "the pack has no query that can be read"))
    return _Read(manifest, tuple(queries))


def _fault(error: PackError) -> Fault:
    return Fault(error.path, error.line, error.message)


def _query_faults(pack: Manifest, query: SqlFile, agents: Mapping[str, EmptyAgent]) -> Iterator[Fault]:
    complaints = [*header_complaints(pack, query), *text_complaints(query)]
    if not complaints:
        for system in systems_of(query):
            complaints.extend(system_complaints(query, agents[system], system))
    yield from (Fault(query.path, line, message) for line, message in complaints)
    if not complaints:
        columns = agents[systems_of(query)[0]].prepare(query.statement).columns
        for line, message in _example_complaints(query.examples_path, frozenset(columns)):
            yield Fault(query.examples_path, line, message)


def _example_complaints(path: Path, columns: frozenset[str]) -> Iterator[Complaint]:
    try:
        lines = [line for line in read_lines(path) if line]
    except PackError as error:
        yield error.line, error.message
        return
    if not FEWEST_EXAMPLES <= len(lines) <= MOST_EXAMPLES:
        yield 1, f"{FEWEST_EXAMPLES} to {MOST_EXAMPLES} example rows are wanted, here are {len(lines)}"
    for number, text in enumerate(lines, start=1):
        yield from ((number, message) for message in _row_complaints(text, columns))


def _row_complaints(text: str, columns: frozenset[str]) -> Iterator[str]:
    try:
        row = json.loads(text)
    except ValueError as error:
        yield f"not JSON: {error}"
        return
    if not isinstance(row, dict):
        yield "an example row is a JSON object"
        return
    yield from (f"the example lacks the column {name}" for name in sorted(columns - row.keys()))
    yield from (f"{name} is not a column of the query" for name in sorted(row.keys() - columns))
    yield from (f"{name} must be a string, as osquery sends it" for name, v in row.items() if not isinstance(v, str))


def _stray_files(pack: _Read) -> Iterator[Fault]:
    folder = pack.manifest.path.parent
    known = {pack.manifest.path, *shelf.query_files(folder)}
    known |= {path.with_suffix(".examples.jsonl") for path in shelf.query_files(folder)}
    for path in sorted(folder.iterdir()):
        if path not in known:
            yield Fault(path, 1, "nothing in the pack belongs to this file")


def _size_faults(root: Path, read: list[_Read]) -> Iterator[Fault]:
    packs = [_served(each) for each in read]
    for system in SYSTEMS:
        try:
            configuration([pack.document() for pack in packs if pack.serves(system)], epoch=0)
        except ValueError as error:
            yield Fault(root, 1, f"for {system}: {error}")


def _served(read: _Read) -> Pack:
    """What of it stands in a configuration: of a pack that is asked when somebody investigates, nothing."""
    said, queries = read.manifest, tuple(each for each in read.queries if isinstance(each, Query))
    return Pack(said.path.parent.name, said.path, said.purpose, said.platform, said.version, queries)
