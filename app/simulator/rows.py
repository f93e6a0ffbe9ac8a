"""Which module writes the rows of a platform, and what such a module must offer."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from app.simulator import darwin, windows
from app.simulator.lines import Columns
from app.simulator.nodes import Node
from app.simulator.processes import Bound, Day, Link, Process
from app.simulator.profiles import Signer


class Rows(Protocol):
    OUTBOUND: str
    LISTENING: str
    SIGNATURES: str
    INVENTORY: str

    def process_columns(self, process: Process) -> Columns: ...
    def outbound(self, link: Link) -> Columns: ...
    def listening(self, bound: Bound) -> Columns: ...
    def signatures(self, processes: Iterable[Process], *, day: Day) -> Iterator[Columns]: ...
    def signature(self, process: Process, signer: Signer | None, *, day: Day) -> Columns: ...
    def inventory(self, node: Node, processes: Iterable[Process]) -> Iterator[Columns]: ...
    def installation(self, node: Node, process: Process) -> Iterator[Columns]: ...
    def tables(self, node: Node, process: Process, *, day: Day) -> Iterator[tuple[str, Columns]]: ...
    def signer_named(self, key: str) -> Signer | None: ...


_ROWS: Mapping[str, Rows] = {"windows": windows, "darwin": darwin}


def rows_of(node: Node) -> Rows:
    return _ROWS[node.identity.platform]
