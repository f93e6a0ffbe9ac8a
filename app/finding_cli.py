"""portbook finding: thin doors to triage over the API, in the name of the token's operator."""

from typing import Annotated

import typer

from app.api_options import DEFAULT_URL, AsJson, CaFile, Token, Url
from app.command_line import console

finding_app = typer.Typer(help="Look into one finding, and triage findings.", no_args_is_help=True)

FindingId = Annotated[str, typer.Argument(metavar="FINDING", help="Its id, as `portbook findings` shows it")]


@finding_app.command("show")
def finding_show(
    finding: FindingId, url: Url = DEFAULT_URL, token: Token = "", ca_file: CaFile = None, as_json: AsJson = False
) -> None:
    """Show a finding with its evidence, and all that happened to it."""
    from app.api_client import api_client
    from app.findings.triage.terminal import show

    with api_client(url, token, ca_file) as client:
        show(console, client, finding, as_json=as_json)


@finding_app.command("similar")
def finding_similar(
    finding: FindingId,
    limit: Annotated[int, typer.Option(min=1, max=500, help="Findings of each likeness")] = 10,
    url: Url = DEFAULT_URL,
    token: Token = "",
    ca_file: CaFile = None,
    as_json: AsJson = False,
) -> None:
    """Show other open findings like this one, with their ids."""
    from app.api_client import api_client
    from app.findings.triage.terminal import show_similar

    with api_client(url, token, ca_file) as client:
        show_similar(console, client, finding, limit=limit, as_json=as_json)


@finding_app.command("triage")
def finding_triage(
    findings: Annotated[list[str], typer.Argument(metavar="FINDING", help="One, or several alike: all or none")],
    state: Annotated[str, typer.Option(help="acknowledged, investigating, escalated, remediated, false_positive …")],
    reason: Annotated[str, typer.Option(help="Why; kept with the change")],
    checked: Annotated[list[str] | None, typer.Option(metavar="WHAT=NOTE", help="Of a closing: what you found")] = None,
    unknown: Annotated[list[str] | None, typer.Option(metavar="WHAT=WHY", help="Of a closing: why none knows")] = None,
    seen: Annotated[str | None, typer.Option(help="The state in which you saw it; refused if it has another")] = None,
    reference: Annotated[str, typer.Option(help="A ticket or an incident")] = "",
    fleet: Annotated[bool, typer.Option("--fleet", help="A fleet finding, with those of its nodes")] = False,
    url: Url = DEFAULT_URL,
    token: Token = "",
    ca_file: CaFile = None,
) -> None:
    """Give findings a state. A closing demands process, user, host, destination and justification, each
    --checked or --unknown.
    """
    from app.api_client import api_client
    from app.findings.triage.terminal import checks_from, triage

    checks = checks_from(checked or [], unknown or [])
    decision = {"state": state, "reason": reason, "checks": checks, "seen_state": seen, "reference": reference}
    with api_client(url, token, ca_file) as client:
        console.print(triage(client, findings, decision, is_fleet=fleet))


@finding_app.command("assign")
def finding_assign(
    finding: FindingId,
    to: Annotated[str | None, typer.Option(help="Operator; nobody without one")] = None,
    reason: Annotated[str, typer.Option(help="Why, if that is worth saying")] = "",
    url: Url = DEFAULT_URL,
    token: Token = "",
    ca_file: CaFile = None,
) -> None:
    """Make a finding the work of an operator, or of nobody."""
    from app.api_client import api_client, post
    from app.findings.terminal import finding_path

    with api_client(url, token, ca_file) as client:
        found = post(client, f"{finding_path(finding)}/assignee", {"assignee": to, "reason": reason})
    console.print(f"{finding} is the work of {found['assignee'] or 'nobody'}", markup=False, soft_wrap=True)


@finding_app.command("comment")
def finding_comment(
    finding: FindingId, text: str, url: Url = DEFAULT_URL, token: Token = "", ca_file: CaFile = None
) -> None:
    """Say something of a finding, which stays with it."""
    from app.api_client import api_client, post
    from app.findings.terminal import finding_path

    with api_client(url, token, ca_file) as client:
        post(client, f"{finding_path(finding)}/comments", {"text": text})
    console.print("kept", markup=False)
