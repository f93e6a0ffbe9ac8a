"""portbook baseline: over the JSON API, as the operator whose token is given."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from app.api_options import DEFAULT_URL, AsJson, CaFile, Token, Url
from app.command_line import console, errors

if TYPE_CHECKING:
    import httpx

baseline_app = typer.Typer(help="What is expected of a role, approved version by version.", no_args_is_help=True)

Platform = Annotated[Literal["windows", "macos"], typer.Argument(help="windows or macos")]
File = Annotated[Path, typer.Argument(metavar="FILE.yaml", help="as `portbook baseline export` writes it")]
Version = Annotated[int, typer.Option(help="Its number")]
Reason = Annotated[str, typer.Option(help="Why; kept with the version")]
REFUSED = 2


@baseline_app.command("list")
def baseline_list(url: Url = DEFAULT_URL, token: Token = "", ca_file: CaFile = None, as_json: AsJson = False) -> None:
    """Show every baseline: what is in force, what waits, when its next review is due."""
    from app.baselines.terminal import baselines_table

    with _client(url, token, ca_file) as client:
        found = _get(client, "/api/v1/baselines")
    _show(
        found,
        as_json=as_json,
        shown=baselines_table(found) if found else "no baseline yet; `portbook baseline propose` drafts one",
    )


@baseline_app.command("show")
def baseline_show(
    role: str,
    platform: Platform,
    version: Annotated[int | None, typer.Option(help="The one in force without it, else the newest draft")] = None,
    url: Url = DEFAULT_URL,
    token: Token = "",
    ca_file: CaFile = None,
    as_json: AsJson = False,
) -> None:
    """Show a version: its entries, who wrote it, who decided, and which open findings it expects."""
    from app.baselines.terminal import version_view

    with _client(url, token, ca_file) as client:
        path = _version_path(client, role, platform, version)
        found = _get(client, path)
        waits = found["state"] in {"draft", "submitted"}
        effect = _get(client, f"{path}/effect") if waits else None
    _show(found, as_json=as_json, shown=version_view(found, effect))


@baseline_app.command("propose")
def baseline_propose(
    role: str,
    platform: Platform,
    reason: Annotated[str, typer.Option(help="What the version is for")] = "proposed from history",
    days: Annotated[int, typer.Option(min=1, max=400, help="Whole days of history up to yesterday")] = 30,
    min_days: Annotated[int, typer.Option(min=1, max=400, help="On so many of them it must have been shown")] = 14,
    min_nodes: Annotated[int | None, typer.Option(min=1, help="By so many nodes; 3, or 5 %, without it")] = None,
    justification: Annotated[str, typer.Option(help="Of every new entry, to be written better")] = "",
    owner: Annotated[str, typer.Option(help="Of every new entry")] = "",
    url: Url = DEFAULT_URL,
    token: Token = "",
    ca_file: CaFile = None,
    as_json: AsJson = False,
) -> None:
    """Draft a version from history: what is in force stays, what is regular and signed is added."""
    from app.baselines.terminal import proposed_view, read_steps

    asked = {
        "role": role, "platform": platform, "reason": reason, "days": days, "min_days": min_days,
        "min_nodes": min_nodes, "justification": justification, "owner": owner,
    }  # fmt: skip
    with _client(url, token, ca_file) as client:
        found = read_steps(client, "/api/v1/baselines/proposals", asked, errors)
    _show(found, as_json=as_json, shown=proposed_view(found))


@baseline_app.command("export")
def baseline_export(
    role: str,
    platform: Platform,
    version: Annotated[int | None, typer.Option(help="The one in force without it, else the newest draft")] = None,
    output: Annotated[Path | None, typer.Option(help="File to write; standard output without it")] = None,
    url: Url = DEFAULT_URL,
    token: Token = "",
    ca_file: CaFile = None,
) -> None:
    """Write a version as YAML, to keep in git, change, and apply."""
    from app.api_client import get_text

    with _client(url, token, ca_file) as client:
        text = get_text(client, f"{_version_path(client, role, platform, version)}/file")
    if output:
        output.write_text(text, "utf-8")
    else:
        sys.stdout.write(text)


@baseline_app.command("diff")
def baseline_diff(
    first: Annotated[str, typer.Argument(metavar="FILE.yaml|ROLE", help="a file against what is approved; or a role")],
    platform: Annotated[str | None, typer.Argument(metavar="[PLATFORM]", help="windows or macos")] = None,
    before: Annotated[int | None, typer.Argument(metavar="[VERSION]", help="0 for nothing")] = None,
    after: Annotated[int | None, typer.Argument(metavar="[VERSION]")] = None,
    url: Url = DEFAULT_URL,
    token: Token = "",
    ca_file: CaFile = None,
    as_json: AsJson = False,
) -> None:
    """Show what a file would change, or what one version expects otherwise than another."""
    from app.baselines.terminal import differences_view

    with _client(url, token, ca_file) as client:
        if platform is None:
            found = _send_file(client, Path(first), {"dry_run": True})["differences"]
        elif before is None or after is None:
            raise typer.BadParameter("two versions, as in: portbook baseline diff till windows 3 4")
        else:
            found = _get(client, f"{_path(client, first, platform)}/diff", before=before, after=after)
    _show(found, as_json=as_json, shown=differences_view(found))


@baseline_app.command("apply")
def baseline_apply(
    file: File,
    reason: Annotated[str, typer.Option(help="What the change is for")],
    reference: Annotated[str, typer.Option(help="A ticket, the commit")] = "",
    url: Url = DEFAULT_URL,
    token: Token = "",
    ca_file: CaFile = None,
    as_json: AsJson = False,
) -> None:
    """Propose what a file says: a draft, which counts for nothing until somebody else approves it."""
    from app.baselines.terminal import applied_view

    with _client(url, token, ca_file) as client:
        found = _send_file(client, file, {"reason": reason, "reference": reference})
    _show(found, as_json=as_json, shown=applied_view(found))


@baseline_app.command("submit")
def baseline_submit(
    role: str,
    platform: Platform,
    version: Version,
    url: Url = DEFAULT_URL,
    token: Token = "",
    ca_file: CaFile = None,
    as_json: AsJson = False,
) -> None:
    """Ask for a decision on a draft, by somebody who did not write it."""
    with _client(url, token, ca_file) as client:
        _act(client, (role, platform, version, "submit"), {}, as_json=as_json)


@baseline_app.command("abandon")
def baseline_abandon(
    role: str,
    platform: Platform,
    version: Version,
    reason: Reason,
    url: Url = DEFAULT_URL,
    token: Token = "",
    ca_file: CaFile = None,
    as_json: AsJson = False,
) -> None:
    """Give up a version that nobody has decided on."""
    with _client(url, token, ca_file) as client:
        _act(client, (role, platform, version, "abandon"), {"reason": reason}, as_json=as_json)


@baseline_app.command("approve")
def baseline_approve(
    role: str,
    platform: Platform,
    version: Version,
    reason: Reason,
    in_force_from: Annotated[str | None, typer.Option(metavar="TIME", help="2026-12-01T08:00:00Z; now without")] = None,
    override: Annotated[str | None, typer.Option(metavar="WHY", help="The only approver decides on own work")] = None,
    url: Url = DEFAULT_URL,
    token: Token = "",
    ca_file: CaFile = None,
    as_json: AsJson = False,
) -> None:
    """Put what somebody else wrote in force, and say which open findings that withdrew."""
    body = {"reason": reason, "in_force_from": in_force_from, "override_reason": override}
    with _client(url, token, ca_file) as client:
        _act(client, (role, platform, version, "approve"), body, as_json=as_json)


@baseline_app.command("reject")
def baseline_reject(
    role: str,
    platform: Platform,
    version: Version,
    reason: Reason,
    url: Url = DEFAULT_URL,
    token: Token = "",
    ca_file: CaFile = None,
    as_json: AsJson = False,
) -> None:
    """Say no to what somebody else wrote."""
    with _client(url, token, ca_file) as client:
        _act(client, (role, platform, version, "reject"), {"reason": reason}, as_json=as_json)


@baseline_app.command("reviews")
def baseline_reviews(
    state: Annotated[Literal["open", "overdue", "done"], typer.Option(help="open, overdue or done")] = "open",
    limit: Annotated[int, typer.Option(min=1, max=500)] = 50,
    url: Url = DEFAULT_URL,
    token: Token = "",
    ca_file: CaFile = None,
    as_json: AsJson = False,
) -> None:
    """Show which reviews are due, overdue, or done."""
    from app.baselines.terminal import reviews_table

    with _client(url, token, ca_file) as client:
        found = _get(client, "/api/v1/baseline-reviews", state=state, limit=limit)
    _show(found, as_json=as_json, shown=reviews_table(found["items"]) if found["items"] else f"no review is {state}")


@baseline_app.command("unused")
def baseline_unused(
    role: str,
    platform: Platform,
    days: Annotated[int, typer.Option(min=1, max=400, help="Shown by no node of the role for so long")] = 30,
    url: Url = DEFAULT_URL,
    token: Token = "",
    ca_file: CaFile = None,
    as_json: AsJson = False,
) -> None:
    """Show entries in force that nobody needs any more, with the ids that `reviewed` takes."""
    from app.baselines.terminal import unused_view

    with _client(url, token, ca_file) as client:
        found = _get(client, f"{_path(client, role, platform)}/unused", days=days)
    _show(found, as_json=as_json, shown=unused_view(found))


@baseline_app.command("review")
def baseline_review(
    role: str,
    platform: Platform,
    after: Annotated[Literal["change", "incident"], typer.Option(help="What calls for it")],
    reason: Annotated[str, typer.Option(help="What changed, or happened")],
    reference: Annotated[str, typer.Option(help="A finding, an incident, a ticket")] = "",
    due_days: Annotated[int, typer.Option(min=0, max=400, help="To be done within so many days")] = 7,
    url: Url = DEFAULT_URL,
    token: Token = "",
    ca_file: CaFile = None,
    as_json: AsJson = False,
) -> None:
    """Ask for a review beside the calendar."""
    from app.baselines.terminal import reviews_table

    body = {"trigger": after, "reason": reason, "reference": reference, "due_days": due_days}
    with _client(url, token, ca_file) as client:
        opened = _post(client, f"{_path(client, role, platform)}/reviews", body)
    _show(opened, as_json=as_json, shown=reviews_table([opened]))


@baseline_app.command("reviewed")
def baseline_reviewed(
    review: Annotated[int, typer.Argument(metavar="REVIEW", help="Its number, as `reviews` shows it")],
    version: Annotated[int, typer.Option(help="That you looked at; refused when another is in force by now")],
    confirm: Annotated[list[str] | None, typer.Option(metavar="ENTRY", help="Stays; several times")] = None,
    remove: Annotated[list[str] | None, typer.Option(metavar="ENTRY", help="Goes, if approved; several times")] = None,
    confirm_others: Annotated[bool, typer.Option("--confirm-others", help="All that is not named stays")] = False,
    notes: Annotated[str, typer.Option(help="Kept with the review")] = "",
    url: Url = DEFAULT_URL,
    token: Token = "",
    ca_file: CaFile = None,
    as_json: AsJson = False,
) -> None:
    """Say of every entry in force whether it stays; what goes becomes a draft that somebody else approves."""
    from app.baselines.terminal import reviews_table

    body = {"version": version, "confirmed": confirm or [], "remove": remove or [], "notes": notes}
    with _client(url, token, ca_file) as client:
        done = _post(client, f"/api/v1/baseline-reviews/{review}/done", body | {"others_confirmed": confirm_others})
    _show(done, as_json=as_json, shown=reviews_table([done]))


def _client(url: str, token: str, ca_file: Path | None) -> "httpx.Client":
    from app.api_client import api_client

    return api_client(url, token, ca_file)


def _get(client: "httpx.Client", path: str, **params: Any) -> Any:
    from app.api_client import get

    return get(client, path, params)


def _post(client: "httpx.Client", path: str, body: dict[str, Any]) -> dict[str, Any]:
    from app.api_client import post

    return post(client, path, body)


def _baseline(client: "httpx.Client", role: str, platform: str) -> dict[str, Any]:
    from app.problems import NotFound

    found = _get(client, "/api/v1/baselines", role=role, platform=platform)
    if not found:
        raise NotFound(f"no baseline of {role} on {platform}")
    only: dict[str, Any] = found[0]
    return only


def _path(client: "httpx.Client", role: str, platform: str) -> str:
    return f"/api/v1/baselines/{_baseline(client, role, platform)['baseline_id']}"


def _version_path(client: "httpx.Client", role: str, platform: str, number: int | None) -> str:
    from app.problems import NotFound

    found = _baseline(client, role, platform)
    known = [found["in_force"], *found["waiting"]]
    newest = next((each["number"] for each in known if each), None)
    if number is None and newest is None:
        raise NotFound(f"{role} on {platform} has no version in force and none that waits; give --version")
    return f"/api/v1/baselines/{found['baseline_id']}/versions/{newest if number is None else number}"


def _act(client: "httpx.Client", what: tuple[str, str, int, str], body: dict[str, Any], *, as_json: bool) -> None:
    """`what`: role, platform, version, and the last part of the path."""
    from app.baselines.terminal import done_view

    role, platform, version, verb = what
    done = _post(client, f"{_version_path(client, role, platform, version)}/{verb}", body)
    _show(done, as_json=as_json, shown=done_view(done, role, platform))


def _send_file(client: "httpx.Client", file: Path, params: dict[str, Any]) -> Any:
    """Faults that can be seen in the file alone are told with their lines, before anything is sent."""
    from app.api_client import answered
    from app.baselines.terminal import faults_text
    from app.baselines.yaml_file import FileRefused, read_file

    content = file.read_bytes()
    try:
        read_file(content)
    except FileRefused as refused:
        errors.print(faults_text(file, refused.faults), end="", soft_wrap=True)
        raise typer.Exit(REFUSED) from None
    return answered(client, "POST", "/api/v1/baselines/files", params=params, content=content)


def _show(found: Any, *, as_json: bool, shown: Any) -> None:
    if as_json:
        print(json.dumps(found, ensure_ascii=False, indent=2))  # noqa: T201
    else:
        console.print(shown)
