"""portbook: the operator's commands. Each is a thin door to a module that does the work.

A command imports what it needs when it runs, so that `portbook replay` waits for no database or web framework.
"""

import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.text import Text

from app.analysis.replay_cli import replay
from app.analysis.software_cli import software_app
from app.api_options import DEFAULT_URL, AsJson, CaFile, Token, Url
from app.audit_cli import audit_app
from app.baseline_cli import baseline_app
from app.clock import utc_now
from app.command_line import DatabaseUrl, DataDir, account, console, errors, listing, settings_with, with_database
from app.exception_cli import exception_app
from app.finding_cli import finding_app
from app.flows_cli import flows_app
from app.investigate_cli import investigate
from app.knobs_cli import attack_app, knobs_app
from app.operators_cli import operators_app, tokens_app
from app.role_cli import role_app

app = typer.Typer(
    name="portbook",
    help="The ledger of a fleet's network ports.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"max_content_width": 100},
)
packs_app = typer.Typer(help="What is asked of nodes.", no_args_is_help=True)
secrets_app = typer.Typer(help="What lets an agent enroll.", no_args_is_help=True)
nodes_app = typer.Typer(help="Enrolled agents.", no_args_is_help=True)
app.add_typer(packs_app, name="packs")
app.add_typer(secrets_app, name="enroll-secret")
app.add_typer(operators_app, name="operator")
app.add_typer(tokens_app, name="token")
app.add_typer(nodes_app, name="node")
app.add_typer(knobs_app, name="knobs")
app.add_typer(attack_app, name="attack")
app.add_typer(software_app, name="software")
app.add_typer(flows_app, name="flows")
app.add_typer(audit_app, name="audit")
app.add_typer(role_app, name="role")
app.add_typer(finding_app, name="finding")
app.add_typer(baseline_app, name="baseline")
app.add_typer(exception_app, name="exception")
app.command()(replay)
app.command()(investigate)


def main() -> None:
    """Errors that a person can mend are one sentence and exit code 2."""
    try:
        app()
    except Exception as error:
        if not isinstance(error, _mendable()):
            raise
        errors.print(Text(f"portbook: {error}", style="red"), soft_wrap=True)
        sys.exit(2)


def _mendable() -> tuple[type[Exception], ...]:
    from app.postgres import PostgresError
    from app.problems import Problem

    return (Problem, PostgresError, OSError)


