"""The demonstration: a real server, a simulated fleet over TLS, planted deviations, and what was found of them."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from app.access.actor import PORTBOOK
from app.access.duties import Duty, permissions_of
from app.access.operators import NewOperator
from app.access.operators import add as add_operator
from app.access.passwords import a_password
from app.access.tokens import NewToken, add_token
from app.api_client import api_client, get
from app.clock import utc_now
from app.database import Database, migrate
from app.findings.terminal import headline, panel
from app.fleet.secrets import NewSecret, add_secret
from app.postgres import Cluster, erase
from app.serving import certificate_of, listen
from app.settings import Settings
from app.simulator.connection import ServerAddress
from app.simulator.plants import Plant
from app.simulator.play import Played, play, stand_by
from app.simulator.play import Progress as PlayProgress
from app.simulator.scenario import Scenario, scenario

POLL_SECONDS = 0.3
SHOWN_FINDINGS = 3
ALERTS = ("high", "medium")
MARKER = ".portbook-demo"
#: One operator of each signs in under its name.
DUTIES = (Duty.ANALYST, Duty.APPROVER, Duty.ADMIN)

FindingJson = dict[str, Any]


class DemoFolderTaken(OSError):
    """The folder exists and is not a demo's; it is left alone."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was planted against what was found. `benign` alerts belong to no plant."""

    found: dict[str, FindingJson]
    missed: list[Plant]
    benign: list[FindingJson]
    findings: list[FindingJson]
    played: Played
    seconds: float

    @property
    def is_clean(self) -> bool:
        return not self.missed and not self.benign

    def document(self) -> dict[str, object]:
        return {
            "planted": len(self.found) + len(self.missed),
            "found": sorted(self.found),
            "missed": [plant.name for plant in self.missed],
            "raised_on_benign": [f"{each['hostname']}: {headline(each)} ({each['score']})" for each in self.benign],
            "nodes": self.played.nodes,
            "rows": self.played.rows,
            "seconds": round(self.seconds, 1),
        }


@dataclass(frozen=True, slots=True)
class Credentials:
    """Enroll secrets by role, an API token, and the one password of all operators of the demo."""

    secrets: dict[str, str] = field(repr=False)
    token: str = field(repr=False)
    password: str = field(repr=False)


class Demo:
    """One run: everything it starts, it stops."""

    def __init__(self, folder: Path, *, port: int, stay: bool, as_json: bool) -> None:
        self._settings = Settings(data_dir=folder.absolute(), port=port)
        self._stay = stay
        self._as_json = as_json
        self._console = Console(stderr=as_json)
        self._scenario = scenario("demo")

    def run(self) -> int:
        """The exit code: 1 unless all and only the plants were found."""
        began = time.monotonic()
        _end_on_sigterm()
        _empty(self._settings.data_dir)
        with ExitStack() as undo:
            columns = (TextColumn("{task.description:<34}"), BarColumn(), TextColumn("{task.fields[said]}"))
            bar = undo.enter_context(Progress(*columns, TimeElapsedColumn(), console=self._console))
            server, credentials = self._start(undo, bar)
            now = utc_now()
            played = asyncio.run(self._play(bar, server, credentials.secrets, now))
            client = undo.enter_context(api_client(server.url, credentials.token, server.ca_file))
            self._await_judgement(bar, client)
            bar.stop()
            outcome = _compare(self._scenario, client, played, time.monotonic() - began)
            self._report(outcome, server, credentials)
            if self._stay:
                _stand_by(self._scenario, server, credentials.secrets, now)
        return 0 if outcome.is_clean else 1

    def _start(self, undo: ExitStack, bar: Progress) -> tuple[ServerAddress, Credentials]:
        task = bar.add_task("Starting Postgres and the server", total=3, said="")
        cluster = Cluster(self._settings.data_dir / "postgres", self._settings.postgres_bin_dir)
        database_url = undo.enter_context(cluster.running())
        bar.update(task, advance=1, said="schema")
        migrate(database_url)
        credentials = asyncio.run(_credentials(database_url, self._scenario))
        bar.update(task, advance=1, said="TLS")
        certificate = certificate_of(self._settings)
        assert certificate is not None
        address = undo.enter_context(_server(self._settings, database_url))
        server = ServerAddress(address, certificate[0])
        bar.update(task, advance=1, said=address)
        return server, credentials

    async def _play(self, bar: Progress, server: ServerAddress, secrets: dict[str, str], now: datetime) -> Played:
        task = bar.add_task("Three weeks of a fleet, in fast time", total=None, said="enrolling")

        def show(progress: PlayProgress) -> None:
            said = f"{progress.rows:,} rows, day {progress.day + 1} of {progress.days}"
            bar.update(task, completed=progress.node_days, total=progress.node_days_total, said=said)

        return await play(self._scenario, server=server, secrets=secrets, now=now, on_progress=show)

    def _await_judgement(self, bar: Progress, client: httpx.Client) -> None:
        """Until the queue between intake and analysis is empty."""
        task = bar.add_task("Judging what is new", total=None, said="")
        most = 0
        while waiting := get(client, "/api/v1/coverage/queue", {})["waiting"]:
            most = max(most, waiting)
            bar.update(task, total=most, completed=most - waiting, said=f"{waiting:,} batches to judge")
            time.sleep(POLL_SECONDS)
        _finish(bar, task, most)

    def _report(self, outcome: Outcome, server: ServerAddress, credentials: Credentials) -> None:
        if self._as_json:
            print(json.dumps(outcome.document()))  # noqa: T201
            return
        for found in outcome.findings[:SHOWN_FINDINGS]:
            self._console.print(panel(found))
        self._console.print(_table(self._scenario, outcome))
        self._console.print(_summary(outcome))
        if self._stay:
            gravest = outcome.findings[0]["finding_id"] if outcome.findings else "FINDING_ID"
            self._console.print(_how_to_go_on(server, credentials, self._settings, gravest), soft_wrap=True)


