"""A new cluster is whole or not there, and what is there is never overwritten."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from app.postgres import Cluster, ClusterBusy, PostgresError
from app.postgres import creation as creation_module

Rows = list[tuple[object, ...]]
Query = Callable[[str, str], Rows]

BEGIN = "import sys; from pathlib import Path; from app.postgres import Cluster; Cluster(Path(sys.argv[1])).start()"


def start_when_free(cluster: Cluster) -> str:
    """An initdb whose parent was killed keeps the folder locked until it ends."""
    while True:
        try:
            return cluster.start()
        except ClusterBusy:
            time.sleep(0.02)


def test_an_interrupted_creation_is_done_again(ground: Path, query: Query) -> None:
    data_dir = ground / "interrupted"
    with subprocess.Popen([sys.executable, "-c", BEGIN, str(data_dir)]) as begun:
        while not (data_dir / "cluster.partial/data/base").exists():
            time.sleep(0.005)
        os.kill(begun.pid, signal.SIGKILL)
    assert not (data_dir / "cluster").exists()
    cluster = Cluster(data_dir)
    assert query(start_when_free(cluster), "SELECT 1") == [(1,)]
    cluster.stop()
    assert sorted(path.name for path in data_dir.iterdir()) == [
        "cluster", "portbook.lock", "portbook.pgpass", "server.log", "superuser.pgpass",
    ]  # fmt: skip


def test_a_system_without_the_utf8_locale_gets_none(
    ground: Path, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(creation_module, "LOCALES", ("--locale=xx_XX.UTF-8", "--no-locale"))
    heard: list[str] = []
    with Cluster(ground / "no-locale", on_wait=heard.append).running() as url:
        assert query(url, "SELECT encoding, datcollate FROM pg_database WHERE datname = 'portbook'") == [(6, "C")]
    assert heard[0] == "PostgreSQL is making a new cluster"


def test_data_that_are_gone_are_not_made_anew(ground: Path) -> None:
    data_dir = ground / "gone"
    data_dir.mkdir()
    (data_dir / "portbook.lock").touch()
    (data_dir / "cluster").symlink_to(ground / "not-mounted")
    with pytest.raises(PostgresError, match="restore it from a backup"):
        Cluster(data_dir).start()


def test_data_of_another_version_are_left_alone(ground: Path) -> None:
    data_dir = ground / "older"
    (data_dir / "cluster/data").mkdir(parents=True)
    (data_dir / "portbook.lock").touch()
    (data_dir / "superuser.pgpass").touch()
    (data_dir / "cluster/data/PG_VERSION").write_text("14\n")
    with pytest.raises(PostgresError, match="made by PostgreSQL 14"):
        Cluster(data_dir).start()
    assert [path.name for path in (data_dir / "cluster/data").iterdir()] == ["PG_VERSION"]
