"""portbook exception: thin doors to the JSON API's exceptions."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from app.api_options import DEFAULT_URL, AsJson, CaFile, Token, Url
from app.clock import utc_now
from app.command_line import console

if TYPE_CHECKING:
    from app.baselines.exceptions.terminal import Door

exception_app = typer.Typer(help="Deviations that people accept for a time.", no_args_is_help=True)

ExceptionId = Annotated[str, typer.Argument(metavar="EXCEPTION", help="Its id")]
Reason = Annotated[str, typer.Option(help="Why; kept, and shown to whoever decides or audits")]
Need = Annotated[str, typer.Option("--business-need", help="What it is needed for")]
Risk = Annotated[Literal["low", "medium", "high"], typer.Option(help="The risk that stays")]
Control = Annotated[str, typer.Option("--compensating-control", help="What lessens the risk meanwhile")]
Ticket = Annotated[str, typer.Option(help="Where else it is written down")]
Days = Annotated[int, typer.Option(min=1, max=180, help="For so many days from now")]
Override = Annotated[str | None, typer.Option(metavar="WHY", help="The only approver decides on an own request")]


@exception_app.command("list")
def exception_list(
    state: Annotated[str | None, typer.Option(help="pending, active, rejected, revoked, expired")] = None,
    role: Annotated[str | None, typer.Option(help="For nodes of this role")] = None,
    node: Annotated[int | None, typer.Option(help="That speak of this node")] = None,
    program: Annotated[str | None, typer.Option(help="File name")] = None,
    requested_by: Annotated[str | None, typer.Option(help="Name of an operator")] = None,
    ending: Annotated[
        int | None, typer.Option(metavar="DAYS", min=0, max=180, help="Active ones that end soon")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 50,
    url: Url = DEFAULT_URL,
    token: Token = "",
    ca_file: CaFile = None,
    as_json: AsJson = False,
) -> None:
    """Show requests and what became of them, the newest first."""
    from app.baselines.exceptions.terminal import list_exceptions

    wanted = {"state": state, "role": role, "node": node, "program": program, "requested_by": requested_by}
    wanted |= {"expiring_within_days": ending, "limit": limit}
    list_exceptions(console, _door(url, token, ca_file), wanted, as_json=as_json)


@exception_app.command("show")
def exception_show(
    exception_id: ExceptionId,
    url: Url = DEFAULT_URL,
    token: Token = "",
    ca_file: CaFile = None,
    as_json: AsJson = False,
) -> None:
    """Show one with all that was said, and what it covers; of a request what it would cover."""
    from app.baselines.exceptions.terminal import show_exception

    show_exception(console, _door(url, token, ca_file), exception_id, as_json=as_json)


@exception_app.command("request")
def exception_request(
    reason: Reason,
    business_need: Need,
    risk: Risk,
    compensating_control: Control,
    finding: Annotated[str | None, typer.Option(help="Ask for just what this finding shows, on its node")] = None,
    held_by: Annotated[
        Literal["path", "signer"], typer.Option(help="Of a finding: what the program is known by")
    ] = "path",
    platform: Annotated[Literal["windows", "macos"] | None, typer.Option()] = None,
    program: Annotated[str | None, typer.Option(help="File name; * for every program of a signer")] = None,
    path: Annotated[str | None, typer.Option(help="As findings show it")] = None,
    signer: Annotated[str | None, typer.Option(help="Who signed it")] = None,
    direction: Annotated[
        Literal["outbound", "listening", "loopback"] | None, typer.Option(help="outbound without it")
    ] = None,
    transport: Annotated[Literal["tcp", "udp"] | None, typer.Option(help="tcp without it")] = None,
    port: Annotated[str | None, typer.Option(help="8443, or 8000-8100")] = None,
    unit: Annotated[str | None, typer.Option(help="Service or launchd label")] = None,
    peer_scope: Annotated[Literal["public", "private", "link-local"] | None, typer.Option()] = None,
    role: Annotated[str | None, typer.Option(help="For nodes of this role")] = None,
    node: Annotated[list[int] | None, typer.Option(help="For this node; several times")] = None,
    ticket: Ticket = "",
    days: Days = 180,
    url: Url = DEFAULT_URL,
    token: Token = "",
    ca_file: CaFile = None,
    as_json: AsJson = False,
) -> None:
    """Ask for an exception; somebody else decides on it."""
    from app.baselines.exceptions.terminal import ports, send

    body = _why(reason, business_need, risk, compensating_control, ticket=ticket, days=days)
    door = _door(url, token, ca_file)
    pattern: dict[str, object] = {"platform": platform, "program": program, "path": path, "signer": signer}
    pattern |= {"direction": direction, "transport": transport, "unit": unit, "peer_scope": peer_scope}
    pattern |= {"role": role, "node_ids": node or None}
    if finding is not None:
        _refuse_beside_a_finding(pattern | {"port": port})
        send(console, door, "/from-finding", body | {"finding_id": finding, "held_by": held_by}, as_json=as_json)
        return
    if platform is None or program is None or port is None:
        raise typer.BadParameter("give a --finding, or --platform, --program and --port")
    first, last = ports(port)
    pattern |= {"direction": direction or "outbound", "transport": transport or "tcp"}
    send(console, door, "", body | pattern | {"first_port": first, "last_port": last}, as_json=as_json)


@exception_app.command("renew")
def exception_renew(
    exception_id: ExceptionId,
    reason: Reason,
    business_need: Need,
    risk: Risk,
    compensating_control: Control,
    ticket: Ticket = "",
    days: Days = 180,
    url: Url = DEFAULT_URL,
    token: Token = "",
    ca_file: CaFile = None,
    as_json: AsJson = False,
) -> None:
    """Ask for the same again; it needs an approval of its own."""
    from app.baselines.exceptions.terminal import send

    body = _why(reason, business_need, risk, compensating_control, ticket=ticket, days=days)
    send(console, _door(url, token, ca_file), f"/{exception_id}/renew", body, as_json=as_json)


@exception_app.command("approve")
def exception_approve(
    exception_id: ExceptionId,
    reason: Reason,
    override: Override = None,
    url: Url = DEFAULT_URL,
    token: Token = "",
    ca_file: CaFile = None,
    as_json: AsJson = False,
) -> None:
    """Put what somebody else asked for in force."""
    _decide(
        "approve", exception_id, {"reason": reason, "override_reason": override}, _door(url, token, ca_file), as_json
    )


@exception_app.command("reject")
def exception_reject(
    exception_id: ExceptionId,
    reason: Reason,
    override: Override = None,
    url: Url = DEFAULT_URL,
    token: Token = "",
    ca_file: CaFile = None,
    as_json: AsJson = False,
) -> None:
    """Say no to what somebody else asked for."""
    _decide(
        "reject", exception_id, {"reason": reason, "override_reason": override}, _door(url, token, ca_file), as_json
    )


@exception_app.command("revoke")
def exception_revoke(
    exception_id: ExceptionId,
    reason: Reason,
    own: Annotated[bool, typer.Option("--own", help="Take back what you asked for yourself")] = False,
    url: Url = DEFAULT_URL,
    token: Token = "",
    ca_file: CaFile = None,
    as_json: AsJson = False,
) -> None:
    """End one at once; what it covered is open again."""
    _decide("take-back" if own else "revoke", exception_id, {"reason": reason}, _door(url, token, ca_file), as_json)


def _refuse_beside_a_finding(pattern: dict[str, object]) -> None:
    """Heard and not heeded, it would look like a narrower request than it is. Raises: BadParameter."""
    if given := [f"--{name.removesuffix('_ids').replace('_', '-')}" for name, value in pattern.items() if value]:
        raise typer.BadParameter(f"a --finding says all of it: leave out {', '.join(given)}, or leave out --finding")


def _decide(verb: str, exception_id: str, body: dict[str, object], door: "Door", as_json: bool) -> None:  # noqa: FBT001
    from app.baselines.exceptions.terminal import send

    send(console, door, f"/{exception_id}/{verb}", body, as_json=as_json)


def _door(url: str, token: str, ca_file: Path | None) -> "Door":
    from app.baselines.exceptions.terminal import Door

    return Door(url, token, ca_file)


def _why(reason: str, need: str, risk: str, control: str, *, ticket: str, days: int) -> dict[str, object]:
    """The end is a minute early, so that the longest time there is cannot be too long by the other end's clock."""
    ends = utc_now() + timedelta(days=days, minutes=-1)
    said: dict[str, object] = {"reason": reason, "business_need": need, "risk": risk, "compensating_control": control}
    return said | {"ticket": ticket, "expires_at": ends.isoformat()}