def _finish(bar: Progress, task: TaskID, total: int) -> None:
    bar.update(task, total=max(total, 1), completed=max(total, 1), said="done")


def _empty(folder: Path) -> None:
    """Raises: DemoFolderTaken."""
    if folder.exists() and any(folder.iterdir()) and not (folder / MARKER).exists():
        raise DemoFolderTaken(f"{folder} is not empty and not a demo's folder; choose another with --data-dir")
    if folder.exists():
        erase(folder / "postgres")
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / MARKER).touch()


async def _credentials(url: str, wanted: Scenario) -> Credentials:
    database = Database(url)
    try:
        now = utc_now()
        secrets = {role: await add_secret(database, NewSecret(role, role), PORTBOOK, now) for role in wanted.roles}
        password = a_password()
        for duty in DUTIES:
            await add_operator(database, NewOperator(duty, frozenset({duty}), password=password), PORTBOOK, now)
        scope = permissions_of([Duty.ANALYST])
        token = await add_token(database, NewToken("demo", scope, Duty.ANALYST), PORTBOOK, now)
        return Credentials(secrets, token, password)
    finally:
        await database.close()


@contextmanager
def _server(settings: Settings, database_url: str) -> Iterator[str]:
    """A server process on a port that is free now; yields its address when it answers."""
    with listen(settings) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "app.cli", "serve", "--data-dir", str(settings.data_dir), "--port", str(port)]
    command += ["--database-url", database_url]
    log = settings.data_dir / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True, env=os.environ)  # noqa: S603, TID251 - our own command, its own environment
        try:
            address = f"https://localhost:{port}"
            _await_answer(address, settings, process, log)
            yield address
        finally:
            process.terminate()
            process.wait()


def _await_answer(address: str, settings: Settings, process: subprocess.Popen[bytes], log: Path) -> None:
    """Raises: OSError with the end of the server's log when it died."""
    certificate = certificate_of(settings)
    with api_client(address, "", certificate[0] if certificate else None) as client:
        while True:
            if process.poll() is not None:
                raise OSError(f"the server ended with {process.returncode}: {log.read_text(errors='replace')[-2000:]}")
            try:
                client.get("/healthz").raise_for_status()
            except (httpx.NetworkError, httpx.TimeoutException):
                time.sleep(POLL_SECONDS)
            else:
                return


def _all_of(client: httpx.Client, path: str) -> list[FindingJson]:
    found: list[FindingJson] = []
    cursor: str | None = None
    while True:
        every = {"limit": 500, "members": True}
        page = get(client, path, every | ({"cursor": cursor} if cursor else {}))
        found += page["items"]
        cursor = page["next"]
        if cursor is None:
            return found


