"""`python -m tests.measures FOLDER`: labelled recordings judged by Portbook and by what one could use instead."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from tests.measures.methods import Method, Outcome, Recordings, ablations, methods, outcome
from tests.measures.recordings import KINDS, recordings

console = Console(width=140)


def measure(
    folder: Annotated[Path, typer.Argument(help="Holds NAME.jsonl.gz and NAME.labels.jsonl.gz", exists=True)],
    as_one_fleet: Annotated[bool, typer.Option(help="Hosts instead of recordings: each against all others")] = False,
) -> None:
    """Print what each method raises, what each family of evidence adds, and every false positive by name."""
    found = recordings(folder)
    if as_one_fleet:
        found = {row.node: [each for rows in found.values() for each in rows if each.node == row.node]
                 for rows in found.values() for row in rows}  # fmt: skip
    console.print(f"{len(found)} recordings, {sum(map(len, found.values())):,} rows", style="dim")
    clean = _outcomes("Clean history", methods(), found, poisoned=False)
    _outcomes(
        "Poisoned history: the attackers of the other recordings were seen before", methods(), found, poisoned=True
    )
    _outcomes("What each family adds, clean history", ablations(), found, poisoned=False)
    _outcomes("What each family adds, poisoned history", ablations(), found, poisoned=True)
    _name_mistakes(clean[-1])


def _outcomes(title: str, by: dict[str, Method], found: Recordings, *, poisoned: bool) -> list[Outcome]:
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=len(by))
        outcomes = []
        for name, method in by.items():
            outcomes.append(outcome(name, method, found, poisoned=poisoned))
            bar.advance(task)
    console.print(_table(title, outcomes))
    return outcomes


def _table(title: str, outcomes: list[Outcome]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for kind in KINDS:
        table.add_column(f"{kind} ({outcomes[0].total[kind]:,})", justify="right")
    for each in outcomes:
        cells = [f"{len(each.raised[kind]):,}" + _share(len(each.raised[kind]), each.total[kind]) for kind in KINDS]
        table.add_row(each.name, *cells)
    return table


def _share(part: int, whole: int) -> str:
    return f"  {part / whole:.1%}" if whole else ""


def _name_mistakes(portbook: Outcome) -> None:
    for wrong in sorted(portbook.raised["benign"]):
        judged = portbook.worst[wrong]
        console.print(f"raised on benign: {' '.join(wrong[1:])} ({judged.deviation.score})")
        for line in judged.deviation.evidence:
            console.print(f"    {line.points:+g} {line.text}", style="dim")
    missed = portbook.total[KINDS[0]] - len(portbook.raised[KINDS[0]])
    console.print(f"{len(portbook.raised['benign'])} raised on benign, {missed} C2 on non-standard ports missed")


typer.run(measure)
