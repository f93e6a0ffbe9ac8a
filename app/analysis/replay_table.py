"""Deviations as a table for people."""

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from app.analysis.replay import Judged
from app.detection.behaviour import NETWORK
from app.detection.deviation import Deviation, Evidence, Severity

_STYLES = {Severity.HIGH: "bold red", Severity.MEDIUM: "yellow", Severity.LOW: "cyan", Severity.NONE: "dim"}


def replay_table(found: Iterable[Judged]) -> Table:
    """Everything in it comes from agents, so nothing is read as markup."""
    rows = list(found)
    table = Table(title=f"T1571: {len(rows)} deviation{'' if len(rows) == 1 else 's'}", show_lines=True)
    for name, ratio in (("Score", None), ("Node", None), ("Behaviour", 1), ("Evidence", 2)):
        table.add_column(name, ratio=ratio, overflow="fold")
    table.expand = True
    for each in rows:
        deviation = each.deviation
        score = Text(f"{deviation.score} {deviation.severity}", style=_STYLES[deviation.severity])
        table.add_row(score, Text(each.node), Text(_behaviour(deviation)), Text(_evidence(deviation.evidence)))
    return table


def _behaviour(deviation: Deviation) -> str:
    behaviour, program = deviation.behaviour, deviation.behaviour.program
    unit = f" ({program.unit})" if program.unit else ""
    port = f" {behaviour.transport.value}/{behaviour.bucket}" if behaviour.direction in NETWORK else ""
    return f"{program.name}{unit} {behaviour.direction.value}{port}\n{program.path}"


def _evidence(evidence: Iterable[Evidence]) -> str:
    return "\n".join(f"{each.text} [{each.points:+g}]" if each.points else each.text for each in evidence)
