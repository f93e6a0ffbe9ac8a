"""`python -m tests.measures FOLDER`: labelled recordings judged by Portbook and by what one could use instead."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from app.analysis.replay import Judged
from tests.measures.methods import Method, Outcome, Recordings, Tuple, ablations, methods, outcome
from tests.measures.recordings import KINDS, recordings

POISONED = "what the attackers of the other recordings did was seen before"
NEAREST = 5

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
    _outcomes("What each family adds, clean history", ablations(), found, poisoned=False)
    if any(clean[-1].total[kind] for kind in KINDS[:2]):
        _outcomes(f"Poisoned history: {POISONED}", methods(), found, poisoned=True)
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
    kinds = [kind for kind in KINDS if outcomes[0].total[kind]]
    for kind in kinds:
        table.add_column(f"{kind} ({outcomes[0].total[kind]:,})", justify="right")
    for each in outcomes:
        cells = [f"{len(each.raised[kind]):,}{_share(len(each.raised[kind]), each.total[kind])}" for kind in kinds]
        table.add_row(each.name, *cells)
    return table


def _share(part: int, whole: int) -> str:
    return f"  {part / whole:.1%}"


def _name_mistakes(portbook: Outcome) -> None:
    """What was raised wrongly or missed, and the benign tuples that came nearest to an alert."""
    missed = [each for each, kind in portbook.kinds.items() if kind == KINDS[0] and each not in portbook.raised[kind]]
    wrong = portbook.raised["benign"]
    console.print(f"{len(wrong)} raised on benign, {len(missed)} of C2 on non-standard ports missed")
    for each in (*sorted(wrong), *missed, *_nearest(portbook)):
        says = "raised wrongly" if each in wrong else "missed" if each in missed else "benign, near an alert"
        _name(portbook.gravest.get(each), f"{says}: {' '.join(each[1:])}")


def _nearest(portbook: Outcome) -> list[Tuple]:
    benign = [each for each in portbook.gravest if portbook.kinds[each] == "benign"]
    quiet = [each for each in benign if each not in portbook.raised["benign"]]
    return sorted(quiet, key=lambda each: -portbook.gravest[each].deviation.score)[:NEAREST]


def _name(judged: Judged | None, says: str) -> None:
    console.print(f"{says} ({judged.deviation.score if judged else 'not judged'})")
    for line in judged.deviation.evidence if judged else ():
        console.print(f"    {line.points:+g} {line.text}", style="dim")


typer.run(measure)
