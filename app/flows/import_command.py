"""The command `portbook flows import`: what it reads, prints and returns."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from app.clock import utc_now
from app.database import Database
from app.flows.files import LogFile, Progress, log_files, read_file
from app.flows.keeping import Days, Keeper, Kept, make_days
from app.flows.lines import UnreadableStream
from app.flows.reading import Account, Fault, FlowReader, NotAFlowLog
from app.flows.records import Tool

LINES_SKIPPED, UNREADABLE = 1, 2
SHOWN_MAX = 20


@dataclass(frozen=True, slots=True)
class Import:
    """What to read and under which name."""

    paths: Sequence[Path]
    sensor: str
    tool: Tool | None
    retention_days: int


@dataclass(frozen=True, slots=True)
class Unread:
    file: str
    problem: str
    is_named: bool


@dataclass(slots=True)
class Summary:
    """What became of all files together."""

    files: int = 0  #: read to their end
    lines: int = 0
    kept: Kept = field(default_factory=Kept)
    logs: dict[str, int] = field(default_factory=dict)
    ignored: dict[str, int] = field(default_factory=dict)
    faults: dict[tuple[str, str], tuple[str, Fault]] = field(default_factory=dict)  #: with the first file
    unread: list[Unread] = field(default_factory=list)

    def add(self, path: Path, account: Account, problem: Unread | None) -> None:
        self.files += problem is None
        self.unread += [problem] if problem else []
        self.lines += account.lines
        for mine, theirs in ((self.logs, account.logs), (self.ignored, account.ignored)):
            for name, lines in theirs.items():
                mine[name] = mine.get(name, 0) + lines
        for reason, fault in account.faults.items():
            if reason in self.faults:
                self.faults[reason][1].lines += fault.lines
            else:
                self.faults[reason] = (str(path), fault)

    @property
    def exit_code(self) -> int:
        if any(each.is_named for each in self.unread):
            return UNREADABLE
        return LINES_SKIPPED if self.faults else 0

    def document(self) -> dict[str, Any]:
        """As `--json` prints it."""
        faults = [{"file": file, **asdict(fault)} for file, fault in self.faults.values()]
        flows = asdict(self.kept)
        unread = [{"file": each.file, "problem": each.problem} for each in self.unread]
        return {
            "files": self.files, "lines": self.lines, "flows": flows, "logs": self.logs, "ignored": self.ignored,
            "skipped": sum(fault["lines"] for fault in faults), "faults": faults, "unread": unread,
        }  # fmt: skip


async def import_flows(database: Database, wanted: Import, *, quiet: bool) -> Summary:
    """A file that cannot be read does not stop the others; what was read of it is kept."""
    now = utc_now()
    days = Days.now(now, wanted.retention_days)
    await make_days(database, days)
    keeper = Keeper(database, wanted.sensor, days, now=now)
    summary = Summary(kept=keeper.kept)
    files = list(log_files(wanted.paths))
    with _progress(files, quiet=quiet) as progress:
        for file in files:
            reader = FlowReader(wanted.sensor, tool=wanted.tool, span=days.span)
            problem = await _take(file, reader, keeper, progress)
            summary.add(file.path, reader.account, problem)
        await keeper.commit()
    return summary


async def _take(file: LogFile, reader: FlowReader, keeper: Keeper, progress: Progress) -> Unread | None:
    try:
        for parts in read_file(file.path, reader, progress):
            await keeper.add(parts, reader.account.logs)
    except NotAFlowLog as strange:
        reader.account = Account()
        return Unread(str(file.path), str(strange), file.is_named)
    except UnreadableStream as broken:
        return Unread(str(file.path), f"after line {reader.line}: {broken}", is_named=True)
    except OSError as error:
        return Unread(str(file.path), error.strerror or str(error), is_named=True)
    return None


def show(console: Console, errors: Console, summary: Summary, *, as_json: bool) -> int:
    """Returns the exit code: 0, 1 when lines were skipped, 2 when a file was no flow log or could not be read."""
    if as_json:
        sys.stdout.write(json.dumps(summary.document()) + "\n")
        return summary.exit_code
    console.print(_totals(summary))
    if summary.faults:
        console.print(_faults(summary.faults.values()))
    _say_unread(errors, summary.unread)
    return summary.exit_code


def _totals(summary: Summary) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(justify="right", style="bold")
    table.add_column()
    table.add_row(f"{summary.files:,}", "files read")
    table.add_row(f"{summary.lines:,}", "lines")
    kept = summary.kept
    table.add_row(f"{kept.new:,}", "new flows", style="green" if kept.new else "")
    table.add_row(f"{kept.changed:,}", "flows of which more is known now")
    table.add_row(f"{kept.same:,}", "flows of which everything was known")
    for name, lines in sorted(summary.logs.items()):
        table.add_row(f"{lines:,}", Text(f"lines of {name}", style="dim"))
    for name, lines in sorted(summary.ignored.items()):
        table.add_row(f"{lines:,}", Text(f"lines not read: {name}", style="dim"))
    return table


def _faults(faults: Iterable[tuple[str, Fault]]) -> Table:
    heaviest = sorted(faults, key=lambda each: -each[1].lines)
    table = Table(title="Skipped", title_justify="left")
    table.add_column("lines", justify="right")
    for name in ("skipped because", "field", "first in", "there stood"):
        table.add_column(name, overflow="fold")
    for file, fault in heaviest[:SHOWN_MAX]:
        where = Text(f"{file}:{fault.first_line}")
        table.add_row(f"{fault.lines:,}", fault.problem, Text(fault.field), where, Text(fault.sample))
    if len(heaviest) > SHOWN_MAX:
        table.caption = f"and {len(heaviest) - SHOWN_MAX} reasons more; --json has all"
    return table


def _say_unread(errors: Console, unread: Sequence[Unread]) -> None:
    for each in unread[:SHOWN_MAX]:
        errors.print(Text(f"{each.file}: {each.problem}", style="red" if each.is_named else "dim"), soft_wrap=True)
    if len(unread) > SHOWN_MAX:
        errors.print(f"{len(unread) - SHOWN_MAX} files more could not be read", style="dim")


@contextmanager
def _progress(files: Sequence[LogFile], *, quiet: bool) -> Iterator[Progress]:
    """A bar on a terminal, by the bytes of the files as they lie on disk."""
    if quiet or not sys.stderr.isatty():
        yield lambda _size: None
        return
    sizes = [file.path.stat().st_size for file in files if file.path.is_file()]
    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Reading", total=sum(sizes) if len(sizes) == len(files) else None)
        yield lambda size: bar.advance(task, size)
