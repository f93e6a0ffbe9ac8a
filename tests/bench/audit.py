"""The audit log: many writers at once on one chain, its verification, and what it costs the change that it tells of."""

import asyncio
import json
import statistics
import time
from dataclasses import asdict, dataclass
from datetime import timedelta

import typer

from app.access.actor import PORTBOOK, Actor, AuthMethod
from app.access.audit.actions import Action
from app.access.audit.deed import Deed
from app.access.audit.record import record
from app.access.auditor.checking import verify_log
from app.access.duties import FOR_PROGRAMS, Duty
from app.access.store import note_use
from app.access.tokens import NewToken, add_token
from app.clock import utc_now
from app.database import Database
from tests.bench.stage import stage

WRITERS = 8
EVENTS = 100_000
EACH = 10  #: events of a transaction, as those of bulk triage
PAIRS = 500
BENCH_TOKEN = NewToken("bench", FOR_PROGRAMS)
#: As long as those of a person usually are.
ACTOR = Actor("grace.hopper@example.org", AuthMethod.PASSWORD, 12, frozenset({Duty.ANALYST}), source_ip="192.0.2.7")
DEED = Deed(
    Action.KNOBS_CHANGED,
    "knobs",
    "role.laptop.macos",
    "412",
    bytes(32),
    bytes(32),
    reason="Too loud at night",
)


@dataclass(frozen=True, slots=True)
class Audit:
    """Milliseconds are of one transaction: `p50_ms` and `p95_ms` with EACH events beside other writers; `alone_ms` with
    one and without others, `plain_ms` without any; `cost_ms` is what the event adds, the median of pairs.
    """

    events: int
    writers: int
    events_per_second: float
    p50_ms: float
    p95_ms: float
    verified: bool
    verify_seconds: float
    plain_ms: float
    alone_ms: float
    cost_ms: float
    ratio: float


def measure_audit(url: str, events: int = EVENTS) -> Audit:
    return asyncio.run(_measure(url, events))


async def _measure(url: str, events: int) -> Audit:
    database = Database(url, pool_size=WRITERS)
    try:
        await add_token(database, BENCH_TOKEN, PORTBOOK, utc_now())
        plain, with_event = await _pairs(database)
        began = time.perf_counter()
        times = [each for some in await asyncio.gather(*_writers(database, events)) for each in some]
        seconds = time.perf_counter() - began
        began = time.perf_counter()
        verdict = await verify_log(database)
        checked = time.perf_counter() - began
    finally:
        await database.close()
    twentieths = statistics.quantiles(times, n=20)
    return Audit(
        events=len(times) * EACH,
        writers=WRITERS,
        events_per_second=len(times) * EACH / seconds,
        p50_ms=twentieths[9],
        p95_ms=twentieths[18],
        verified=verdict.holds and verdict.lines >= len(times) * EACH,
        verify_seconds=checked,
        plain_ms=statistics.median(plain),
        alone_ms=statistics.median(with_event),
        cost_ms=statistics.median(after - before for before, after in zip(plain, with_event, strict=True)),
        ratio=statistics.median(after / before for before, after in zip(plain, with_event, strict=True)),
    )


def _writers(database: Database, events: int) -> "list[asyncio.Task[list[float]]]":
    return [asyncio.create_task(_write(database, events // WRITERS // EACH)) for _ in range(WRITERS)]


async def _write(database: Database, transactions: int) -> list[float]:
    """Milliseconds of each transaction."""
    times = []
    for _ in range(transactions):
        began = time.perf_counter()
        async with database.writing() as session:
            for _ in range(EACH):
                record(session, ACTOR, DEED)
        times.append((time.perf_counter() - began) * 1000)
    return times


async def _pairs(database: Database) -> tuple[list[float], list[float]]:
    """The same small write without and with an event, in turns."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(2 * PAIRS + 20):
        logged = number % 2 == 1
        began = time.perf_counter()
        async with database.writing() as session:
            await note_use(session, BENCH_TOKEN.name, utc_now() + timedelta(days=number))
            if logged:
                record(session, PORTBOOK, DEED)
        times[logged].append((time.perf_counter() - began) * 1000)
    return times[0][10:], times[1][10:]


def main(events: int = EVENTS) -> None:
    """The audit log alone, in a database that is made for it."""
    with stage(0) as place:
        print(json.dumps(asdict(measure_audit(place.url, events)), indent=1))


if __name__ == "__main__":
    typer.run(main)
