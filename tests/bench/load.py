"""The load generator, a process of its own: prebuilt requests over connections that each wait for their answer.

It reads one job (JSON) from standard input, builds, warms up, says `ready`, waits for a line, posts against the clock
and prints what it saw (JSON).
"""

import asyncio
import json
import os
import resource
import ssl
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import cycle
from typing import Literal, cast

import uvloop
from typing_extensions import override

from tests.bench import bodies

Case = Literal["usual", "one_new", "all_new"]

HOST = "127.0.0.1"
PATH = "/api/v1/osquery/log"
OK = b"\r\n\r\n{}"


@dataclass(frozen=True, slots=True)
class Job:
    """`keys` are the node keys to post with; `bodies_each` how many bodies to build for each of them."""

    port: int
    case: Case
    keys: list[str]
    bodies_each: int
    seconds: float
    warm_each: int = 0  #: of the bodies of each node, how many are posted before the clock starts
    again: bool = False  #: post all bodies in turn without end; otherwise those left, whose end ends the measurement
    connections: int = 32
    never_seen_from: int = 100_000
    tls: bool = False
    new_connections: bool = False


@dataclass(slots=True)
class Seen:
    """`seconds` may be shorter than asked for, if the bodies were used up."""

    seconds: float = 0.0
    failed: int = 0
    sent_bytes: int = 0
    cpu_seconds: float = 0.0
    latencies_ms: list[float] = field(default_factory=list)
    first_failure: str = ""


class Wire(asyncio.Protocol):
    """One connection; the next request leaves when the answer to the last is complete."""

    def __init__(self) -> None:
        self._answered: asyncio.Future[bytes] | None = None
        self._received = b""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    @override
    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if found and self._answered and len(body) >= _length(head):
            self._answered.set_result(self._received)
            self._answered = None

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if self._answered:
            self._answered.set_exception(ConnectionResetError("connection lost"))

    def ask(self, request: bytes) -> asyncio.Future[bytes]:
        self._received = b""
        self._answered = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self._answered


def _length(head: bytes) -> int:
    return int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])


class Load:
    def __init__(self, job: Job) -> None:
        self._job = job
        self._context = _trusting() if job.tls else None
        requests = list(_requests(job))
        each = job.bodies_each
        lanes: list[list[bytes]] = [[] for _ in range(job.connections)]
        self._warm: list[list[bytes]] = [[] for _ in range(job.connections)]
        for node in range(len(job.keys)):
            own = requests[node * each : (node + 1) * each]
            self._warm[node % job.connections] += own[: job.warm_each]
            lanes[node % job.connections] += own if job.again else own[job.warm_each :]
        self._lanes = lanes
        self.seen = Seen()
        self._stop = False

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        wires = [await self._wire() for _ in self._lanes]
        await asyncio.gather(*(self._post(wire, iter(warm)) for wire, warm in zip(wires, self._warm, strict=True)))
        if self.seen.failed:
            raise SystemExit(f"warm-up failed: {self.seen.first_failure}")
        self.seen = Seen()
        self._stop = False
        print("ready", flush=True)
        await loop.run_in_executor(None, sys.stdin.readline)
        began, cpu = time.perf_counter(), _cpu_seconds()
        loop.call_later(self._job.seconds, self._end)
        lanes = (cycle(lane) if self._job.again else iter(lane) for lane in self._lanes)
        await asyncio.gather(*(self._measure(wire, lane) for wire, lane in zip(wires, lanes, strict=True)))
        self.seen.seconds = time.perf_counter() - began
        self.seen.cpu_seconds = _cpu_seconds() - cpu

    def _end(self) -> None:
        self._stop = True

    async def _measure(self, wire: Wire, lane: Iterator[bytes]) -> None:
        await self._post(wire, lane)
        self._stop = True

    async def _post(self, wire: Wire, lane: Iterator[bytes]) -> None:
        for request in lane:
            if self._stop:
                return
            began = time.perf_counter()
            if self._job.new_connections:
                wire.transport.close()
                wire = await self._wire()
            answer = await wire.ask(request)
            self.seen.latencies_ms.append((time.perf_counter() - began) * 1000)
            self.seen.sent_bytes += len(request)
            if not answer.endswith(OK):
                self.seen.failed += 1
                self.seen.first_failure = answer.decode(errors="replace")

    async def _wire(self) -> Wire:
        loop = asyncio.get_running_loop()
        _, wire = await loop.create_connection(Wire, HOST, self._job.port, ssl=self._context)
        return wire


def _requests(job: Job) -> Iterator[bytes]:
    made = {
        "usual": lambda: bodies.usual(job.keys, job.bodies_each),
        "one_new": lambda: bodies.one_new(job.keys, job.bodies_each),
        "all_new": lambda: bodies.all_new(job.keys, job.bodies_each, never_seen_from=job.never_seen_from),
    }[job.case]
    for key, body in made():
        head = (
            f"POST {PATH} HTTP/1.1\r\nHost: {HOST}:{job.port}\r\nUser-Agent: osquery/5.23.1\r\n"
            f"Accept: application/json\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n"
            f"Authorization: NodeKey {key}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        yield head.encode() + body


def _trusting() -> ssl.SSLContext:
    """The certificate is not what is measured."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    load = Load(Job(**json.loads(sys.stdin.readline())))
    uvloop.run(load.run())
    os.set_blocking(sys.stdout.fileno(), True)  # the loop may have left it otherwise, and a long line would be cut
    print(json.dumps(asdict(load.seen)), flush=True)


if __name__ == "__main__":
    main()
