"""`portbook investigate`: asks, waits and shows, over the JSON API."""

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from app.api_client import get, post
from app.detection.paths import visible
from app.findings.terminal import finding_path

POLL_SECONDS = 2.0
RUNNING = ("waiting", "sent")
STYLES = {"answered": "green", "partial": "yellow", "failed": "red", "expired": "red"}
#: Characters of a cell; the whole is in the JSON.
CELL_MAX = 400
#: Characters that a column wants at least, if its values are as long: a path is read in two or three lines.
COLUMN_MAX = 24

Json = dict[str, Any]


def ask(client: httpx.Client, finding_id: str, queries: Sequence[str]) -> Json:
    """Raises: NotSignedIn, InvalidRequest with what the server said."""
    body = {"queries": list(queries)} if queries else {}
    return post(client, _of_finding(finding_id), body)


def newest(client: httpx.Client, finding_id: str) -> Json | None:
    """What was asked last about a finding, with its answers."""
    found = get(client, _of_finding(finding_id), {"limit": 1})["items"]
    return read(client, found[0]["investigation_id"]) if found else None


def read(client: httpx.Client, investigation_id: str) -> Json:
    found: Json = get(client, f"/api/v1/investigations/{investigation_id}")
    return found


def wait(client: httpx.Client, console: Console, found: Json) -> Json:
    """Until every answer is there or nobody waits for it; Ctrl-C ends the waiting, not the investigation."""
    with _bar(console) as bar:
        task = bar.add_task("", total=len(found["answers"]), said="")
        try:
            while found["state"] in RUNNING:
                bar.update(task, completed=_answers(found), said=_awaited(found))
                time.sleep(POLL_SECONDS)
                found = read(client, found["investigation_id"])
        except KeyboardInterrupt:
            pass
    return found


@contextmanager
def _bar(console: Console) -> Iterator[Progress]:
    columns = (BarColumn(), TextColumn("{task.completed}/{task.total} answers, {task.fields[said]}"))
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as bar:
        yield bar


def show(console: Console, found: Json) -> None:
    """The head, then a table for each answer."""
    console.print(_head(found))
    for answer in found["answers"]:
        console.print(Text(f"\n{answer['query']}", style="bold") + Text(f"  {_outcome(answer)}", style="dim"))
        if answer["rows"]:
            console.print(rows_view(answer["rows"], answer["statement"], console.width))
    for name, why in found["left_out"].items():
        console.print(Text(f"\n{name}", style="bold") + Text(f"  not asked: {why}", style="dim"))
    if found["state"] in RUNNING:
        again = f"portbook investigate {found['finding_id']} --show"
        console.print(Text(f"\nAnswers are filed whenever they come. To see them: {again}"), soft_wrap=True)


def _head(found: Json) -> Text:
    about, node = found["about"], found["node"]
    heard = f"last heard {_instant(node['last_heard_at'])}"
    named = [
        f"pid {about['process_id']}" if about["process_id"] is not None else "",
        f"started {_instant(_unix(about['process_started']))}" if about["process_started"] else "",
        visible(about["path"] or ""),
        visible(about["unit"] or ""),
    ]
    where = f"{visible(node['hostname'])} is {'online' if node['online'] else 'not there'}, {heard}"
    what = ", ".join(filter(None, named)) or "the host"
    asked = f"Asked by {found['asked_by']} at {_instant(found['asked_at'])}: {what}"
    return Text.assemble((found["state"], STYLES.get(found["state"], "bold")), f" · {where}\n{asked}")


def _outcome(answer: Json) -> str:
    if answer["answered_at"] is None:
        return f"sent {answer['times_sent']} times, no answer" if answer["sent_at"] else "not fetched yet"
    if answer["status"]:
        return f"failed: {visible(answer['message'])}"
    total = answer["rows_total"]
    kept = f", the first {len(answer['rows'])} are kept" if answer["cut"] else ""
    return f"{total} row{'' if total == 1 else 's'}{kept}, {_instant(answer['answered_at'])}"


def rows_view(rows: Sequence[dict[str, str]], statement: str, width: int) -> RenderableType:
    """A table without the columns in which none says anything; where it is too wide, or has one row, name and value."""
    names = [name for name in _in_order(rows[0], statement) if any(row.get(name) for row in rows)]
    widths = [max(len(name), *(min(len(row.get(name, "")), COLUMN_MAX) for row in rows)) + 3 for name in names]
    if len(rows) > 1 and sum(widths) <= width:
        return _table(rows, names)
    blocks = [_block(row, names) for row in rows]
    return Group(*(part for block in blocks for part in (block, Text())) if len(rows) > 1 else blocks)


def _block(row: dict[str, str], names: Sequence[str]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim")
    grid.add_column(overflow="fold")
    for name in names:
        if row.get(name):
            grid.add_row(Text(visible(name)), Text(_cell(row[name])))
    return grid


def _table(rows: Sequence[dict[str, str]], names: Sequence[str]) -> Table:
    table = Table(box=SIMPLE_HEAD)
    for name in names:
        table.add_column(Text(visible(name)), overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(row.get(name, ""))) for name in names))
    return table


def _in_order(names: Iterable[str], statement: str) -> list[str]:
    """As the statement names its columns, for nodes tell them by the alphabet."""
    columns = re.findall(r"\w+", statement[statement.upper().rfind("SELECT") :])
    return sorted(names, key=lambda name: columns.index(name) if name in columns else len(columns))


def _cell(value: str) -> str:
    shown = visible(value)
    return shown if len(shown) <= CELL_MAX else f"{shown[:CELL_MAX]}…"


def _awaited(found: Json) -> str:
    if found["answer_expected_by"]:
        return f"expected by {_instant(found['answer_expected_by'])}"
    return f"the node is not there; it is asked until {_instant(found['expires_at'])}"


def _answers(found: Json) -> int:
    return sum(each["answered_at"] is not None for each in found["answers"])


def _of_finding(finding_id: str) -> str:
    return f"{finding_path(finding_id)}/investigations"


def _unix(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def _instant(said: str) -> str:
    return f"{said[:19].replace('T', ' ')} UTC"
