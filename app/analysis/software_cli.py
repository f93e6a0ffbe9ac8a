"""`portbook software`: the approved inventory, over the JSON API."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.api_options import DEFAULT_URL, AsJson, CaFile, Token, Url

if TYPE_CHECKING:
    import httpx

software_app = typer.Typer(help="The approved inventory of software.", no_args_is_help=True)

Number = Annotated[
    int | None, typer.Option("--import", help="Number of an earlier import; the list that holds without")
]
REFUSED = 2
_PAGE = 500


@software_app.command("import")
def import_list(
    file: Annotated[
        Path, typer.Argument(metavar="FILE.csv", help="CSV: name, publisher, team_id, path, owner, until …")
    ],
    by: Annotated[str, typer.Option(help="Who approves it; the token's name is kept anyway")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the file and show what would change")] = False,
    url: Url = DEFAULT_URL,
    token: Token = "",
    ca_file: CaFile = None,
    as_json: AsJson = False,
) -> None:
    """Replace the approved inventory by a file: all of it, or nothing."""
    from rich.console import Console

    from app.api_client import answered, api_client
    from app.software.approved_csv import read_approved_file
    from app.software.csv_text import CsvRefused
    from app.software.terminal import problems_text, show_receipt

    try:
        read_approved_file(file)
    except CsvRefused as refused:
        problems = [{"line": each.line, "field": each.field, "detail": each.text} for each in refused.problems]
        Console(stderr=True).print(problems_text(file, problems), end="", soft_wrap=True)
        raise typer.Exit(REFUSED) from None
    params = {"file_name": file.name, "by": by, "dry_run": dry_run}
    with api_client(url, token, ca_file) as client:
        receipt = answered(client, "POST", "/api/v1/software/approved", params=params, content=file.read_bytes())
    print(json.dumps(receipt)) if as_json else show_receipt(Console(), receipt)  # noqa: T201


@software_app.command("list")
def list_approved(
    number: Number = None, url: Url = DEFAULT_URL, token: Token = "", ca_file: CaFile = None, as_json: AsJson = False
) -> None:
    """Show the approved software."""
    from rich.console import Console

    from app.api_client import api_client
    from app.clock import utc_now
    from app.detection.evidence import counted
    from app.software.terminal import approved_table

    with api_client(url, token, ca_file) as client:
        entries = list(_entries(client, number))
    if as_json:
        print(json.dumps(entries))  # noqa: T201
        return
    console = Console()
    if entries:
        console.print(approved_table(entries, utc_now().date()))
    said = f"{counted(len(entries), 'entry', 'entries')}." if entries else "No approved inventory was imported."
    console.print(said)


@software_app.command("show")
def show_entries(name: str, url: Url = DEFAULT_URL, token: Token = "", ca_file: CaFile = None) -> None:
    """Show entries whose name holds NAME in full, and how many nodes have software of that name."""
    from rich.console import Console

    from app.api_client import api_client, get
    from app.problems import NotFound
    from app.software.terminal import entry_panel

    with api_client(url, token, ca_file) as client:
        entries = [each for each in _entries(client, None) if name.casefold() in each["name"].casefold()]
        if not entries:
            raise NotFound(f"no approved software has {name!r} in its name")
        for entry in entries:
            nodes = get(client, "/api/v1/software/fleet", {"name": entry["name"]})["items"]
            Console().print(entry_panel(entry, nodes))


@software_app.command("imports")
def list_imports(url: Url = DEFAULT_URL, token: Token = "", ca_file: CaFile = None, as_json: AsJson = False) -> None:
    """Show who imported which file when, newest first."""
    from rich.console import Console

    from app.api_client import api_client, get
    from app.software.terminal import imports_table

    with api_client(url, token, ca_file) as client:
        imports = get(client, "/api/v1/software/imports", {"limit": _PAGE})["items"]
    print(json.dumps(imports)) if as_json else Console().print(imports_table(imports))  # noqa: T201


@software_app.command("export")
def export_list(number: Number = None, url: Url = DEFAULT_URL, token: Token = "", ca_file: CaFile = None) -> None:
    """Print the list as CSV that can be imported again."""
    from app.api_client import api_client
    from app.software.approved_csv import write_approved
    from app.software.terminal import entry_of

    with api_client(url, token, ca_file) as client:
        sys.stdout.write(write_approved(map(entry_of, _entries(client, number))))


def _entries(client: "httpx.Client", number: int | None) -> Iterator[dict[str, Any]]:
    """Every page."""
    from app.api_client import get

    params: dict[str, Any] = {"limit": _PAGE} | ({"import_id": number} if number else {})
    following: str | None = ""
    while following is not None:
        page = get(client, "/api/v1/software/approved", params | ({"cursor": following} if following else {}))
        yield from page["items"]
        following = page["next"]
