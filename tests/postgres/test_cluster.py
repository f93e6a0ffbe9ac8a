"""What a running cluster promises, on every PostgreSQL that is here."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from app.postgres import Cluster, ClusterBusy, attach
from app.postgres.postmaster import postmaster_of
from app.postgres.server import SETTINGS

Rows = list[tuple[object, ...]]
Query = Callable[[str, str], Rows]
Knock = Callable[..., psycopg.Connection]


def pid_of(data_dir: Path) -> int:
    postmaster = postmaster_of((data_dir / "cluster").resolve() / "data")
    assert postmaster
    return postmaster.pid


def test_it_answers_the_owner_of_the_database_who_is_no_superuser(shared_url: str, query: Query) -> None:
    query(shared_url, "CREATE TABLE mine (word text); DROP TABLE mine")
    facts = "SELECT current_user, current_database(), rolsuper, rolcreatedb, rolcreaterole FROM pg_roles"
    assert query(shared_url, f"{facts} WHERE rolname = current_user") == [("portbook", "portbook", False, False, False)]


def test_the_url_holds_no_password(shared_dir: Path, shared_url: str) -> None:
    password = (shared_dir / "portbook.pgpass").read_text().strip().split(":")[-1]
    assert len(password) > 30
    assert password not in shared_url
    assert shared_url.startswith("postgresql+psycopg://portbook@/portbook?")


def test_no_tcp_port_is_open(shared_dir: Path, shared_url: str, query: Query) -> None:
    assert query(shared_url, "SHOW listen_addresses") == [("",)]
    process = Path(f"/proc/{pid_of(shared_dir)}")
    sockets = {str(file.readlink()) for file in (process / "fd").iterdir()}
    lines = [line.split() for table in ("tcp", "tcp6") for line in (process / "net" / table).read_text().splitlines()]
    assert not sockets & {f"socket:[{line[9]}]" for line in lines[1:] if len(line) > 9}


@pytest.mark.parametrize(
    "wrong",
    [
        {"password": "wrong"},
        {"passfile": "/dev/null"},
        {"user": "postgres", "dbname": "postgres"},
        {"user": "postgres", "dbname": "postgres", "password": "postgres"},
        {"user": "stranger"},
    ],
    ids=str,
)
def test_nobody_comes_in_without_the_right_password(knock: Knock, wrong: dict[str, str]) -> None:
    with pytest.raises(psycopg.OperationalError, match=r"password authentication failed|no password supplied"):
        knock(**wrong)
    knock().close()


def test_every_way_in_demands_scram(shared_dir: Path, knock: Knock) -> None:
    with knock(user="postgres", dbname="postgres", passfile=str(shared_dir / "superuser.pgpass")) as connection:
        methods = connection.execute("SELECT DISTINCT auth_method FROM pg_hba_file_rules").fetchall()
        verifiers = connection.execute("SELECT left(rolpassword, 14) FROM pg_authid WHERE rolcanlogin").fetchall()
    assert methods == [("scram-sha-256",)]
    assert verifiers == [("SCRAM-SHA-256$",)] * 2


def test_its_files_are_private(shared_dir: Path) -> None:
    def mode(name: str) -> int:
        return stat.S_IMODE((shared_dir / name).stat().st_mode)

    # Root lets PostgreSQL's account pass through, no more.
    passage = 0o710 if os.geteuid() == 0 else 0o700
    assert [mode(name) for name in (".", "cluster")] == [passage] * 2
    assert [mode(name) for name in ("cluster/data", "cluster/socket", "cluster/socket/.s.PGSQL.5432")] == [0o700] * 3
    names = ("portbook.pgpass", "superuser.pgpass", "portbook.lock", "server.log", "cluster/data/postgresql.conf")
    assert [mode(name) for name in names] == [0o600] * 5
    assert {path.name for path in (shared_dir / "cluster").iterdir()} == {"data", "socket"}


def test_the_folders_above_are_left_as_they_were(
    shared: tuple[Path, str, Rows], modes_above: Callable[[Path], Rows]
) -> None:
    data_dir, _, before = shared
    assert modes_above(data_dir) == before


def test_checksums_and_utf8_are_on(shared_url: str, query: Query) -> None:
    facts = "SELECT current_setting('data_checksums'), encoding, datcollate FROM pg_database"
    assert query(shared_url, f"{facts} WHERE datname = 'portbook'") == [("on", 6, "C.UTF-8")]


def test_its_settings_hold_whatever_the_files_say(shared_dir: Path, knock: Knock) -> None:
    with knock(user="postgres", dbname="postgres", passfile=str(shared_dir / "superuser.pgpass")) as connection:
        held = connection.execute("SELECT name FROM pg_settings WHERE source = 'command line'").fetchall()
        durable = connection.execute("SELECT current_setting('fsync'), current_setting('full_page_writes')").fetchone()
    assert {name for (name,) in held} >= {*SETTINGS, "shared_buffers", "unix_socket_directories"}
    assert durable == ("on", "on")


def test_a_second_owner_is_refused_and_told_by_whom(shared_dir: Path, shared_url: str, query: Query) -> None:
    with pytest.raises(ClusterBusy, match=f"process {os.getpid()}") as refusal:
        Cluster(shared_dir).start()
    assert refusal.value.pid == os.getpid()
    assert query(shared_url, "SELECT 1") == [(1,)]


def test_others_attach_while_it_runs(shared_dir: Path, shared_url: str) -> None:
    assert attach(shared_dir) == shared_url


def test_its_log_and_command_line_hold_no_secret(shared_dir: Path, knock: Knock) -> None:
    process = Path(f"/proc/{pid_of(shared_dir)}")
    with pytest.raises(psycopg.OperationalError):
        knock(password="a-wrong-guess")
    seen = (shared_dir / "server.log").read_text() + (process / "cmdline").read_text()
    passwords = [path.read_text().strip().split(":")[-1] for path in shared_dir.glob("*.pgpass")]
    assert [word for word in (*passwords, "a-wrong-guess", "SCRAM-SHA-256$") if word in seen] == []


def test_the_terminals_interrupt_does_not_reach_it(shared_dir: Path) -> None:
    assert os.getsid(pid_of(shared_dir)) != os.getsid(0)
