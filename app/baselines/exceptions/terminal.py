"""Exceptions on a terminal, as the API gives them."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from app.api_client import api_client, get, post
from app.detection.evidence import counted
from app.findings.terminal import STYLES
from app.problems import InvalidRequest

PATH = "/api/v1/exceptions"
_PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
_STATES = {"active": "green", "pending": "yellow", "expired": "dim", "rejected": "red", "revoked": "red"}

ExceptionJson = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Door:
    """Where the API is, and who asks it."""

    url: str
    token: str
    ca_file: Path | None

    def open(self) -> httpx.Client:
        """Raises: InvalidRequest."""
        return api_client(self.url, self.token, self.ca_file)


def list_exceptions(console: Console, door: Door, wanted: Mapping[str, object], *, as_json: bool) -> None:
    """Raises: NotSignedIn, InvalidRequest with what the server said."""
    with door.open() as client:
        page = get(client, PATH, {name: value for name, value in wanted.items() if value is not None})
    if as_json:
        print(json.dumps(page))  # noqa: T201
        return
    for each in page["items"]:
        console.print(_summary(each))
    if not page["items"]:
        console.print("no exception")
    if page["next"]:
        console.print("There are more: --limit shows up to 500.")


def show_exception(console: Console, door: Door, exception_id: str, *, as_json: bool) -> None:
    """One, with what it covers; one that is pending with what it would cover.

    Raises: NotSignedIn, InvalidRequest.
    """
    with door.open() as client:
        one = get(client, f"{PATH}/{exception_id}", {})
        effect = get(client, f"{PATH}/{exception_id}/effect", {}) if one["state"] == "pending" else None
    if as_json:
        print(json.dumps(one | ({"effect": effect} if effect else {})))  # noqa: T201
        return
    console.print(_details(one))
    if effect:
        console.print(Text(f"Approved now, it would cover on {counted(effect['nodes'], 'node')}:", style="bold"))
        _print_covered(console, effect, "state")
    else:
        seen = f", last {_instant(one['last_seen_at'])} UTC" if one["last_seen_at"] else ""
        console.print(
            f"{counted(one['findings'], 'finding')} excepted by it; {counted(one['sightings'], 'sighting')}{seen}."
        )


def send(console: Console, door: Door, path: str, body: Mapping[str, object], *, as_json: bool) -> None:
    """POST to `path` under exceptions, and show what became of it.

    Raises: NotSignedIn, InvalidRequest with what the server said.
    """
    said = {name: value for name, value in body.items() if value is not None}
    with door.open() as client:
        one = post(client, f"{PATH}{path}", said)
    if as_json:
        print(json.dumps(one))  # noqa: T201
        return
    console.print(_details(one))
    if "covered" in one:
        console.print(Text("Excepted from now on:", style="bold"))
        _print_covered(console, one["covered"], "was")
    if "reopened" in one:
        again = counted(one["reopened"], "finding")
        console.print(f"Open again: {again}; gone over to another exception: {one['went_over']:,}.")


def ports(text: str) -> tuple[int, int]:
    """Reads `8443` or `8000-8100`. Raises: InvalidRequest."""
    if (found := _PORTS.fullmatch(text)) is None:
        raise InvalidRequest(f"{text!r} is no port and no range such as 8000-8100", field="port")
    return int(found[1]), int(found[2] or found[1])


def _details(one: ExceptionJson) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    table.add_row("exception", Text(one["exception_id"]))
    table.add_row("state", _state(one))
    for name, value in _facts(one):
        table.add_row(name, Text(value, style="yellow" if name in {"wide", "OVERRIDE"} else ""))
    return table


def _facts(one: ExceptionJson) -> Iterable[tuple[str, str]]:
    nodes = one["node_ids"]
    yield "covers", f"{one['says']} on {one['platform']}"
    yield (
        "on",
        f"role {one['role']}"
        if nodes is None
        else f"{'node' if len(nodes) == 1 else 'nodes'} {', '.join(map(str, nodes))}",
    )
    yield from (("wide", each) for each in one["wide"])
    for name in ("reason", "business_need", "risk", "compensating_control", "ticket", "renewal_of", "finding_id"):
        if one[name]:
            yield name.replace("_", " "), str(one[name])
    yield "asked for", f"{_instant(one['requested_at'])} UTC by {one['requested_by']}"
    yield "ends", f"{_instant(one['expires_at'])} UTC"
    for word, by in (("decided", "decided_by"), ("revoked", "revoked_by")):
        if one[by]:
            why = one["decision_reason" if word == "decided" else "revoked_reason"]
            what = one["decision"] if word == "decided" else word
            yield word, f"{what} {_instant(one[f'{word}_at'])} UTC by {one[by]}: {why}"
    if one["override_reason"]:
        yield "OVERRIDE", f"one person asked and decided: {one['override_reason']}"


def _print_covered(console: Console, effect: dict[str, Any], state: str) -> None:
    table = Table("", "program", "port", "host", state, box=SIMPLE_HEAD)
    for each in effect["first"]:
        score = Text(f"{each['score']} {each['severity']}", style=STYLES[each["severity"]])
        table.add_row(score, Text(each["program"]), each["port"], Text(each["hostname"]), each["state"])
    if effect["first"]:
        console.print(table)
    console.print(f"{counted(effect['findings'], 'finding')} in all.")


def _summary(one: ExceptionJson) -> Group:
    """Its id stands in a line that is never broken, to be copied."""
    where = f"role {one['role']}" if one["node_ids"] is None else counted(len(one["node_ids"]), "node")
    decided = f"decided by {one['decided_by']}" if one["decided_by"] else "nobody decided"
    lines = [
        Text(f"{one['says']}, {where}"),
        Text(f"ends {_instant(one['expires_at'])} UTC; asked for by {one['requested_by']}, {decided}", style="dim"),
        *([Text(f"WIDE: {'; '.join(one['wide'])}", style="yellow")] if one["wide"] else []),
        *([Text("OVERRIDE: one person asked and decided", style="yellow")] if one["override_reason"] else []),
    ]
    return Group(Text.assemble(_state(one), f"  {one['exception_id']}"), Padding(Group(*lines), (0, 0, 0, 2)))


def _state(one: ExceptionJson) -> Text:
    return Text(one["state"], style=_STATES.get(one["state"], ""))


def _instant(said: str) -> str:
    return said[:16].replace("T", " ")
