"""Knobs, versions and differences as people see them on a terminal."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from app.detection.knob_changes import KnobChange
from app.detection.scopes import Origin
from app.tuning.models import KnobVersion

#: A list longer than this is shown by its beginning.
_SHOWN = 60


def knobs_table(found: Sequence[tuple[Origin, int | None]], title: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    table.add_column("knob", overflow="fold")
    table.add_column("value", overflow="fold")
    table.add_column("set by", overflow="fold")
    for each, version in found:
        value = _shown(each.value)
        by = Text(f"{each.scope}, version {version}") if version else Text("default", style="dim")
        table.add_row(Text(each.field.replace("[", "\n  [", 1)), Text(value, style="bold" if version else ""), by)
    return table


def versions_table(versions: Iterable[KnobVersion]) -> Table:
    table = Table("", "scope", "from, until (UTC)", "by", "reason", box=SIMPLE_HEAD)
    for each in versions:
        since = f"{each.created_at:%Y-%m-%d %H:%M}\n"
        until = Text(f"{each.superseded_at:%Y-%m-%d %H:%M}") if each.superseded_at else Text("in force", style="green")
        tried = (
            Text(f"\nFORCED: {each.forced_reason}", style="yellow")
            if each.forced_reason
            else Text(f"\nbacktest {each.backtest_id}", style="dim")
        )
        table.add_row(
            str(each.version), Text(each.scope), Text(since) + until, Text(each.created_by), Text(each.reason) + tried
        )
    return table


def difference_lines(found: Iterable[KnobChange], of: str) -> list[Text]:
    return [Text.assemble((f"{of}: ", "dim"), each.words) for each in found]


def as_json(version: KnobVersion) -> dict[str, Any]:
    names = ("version", "scope", "document", "created_by", "reason", "forced_reason")
    until = version.superseded_at
    return {name: getattr(version, name) for name in names} | {
        "document_sha256": version.document_sha256.hex(),
        "backtest_id": str(version.backtest_id) if version.backtest_id else None,
        "created_at": version.created_at.isoformat(),
        "superseded_at": until.isoformat() if until else None,
    }


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if not isinstance(value, list):
        return json.dumps(value, ensure_ascii=False)
    text = ", ".join(map(str, value)) or "none"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(value)})"
