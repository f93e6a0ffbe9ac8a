"""Findings on a terminal, as the API gives them."""

import json
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from app.problems import InvalidRequest, NotSignedIn

STYLES = {"high": "bold red", "medium": "yellow", "low": "cyan"}
TIMEOUT_SECONDS = 30.0
SHOWN_FAULTS = 10

FindingJson = dict[str, Any]


def show_findings(console: Console, client: httpx.Client, wanted: dict[str, Any], *, as_json: bool) -> None:
    """`wanted`: filters of both lists, and `limit`. Raises: NotSignedIn, InvalidRequest with what the server said."""
    limit = wanted["limit"]
    page = get(client, "/api/v1/findings", wanted)
    fleet = get(client, "/api/v1/fleet-findings", wanted)
    if as_json:
        print(json.dumps(page | {"fleet_findings": fleet["items"]}))  # noqa: T201
        return
    found = sorted((*fleet["items"], *page["items"]), key=lambda each: -each["score"])
    for each in found[:limit]:
        console.print(panel(each))
    total, more = min(len(found), limit), len(found) > limit or page["next"] or fleet["next"]
    console.print(f"{total} finding{'' if total == 1 else 's'}{', and more' if more else ''}.")


def api_client(url: str, token: str, ca_file: Path | None) -> httpx.Client:
    """Raises: InvalidRequest for a file that holds no certificate."""
    try:
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except OSError as error:
        raise InvalidRequest(
            f"{ca_file}: {'not a PEM' if isinstance(error, ssl.SSLError) else error.strerror}"
        ) from None
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.Client(base_url=url, headers=headers, verify=context, timeout=TIMEOUT_SECONDS)


def get(client: httpx.Client, path: str, params: dict[str, Any]) -> dict[str, Any]:
    """Raises: NotSignedIn, InvalidRequest."""
    return answered(client, "GET", path, params=params)


def answered(
    client: httpx.Client, method: str, path: str, *, params: dict[str, Any], content: bytes | None = None
) -> dict[str, Any]:
    """The JSON of an answer that is no problem.

    Raises: NotSignedIn, InvalidRequest.
    """
    with reaching(client):
        answer = client.request(method, path, params=params, content=content)
    refuse_problem(client, answer)
    document: dict[str, Any] = _document(client, answer)
    return document


@contextmanager
def reaching(client: httpx.Client) -> Iterator[None]:
    """Raises: InvalidRequest, a sentence where nobody answers."""
    try:
        yield
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise InvalidRequest(f"no answer from {client.base_url}: {error}") from error


def refuse_problem(client: httpx.Client, answer: httpx.Response) -> None:
    """Raises: NotSignedIn, InvalidRequest with what the server said, and of which fields."""
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        raise NotSignedIn(f"{client.base_url} knows no such token; put one into PORTBOOK_TOKEN, or give --token")
    if answer.is_error:
        said = _problem_text(_document(client, answer))
        raise InvalidRequest(f"{client.base_url} answered {answer.status_code}: {said}")


def _document(client: httpx.Client, answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        raise InvalidRequest(f"{client.base_url} answered {answer.status_code} without JSON: no Portbook?") from None


def _problem_text(problem: dict[str, Any]) -> str:
    """The sentence of a problem document with its field, or several faults, each in a line."""
    detail, field, errors = str(problem.get("detail")), problem.get("field"), problem.get("errors", [])
    if len(errors) > 1:
        lines = [f"{each['pointer']}: {each['detail']}" for each in errors[:SHOWN_FAULTS]]
        more = [f"and {len(errors) - SHOWN_FAULTS} more"] if len(errors) > SHOWN_FAULTS else []
        return "\n  ".join([f"{len(errors)} faults", *lines, *more])
    is_named = not field or detail.startswith(field) or f"{field}:" in detail
    return detail if is_named else f"{detail} [{field}]"


def panel(found: FindingJson) -> Panel:
    style = STYLES[found["severity"]]
    head = Text.assemble(
        (f"{found['score']} {found['severity']}", style), f" · {found['technique']} / {found['analytic']}"
    )
    is_fleet = "first_nodes" in found
    where = Text(_nodes(found) if is_fleet else _node(found))
    name = f"fleet finding {found['fleet_finding_id']}" if is_fleet else f"finding {found['finding_id']}"
    state = Text(f"{name}: {found['state'].replace('_', ' ')}", style="dim")
    body = Group(Text(headline(found), style="bold"), where, evidence_table(found["evidence"]), state)
    return Panel(body, title=head, title_align="left", border_style=style)


def _node(found: FindingJson) -> str:
    return f"{found['hostname']} ({found['role']}), first seen {_instant(found['first_seen_at'])}"


def _nodes(found: FindingJson) -> str:
    """Of a fleet finding: how many, since when, and the first of them by name."""
    named = ", ".join(each["hostname"] for each in found["first_nodes"])
    more = found["nodes"] - len(found["first_nodes"])
    others = f" and {more:,} more" if more > 0 else ""
    since, until = _instant(found["first_seen_at"]), _instant(found["last_seen_at"])
    return f"On {found['nodes']:,} nodes, from {since} to {until}: {named}{others}"


def _instant(said: str) -> str:
    return f"{said[:16].replace('T', ' ')} UTC"


def headline(found: FindingJson) -> str:
    """The behaviour as a sentence."""
    behaviour = found["behaviour"]
    name = f"{behaviour['program']} ({behaviour['unit']})" if behaviour["unit"] else behaviour["program"]
    port = f"{behaviour['transport']}/{behaviour['port']}"
    said = {
        "outbound": f"connected out to {port}",
        "listening": f"listened on {port}",
        "loopback": f"connected to {port} on its own host",
        "signature": f"is signed differently: {behaviour['port']}",
        "service": "is a Windows service configured in a new way",
        "launchd": "is a launchd job configured in a new way",
    }
    return f"{name} {said[behaviour['direction']]}"


def evidence_table(evidence: Iterable[dict[str, Any]]) -> Table:
    """Points and sentences, each in a column of its own."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(justify="right", style="dim", width=4)
    table.add_column()
    for line in evidence:
        table.add_row(f"{line['points']:+.0f}" if line["points"] else "·", Text(line["text"]))
    return table
