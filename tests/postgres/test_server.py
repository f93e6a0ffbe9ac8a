"""Starts and ends, also after every kind of sudden death."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

import psycopg
import pytest
from sqlalchemy.exc import OperationalError

from app.postgres import Cluster, PostgresError, attach
from app.postgres.account import account_for
from app.postgres.postmaster import postmaster_of
from app.postgres.server import LOG_MAX_BYTES, stop

Rows = list[tuple[object, ...]]
Query = Callable[[str, str], Rows]

#: Heeds SIGQUIT only, also where whoever started the tests ignores it.
STUBBORN = """
import os, signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGQUIT, lambda *_: os._exit(3))
print(flush=True)
while True:
    time.sleep(60)
"""

OWNER = """
import sys, time
from pathlib import Path
from app.postgres import Cluster
print(Cluster(Path(sys.argv[1])).start(), flush=True)
time.sleep(600)
"""


def pgdata_of(data_dir: Path) -> Path:
    return (data_dir / "cluster").resolve() / "data"


def pid_of(data_dir: Path) -> int:
    postmaster = postmaster_of(pgdata_of(data_dir))
    assert postmaster
    return postmaster.pid


def processes_in(pgdata: Path) -> set[int]:
    """Whoever works in the folder, as PostgreSQL and all its children do."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "cwd").readlink() == pgdata:
                found.add(int(process.name))
    return found


def kill_server(data_dir: Path) -> None:
    os.kill(pid_of(data_dir), signal.SIGKILL)


@contextmanager
def foreign_process(data_dir: Path) -> Iterator[int]:
    with account_for(pgdata_of(data_dir)).spawn(["/bin/sleep", "600"], output=subprocess.DEVNULL) as process:
        try:
            yield process.pid
        finally:
            process.kill()


def test_stop_leaves_no_process_and_frees_the_folder(restarted: Path) -> None:
    with Cluster(restarted).running():
        assert processes_in(pgdata_of(restarted))
    assert processes_in(pgdata_of(restarted)) == set()
    assert not (pgdata_of(restarted) / "postmaster.pid").exists()
    assert attach(restarted) is None
    with Cluster(restarted).running() as url:
        assert attach(restarted) == url


def test_a_server_that_died_is_no_obstacle_to_stop(restarted: Path) -> None:
    with Cluster(restarted).running():
        kill_server(restarted)
    assert postmaster_of(pgdata_of(restarted)) is None


def test_what_was_committed_is_there_after_a_kill(restarted: Path, query: Query) -> None:
    with Cluster(restarted).running() as url:
        query(url, "INSERT INTO kept VALUES ('committed before the kill')")
        kill_server(restarted)
    with Cluster(restarted).running() as url:
        assert ("committed before the kill",) in query(url, "SELECT word FROM kept")
    assert "automatic recovery in progress" in (restarted / "server.log").read_text()


LEFT_AT_WORK = "processes of a killed PostgreSQL are still at work"
OTHERS = (
    "SELECT pid FROM pg_stat_activity WHERE starts_with(query, 'DO ') AND state = 'active' AND pid <> pg_backend_pid()"
)


def test_a_start_waits_for_what_a_killed_server_left_at_work(restarted: Path, query: Query) -> None:
    at_work: Rows = []
    heard: list[str] = []

    def work() -> None:
        with suppress(OperationalError):
            query(url, "DO 'BEGIN LOOP END LOOP; END'")

    def hear(said: str) -> None:
        heard.append(said)
        if said == LEFT_AT_WORK:
            with suppress(ProcessLookupError):
                os.kill(int(str(at_work[0][0])), signal.SIGKILL)

    with Cluster(restarted).running() as url:
        worker = Thread(target=work)
        worker.start()
        while not at_work:
            at_work = query(url, OTHERS)
        kill_server(restarted)
    with Cluster(restarted, on_wait=hear).running() as url:
        assert query(url, "SELECT 1") == [(1,)]
    worker.join()
    assert LEFT_AT_WORK in heard