@app.command()
def serve(
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on")] = None,
    port: Annotated[int | None, typer.Option(help="0 takes a free one")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes; one a core is right")] = None,
    tls_certificate: Annotated[Path | None, typer.Option(help="PEM chain; without it one is made")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM key of that certificate")] = None,
    tls_hostname: Annotated[list[str] | None, typer.Option(help="Names for the certificate that is made")] = None,
    plain_http: Annotated[bool | None, typer.Option("--plain-http", help="Behind a proxy on this host only")] = None,
) -> None:
    """Run the service: agents over TLS, the JSON API, and the judging."""
    from app.server_log import configure_log
    from app.serving_command import serve_command

    settings = settings_with(
        data_dir=data_dir,
        database_url=database_url,
        host=host,
        port=port,
        workers=workers,
        tls_certificate=tls_certificate,
        tls_key=tls_key,
        tls_hostnames=tuple(tls_hostname) if tls_hostname else None,
        plain_http=plain_http,
    )
    configure_log(as_json=settings.log_json)
    serve_command(settings, console)


@app.command()
def worker(data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """Judge what web workers took in, and run queued backtests; as many of these as wanted may run beside them."""
    import asyncio

    from app.collection.packs import load_packs
    from app.collection.questions import load_questions
    from app.loops import judging
    from app.server_log import configure_log

    settings = settings_with(data_dir=data_dir, database_url=database_url)
    configure_log(as_json=settings.log_json)
    packs, questions = load_packs(), load_questions()
    with_database(settings, lambda database: asyncio.gather(*judging(database, settings, packs, questions)))


@app.command()
def demo(
    data_dir: Annotated[Path, typer.Option(help="Folder for the demo's data, made anew")] = Path("portbook-demo"),
    port: Annotated[int, typer.Option(help="0 takes a free one")] = 8443,
    check: Annotated[
        bool, typer.Option("--check", help="Do not stay; exit 1 unless all and only plants were found")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --check: one JSON object")] = False,
) -> None:
    """Show the main job: a simulated fleet, three weeks of history, planted deviations, what was found."""
    from app.demo import Demo

    raise typer.Exit(Demo(data_dir, port=port, stay=not check, as_json=as_json).run())


@app.command()
def simulate(
    url: Annotated[str, typer.Option(help="https://HOST:PORT of the server")],
    secret: Annotated[list[str], typer.Option(help="ROLE=SECRET, once a role; or one SECRET for all")],
    ca_file: Annotated[Path | None, typer.Option(help="PEM that the agents trust")] = None,
    scenario: Annotated[str, typer.Option(help="demo, quiet, smoke or load")] = "quiet",
    nodes: Annotated[int | None, typer.Option(help="Size of the fleet")] = None,
    new_connections: Annotated[bool, typer.Option(help="A TLS handshake a request, as real agents do")] = False,
    poll_seconds: Annotated[float, typer.Option(help="Of the endless scenario `load`")] = 60.0,
    concurrency: int = 16,
) -> None:
    """Play a fleet of simulated agents against a server, over osquery's real protocol."""
    from app.simulator.connection import ServerAddress
    from app.simulator.simulate_command import simulate_command

    address = ServerAddress(url, ca_file, new_connections=new_connections)
    played = simulate_command(
        address, secret, scenario=scenario, nodes=nodes, poll_seconds=poll_seconds, concurrency=concurrency
    )
    console.print(
        f"{played.nodes} nodes, {played.batches:,} batches, {played.rows:,} rows acknowledged, "
        f"{played.resent:,} sent again, {played.kept:,} kept, {played.seconds:.1f} s"
    )
    raise typer.Exit(1 if played.kept else 0)


@app.command()
def findings(
    url: Url = DEFAULT_URL,
    token: Token = "",
    ca_file: CaFile = None,
    severity: Annotated[list[str] | None, typer.Option(help="high, medium, low; several times")] = None,
    state: Annotated[list[str] | None, typer.Option(help="Several times; all open ones without it")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 20,
    as_json: AsJson = False,
) -> None:
    """Show findings with their evidence, heaviest first."""
    from app.api_client import api_client
    from app.findings.terminal import show_findings

    wanted = {"severity": severity or [], "state": state or [], "limit": limit}
    with api_client(url, token, ca_file) as client:
        show_findings(console, client, wanted, as_json=as_json)


@app.command()
def drift(
    role: Annotated[str | None, typer.Option(help="Of all roles without one")] = None,
    platform: Annotated[str | None, typer.Option(help="windows or macos")] = None,
    days: Annotated[int, typer.Option(min=1, max=31, help="What counts as new, or as long unseen")] = 7,
    limit: Annotated[int, typer.Option(min=1, max=100, help="Lines of each part")] = 20,
    url: Url = DEFAULT_URL,
    token: Token = "",
    ca_file: CaFile = None,
    as_json: AsJson = False,
) -> None:
    """Show what is new, what spreads and what is no longer seen, by role."""
    from app.analysis.drift.terminal import show_drift

    show_drift(
        console,
        url=url,
        token=token,
        ca_file=ca_file,
        role=role,
        platform=platform,
        days=days,
        limit=limit,
        as_json=as_json,
    )


@app.command()
def backtest(
    candidate: Annotated[Path, typer.Option(help="TOML file with the settings to try, as for `portbook knobs apply`")],
    days: Annotated[int, typer.Option(min=1, max=400, help="Judge the last so many days, today included")] = 7,
    scope: Annotated[str | None, typer.Option(help="Of a file with several: every, platform.windows …")] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write the result to FILE.json, or the changes to FILE.csv")
    ] = None,
    fail_on_gained: Annotated[int | None, typer.Option(min=0, help="Exit with 1 when more findings are gained")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The result as JSON, one object a scope")] = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Judge stored days under the settings in force and under others, and show what would change."""
    from app.analysis.backtest.command import Options, backtest, documents

    options = Options(candidate, days, scope, as_json, output, fail_on_gained)
    candidates = documents(options)
    settings = settings_with(data_dir=data_dir, database_url=database_url)
    code = with_database(settings, lambda database: backtest(database, options, candidates, console, errors))
    raise typer.Exit(code)


@app.command("import")
def import_results(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="osquery result lines, .gz too; - is stdin")],
    role: Annotated[str, typer.Option(help="Role of nodes that are new")],
    url: Url = DEFAULT_URL,
    token: Token = "",
    ca_file: CaFile = None,
) -> None:
    """Send result lines that another osquery manager kept."""
    from app.agent_api.import_command import import_files
    from app.api_client import api_client

    with api_client(url, token, ca_file) as client:
        totals = import_files(client, files, role)
    console.print(", ".join(f"{total:,} {name}" for name, total in totals.items()))


@packs_app.command("check")
def packs_check(
    folder: Annotated[Path | None, typer.Argument(help="Folder of packs; ours without one")] = None,
) -> None:
    """Prepare every statement against the tables of its platform, and name file and line of what is wrong."""
    from app.collection.check import check_packs
    from app.collection.packs import PACKS_DIR, load_packs
    from app.collection.questions import load_questions

    root = folder or PACKS_DIR
    faults = check_packs(root)
    for fault in faults:
        errors.print(Text(fault.text, style="red"), soft_wrap=True)
    if faults:
        raise typer.Exit(1)
    packs, questions = load_packs(root), load_questions(root)
    queries = sum(len(pack.queries) for pack in packs)
    console.print(f"{len(packs)} packs, {queries} queries; {len(questions)} questions for investigations: no fault.")


@packs_app.command("export")
def packs_export(
    directory: Path,
    target: Annotated[Literal["osquery", "fleet"], typer.Option("--for", help="Who shall run the packs")] = "osquery",
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite files that differ")] = False,
) -> None:
    """Write the packs for osquery's filesystem configuration, or for import into Fleet."""
    from app.collection.export import export
    from app.collection.packs import load_packs

    for path in export(load_packs(), target, directory, replace=replace):
        console.print(Text(str(path)), soft_wrap=True)


@secrets_app.command("add")
def secret_add(
    name: str,
    role: Annotated[str, typer.Option(help="Role of the nodes that enroll with it")],
    days: Annotated[int | None, typer.Option(min=1, help="Valid for so many days")] = None,
    quota: Annotated[int | None, typer.Option(min=1, help="Most nodes it may add")] = None,
    secret_file: Annotated[Path | None, typer.Option(help="Take another server's secret from this file")] = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Make an enroll secret and print it, once."""
    from app.fleet.secrets import NewSecret, add_secret

    text = secret_file.read_text().strip() if secret_file else None
    wanted = NewSecret(name, role, text, timedelta(days=days) if days else None, quota)
    settings = settings_with(data_dir=data_dir, database_url=database_url)
    print(with_database(settings, lambda database: add_secret(database, wanted, account(), utc_now())))  # noqa: T201


@secrets_app.command("list")
def secret_list(data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """Show enroll secrets, without their text, which is not kept."""
    from app.fleet.secrets import list_secrets

    rows = with_database(settings_with(data_dir=data_dir, database_url=database_url), list_secrets)
    table = listing("name", "role", "nodes", "quota", "expires", "last used", "revoked")
    for secret, role in rows:
        times = (secret.expires_at, secret.last_used_at, secret.revoked_at)
        shown = [f"{at:%Y-%m-%d %H:%M}" if at else "" for at in times]
        table.add_row(secret.name, role, str(secret.nodes_total), str(secret.quota or ""), *shown)
    console.print(table)


@secrets_app.command("revoke")
def secret_revoke(name: str, data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """End an enroll secret; nodes that enrolled with it stay."""
    from app.fleet.secrets import revoke

    settings = settings_with(data_dir=data_dir, database_url=database_url)
    with_database(settings, lambda database: revoke(database, name, account(), utc_now()))
    console.print(f"enroll secret {name} is revoked")


@nodes_app.command("revoke")
def node_revoke(node_id: int, data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """Shut a node out: its key is dead within seconds, and it may not enroll again."""
    from app.fleet.nodes import revoke_node

    settings = settings_with(data_dir=data_dir, database_url=database_url)
    with_database(settings, lambda database: revoke_node(database, node_id, account(), utc_now()))
    console.print(f"node {node_id} is revoked")


@app.command("enroll-kit")
def enroll_kit(
    directory: Path,
    platform: Annotated[Literal["windows", "macos"], typer.Option()],
    server: Annotated[str, typer.Option(help="HOST:PORT as the agents reach it")],
    secret_file: Annotated[Path, typer.Option(help="File with the enroll secret; - for standard input")],
    certificate: Annotated[
        Path | None, typer.Option(help="PEM to trust; the one in the data folder without it")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Write the files that make a host's osqueryd one of our nodes, and say where they go."""
    from app.fleet.enroll_kit import EnrollKit, instructions, write_kit

    trusted = certificate or settings_with(data_dir=data_dir).data_dir / "tls" / "certificate.pem"
    secret = sys.stdin.read().strip() if str(secret_file) == "-" else secret_file.read_text().strip()
    write_kit(EnrollKit(platform, server, secret, trusted.read_bytes()), directory)
    console.print(Text(instructions(platform, directory)), soft_wrap=True)


if __name__ == "__main__":
    main()
