"""What every command that speaks to a server asks: where it is, in whose name, and what to trust."""

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_URL = "https://localhost:8443"

Url = Annotated[str, typer.Option(envvar="PORTBOOK_URL", help="https://HOST:PORT of the server")]
Token = Annotated[str, typer.Option(envvar="PORTBOOK_TOKEN", help="API token", show_default=False)]
CaFile = Annotated[
    Path | None, typer.Option(envvar="PORTBOOK_CA_FILE", help="PEM to trust; the server's own certificate")
]
AsJson = Annotated[bool, typer.Option("--json", help="The API's own JSON")]
