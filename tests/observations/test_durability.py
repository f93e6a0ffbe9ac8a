"""Real processes, killed with -9 in the middle of a load: every acknowledged row is in the stored batches."""

import asyncio
import gzip
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock
from typing import Self

import httpx
import psycopg
import pytest

from app.database import Database
from app.postgres import attach, erase
from app.postgres.folder import Folder
from tests.factories import a_line, a_log, a_secret, an_enrollment, an_outbound_row

ROOT = Path(__file__).parents[2]
THREADS = 4
ROWS = 20
PATIENCE_SECONDS = 30.0


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Look again and again, with an end."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def an_agent() -> httpx.Client:
    """A new connection for every request, and 16 s of patience, as osqueryd has."""
    return httpx.Client(verify=False, trust_env=False, timeout=16, limits=httpx.Limits(max_keepalive_connections=0))


@dataclass
class House:
    """One data folder, and the server that runs on it."""

    place: Path
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None
    client: httpx.Client = field(default_factory=an_agent)

    @property
    def folder(self) -> Path:
        return self.place / "data"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def database_url(self) -> str:
        url = attach(self.folder / "postgres")
        assert url is not None
        return url

    def command(self, *arguments: str) -> list[str]:
        start = "import sys; from app.cli import main; main()"
        few_days = ("PORTBOOK_HISTORY_DAYS=1", "PORTBOOK_BATCH_RETENTION_DAYS=1")  # a day is a table to make
        return ["env", *few_days, sys.executable, "-c", start, *arguments, "--data-dir", str(self.folder)]

    def start(self) -> None:
        with (self.place / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command("serve", "--plain-http", "--port", str(self.port)), cwd=ROOT, stdout=log, stderr=log
            )
        wait_for(self._answers, f"the server starts; it said: {self._said()}")

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self._said()
        try:
            return self.client.get(f"{self.url}/healthz").status_code == 200
        except httpx.TransportError:
            return False

    def _said(self) -> str:
        return (self.place / "log").read_text(errors="replace")[-2000:]

    def postgres_pid(self) -> int:
        return int((Folder(self.folder / "postgres").pgdata / "postmaster.pid").read_text().split()[0])

    def kill(self, *, server: bool, postgres: bool) -> None:
        """With -9, at once, and see them dead."""
        assert self.process is not None
        pid = self.postgres_pid()
        for victim, wanted in ((self.process.pid, server), (pid, postgres)):
            if wanted:
                os.kill(victim, signal.SIGKILL)
        if server:
            self.process.wait()
        if postgres:
            wait_for(lambda: not alive(pid), "Postgres is dead")

    def restart(self) -> None:
        """A server whose Postgres died may have ended by itself, or lives and is ended as a supervisor would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.start()

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(PATIENCE_SECONDS)
        self.client.close()

    def stored_numbers(self) -> set[int]:
        """What the cmdline column of every stored row says."""
        with psycopg.connect(self.database_url.replace("+psycopg", "")) as connection:
            bodies = connection.execute("SELECT body FROM batches").fetchall()
        lines = (line for (body,) in bodies for line in json.loads(gzip.decompress(body))["data"])
        return {int(line["columns"]["cmdline"]) for line in lines}


class Load:
    """Agents that post numbered rows until told to end, and remember which were acknowledged."""

    def __init__(self, url: str, node_keys: list[str]) -> None:
        self._url, self._node_keys = url, node_keys
        self._lock, self._ended = Lock(), Event()
        self._agent = an_agent()
        self._number = 0
        self.acknowledged: set[int] = set()
        self.refused = 0

    def __enter__(self) -> Self:
        self._pool = ThreadPoolExecutor(len(self._node_keys))
        self._running = [self._pool.submit(self._run, key) for key in self._node_keys]
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self._pool.shutdown()
        self._agent.close()
        for each in self._running:
            each.result()

    def _run(self, key: str) -> None:
        while not self._ended.is_set():
            numbers = self._next()
            rows = [an_outbound_row(cmdline=str(n), remote_port=str(1 + n % 40_000)) for n in numbers]
            body = gzip.compress(json.dumps(a_log(key, [a_line(row) for row in rows])).encode(), 1)
            if self._is_acknowledged(body):
                self.acknowledged.update(numbers)
            else:
                self.refused += 1
                self._ended.wait(0.1)

    def _next(self) -> list[int]:
        with self._lock:
            self._number += ROWS
            return list(range(self._number - ROWS, self._number))

    def _is_acknowledged(self, body: bytes) -> bool:
        """As osqueryd judges: by the body alone."""
        try:
            answer = self._agent.post(
                f"{self._url}/api/v1/osquery/log", content=body, headers={"Content-Encoding": "gzip"}
            )
            document = answer.json() if answer.content else {}
        except (httpx.TransportError, ValueError):
            return False
        assert document.get("node_invalid") is not True, "the key is valid"
        return "error" not in document

    def wait_for_more(self, batches: int = 15) -> None:
        wanted = len(self.acknowledged) + batches * ROWS
        wait_for(lambda: len(self.acknowledged) >= wanted, "batches are acknowledged")

    def wait_for_refusals(self) -> None:
        wanted = self.refused + THREADS
        wait_for(lambda: self.refused >= wanted, "agents hear that it failed")


@pytest.fixture
def house() -> Iterator[House]:
    place = Path(tempfile.mkdtemp(prefix="portbook-durability-"))
    place.chmod(0o755)
    house = House(place)
    house.start()
    yield house
    house.stop()
    erase(house.folder / "postgres")
    shutil.rmtree(place)


async def _a_secret(url: str) -> str:
    database = Database(url)
    try:
        return await a_secret(database)
    finally:
        await database.close()


@pytest.fixture
def load(house: House) -> Load:
    secret = asyncio.run(_a_secret(house.database_url))
    keys = [
        house.client.post(f"{house.url}/api/v1/osquery/enroll", json=an_enrollment(secret)).json()["node_key"]
        for _ in range(THREADS)
    ]
    return Load(house.url, keys)


def test_killing_the_server_and_postgres_in_the_middle_of_a_load_loses_no_acknowledged_row(
    house: House, load: Load
) -> None:
    with load:
        load.wait_for_more()
        house.kill(server=True, postgres=True)
        load.wait_for_refusals()
        house.start()
        load.wait_for_more()
        house.kill(server=True, postgres=False)
        load.wait_for_refusals()
        house.start()
        load.wait_for_more()
        house.kill(server=False, postgres=True)
        load.wait_for_refusals()
        house.restart()
        load.wait_for_more()
    lost = load.acknowledged - house.stored_numbers()
    assert not lost
