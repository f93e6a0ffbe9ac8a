"""Proposing a baseline from 1,000 nodes with 200 behaviours each over 30 days, with stored rows to look into.

By itself: `.venv/bin/python -m tests.bench.proposing`. It fills six million sightings first.
"""

import asyncio
import gzip
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
from rich.console import Console

from app.access.actor import Actor, AuthMethod
from app.baselines.proposals.proposing import Proposed, Wish, propose_draft
from app.clock import utc_now
from app.database import Database, migrate
from app.detection.behaviour import Behaviour, Direction, Platform, Program, Transport
from app.detection.standing import Subjects
from app.observations.store import ensure_partitions
from app.postgres import Cluster, erase
from app.postgres.folder import Folder

NODES, BEHAVIOURS, DAYS = 1_000, 200, 30
LINES = 50
ROLE = "office-laptop"

_FILL = (
    f"""
    INSERT INTO nodes (host_identifier, hardware, hostname, platform, role_id, osquery_version, details, enrolled_at)
    SELECT 'host-' || n, '', 'host-' || n, 'windows', r.role_id, '5', '{{}}', now()
    FROM generate_series(1, {NODES}) n, roles r WHERE r.name = '{ROLE}'
    """,
    """
    INSERT INTO images (node_id, path, trust, signer, observed_at)
    SELECT node_id, path, 'trusted', 'Example Ltd', now() FROM nodes, (SELECT DISTINCT path FROM behaviours) b
    """,
    f"""
    INSERT INTO sightings
      (day, node_id, behaviour_id, role_id, first_seen_at, batch_day, batch_id, line_number, row_number)
    SELECT d.day, n.node_id, b.behaviour_id, n.role_id, now(), d.day, '%(batch)s', 0, 0
    FROM (SELECT (now() AT TIME ZONE 'UTC')::date - back AS day FROM generate_series(1, {DAYS}) back) d,
         nodes n, behaviours b
    ON CONFLICT DO NOTHING
    """,
    """
    INSERT INTO batches (day, node_id, batch_id, received_at, kind, lines, rows, body, body_sha256)
    SELECT (now() AT TIME ZONE 'UTC')::date - 1, node_id, '%(batch)s', now(), 'result', 50, 50, '\\x%(body)s'::bytea,
           sha256('\\x%(body)s'::bytea)
    FROM nodes
    """,
    "ANALYZE",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Proposing:
    sightings: int
    seconds: float
    proposed: int
    narrowed: int  #: to peers that all rows looked at agree on
    steps: int  #: times that it told how far it was


def measure_proposing(connection: psycopg.Connection, url: str) -> Proposing:
    """Fill the history of a role, and propose."""
    asyncio.run(_prepare(url))
    for behaviour in _behaviours():
        _keep(connection, behaviour)
    for statement in _FILL:
        connection.execute(_with(statement))  # type: ignore[arg-type]
    return asyncio.run(_propose(url))


_BATCH = str(uuid4())


def _with(statement: str) -> str:
    return statement.replace("%(batch)s", _BATCH).replace("%(body)s", _body().hex())


def _body() -> bytes:
    """A batch as an agent sends it: each line a connection."""
    columns = {"proc_path": "C:\\Program Files\\app\\app.exe", "remote_address": "8.8.8.8", "remote_port": "443"}
    line = {"name": "pack/windows_network/outbound", "unixTime": 1, "action": "added", "columns": columns}
    return gzip.compress(json.dumps({"data": [line] * LINES, "log_type": "result"}).encode())


def _behaviours() -> Iterator[Behaviour]:
    for number in range(BEHAVIOURS):
        name = f"app{number % 100}.exe"
        program = Program(Platform.WINDOWS, f"c:\\program files\\app\\{name}", name)
        yield Behaviour(program, Direction.OUTBOUND, Transport.TCP, str(443 + number // 100))


def _keep(connection: psycopg.Connection, behaviour: Behaviour) -> None:
    program = behaviour.program
    connection.execute(
        "INSERT INTO behaviours VALUES (%s, %s, 'windows', %s, %s, '', 'outbound', 'tcp', %s, %s)",
        [behaviour.behaviour_id, program.program_id, program.path, program.name, behaviour.bucket,
         list(Subjects.of(behaviour).all)],
    )  # fmt: skip


async def _prepare(url: str) -> None:
    database = Database(url)
    today = utc_now().date()
    async with database.writing() as session:
        for table, days in (("sightings", DAYS), ("batches", 1)):
            await ensure_partitions(session, table, [today - timedelta(days=back) for back in range(days + 1)])
    await database.close()


async def _propose(url: str) -> Proposing:
    database, steps = Database(url), 0

    def progress(_done: int, _of: int) -> None:
        nonlocal steps
        steps += 1

    actor = Actor("bench", AuthMethod.PASSWORD, 1)
    began = time.perf_counter()
    made: Proposed = await propose_draft(
        database, actor, Wish(ROLE, Platform.WINDOWS, "bench", DAYS), utc_now(), progress
    )
    seconds = time.perf_counter() - began
    await database.close()
    return Proposing(NODES * BEHAVIOURS * DAYS, seconds, len(made.proposals), _narrowed(made), steps)


def _narrowed(made: Proposed) -> int:
    return sum(each.expects.peer_scope is not None for each in made.proposals)


@contextmanager
def _cluster() -> Iterator[str]:
    place = Path(tempfile.mkdtemp(prefix="portbook-bench-"))
    place.chmod(0o755)
    cluster = Cluster(place / "postgres", None)
    cluster.start()
    try:
        yield Folder(place / "postgres").url()
    finally:
        cluster.stop(kill_after_seconds=1)
        erase(place / "postgres")
        shutil.rmtree(place)


def main() -> None:
    console = Console()
    with _cluster() as url:
        migrate(url)
        with psycopg.connect(
            url.replace("postgresql+psycopg", "postgresql"), autocommit=True, password=""
        ) as connection:
            connection.execute("INSERT INTO roles (name) VALUES (%s)", [ROLE])
            connection.execute("INSERT INTO operators (name, duties, created_at) VALUES ('bench', '{analyst}', now())")
            began = time.perf_counter()
            found = measure_proposing(connection, url)
        console.print(f"filled in {time.perf_counter() - began - found.seconds:.0f} s")
    says = f"proposing from {found.sightings:,} sightings: {found.seconds:.1f} s, {found.steps} steps of progress"
    console.print(f"{says}, {found.proposed} entries, {found.narrowed} of them with peers from stored rows")


if __name__ == "__main__":
    main()
