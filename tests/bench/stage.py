"""What a run stands on: Postgres in a folder of its own, and the servers, each started when it is needed."""

import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path

import psycopg

from app.database import migrate
from app.postgres import Cluster, erase
from app.postgres.folder import Folder
from app.postgres.postmaster import postmaster_of
from app.settings import Settings
from tests.bench import rivals
from tests.bench.fleet import connect, enrolled
from tests.bench.load import Case, Job
from tests.bench.measures import Figures, measure
from tests.bench.servers import Server, free_port, started

#: Requests a second that bodies are built for: more than one worker can take; should they not last, the run is shorter.
REQUESTS_PER_SECOND: dict[Case, int] = {"usual": 0, "one_new": 2000, "all_new": 1000}
NODES = 128
BODIES_EACH = 6  #: of a usual minute
ALL_NEW_EACH = 10
NEVER_SEEN_APART = 100_000
SERVERS_MAX = 4
SYNCS = 50


@dataclass(frozen=True, slots=True)
class Kind:
    """A server: Portbook or the name of a rival's factory."""

    name: str
    workers: int = 1
    tls: bool = False
    analyse: bool = False

    @property
    def is_portbook(self) -> bool:
        return self.name == "portbook"


@dataclass(slots=True)
class Stage:
    url: str
    connection: psycopg.Connection
    postgres_pid: int
    folder: Path
    seconds: float
    _undo: ExitStack = field(default_factory=ExitStack)
    _servers: dict[Kind, Server] = field(default_factory=dict)
    _runs: int = 0

    def figures(self, kind: Kind, case: Case, *, new_connections: bool = False) -> Figures:
        """Raises: LoadFailed."""
        server = self._server(kind)
        job = self._job(kind, case, server.port, new_connections=new_connections)
        return measure(job, server, self.postgres_pid)

    def _job(self, kind: Kind, case: Case, port: int, *, new_connections: bool) -> Job:
        self._runs += 1
        requests = ceil(REQUESTS_PER_SECOND[case] * self.seconds * (1.5 if kind.workers > 1 else 1))
        nodes = ceil(requests / ALL_NEW_EACH) if case == "all_new" else NODES
        each = {"usual": BODIES_EACH, "one_new": 2 + ceil(requests / nodes), "all_new": ALL_NEW_EACH}[case]
        warm = {"usual": BODIES_EACH if kind.is_portbook else 1, "one_new": 2, "all_new": 0}[case]
        return Job(
            port=port,
            case=case,
            keys=enrolled(self.connection, nodes),
            bodies_each=each,
            seconds=self.seconds,
            warm_each=warm,
            again=case == "usual",
            never_seen_from=NEVER_SEEN_APART * self._runs,
            tls=kind.tls,
            new_connections=new_connections,
        )

    def _server(self, kind: Kind) -> Server:
        """Running, or started now; past SERVERS_MAX all others are stopped, for each keeps connections."""
        if kind not in self._servers:
            if len(self._servers) >= SERVERS_MAX:
                self.stop_servers()
            port = free_port()
            start = started(str(kind), self._command(kind, port), port, kind.workers, self._environment(kind))
            self._servers[kind] = self._undo.enter_context(start)
        return self._servers[kind]

    def stop_servers(self) -> None:
        self._undo.close()
        self._servers.clear()

    def _command(self, kind: Kind, port: int) -> list[str]:
        common = ["--port", str(port), "--workers", str(kind.workers)]
        if kind.is_portbook:
            data = self.folder / "data"
            return ["app.cli", "serve", *common, "--data-dir", str(data), *([] if kind.tls else ["--plain-http"])]
        quiet = ["--log-level", "warning", "--no-access-log"]
        return ["uvicorn", "--factory", f"tests.bench.rivals:{kind.name}", *common, *quiet]

    def _environment(self, kind: Kind) -> dict[str, str]:
        portbook = {"PORTBOOK_DATABASE_URL": self.url, "PORTBOOK_ANALYSE": str(kind.analyse).lower()}
        return portbook if kind.is_portbook else {rivals.URL_VARIABLE: self.url}


@contextmanager
def stage(seconds: float) -> Iterator[Stage]:
    """All that it starts it stops, and all that it writes it removes."""
    folder = Path(tempfile.mkdtemp(prefix="portbook-bench-"))
    folder.chmod(0o755)  # PostgreSQL's account passes through it when root runs this
    try:
        with ExitStack() as undo:
            undo.callback(erase, folder / "postgres")
            url = undo.enter_context(Cluster(folder / "postgres", Settings().postgres_bin_dir).running())
            migrate(url)
            connection = undo.enter_context(connect(url))
            connection.execute(rivals.tables())
            postmaster = postmaster_of(Folder(folder / "postgres").pgdata)
            assert postmaster
            on = Stage(url, connection, postmaster.pid, folder, seconds)
            undo.callback(on.stop_servers)
            yield on
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sync_milliseconds() -> float:
    """How long the disk takes to keep 8 KiB: what every commit waits for."""
    with tempfile.NamedTemporaryFile() as file:
        times = []
        for _ in range(SYNCS):
            began = time.perf_counter()
            file.write(b"x" * 8192)
            file.flush()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - began)
    return statistics.median(times) * 1000
