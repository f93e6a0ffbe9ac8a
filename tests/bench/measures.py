"""One measurement: a load against a server, with the processor time of the server and of Postgres beside it."""

import json
import statistics
import subprocess
import sys
from dataclasses import asdict, dataclass

from tests.bench.bodies import ROWS
from tests.bench.load import Job, Seen
from tests.bench.servers import Server, cpu_seconds, rss_mib, tree


@dataclass(frozen=True, slots=True)
class Figures:
    """What one load against one server came to. Rates are of acknowledged requests."""

    rows_per_second: float
    requests_per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    app_us_per_row: float
    postgres_us_per_row: float
    load_cores: float
    worker_rss_mib: float
    requests: int
    seconds: float


class LoadFailed(Exception):
    """A request was not answered with `{}`, so the figures would say nothing."""


def measure(job: Job, server: Server, postgres_pid: int) -> Figures:
    """Raises: LoadFailed."""
    command = [sys.executable, "-m", "tests.bench.load"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as load:
        assert load.stdin
        assert load.stdout
        print(json.dumps(asdict(job)), file=load.stdin, flush=True)
        if load.stdout.readline().strip() != "ready":
            raise LoadFailed(f"{server.name}: the warm-up failed")
        before = cpu_seconds(tree(server.pid)), cpu_seconds(tree(postgres_pid))
        print(file=load.stdin, flush=True)
        seen = Seen(**json.loads(load.stdout.readline()))
        after = cpu_seconds(tree(server.pid)), cpu_seconds(tree(postgres_pid))
    if seen.failed:
        raise LoadFailed(f"{server.name}: {seen.failed} requests failed; the first: {seen.first_failure}")
    return _figures(seen, server, app=after[0] - before[0], postgres=after[1] - before[1])


def _figures(seen: Seen, server: Server, *, app: float, postgres: float) -> Figures:
    requests = len(seen.latencies_ms)
    rows = requests * ROWS
    hundredths = statistics.quantiles(seen.latencies_ms, n=100)
    return Figures(
        rows_per_second=rows / seen.seconds,
        requests_per_second=requests / seen.seconds,
        p50_ms=hundredths[49],
        p95_ms=hundredths[94],
        p99_ms=hundredths[98],
        app_us_per_row=app / rows * 1e6,
        postgres_us_per_row=postgres / rows * 1e6,
        load_cores=seen.cpu_seconds / seen.seconds,
        worker_rss_mib=rss_mib(server.pid),
        requests=requests,
        seconds=seen.seconds,
    )