def test_a_stale_pid_of_a_foreign_process_is_no_postgres(restarted: Path, query: Query) -> None:
    pid_file = pgdata_of(restarted) / "postmaster.pid"
    with Cluster(restarted).running():
        lines = pid_file.read_text().splitlines()
        kill_server(restarted)
    with foreign_process(restarted) as pid:
        stale = "\n".join([str(pid), *lines[1:], ""])
        pid_file.write_text(stale)
        (restarted / "cluster/socket/.s.PGSQL.5432.lock").write_text(stale)
        assert attach(restarted) is None
        with Cluster(restarted).running() as url:
            assert query(url, "SELECT 1") == [(1,)]
        assert Path(f"/proc/{pid}/cmdline").read_text().startswith("/bin/sleep")


def test_the_server_of_a_killed_portbook_is_stopped_then_started_anew(restarted: Path, query: Query) -> None:
    with subprocess.Popen([sys.executable, "-c", OWNER, str(restarted)], stdout=subprocess.PIPE) as owner:
        try:
            assert owner.stdout
            url = owner.stdout.readline().decode().strip()
            assert attach(restarted) == url
            query(url, "INSERT INTO kept VALUES ('committed by the killed')")
        finally:
            owner.kill()
    orphan = pid_of(restarted)
    while (postmaster := postmaster_of(pgdata_of(restarted))) and postmaster.parent == owner.pid:
        time.sleep(0.01)
    assert attach(restarted) is None
    with Cluster(restarted).running() as url:
        assert pid_of(restarted) != orphan
        assert orphan not in processes_in(pgdata_of(restarted))
        assert ("committed by the killed",) in query(url, "SELECT word FROM kept")


def test_a_failed_start_tells_the_servers_last_words_and_frees_the_folder(restarted: Path) -> None:
    settings = pgdata_of(restarted) / "postgresql.conf"
    right = settings.read_text()
    settings.write_text(right + "nonsense = on\n")
    with pytest.raises(PostgresError, match='unrecognized configuration parameter "nonsense"'):
        Cluster(restarted).start()
    settings.write_text(right)
    with Cluster(restarted).running():
        pass


def test_a_lost_superuser_password_stops_the_start_and_leaves_nothing_running(restarted: Path) -> None:
    passfile = restarted / "superuser.pgpass"
    right = passfile.read_text()
    passfile.write_text("*:*:*:postgres:guess\n")
    with pytest.raises(PostgresError, match=r"superuser\.pgpass does not open the cluster"):
        Cluster(restarted).start()
    passfile.write_text(right)
    assert processes_in(pgdata_of(restarted)) == set()


def test_a_lost_password_of_the_role_is_made_anew(restarted: Path, query: Query) -> None:
    (restarted / "portbook.pgpass").unlink()
    with Cluster(restarted).running() as url:
        assert query(url, "SELECT 1") == [(1,)]


def test_a_password_in_the_environment_does_not_hinder_a_start(
    restarted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"PGPASSWORD": "wrong", "PGPORT": "1", "PGUSER": "wrong"}.items():
        monkeypatch.setenv(name, value)
    with Cluster(restarted).running():
        assert attach(restarted)


def test_a_long_log_is_set_aside(restarted: Path) -> None:
    log = restarted / "server.log"
    os.truncate(log, LOG_MAX_BYTES + 1)
    with Cluster(restarted).running():
        assert log.stat().st_size < 10_000
        assert log.with_name("server.log.1").stat().st_size == LOG_MAX_BYTES + 1


def test_a_stop_that_takes_too_long_gives_up_the_checkpoint_only_when_asked() -> None:
    with subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        stop(process, kill_after_seconds=0.1)
        assert process.returncode == 3


def test_connections_of_the_role_end_with_the_server(restarted: Path) -> None:
    cluster = Cluster(restarted)
    cluster.start()
    with psycopg.connect(
        host=str(restarted / "cluster/socket"), user="portbook", passfile=str(restarted / "portbook.pgpass"), port=5432
    ) as connection:
        cluster.stop()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
        connection.close()
