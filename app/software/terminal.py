"""Software on a terminal, as the API gives it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from app.detection.approved import ApprovedSoftware, allowed_ports
from app.detection.evidence import counted
from app.software.approved_csv import FIELDS

Json = Mapping[str, Any]

_MOST_SHOWN = 20


def problems_text(path: Path, problems: Iterable[Json]) -> Text:
    """One line for each problem, as editors and people find it: file, line, field."""
    lines = Text()
    for each in problems:
        place = f"{path}:{each['line']}" if each["line"] else f"{path}"
        field = f" {each['field']}:" if each["field"] else ""
        lines.append(f"{place}:", style="bold").append(field, style="cyan").append(f" {each['detail']}\n")
    return lines


def show_receipt(console: Console, receipt: Json) -> None:
    """What an import changed, or would change."""
    done = receipt["import_id"] is not None
    for sign, style, entries in (
        ("-", "red", receipt["shown_removed"]),
        ("+", "green", receipt["shown_added"]),
    ):
        for entry in entries[:_MOST_SHOWN]:
            console.print(Text(f"{sign} {entry['name']}  {_identity(entry)}", style=style), soft_wrap=True)
        if len(entries) > _MOST_SHOWN:
            console.print(Text(f"{sign} … and more", style=style))
    head = f"Import {receipt['import_id']}" if done else "Nothing imported (dry run)"
    entries = counted(receipt["entries"], "entry", "entries")
    counts = f"{entries}, {receipt['added']:,} new or changed, {receipt['removed']:,} gone or changed"
    console.print(Text(f"{head}: {counts}.", style="bold"))
    read = f"Read as {receipt['encoding']}, {receipt['delimiter']}; SHA-256 {receipt['sha256']}"
    console.print(Text(read, style="dim"), soft_wrap=True)
    if done:
        console.print(Text("Open findings that it speaks of are judged again.", style="dim"))


def approved_table(entries: Sequence[Json], today: date) -> Table:
    table = _table("name", "publisher, team or path", "owner", "until", "ports")
    for entry in entries:
        expired = bool(entry["until"]) and entry["until"] < today.isoformat()
        until = Text(f"{entry['until']} expired" if expired else entry["until"] or "", style="red" if expired else "")
        cells = (entry["name"], _identity(entry), entry["owner"])
        table.add_row(*map(Text, cells), until, Text(entry["ports"] or "any"))
    return table


def entry_panel(entry: Json, nodes: Sequence[Json]) -> Panel:
    """One entry in full, and on how many nodes software of that name is installed."""
    fields = Table.grid(padding=(0, 2, 0, 0))
    fields.add_column(style="dim")
    for field in FIELDS[1:]:
        fields.add_row(field, Text(entry[field] or ("any" if field == "ports" else "")))
    installed = [
        Text(f"installed on {counted(each['nodes'], 'node')}, published by {each['publisher'] or 'nobody named'}")
        for each in nodes
    ]
    return Panel(Group(fields, *installed), title=Text(f"{entry['name']} · line {entry['line']}"), title_align="left")


def imports_table(imports: Sequence[Json]) -> Table:
    table = _table("import", "at (UTC)", "by", "file", "entries", "+", "-", "SHA-256")
    for each in imports:
        at = each["imported_at"][:16].replace("T", " ")
        texts = (at, each["imported_by"], each["file_name"])
        counts = (f"{each['entries']:,}", f"{each['added']:,}", f"{each['removed']:,}")
        table.add_row(str(each["import_id"]), *map(Text, texts), *counts, each["sha256"][:16])
    return table


def entry_of(entry: Json) -> ApprovedSoftware:
    """An entry of the API's JSON."""
    texts = {name: entry[name] for name in ("name", "publisher", "team_id", "path", "owner", "note")}
    until = date.fromisoformat(entry["until"]) if entry["until"] else None
    return ApprovedSoftware(**texts, until=until, ports=allowed_ports(entry["ports"]), line=entry["line"])


def _table(*headers: str) -> Table:
    """Long paths and hashes are folded, never cut."""
    table = Table(header_style="bold")
    for header in headers:
        table.add_column(header, overflow="fold")
    return table


def _identity(entry: Json) -> str:
    return " · ".join(entry[field] for field in ("publisher", "team_id", "path") if entry[field])
