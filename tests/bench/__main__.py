"""`make bench`: what Portbook does on this machine, beside what one could have built instead, in one run."""

import json
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from tests.bench.audit import EVENTS, measure_audit
from tests.bench.judging import measure_judging
from tests.bench.load import Case
from tests.bench.memory import measure_memory
from tests.bench.report import Measured, show
from tests.bench.sizes import measure_sizes
from tests.bench.stage import Kind, Stage, stage, sync_milliseconds

CASES: dict[Case, str] = {"usual": "nothing new", "one_new": "2 % new", "all_new": "all new"}
RIVALS = {"decode_only": "decode only", "copy_rows": "COPY every row", "insert_rows": "ORM insert"}
#: One worker of it is enough to see how far it is behind.
MOST_WORKERS = {"insert_rows": 1}
#: What is promised against COPY of every row in the same round.
GOALS: dict[Case, float] = {"usual": 3.5, "one_new": 2.2, "all_new": 1.0}
WORKERS = (1, 2)
HISTORIES = (1_000, 1_000_000)
TLS = {
    "plain HTTP, keep-alive": (Kind("portbook"), False),
    "plain HTTP, a connection a request": (Kind("portbook"), True),
    "TLS, keep-alive": (Kind("portbook", tls=True), False),
    "TLS, a connection a request": (Kind("portbook", tls=True), True),
}

#: A file has room for the tables; a terminal says how much it has.
console = Console(width=None if sys.stdout.isatty() else 150)


def bench(
    seconds: Annotated[float, typer.Option(help="Each load lasts so long")] = 2.0,
    rounds: Annotated[int, typer.Option(help="Interleaved repetitions")] = 2,
    quick: Annotated[bool, typer.Option("--quick", help="One short round with one worker: a minute")] = False,
    out: Annotated[Path | None, typer.Option("--json", help="Write every figure here")] = None,
) -> None:
    """Measure intake with its rivals, TLS, storage, memory and judging."""
    seconds, rounds = (0.7, 1) if quick else (seconds, rounds)
    workers = (1,) if quick else WORKERS
    measured = Measured(machine={"cores": os.cpu_count() or 0, "Python": platform.python_version()})
    with stage(seconds) as place, Progress(console=console, transient=True) as bar:
        task = bar.add_task("Measuring", total=rounds * (len(workers) * (len(CASES) + len(RIVALS)) + 1 + len(TLS)))
        measured.machine["fdatasync ms"] = round(sync_milliseconds(), 2)
        for _ in range(rounds):
            _intake(place, measured, lambda: bar.advance(task), workers=workers)
            _tls(place, measured, lambda: bar.advance(task))
        measured.sizes = measure_sizes(place.connection)
        measured.audit = measure_audit(place.url, 2_000 if quick else EVENTS)
        measured.judging = [measure_judging(place.connection, place.url, size) for size in HISTORIES]
    measured.memory = measure_memory()
    show(measured, console)
    if out:
        out.write_text(json.dumps(asdict(measured), indent=1))


def _intake(place: Stage, measured: Measured, tick: Callable[[], None], *, workers: tuple[int, ...]) -> None:
    for each in workers:
        _side_by_side(place, measured, tick, workers=each)
    _load(place, measured, "Portbook, 2 % new, judging too", Kind("portbook", 1, analyse=True), "one_new")
    tick()


def _side_by_side(place: Stage, measured: Measured, tick: Callable[[], None], *, workers: int) -> None:
    rates: dict[str, float] = {}
    for case, name in CASES.items():
        rates[case] = _load(place, measured, f"Portbook, {name}", Kind("portbook", workers), case)
        tick()
    for rival, name in RIVALS.items():
        if workers <= MOST_WORKERS.get(rival, workers):
            rates[rival] = _load(place, measured, name, Kind(rival, workers), "usual")
        tick()
    for case, name in CASES.items():
        for rival, against in (("copy_rows", f"COPY (goal {GOALS[case]})"), ("insert_rows", "ORM")):
            if rival in rates:
                ratio = f"{name} / {against}, {workers} worker{'s' if workers > 1 else ''}"
                measured.ratios.setdefault(ratio, []).append(rates[case] / rates[rival])


def _load(place: Stage, measured: Measured, name: str, kind: Kind, case: Case) -> float:
    figures = place.figures(kind, case)
    measured.intake.setdefault(f"{name}, w{kind.workers}", []).append(figures)
    return figures.rows_per_second


def _tls(place: Stage, measured: Measured, tick: Callable[[], None]) -> None:
    for name, (kind, new_connections) in TLS.items():
        figures = place.figures(kind, "usual", new_connections=new_connections)
        measured.tls.setdefault(name, []).append(figures)
        tick()


if __name__ == "__main__":
    typer.run(bench)
