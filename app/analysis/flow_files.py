"""Flow logs for a replay: each path is one sensor's, and bears its name."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.analysis.captures import BadInput, Progress
from app.flows.files import log_files, read_file
from app.flows.lines import UnreadableStream
from app.flows.merging import TooManyFlows, merged
from app.flows.reading import FlowReader, NotAFlowLog
from app.flows.records import FlowRecord


@dataclass(frozen=True, slots=True)
class FlowFiles:
    flows: tuple[FlowRecord, ...] = ()
    faults: tuple[str, ...] = ()  #: lines left out, by reason, with the first place of each


def flows_in(paths: Sequence[Path], progress: Progress | None = None) -> FlowFiles:
    """The flows of all logs; lines of one flow in several logs are one record.

    Raises:
        BadInput: a file that cannot be read, a named one that is no flow log, or more flows than memory shall hold.
    """
    faults: list[str] = []
    try:
        return FlowFiles(tuple(merged(_parts(paths, faults, progress))), tuple(faults))
    except TooManyFlows as problem:
        raise BadInput(paths[0], 0, problem) from None


def size_of(paths: Sequence[Path]) -> int:
    return sum(each.path.stat().st_size for each in log_files(paths) if each.path.is_file())


def _parts(paths: Sequence[Path], faults: list[str], progress: Progress | None) -> Iterator[FlowRecord]:
    for path in paths:
        for file in log_files([path]):
            reader = FlowReader(_sensor(path))
            try:
                for parts in read_file(file.path, reader, progress):
                    yield from parts
            except NotAFlowLog as problem:
                if file.is_named:
                    raise BadInput(file.path, 0, problem) from None
            except UnreadableStream as problem:
                raise BadInput(file.path, reader.line, problem) from None
            except OSError as problem:
                raise BadInput(file.path, 0, problem.strerror) from None
            faults += _faults(file.path, reader)


def _faults(path: Path, reader: FlowReader) -> Iterator[str]:
    for fault in reader.account.faults.values():
        what = f"{fault.field}: {fault.problem}" if fault.field else fault.problem
        lines = "1 flow log line" if fault.lines == 1 else f"{fault.lines:,} flow log lines"
        yield f"{path}:{fault.first_line}: {lines} left out: {what}"


def _sensor(path: Path) -> str:
    """Logs of one folder are one sensor's, whether the folder is named or its files are."""
    absolute = path.absolute()
    return (absolute if path.is_dir() else absolute.parent).name or "default"
