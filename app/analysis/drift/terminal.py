"""Drift on a terminal, as the API gives it."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.api_client import api_client, get
from app.findings.terminal import STYLES, headline

_TRUST_STYLES = {"trusted": "green", "unsigned": "bold red", "broken": "bold red", "unknown": "dim"}
_LEARNING_DAYS = 7
_WIDEST_BAR = 10

Item = dict[str, Any]
Columns = dict[str, Callable[[Item], Text]]


def show_drift(  # noqa: PLR0913 - each is an option
    console: Console,
    *,
    url: str,
    token: str,
    ca_file: Path | None,
    role: str | None,
    platform: str | None,
    days: int,
    limit: int,
    as_json: bool,
) -> None:
    """Raises: NotSignedIn, InvalidRequest with what the server said."""
    wanted = {"role": role, "platform": platform, "days": days, "limit": limit}
    with api_client(url, token, ca_file) as client:
        drift = get(client, "/api/v1/drift", {name: value for name, value in wanted.items() if value is not None})
    if as_json:
        print(json.dumps(drift))  # noqa: T201
        return
    console.print(_title(drift))
    for text in _cautions(drift):
        console.print(Text(text, style="yellow"))
    for name, (title, nothing, columns) in _PARTS.items():
        _show(console, drift[name], title, nothing, columns)


def _title(drift: dict[str, Any]) -> Text:
    whose = f"role {drift['role']}" if drift["role"] else "every role"
    platform = f", {drift['platform']}" if drift["platform"] else ""
    return Text(f"Drift of {whose}{platform}: after {drift['since']}, until {drift['until']}", style="bold")


def _cautions(drift: dict[str, Any]) -> list[str]:
    if drift["known_since"] is None:
        return ["No history: nothing was reported yet."]
    age = (date.fromisoformat(drift["since"]) - date.fromisoformat(drift["known_since"])).days
    if age >= _LEARNING_DAYS:
        return []
    return [f"History begins on {drift['known_since']}: much of what is new here may be old and only newly seen."]


def _show(console: Console, part: dict[str, Any], title: str, nothing: str, columns: Columns) -> None:
    """Everything in it comes from agents, so nothing is read as markup."""
    if not part["items"]:
        console.print(Text(f"\n{title}: {nothing}", style="dim"))
        return
    table = Table(
        title=Text(f"\n{title}", style="bold"), title_justify="left", box=None, padding=(0, 2, 0, 0), expand=True
    )
    for name in columns:
        justify: Literal["left", "right"] = "right" if name in _NUMBERS else "left"
        table.add_column(name, justify=justify, header_style="dim", ratio=_RATIOS.get(name), overflow="fold")
    for item in part["items"]:
        table.add_row(*(cell(item) for cell in columns.values()))
    console.print(table)
    if part["more"]:
        console.print(Text("… and more; --limit shows up to 100", style="dim"))


def _behaviour(item: Item) -> Text:
    """Without the folder of a program a look-alike could not be told."""
    return Text.assemble((headline(item), "bold"), "\n", (item["behaviour"]["path"], "dim"))


def _signer(item: Item) -> Text:
    says = item["signer"] if item["trust"] == "trusted" else " ".join(filter(None, (item["trust"], item["signer"])))
    return Text(says, style=_TRUST_STYLES[item["trust"]])


def _judged(item: Item) -> Text:
    severity = item["severity"]
    if severity is None:
        return Text("recorded only", style="dim")
    return Text(f"{severity}, fleet finding" if item["fleet_finding_id"] else severity, style=STYLES[severity])


def _first_node(item: Item) -> Text:
    return Text(item["first_node"]["hostname"]) if item["first_node"] else Text("day is dropped", style="dim")


def _growth(item: Item) -> Text:
    before, now = item["nodes_a_day_before"], item["nodes_on_last_day"]
    bar = "▇" * max(1, round(_WIDEST_BAR * before / now)), "▇" * round(_WIDEST_BAR * (now - before) / now)
    return Text.assemble((bar[0] if before else "", "dim"), (bar[1], "cyan"), f" {before:,.0f} → {now:,}")


def _why(item: Item) -> Text:
    looked_at, silent = item["nodes_looked_at"], item["nodes_silent"]
    if not looked_at:
        return Text("its days are dropped: nobody can say", style="dim")
    if not item["is_gone"]:
        all_of_them = "its node went" if looked_at == 1 else f"all {looked_at:,} nodes went"
        return Text(f"unknown: {all_of_them} silent", style="yellow")
    speaking = f"gone: {looked_at - silent:,} of {looked_at:,} nodes still speak"
    return Text(speaking + (f", {silent:,} went silent" if silent else ""))


def _number(name: str) -> Callable[[Item], Text]:
    return lambda item: Text(f"{item[name]:,}")


def _said(name: str) -> Callable[[Item], Text]:
    return lambda item: Text(str(item[name]))


_NUMBERS = frozenset({"nodes"})
_RATIOS = {"behaviour": 2, "signer": 1}  #: of the width that the other columns leave
_NEW: Columns = {
    "behaviour": _behaviour,
    "nodes": _number("nodes"),
    "first day": _said("first_day"),
    "first node": _first_node,
    "signer": _signer,
    "judged": _judged,
}
_SPREADING: Columns = {
    "behaviour": _behaviour,
    "nodes": _number("nodes"),
    "a day": _growth,
    "signer": _signer,
    "judged": _judged,
}
_UNSEEN: Columns = {
    "behaviour": _behaviour,
    "nodes": _number("nodes"),
    "last day": _said("last_day"),
    "and its nodes": _why,
}
_PARTS: dict[str, tuple[str, str, Columns]] = {
    "spreading": ("Spreading", "nothing new is on more nodes than before.", _SPREADING),
    "new": ("New", "nothing.", _NEW),
    "unseen": ("No longer seen", "all that was regular is still there.", _UNSEEN),
}
