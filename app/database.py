"""The one engine: tables' base, sessions that commit before the reply, and the migrations."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NewType

from alembic import command
from alembic.config import Config
from sqlalchemy import MetaData, NullPool, make_url, text
from sqlalchemy.exc import DataError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase

__all__ = [
    "Apart",
    "DataError",
    "Database",
    "ReadSession",
    "Table",
    "WriteSession",
    "connect_args",
    "migrate",
    "migration_config",
]

#: A session in a read-only transaction.
ReadSession = NewType("ReadSession", AsyncSession)
#: A session that may write; its block's end commits.
WriteSession = NewType("WriteSession", ReadSession)

MIGRATIONS = Path(__file__).parents[1] / "migrations"


class Table(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Database:
    """An engine and its sessions. One per worker process."""

    def __init__(self, url: str, *, pool_size: int = 8) -> None:
        self.engine: AsyncEngine = create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=4,
            pool_pre_ping=True,
            connect_args=connect_args(url),
            hide_parameters=True,  # errors go to the log, and parameters may be secrets
        )
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)
        read_only = self.engine.execution_options(postgresql_readonly=True)
        self._readers = async_sessionmaker(read_only, expire_on_commit=False)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[WriteSession]:
        """Commits when the block ends well, rolls back when it raises."""
        async with self._sessions.begin() as session:
            yield WriteSession(ReadSession(session))

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[ReadSession]:
        """Takes a connection with its first statement: who holds one and waits for another could wait for ever."""
        async with self._readers() as session:
            yield ReadSession(session)

    @asynccontextmanager
    async def apart(self) -> AsyncIterator["Apart"]:
        """A connection of its own, closed at the end: its temporary tables and its locks go with it."""
        url = self.engine.url
        arguments = connect_args(url.render_as_string(hide_password=False))
        engine = create_async_engine(url, poolclass=NullPool, connect_args=arguments, hide_parameters=True)
        try:
            async with engine.connect() as connection:
                yield Apart(connection)
        finally:
            await engine.dispose()

    async def close(self) -> None:
        await self.engine.dispose()


class Apart:
    """Transactions that follow one another on one connection."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[WriteSession]:
        async with self._session("READ WRITE") as session:
            yield session

    @asynccontextmanager
    async def scratching(self) -> AsyncIterator[WriteSession]:
        """One snapshot, and PostgreSQL refuses every write but those into temporary tables."""
        async with self._session("ISOLATION LEVEL REPEATABLE READ, READ ONLY") as session:
            yield session

    @asynccontextmanager
    async def _session(self, mode: str) -> AsyncIterator[WriteSession]:
        async with AsyncSession(self._connection, expire_on_commit=False) as session, session.begin():
            await session.execute(text(f"SET TRANSACTION {mode}"))
            yield WriteSession(ReadSession(session))


def connect_args(url: str) -> dict[str, str]:
    """An empty password where the URL names a password file: PGPASSWORD in the environment must not outweigh it."""
    return {"password": ""} if "passfile" in make_url(url).query else {}


def migration_config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = url
    return config


def migrate(url: str) -> None:
    """Bring the schema to the newest version. Safe to call from several processes: Alembic runs under a lock."""
    command.upgrade(migration_config(url), "head")
