"""What tests share: one PostgreSQL a worker, and a migrated database with a whole server on it a module."""

import asyncio
import gc
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count
from pathlib import Path

import hypothesis
import psycopg
import pytest
import structlog
from psycopg import sql
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy.engine import make_url

from app.access import passwords
from app.database import Database, migrate
from app.main import create_app
from app.postgres import Cluster, erase
from app.postgres.folder import PORT, ROLE, SUPERUSER, Folder
from app.settings import Settings
from tests.factories import Server, serving

DATABASE_FIXTURES = frozenset({"cluster", "cluster_url", "database_url", "database", "server", "ground"})
TEMPLATE = "migrated"
IN_MEMORY = Path("/dev/shm")
ROOM_BYTES = 2 << 30
_numbers = count(1)

#: The same examples each time, and no judgement by the clock of a busy machine. To look for new ones:
#: pytest --hypothesis-profile default
hypothesis.settings.register_profile(
    "house", derandomize=True, deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("house")

#: Plain, so that a failure is not first painted with all its local variables, which takes minutes.
structlog.configure(processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()])

#: Passwords by the hundred; what one shall cost is a test of its own.
passwords._argon2 = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=1024, parallelism=1),))


def _is_place_in_memory() -> bool:
    """Roomy, and programs may be run there: some tests copy those of PostgreSQL."""
    if tempfile.gettempdir() != "/tmp" or not IN_MEMORY.is_dir():
        return False
    status = os.statvfs(IN_MEMORY)
    return status.f_bavail * status.f_frsize > ROOM_BYTES and not status.f_flag & os.ST_NOEXEC


#: A database is hundreds of files: copied in memory, one takes a twentieth of the time.
if _is_place_in_memory():
    tempfile.tempdir = str(IN_MEMORY)


def pytest_collection_finish() -> None:
    """What was imported stays: it need not be looked through for garbage time and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if DATABASE_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("database")


@pytest.fixture(autouse=True)
def _plain_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that runs within a test must not bind the log to that test's standard error, which ends with it."""
    monkeypatch.setattr("app.server_log.configure_log", lambda **_: None)


@pytest.fixture(scope="session")
def settings() -> Settings:
    """Few day partitions, which are slow to copy, and no judging behind a test's back: call `analyse_some`."""
    days = {"batch_retention_days": 3, "history_days": 21, "flow_retention_days": 4}
    return Settings(analyse=False, node_key_cache_seconds=0, log_json=True, **days)


@pytest.fixture(scope="session")
def cluster(settings: Settings) -> Iterator[Folder]:
    """A running cluster of this worker's own; PORTBOOK_POSTGRES_BIN_DIR says whose programs run it."""
    place = Path(tempfile.mkdtemp(prefix="portbook-tests-"))
    place.chmod(0o755)  # PostgreSQL's account passes through it when root runs the tests
    cluster = Cluster(place / "postgres", settings.postgres_bin_dir)
    cluster.start()
    yield Folder(place / "postgres")
    cluster.stop(kill_after_seconds=1)  # nobody will miss the checkpoint
    erase(place / "postgres")
    shutil.rmtree(place)


@pytest.fixture(scope="session")
def cluster_url(cluster: Folder) -> str:
    """The cluster's own database, with no tables in it."""
    return cluster.url()


@pytest.fixture(scope="session")
def template(cluster: Folder, settings: Settings) -> str:
    url = _create_database(cluster, TEMPLATE, template="template1")
    migrate(url)
    asyncio.run(_start_once(url, settings))
    return TEMPLATE


@pytest.fixture(scope="session")
def empty_database(cluster: Folder) -> Callable[[], str]:
    """Makes a database without any table; returns its URL."""
    return lambda: _create_database(cluster, f"empty_{next(_numbers)}", template="template1")


@pytest.fixture(scope="module")
def database_url(cluster: Folder, template: str) -> Iterator[str]:
    """A database of the module's own, migrated, with its day partitions."""
    name = f"test_{next(_numbers)}"
    yield _create_database(cluster, name, template=template)
    with _superuser(cluster) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="module")
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()


@pytest.fixture(scope="module")
async def server(settings: Settings, database_url: str) -> AsyncIterator[Server]:
    """The application with its tasks running, spoken to without a socket."""
    async with serving(create_app(settings, database_url)) as server:
        yield server


def _create_database(cluster: Folder, name: str, *, template: str) -> str:
    """Portbook's role may not create databases, so the superuser does, by the password file beside the cluster.

    As files: through the log, which is compressed, a copy takes six times as long.
    """
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {} STRATEGY file_copy")
    with _superuser(cluster) as connection:
        connection.execute(statement.format(*map(sql.Identifier, (name, template, ROLE))))
    return make_url(cluster.url()).set(database=name).render_as_string(hide_password=False)


def _superuser(cluster: Folder) -> psycopg.Connection:
    return psycopg.connect(
        host=str(cluster.socket),
        port=PORT,
        user=SUPERUSER,
        dbname=SUPERUSER,
        passfile=str(cluster.passfile(SUPERUSER)),
        password="",
        autocommit=True,
    )


async def _start_once(url: str, settings: Settings) -> None:
    """A first start makes the day partitions."""
    app = create_app(settings, url)
    async with app.router.lifespan_context(app):
        pass
