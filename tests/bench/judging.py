"""Judging one new behaviour against histories of two sizes: rows read, and time."""

import asyncio
import statistics
import time
from dataclasses import dataclass
from uuid import UUID, uuid4

import psycopg

from app.analysis import standings
from app.analysis.standings import Seen
from app.clock import utc_now
from app.database import Database
from app.detection.behaviour import Behaviour, Direction, Platform, Program, Transport
from app.detection.context import Context
from app.detection.judgement import judge
from app.detection.knobs import Knobs
from app.detection.standing import Subjects

JUDGEMENTS = 200
PORTS = 40
ROLE = 1
_READ = "SELECT coalesce(sum(idx_tup_fetch + seq_tup_read), 0)::bigint FROM pg_stat_user_tables WHERE relname = ANY(%s)"
_TABLES = ["tallies", "node_tallies"]

#: Nodes of a role whose programs, ports and days are those of `app.analysis.store`, made at once.
_FILL = """
INSERT INTO node_tallies (node_id, subject, first_day, day, days)
SELECT node, md5('s' || subject)::uuid, current_date - 20, current_date - 1, 20
FROM generate_series(1, %(nodes)s) node, generate_series(1, 200) subject ON CONFLICT DO NOTHING;
INSERT INTO tallies (role_id, subject, first_day, day, units, nodes, day_units, day_nodes)
SELECT role, md5('s' || subject)::uuid, current_date - 20, current_date - 1, %(nodes)s * 19, %(nodes)s, %(nodes)s, 0
FROM generate_series(0, 1) role, generate_series(1, 20000) subject ON CONFLICT DO NOTHING;
ANALYZE tallies; ANALYZE node_tallies
"""


@dataclass(frozen=True, slots=True)
class Judging:
    """Medians over JUDGEMENTS judgements, each with its counts read anew."""

    sightings: int
    milliseconds: float
    rows_read: int


def measure_judging(connection: psycopg.Connection, url: str, sightings: int) -> Judging:
    """Fill the history with so many sightings of 200 behaviours a node, then judge."""
    connection.execute("TRUNCATE tallies, node_tallies")
    for statement in _FILL.split(";"):
        connection.execute(statement.replace("%(nodes)s", str(sightings // 200)))  # type: ignore[arg-type]
    _usual_program(connection, sightings // 200)
    before = _rows_read(connection)
    times = asyncio.run(_judge(url))
    return Judging(sightings, statistics.median(times), round((_rows_read(connection) - before) / JUDGEMENTS))


def _rows_read(connection: psycopg.Connection) -> int:
    """So far, by all: their connections have ended, so that all is told."""
    [read] = connection.execute(_READ, [_TABLES]).fetchone() or [0]
    return int(read)


def _program() -> Program:
    return Program(Platform.WINDOWS, r"c:\windows\system32\svchost.exe", "svchost.exe", "netsvcs")


def _seen(node: int, port: int) -> Seen:
    return Seen(node, ROLE, Behaviour(_program(), Direction.OUTBOUND, Transport.TCP, str(port)))


def _usual_program(connection: psycopg.Connection, nodes: int) -> None:
    """The judged program is known with PORTS other ports."""
    for port in range(PORTS):
        subjects = Subjects.of(_seen(1, 10_000 + port).behaviour)
        rows = [(s, subjects.program if s == subjects.behaviour else None, str(10_000 + port)) for s in subjects.all]
        for subject, parent, bucket in rows:
            _add(connection, subject, parent, bucket if parent else None, nodes)


def _add(connection: psycopg.Connection, subject: UUID, parent: UUID | None, bucket: str | None, nodes: int) -> None:
    connection.execute(
        "INSERT INTO tallies (role_id, subject, first_day, day, units, nodes, day_units, day_nodes, parent, bucket) "
        "SELECT role, %s, current_date - 20, current_date - 1, %s, %s, 1, 0, %s, %s FROM generate_series(0, 1) role "
        "ON CONFLICT DO NOTHING",
        [subject, nodes * 19, nodes, parent, bucket],
    )


async def _judge(url: str) -> list[float]:
    """Milliseconds of each judgement, the counts read anew for each."""
    database, day, times = Database(url), utc_now().date(), []
    try:
        for number in range(JUDGEMENTS + 5):
            seen = _seen(number + 1, 5_000 + number)
            began = time.perf_counter()
            async with database.writing() as session:
                standing = await standings.load(session, day, [seen], {ROLE: "laptop"})
            judge(seen.behaviour, Context(node=str(uuid4())), standing[seen], Knobs())
            times.append((time.perf_counter() - began) * 1000)
    finally:
        await database.close()
    return times[5:]
