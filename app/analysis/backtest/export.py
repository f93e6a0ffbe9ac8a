"""The findings that change, as CSV for spreadsheets."""

import csv
from collections.abc import Iterator, Mapping
from io import StringIO
from typing import Any

_COLUMNS = (
    "day", "seen_at", "node_id", "hostname", "role", "analytic", "program", "unit", "path", "direction", "transport",
    "port", "score_before", "score_after", "severity_before", "severity_after",
)  # fmt: skip
#: A spreadsheet takes a cell that begins so for a formula, and programs are named by whoever wrote them.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_of(result: Mapping[str, Any]) -> str:
    """From a result as it is kept."""
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow(["change", *_COLUMNS, "changed_lines"])
    for change, example in _examples(result):
        cells = [change, *(example[name] for name in _COLUMNS), _lines(example["changed_lines"])]
        writer.writerow([_harmless(cell) for cell in cells])
    return text.getvalue()


def _examples(result: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for change, part in (("gained", "gained"), ("lost", "lost"), ("shifted", "shifts")):
        for example in result[part]["examples"]:
            yield change, example


def _lines(changed: list[Mapping[str, Any]]) -> str:
    return "; ".join(f"{each['reason']} {points(each['before'])} → {points(each['after'])}" for each in changed)


def points(said: Mapping[str, Any] | None) -> str:
    """The weight of a line of evidence, in words."""
    return "none" if said is None else f"{said['points']:+g}" if said["points"] else "0"


def _harmless(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
