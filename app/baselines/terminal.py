"""Baselines on a terminal, as the API gives them. Everything comes from people or agents: nothing is read as markup."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from app.api_client import opened
from app.baselines.yaml_file import LineFault
from app.detection.evidence import counted
from app.findings.terminal import STYLES, headline
from app.problems import InvalidRequest

if TYPE_CHECKING:
    import httpx

Json = Mapping[str, Any]

STATE_STYLES = {
    "draft": "dim", "submitted": "yellow", "approved": "green", "rejected": "red", "abandoned": "dim",
    "due": "cyan", "overdue": "bold red", "done": "green",
}  # fmt: skip
SIGNS = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow")}
_SHOWN_FINDINGS = 10
#: A proposal reads days of a large fleet between two of its lines.
_READ_SECONDS = 600.0


def baselines_table(baselines: Sequence[Json]) -> Table:
    table = _table("role and platform", "in force", "waiting", "next review")
    for each in baselines:
        of = f"{each['role']} {each['platform']}"
        texts = (of, _in_force(each["in_force"]), _waiting(each["waiting"]), _day(each["next_review_due"]))
        table.add_row(*map(Text, texts))
    return table


def _in_force(version: Json | None) -> str:
    if version is None:
        return "none"
    number, entries = f"version {version['number']}", counted(version["entries"], "entry", "entries")
    return f"{number} since {_day(version['in_force_from'])}, {entries}, approved by {_decider(version)}"


def _waiting(versions: Sequence[Json]) -> str:
    states: dict[str, list[str]] = {}
    for each in versions:
        states.setdefault(each["state"], []).append(str(each["number"]))
    return "; ".join(f"{state} {', '.join(numbers)}" for state, numbers in states.items())


def version_view(version: Json, effect: Json | None) -> RenderableType:
    parts: list[RenderableType] = [_version_panel(version), entries_list(version["whole"])]
    if effect is not None:
        parts += _effect(effect)
    return Group(*parts)


def _version_panel(version: Json) -> Panel:
    fields = Table.grid(padding=(0, 2, 0, 0))
    fields.add_column(style="dim")
    fields.add_column(overflow="fold")
    said = {
        "for": f"{version['reason']}{_referring(version['reference'])}",
        "written by": ", ".join(version["editors"]),
        "submitted by": _who(version["submitted_by"], version["submitted_at"]),
        "decided by": _who(version["decided_by"], version["decided_at"]),
        "because": version["decision_reason"] or "",
        "own work": version["override_reason"] or "",
        "in force from": _time(version["in_force_from"]),
        "until": _time(version["superseded_at"]),
        "SHA-256": version["content_sha256"],
    }
    for name, text in said.items():
        if text:
            fields.add_row(name, Text(text, style="bold red" if name == "own work" else ""))
    style = STATE_STYLES[version["state"]]
    title = Text(f"{version['role']} on {version['platform']} · version {version['number']} · {version['state']}")
    return Panel(fields, title=title, title_align="left", border_style=style)


def entries_list(entries: Sequence[Json]) -> RenderableType:
    """Each with what it expects, and under it why: as readable at 80 columns as at 200."""
    if not entries:
        return Text("no entries: nothing is expected", style="dim")
    return Group(*(_entry(each) for each in entries))


def _entry(entry: Json) -> RenderableType:
    lines = [
        Text.assemble(
            _or_missing(entry["justification"], "no justification"), "; ",
            _or_missing(entry["owner"], "no owner", "owner "), (f"; since {_day(entry['added_at'])}", "dim"),
        ),
        *([Text(entry["why"], style="dim")] if entry["why"] else []),
        *(Text(f"wide: {sentence}", style="yellow") for sentence in entry["wide"]),
    ]  # fmt: skip
    return Group(Text(entry["words"], style="bold"), Padding(Group(*lines), (0, 0, 0, 2)))


def _or_missing(said: str, missing: str, before: str = "") -> Text:
    return Text(f"{before}{said}") if said else Text(missing, style="red")


def _effect(effect: Json) -> list[RenderableType]:
    """What an approval would withdraw now."""
    if not effect["total"]:
        return [Text("An approval would withdraw no open finding.", style="dim")]
    return _findings(effect, f"An approval would withdraw {counted(effect['total'], 'open finding')}")


def _findings(effect: Json, said: str) -> list[RenderableType]:
    lines: list[RenderableType] = [Text(f"{said}{':' if effect['total'] else ''}", style="bold")]
    for each in effect["findings"][:_SHOWN_FINDINGS]:
        score = (f"{each['score']:>4} {each['severity']:<7}", STYLES[each["severity"]])
        lines.append(Text.assemble(score, f"{each['hostname']}: {headline(dict(each))} ({each['state']})"))
    more = effect["total"] - min(len(effect["findings"]), _SHOWN_FINDINGS)
    return lines + ([Text(f"     … and {more:,} more", style="dim")] if more else [])


def proposed_view(proposed: Json) -> RenderableType:
    version = proposed["version"]
    head = Text(f"Version {version['number']} is a draft: {counted(proposed['proposed'], 'new entry', 'new entries')}, "
                f"{proposed['kept']:,} kept from what is in force.", style="bold")  # fmt: skip
    enough = f"Enough: {counted(proposed['enough_nodes'], 'node')} of {proposed['nodes']:,}, {counted(proposed['enough_days'], 'day')}."  # noqa: E501
    rare = f"{counted(proposed['too_rare'], 'behaviour')} seen on fewer."
    parts: list[RenderableType] = [head, Text(f"{enough} {rare}", style="dim")]
    if proposed["flagged"]:
        text = f"{counted(proposed['flagged'], 'entry has', 'entries have')} open findings: look at them first."
        parts.append(Text(text, style="yellow"))
    parts += [_left_out(proposed)] if proposed["left_out"] else []
    return Group(*parts, Text("\nNow justify each entry: `portbook baseline export`, edit, `apply`; then `submit`."))


def _left_out(proposed: Json) -> RenderableType:
    """By reason, for there are few of them."""
    reasons: dict[str, list[str]] = {}
    for each in proposed["left_out"]:
        reasons.setdefault(each["because"], []).append(each["behaviour"])
    lines: list[RenderableType] = [Text(f"\nLeft out: {proposed['left_out_total']:,}", style="bold")]
    for because, behaviours in reasons.items():
        lines += [Text(f"{because}:"), Padding(Text(", ".join(behaviours), style="dim"), (0, 0, 0, 2))]
    return Group(*lines)


def differences_view(differences: Sequence[Json]) -> RenderableType:
    if not differences:
        return Text("nothing differs")
    lines = Table.grid(padding=(0, 1, 0, 0))
    lines.add_column()
    lines.add_column(overflow="fold")
    for each in differences:
        sign, style = SIGNS[each["kind"]]
        lines.add_row(Text(sign, style=style), Text(each["words"], style=style))
    return lines


def applied_view(applied: Json) -> RenderableType:
    if applied["draft"] is None:
        return Text("nothing differs from what is approved; nothing was proposed")
    draft = applied["draft"]
    says = f"version {draft['number']} is a draft; submit it, and somebody else decides"
    return Group(differences_view(applied["differences"]), Text(says, style="bold"))


def done_view(done: Json, role: str, platform: str) -> RenderableType:
    """A version after what was just done to it; of an approval also what that closed."""
    version = done.get("version", done) | {"role": role, "platform": platform}
    closed = done.get("closed")
    withdrawn = _findings(closed, f"Withdrew {counted(closed['total'], 'open finding')}") if closed else []
    return Group(_version_panel(version), *withdrawn)


def unused_view(found: Json) -> RenderableType:
    """Each with its id, for whoever removes it; and how far history reaches, for "never" means no more than that."""
    since = f"history reaches back to {found['known_since']}" if found["known_since"] else "there is no history yet"
    head = f"Version {found['version']}: {counted(len(found['items']), 'entry', 'entries')} not shown for {counted(found['days'], 'day')}; {since}."  # noqa: E501
    parts: list[RenderableType] = [Text(head, style="bold")]
    for each in found["items"]:
        shown = f"last shown {each['last_shown']}" if each["last_shown"] else "never shown"
        id_and_day = Text.assemble((each["entry"]["entry"], "cyan"), f"  {shown}")
        parts.append(Group(id_and_day, Padding(_entry(each["entry"]), (0, 0, 0, 2))))
    return Group(*parts)


def reviews_table(reviews: Sequence[Json]) -> Table:
    table = _table("review", "role", "platform", "state", "due", "asked for by", "reviewer", "outcome")
    for each in reviews:
        state = Text(each["state"], style=STATE_STYLES[each["state"]])
        asked = "calendar" if each["trigger"] == "scheduled" else f"{each['trigger']}: {each['reason']}"
        alone = "" if each["sod_ok"] in {None, True} else " (wrote it alone)"
        reviewer = f"{each['reviewer'] or ''}{alone}"
        table.add_row(
            str(each["review_id"]), Text(each["role"]), each["platform"], state, _day(each["due_at"]),
            Text(asked), Text(reviewer), Text(_outcome(each)),
        )  # fmt: skip
    return table


def _outcome(review: Json) -> str:
    if review["outcome"] is None:
        return ""
    counts = (("confirmed", "confirmed"), ("removed", "to remove"), ("added", "to add"))
    said = ", ".join(f"{len(review[name]):,} {words}" for name, words in counts if review[name])
    return f"{said}; draft {review['draft']}" if review["draft"] else said


def faults_text(path: Path, faults: Iterable[LineFault]) -> Text:
    """One line for each, as editors and people find it."""
    lines = Text()
    for each in faults:
        field = f" {each.field}:" if each.field else ""
        lines.append(f"{path}:{each.line}:", style="bold").append(field, style="cyan").append(f" {each.detail}\n")
    return lines


def read_steps(client: "httpx.Client", path: str, asked: Json, shown_on: Console) -> dict[str, Any]:
    """What a proposal came to, with a bar on its way. Raises: NotSignedIn, InvalidRequest with what the server said."""
    with Progress(console=shown_on, transient=True) as progress:
        task = progress.add_task("days of history", total=asked["days"])
        with opened(client, "POST", path, json=dict(asked), timeout=_READ_SECONDS) as answer:
            for line in answer.iter_lines():
                step = json.loads(line)
                if "problem" in step:
                    raise InvalidRequest(str(step["problem"].get("detail")))
                if "proposed" in step:
                    found: dict[str, Any] = step["proposed"]
                    return found
                progress.update(task, completed=step["days"])
    raise InvalidRequest(f"{client.base_url} ended before it was done")


def _decider(version: Json) -> str:
    return f"{version['decided_by']}{' (own work)' if version['override_reason'] else ''}"


def _referring(reference: str) -> str:
    return f" ({reference})" if reference else ""


def _who(name: str | None, at: str | None) -> str:
    return f"{name}, {_time(at)}" if name else ""


def _time(at: str | None) -> str:
    return f"{at[:16].replace('T', ' ')} UTC" if at else ""


def _day(at: str | None) -> str:
    return at[:10] if at else ""


def _table(*headers: str) -> Table:
    """Long paths are folded, never cut."""
    table = Table(header_style="bold")
    for header in headers:
        table.add_column(header, overflow="fold")
    return table
