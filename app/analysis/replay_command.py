"""The command `portbook replay`: what it reads, prints and returns."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from app.analysis.captures import BadInput, Progress, roles
from app.analysis.replay import Inputs, Judged, Replay, Skipped
from app.detection.behaviour import DYNAMIC
from app.detection.deviation import Severity
from app.detection.knobs import Knobs
from app.tuning.settings_file import SettingsFileProblem, read_knobs

FOUND, BAD_INPUT = 1, 2
_MOST_SKIPPED = 5


@dataclass(frozen=True, slots=True)
class Sources:
    """The files of one replay; `nodes` and `settings` may be left out."""

    files: tuple[Path, ...]
    history: tuple[Path, ...] = ()
    nodes: Path | None = None
    settings: Path | None = None


def replay_command(
    sources: Sources,
    *,
    min_severity: Severity = Severity.LOW,
    as_json: bool = False,
    fail_on: Severity | None = None,
) -> int:
    """Prints the deviations of captured result lines. Returns 0; 1 when `fail_on` was reached; 2 on bad input."""
    try:
        known_roles = roles(sources.nodes) if sources.nodes else {}
        inputs = Inputs(sources.files, sources.history, known_roles)
        with _progress(inputs, quiet=as_json) as progress:
            run = Replay(inputs, read_knobs(sources.settings) if sources.settings else Knobs(), progress)
            found = list(run.judged())
    except (BadInput, SettingsFileProblem) as problem:
        sys.stderr.write(f"{problem}\n")
        return BAD_INPUT
    _say_skipped(run.skipped)
    shown = [each for each in found if each.deviation.severity.reaches(min_severity)]
    _print_json(shown) if as_json else _print_table(shown)
    return FOUND if fail_on and any(each.deviation.severity.reaches(fail_on) for each in found) else 0


def _say_skipped(skipped: list[Skipped]) -> None:
    for each in skipped[:_MOST_SKIPPED]:
        sys.stderr.write(f"{each.path}:{each.line}: row left out: {each.reason}\n")
    if len(skipped) > _MOST_SKIPPED:
        sys.stderr.write(f"{len(skipped) - _MOST_SKIPPED} more rows left out\n")


def _print_json(found: Iterable[Judged]) -> None:
    encoder = msgspec.json.Encoder()
    for each in found:
        sys.stdout.write(encoder.encode(as_object(each)).decode() + "\n")


def as_object(judged: Judged) -> dict[str, object]:
    """One deviation as `--json` prints it."""
    deviation, behaviour = judged.deviation, judged.deviation.behaviour
    return {
        "node": judged.node,
        "behaviour": {
            "program": behaviour.program.name,
            "path": behaviour.program.path,
            "direction": behaviour.direction,
            "transport": behaviour.transport,
            "port": behaviour.port if behaviour.port is not None or behaviour.bucket != DYNAMIC else DYNAMIC,
        },
        "score": deviation.score,
        "severity": deviation.severity,
        "analytic": deviation.analytic,
        "evidence": [msgspec.to_builtins(line) for line in deviation.evidence],
        "lines": judged.lines,
    }


def _print_table(found: list[Judged]) -> None:
    from rich.console import Console

    from app.analysis.replay_table import replay_table

    Console().print(replay_table(found))


@contextmanager
def _progress(inputs: Inputs, *, quiet: bool) -> Iterator[Progress | None]:
    """A bar on a terminal; the bytes of compressed files are guessed."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Reading", total=sum(map(_size, (*inputs.history_files, *inputs.files))))
        yield lambda size: bar.advance(task, size)


def _size(path: Path) -> int:
    guess = 15 if path.suffix == ".gz" else 1
    return path.stat().st_size * guess if path.is_file() else 0