def _compare(wanted: Scenario, client: httpx.Client, played: Played, seconds: float) -> Outcome:
    """No plant is on many nodes, so that a fleet finding of weight is raised on benign ones."""
    findings = _all_of(client, "/api/v1/findings")
    fleet = [each | {"hostname": f"{each['nodes']} nodes"} for each in _all_of(client, "/api/v1/fleet-findings")]
    alerts = [each for each in (*findings, *fleet) if each["severity"] in ALERTS]
    shown = {plant.name: [each for each in alerts if _shows(each, plant)] for plant in wanted.plants}
    explained = [each for each in alerts if any(_belongs(each, plant) for plant in wanted.plants)]
    return Outcome(
        found={name: each[0] for name, each in shown.items() if each},
        missed=[plant for plant in wanted.plants if not shown[plant.name]],
        benign=[each for each in alerts if each not in explained],
        findings=findings,
        played=played,
        seconds=seconds,
    )


def _belongs(found: FindingJson, plant: Plant) -> bool:
    """A planted program on its node may be found in more ways than one."""
    return bool(found["hostname"] == plant.node and found["behaviour"]["program"].lower() == plant.program.lower())


def _shows(found: FindingJson, plant: Plant) -> bool:
    """The planted port itself, or that another signed the program."""
    behaviour = found["behaviour"]
    is_port = behaviour["direction"] == plant.direction and behaviour["port"] == str(plant.port)
    return _belongs(found, plant) and (is_port or behaviour["direction"] == "signature")


def _table(wanted: Scenario, outcome: Outcome) -> Table:
    table = Table(
        "planted", "on", "analytic", "found", title="Planted against found", title_justify="left", expand=False
    )
    for plant in wanted.plants:
        found = outcome.found.get(plant.name)
        mark = (
            Text(f"{found['score']} {found['severity']}", style="green") if found else Text("MISSED", style="bold red")
        )
        table.add_row(plant.title, plant.node, plant.analytic, mark)
    for each in outcome.benign:
        mark = Text(f"{each['score']} {each['severity']}", style="bold red")
        table.add_row(f"(benign) {headline(each)}", each["hostname"], each["analytic"], mark)
    return table


def _summary(outcome: Outcome) -> Text:
    low = sum(each["severity"] == "low" for each in outcome.findings)
    text = (
        f"{outcome.played.nodes} nodes, {outcome.played.rows:,} rows, {outcome.seconds:.0f} s: "
        f"{len(outcome.found)} of {len(outcome.found) + len(outcome.missed)} planted deviations found, "
        f"{len(outcome.benign)} benign behaviours raised, {low} on the hunt list."
    )
    return Text(text, style="green" if outcome.is_clean else "bold red")


def _how_to_go_on(server: ServerAddress, credentials: Credentials, settings: Settings, finding_id: str) -> Text:
    folder = settings.data_dir
    return Text(
        f"\nIt keeps serving at {server.url} until Ctrl-C. Sign in there as {', '.join(DUTIES)}; "
        f"the password of each is {credentials.password}\nOr try, in another terminal:\n"
        f"  export PORTBOOK_URL={server.url} PORTBOOK_CA_FILE={server.ca_file}\n"
        f"  export PORTBOOK_TOKEN={credentials.token}    # of the analyst\n"
        f"  .venv/bin/portbook findings\n"
        f"  .venv/bin/portbook investigate {finding_id} --wait\n"
        f"  .venv/bin/portbook baseline propose office-laptop windows\n"
        f"  curl --cacert $PORTBOOK_CA_FILE -H 'Authorization: Bearer '$PORTBOOK_TOKEN $PORTBOOK_URL/api/v1/findings\n"
        "Somebody else decides, with the token of .venv/bin/portbook token add decides "
        f"--operator approver --scope read,approve --data-dir {folder}\n"
        f"A real host: .venv/bin/portbook enroll-secret add mine --role laptop --data-dir {folder} > mine.secret\n"
        f"  .venv/bin/portbook enroll-kit kit --platform macos --server HOST:{server.url.rpartition(':')[2]} "
        f"--secret-file mine.secret --data-dir {folder}\n"
    )


def _stand_by(wanted: Scenario, server: ServerAddress, secrets: dict[str, str], now: datetime) -> None:
    """Until Ctrl-C: the fleet is there to be asked."""
    with suppress(KeyboardInterrupt):
        asyncio.run(stand_by(wanted, server=server, secrets=secrets, now=now))


def _end_on_sigterm() -> None:
    """As Ctrl-C does, so that whatever was started is stopped."""

    def interrupt(_signal: int, _frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
