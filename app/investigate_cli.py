"""portbook investigate: a thin door to app/findings/investigations."""

from typing import Annotated
from uuid import UUID

import typer

from app.api_options import DEFAULT_URL, AsJson, CaFile, Token, Url
from app.command_line import console, errors

NOT_ANSWERED = 1

Queries = Annotated[list[str] | None, typer.Option("--query", help="Ask only this one; several times")]


def investigate(
    finding_id: UUID,
    query: Queries = None,
    wait: Annotated[bool, typer.Option("--wait", help="Until the node has answered; Ctrl-C stops the waiting")] = False,
    show: Annotated[bool, typer.Option("--show", help="Do not ask; show what was asked last")] = False,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token: Token = "",
    ca_file: CaFile = None,
) -> None:
    """Ask the node behind a finding the reviewed queries. Exit 1 after --wait when something was not answered."""
    import json

    from app.api_client import api_client
    from app.findings.investigations import terminal
    from app.problems import NotFound

    with api_client(url, token, ca_file) as client:
        key = str(finding_id)
        found = terminal.newest(client, key) if show else terminal.ask(client, key, query or [])
        if found is None:
            raise NotFound(f"nobody investigated finding {finding_id}")
        if wait:
            found = terminal.wait(client, errors, found)
    if as_json:
        print(json.dumps(found))  # noqa: T201
    else:
        terminal.show(console, found)
    raise typer.Exit(NOT_ANSWERED if wait and found["state"] != "answered" else 0)
