"""Servers under measurement: started as a user would, watched through /proc, stopped with us."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
HOST = "127.0.0.1"
READY_SECONDS = 60.0
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Server:
    name: str
    port: int
    pid: int
    workers: int


@contextmanager
def started(
    name: str, arguments: list[str], port: int, workers: int, environment: Mapping[str, str]
) -> Iterator[Server]:
    """A Python module of ours as a process that serves on `port`."""
    inherited = {**os.environ, **environment}  # noqa: TID251 - a child needs PATH and the like
    process = subprocess.Popen([sys.executable, "-m", *arguments], env=inherited, stdout=subprocess.DEVNULL)
    try:
        _await_port(process, port)
        yield Server(name, port, process.pid, workers)
    finally:
        process.terminate()
        process.wait()


def _await_port(process: subprocess.Popen[bytes], port: int) -> None:
    """Workers take connections when they have started, not before."""
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            raise SystemExit(f"a server ended with status {process.returncode}")
        with suppress(OSError), socket.create_connection((HOST, port), timeout=1):
            return
        time.sleep(0.1)
    raise SystemExit("a server did not start in time")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def tree(pid: int) -> list[int]:
    """A process and its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (stat := _stat(int(entry.name))):
            children.setdefault(int(stat[1]), []).append(int(entry.name))
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found


def cpu_seconds(pids: list[int]) -> float:
    """User and system time, with that of children that have ended."""
    return sum(sum(map(int, stat[11:15])) for pid in pids if (stat := _stat(pid))) / TICKS


def rss_mib(pid: int) -> float:
    """The resident memory of the largest process of a tree."""
    return max(rss_bytes(each) for each in tree(pid)) / MIB


def rss_bytes(pid: int | None = None) -> int:
    """Of one process; of this one without a pid."""
    try:
        return int(Path(f"/proc/{pid or 'self'}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _stat(pid: int) -> list[str] | None:
    """The fields from the third on."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
