"""PostgreSQL as our own child: its settings, when it is ready, and its end."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

from app.postgres.account import Account
from app.postgres.errors import PostgresError
from app.postgres.folder import PORT
from app.postgres.postmaster import forget_foreign_pid, postmaster_of

MIB = 1024 * 1024
LOG_MAX_BYTES = 10 * MIB
LAST_WORDS_BYTES = 4000
SHARED_BUFFERS_MAX_BYTES = 256 * MIB
POLL_SECONDS = 0.05
POLLS_PER_WORD = 20
RETRY_SECONDS = 0.5

#: Durability is said aloud, so that no edited configuration file turns it off unnoticed.
SETTINGS = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "wal_compression": "on",
    "max_wal_size": "4GB",
    "max_connections": "64",
    "jit": "off",
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "password_encryption": "scram-sha-256",
    "logging_collector": "off",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
    "log_timezone": "UTC",
}


def command_line(postgres: str, *, pgdata: Path, socket: Path) -> list[str]:
    settings = SETTINGS | {
        "unix_socket_directories": f'"{socket}"',
        "shared_buffers": f"{_shared_buffers_bytes() // 1024}kB",
    }
    return [
        postgres,
        "-D",
        str(pgdata),
        *(part for key, value in settings.items() for part in ("-c", f"{key}={value}")),
    ]


def launch(
    command: list[str], *, pgdata: Path, log: Path, account: Account, on_wait: Callable[[str], None]
) -> subprocess.Popen[bytes]:
    """Start the server and return when it takes connections, however long its recovery from a crash takes.

    Raises: PostgresError with its last words when it ends instead.
    """
    forget_foreign_pid(pgdata)
    while True:
        words_begin = _set_aside_if_long(log)
        server = _spawn(command, log=log, account=account)
        if _became_ready(server, pgdata, say=lambda: on_wait(f"PostgreSQL is starting: {_last_message(log)}")):
            return server
        last_words = _end_of(log, words_begin)
        # Children of a killed server end as soon as their statement does; until then nobody may start anew.
        if "pre-existing shared memory block" not in last_words:
            raise PostgresError(f"PostgreSQL ended with status {server.returncode}; its log {log} says:\n{last_words}")
        on_wait("processes of a killed PostgreSQL are still at work")
        time.sleep(RETRY_SECONDS)


def stop(server: subprocess.Popen[bytes], *, kill_after_seconds: float | None = None) -> None:
    """End connections, write a checkpoint, end; wait for it as long as it takes.

    Past ``kill_after_seconds`` the checkpoint is given up, so that the next start recovers from the log instead.
    """
    if server.poll() is None:
        server.send_signal(signal.SIGINT)
    try:
        server.wait(kill_after_seconds)
    except subprocess.TimeoutExpired:
        server.send_signal(signal.SIGQUIT)
        server.wait()


def stop_orphan(pgdata: Path, on_wait: Callable[[str], None]) -> None:
    """End a server whose Portbook was killed; for the owner of the lock."""
    orphan = postmaster_of(pgdata)
    if orphan is None:
        return
    with suppress(ProcessLookupError):
        os.kill(orphan.pid, signal.SIGINT)
    for _ in _polls(lambda: on_wait("a PostgreSQL left by a killed Portbook is stopping")):
        if postmaster_of(pgdata) is None:
            return


def _became_ready(server: subprocess.Popen[bytes], pgdata: Path, *, say: Callable[[], None]) -> bool:
    try:
        for _ in _polls(say):
            if server.poll() is not None:
                return False
            postmaster = postmaster_of(pgdata)
            if postmaster and postmaster.pid == server.pid and postmaster.ready:
                return True
    except BaseException:
        stop(server)
        raise
    return False


def _polls(say: Callable[[], None]) -> Iterator[None]:
    """Without end, every POLL_SECONDS; once a second ``say`` is called."""
    for poll in count(1):
        yield
        time.sleep(POLL_SECONDS)
        if poll % POLLS_PER_WORD == 0:
            say()


def _shared_buffers_bytes() -> int:
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):  # no such file outside Linux, "max" without a limit
        memory_bytes = min(memory_bytes, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return min(SHARED_BUFFERS_MAX_BYTES, memory_bytes // 8)


def _spawn(command: list[str], *, log: Path, account: Account) -> subprocess.Popen[bytes]:
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "ab") as output:
        return account.spawn(command, output=output)


def _set_aside_if_long(log: Path) -> int:
    """Returns where the next words will begin, in bytes."""
    size_bytes = log.stat().st_size if log.exists() else 0
    if size_bytes <= LOG_MAX_BYTES:
        return size_bytes
    log.replace(log.with_name(f"{log.name}.1"))
    return 0


def _end_of(log: Path, begin: int = 0) -> str:
    return log.read_bytes()[begin:][-LAST_WORDS_BYTES:].decode(errors="replace").strip()


def _last_message(log: Path) -> str:
    return _end_of(log).rpartition("LOG:  ")[2].partition("\n")[0]
