"""Writes result and status lines as osqueryd does: event form for rows, one line for a snapshot."""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import msgspec

from app.simulator.connection import VERSION
from app.simulator.identity import Identity
from app.simulator.outbox import Line

Columns = Mapping[str, str]

_sorted = msgspec.json.Encoder(order="sorted")


@dataclass(frozen=True, slots=True)
class Execution:
    """One run of a scheduled query that had something to say. A snapshot has only `added`."""

    query: str
    at: int
    added: tuple[Columns, ...] = ()
    removed: tuple[Columns, ...] = ()
    snapshot: bool = False


def result_lines(
    identity: Identity, executions: Iterable[Execution], *, epoch: int, counters: dict[str, int]
) -> Iterator[Line]:
    """Numbers the executions of each query: 0 for the epoch's full set, then one more for each that had a change.

    `counters` holds the next number of each query, and is carried on.
    """
    for execution in executions:
        counter = 0 if execution.snapshot else counters.get(execution.query, 0)
        counters[execution.query] = counter + 1
        yield from _execution_lines(identity, execution, epoch=epoch, counter=counter)


def status_line(identity: Identity, at: int, message: str, *, severity: int = 1) -> Line:
    document = {
        "hostIdentifier": identity.host_identifier,
        "calendarTime": calendar_time(at),
        "unixTime": at,
        "severity": severity,
        "filename": "scheduler.cpp",
        "line": 138,
        "message": message,
        "version": VERSION,
        "decorations": decorations(identity),
    }
    return Line(at, msgspec.json.encode(document))


@lru_cache(maxsize=4096)
def calendar_time(at: int) -> str:
    """C's asctime, as `Sat Nov 21 19:22:08 2026 UTC`."""
    return f"{time.asctime(time.gmtime(at))} UTC"


def decorations(identity: Identity) -> dict[str, str]:
    return {"instance_id": identity.instance_id, "osquery_version": VERSION}


def _execution_lines(identity: Identity, execution: Execution, *, epoch: int, counter: int) -> Iterator[Line]:
    head = _head(identity, execution, epoch=epoch, counter=counter)
    if execution.snapshot:
        rows = _sorted.encode(execution.added)
        yield Line(execution.at, b'{"snapshot":%b,"action":"snapshot",%b}' % (rows, head))
        return
    for action, changed in ((b"removed", execution.removed), (b"added", execution.added)):
        for columns in changed:
            text = b'{%b,"columns":%b,"action":"%b"}' % (head, _sorted.encode(columns), action)
            yield Line(execution.at, text)


def _head(identity: Identity, execution: Execution, *, epoch: int, counter: int) -> bytes:
    """The members that all lines of an execution share, without the braces."""
    document = {
        "name": execution.query,
        "hostIdentifier": identity.host_identifier,
        "calendarTime": calendar_time(execution.at),
        "unixTime": execution.at,
        "epoch": epoch,
        "counter": counter,
        "numerics": False,
        "decorations": decorations(identity),
    }
    return msgspec.json.encode(document)[1:-1]
