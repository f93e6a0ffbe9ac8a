"""Triage on a terminal, as the API does it."""

import json
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

import httpx
from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from app.api_client import get, post
from app.findings.terminal import finding_path, headline, panel
from app.problems import InvalidRequest

Json = dict[str, Any]


def checks_from(checked: Iterable[str], unknown: Iterable[str]) -> Json | None:
    """Reads e.g. `process=the updater`. None where nothing is said. Raises: InvalidRequest."""
    said = [_named(each, lambda text: {"checked": True, "note": text}) for each in checked]
    said += [_named(each, lambda text: {"unknown": text}) for each in unknown]
    if len(dict(said)) < len(said):
        raise InvalidRequest("one thing is checked or unknown, and said once")
    return dict(said) or None


def _named(text: str, made: Any) -> tuple[str, Json]:
    name, equals, said = text.partition("=")
    if not equals:
        raise InvalidRequest(f"{text!r}: write it as process=what you found")
    return name.strip(), made(said)


def triage(client: httpx.Client, findings: Sequence[str], decision: Json, *, is_fleet: bool) -> Text:
    """Returns a sentence on what was done."""
    if is_fleet and len(findings) > 1:
        raise InvalidRequest("one fleet finding at a time")
    if is_fleet:
        done = post(client, f"/api/v1/fleet-findings/{quote(findings[0], safe='')}/state", decision)
        total = done["findings"]
    elif len(findings) == 1:
        post(client, f"{finding_path(findings[0])}/state", decision)
        total = 1
    else:
        total = post(client, "/api/v1/findings/bulk/state", decision | {"finding_ids": list(findings)})["findings"]
    return Text(f"{total} finding{'' if total == 1 else 's'}: {decision['state']}")


def show(console: Console, client: httpx.Client, finding_id: str, *, as_json: bool) -> None:
    path = finding_path(finding_id)
    finding, changes = get(client, path), get(client, f"{path}/changes", {"limit": 500})["items"]
    if as_json:
        print(json.dumps(finding | {"changes": changes}))  # noqa: T201
        return
    console.print(panel(finding))
    console.print(Text(f"The work of {finding['assignee'] or 'nobody'}."))
    for each in changes:
        console.print(_change(each))


def _change(change: Json) -> Group:
    """What was done in one line; under it the words, which may be long."""
    at = f"{change['at'][:16].replace('T', ' ')} UTC  "
    said = Table.grid(padding=(0, 2, 0, 0))
    said.add_column()
    said.add_column(overflow="fold")
    for name, found in (change["checks"] or {}).items():
        text = found["note"] if "note" in found else f"unknown: {found['unknown']}"
        said.add_row(Text(name, style="dim"), Text(text))
    reason = [Text(change["reason"])] if change["reason"] else []
    head = Text.assemble((at, "dim"), f"{change['actor_name']}: {_what(change)}")
    return Group(head, Padding(Group(*reason, said), (0, 0, 0, 2)))


def _what(change: Json) -> str:
    if change["kind"] == "state":
        return f"{change['from_state']} → {change['to_state']}".replace("_", " ")
    return f"assigned to {change['assignee'] or 'nobody'}" if change["kind"] == "assignment" else "comment"


def show_similar(console: Console, client: httpx.Client, finding_id: str, *, limit: int, as_json: bool) -> None:
    groups = get(client, f"{finding_path(finding_id)}/similar", {"limit": limit})
    if as_json:
        print(json.dumps(groups))  # noqa: T201
        return
    for group in groups:
        console.print(Text(f"{group['total']:,} {group['words']}", style="bold"))
        for each in group["findings"]:
            line = f"  {each['finding_id']}  {each['score']} {each['severity']}  {each['hostname']}: {headline(each)}"
            console.print(Text(line), soft_wrap=True)
