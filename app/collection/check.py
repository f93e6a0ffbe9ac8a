"""Checks packs before an agent sees them: what would fail, cost or say nothing there is a fault here."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from app.collection import packs as shelf
from app.collection.header import PackError, read_lines
from app.collection.packs import PACKS_DIR, Pack, Query
from app.collection.rules import Complaint, header_complaints, system_complaints, systems_of, text_complaints
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
                faults.extend(_query_faults(pack, query, agents))
    faults.extend(_size_faults(root, packs))
    return tuple(sorted(set(faults)))


def _readable(root: Path, faults: list[Fault]) -> list[Pack]:
    """Reads each file on its own, so that one broken file does not hide the faults of another."""
    try:
        folders = shelf.pack_folders(root)
    except PackError as error:
        faults.append(_fault(error))
        return []
    return [pack for folder in folders if (pack := _readable_pack(folder, faults))]


def _readable_pack(folder: Path, faults: list[Fault]) -> Pack | None:
    queries: list[Query] = []
    for path in shelf.query_files(folder):
        try:
            queries.append(shelf.load_query(path))
        except PackError as error:
            faults.append(_fault(error))
    manifest = folder / shelf.PACK_FILE
    try:
        fields = shelf.load_manifest(manifest)
    except PackError as error:
        faults.append(_fault(error))
        return None
    if not queries:
        faults.append(Fault(manifest, 1, "the pack has no query that can be read"))
    return Pack(folder.name, manifest, fields["purpose"], fields["platform"], fields["version"], tuple(queries))


def _fault(error: PackError) -> Fault:
    return Fault(error.path, error.line, error.message)


def _query_faults(pack: Pack, query: Query, agents: Mapping[str, EmptyAgent]) -> Iterator[Fault]:
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


def _stray_files(pack: Pack) -> Iterator[Fault]:
    folder = pack.path.parent
    known = {pack.path, *shelf.query_files(folder)}
    known |= {path.with_suffix(".examples.jsonl") for path in shelf.query_files(folder)}
    for path in sorted(folder.iterdir()):
        if path not in known:
            yield Fault(path, 1, "nothing in the pack belongs to this file")


def _size_faults(root: Path, packs: list[Pack]) -> Iterator[Fault]:
    for system in SYSTEMS:
        try:
            configuration([pack.document() for pack in packs if pack.serves(system)], epoch=0)
        except ValueError as error:
            yield Fault(root, 1, f"for {system}: {error}")
