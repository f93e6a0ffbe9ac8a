"""What one could have built instead, on the same libraries, database and server: two stores of every row, and none.

Each is as good as it gets within its idea: keys are looked up once, the reply leaves after the commit.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from isal import isal_zlib
from psycopg import AsyncConnection
from pydantic import BaseModel
from sqlalchemy import BigInteger, Text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.bench.fleet import conninfo

GZIP_WINDOW = 31
POOL = 6
URL_VARIABLE = "BENCH_DATABASE_URL"
PATH = "/api/v1/osquery/log"

COLUMNS = (
    "cmdline", "community_id", "conn_state", "ip_version", "local_address", "local_port", "parent_path", "pid",
    "proc_name", "proc_path", "proc_start", "protocol", "remote_address", "remote_port", "username",
)  # fmt: skip
NUMBERS = frozenset({"ip_version", "local_port", "pid", "proc_start", "protocol", "remote_port"})


class Columns(msgspec.Struct, gc=False):
    cmdline: str
    community_id: str
    conn_state: str
    ip_version: str
    local_address: str
    local_port: str
    parent_path: str
    pid: str
    proc_name: str
    proc_path: str
    proc_start: str
    protocol: str
    remote_address: str
    remote_port: str
    username: str


class Line(msgspec.Struct, gc=False):
    name: str
    unixTime: int  # noqa: N815 - osquery's spelling
    columns: Columns
    action: str


class Log(msgspec.Struct, gc=False):
    data: list[Line]
    node_key: str


_DECODER = msgspec.json.Decoder(Log)


async def _decoded(request: Request) -> Log:
    return _DECODER.decode(isal_zlib.decompress(await request.body(), GZIP_WINDOW))


def decode_only() -> FastAPI:
    """The limit: what arrives is inflated and decoded, and forgotten."""
    app = FastAPI()

    @app.post(PATH)
    async def log(request: Request) -> Response:
        assert (await _decoded(request)).data
        return Response(b"{}", media_type="application/json")

    return app


def _types() -> list[str]:
    return ["bigint", "timestamptz", "text", "text", *("bigint" if each in NUMBERS else "text" for each in COLUMNS)]


def tables() -> str:
    """Two wide tables, alike: one for each rival."""
    names = ("node_id", "observed_at", "query", "action", *COLUMNS)
    columns = ", ".join(f"{name} {kind}" for name, kind in zip(names, _types(), strict=True))
    wide = f"CREATE TABLE wide_copy ({columns}); CREATE INDEX ON wide_copy (node_id, observed_at);"
    identity = "row_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
    return f"{wide} CREATE TABLE wide_orm ({identity}, {columns}); CREATE INDEX ON wide_orm (node_id, observed_at)"


class Pool:
    """Connections, and the nodes of the keys seen so far."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.idle: asyncio.Queue[AsyncConnection[Any]] = asyncio.Queue()
        self._nodes: dict[str, int] = {}

    async def open(self) -> None:
        for _ in range(POOL):
            self.idle.put_nowait(await AsyncConnection.connect(conninfo(self._url)))

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection[Any]]:
        connection = await self.idle.get()
        try:
            yield connection
        finally:
            self.idle.put_nowait(connection)

    async def node_of(self, connection: AsyncConnection[Any], key: str) -> int:
        if key not in self._nodes:
            found = await connection.execute(
                "SELECT node_id FROM node_keys WHERE key_sha256 = %s", [sha256(key.encode()).digest()]
            )
            row = await found.fetchone()
            assert row is not None
            self._nodes[key] = row[0]
        return self._nodes[key]


def copy_rows() -> FastAPI:
    """COPY of every row into one wide table: a transaction a request."""
    pool = Pool(os.environ[URL_VARIABLE])  # noqa: TID251 - uvicorn hands a factory nothing else

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await pool.open()
        yield

    app = FastAPI(lifespan=lifespan)

    @app.post(PATH)
    async def log(request: Request) -> Response:
        decoded = await _decoded(request)
        async with pool.connection() as connection:
            node_id = await pool.node_of(connection, decoded.node_key)
            cursor = connection.cursor()
            async with cursor.copy("COPY wide_copy FROM STDIN") as copy:
                for line in decoded.data:
                    await copy.write_row(_row(node_id, line))
            await connection.commit()
        return Response(b"{}", media_type="application/json")

    return app


def _row(node_id: int, line: Line) -> tuple[object, ...]:
    said = line.columns
    return (
        node_id, datetime.fromtimestamp(line.unixTime, UTC), line.name, line.action, said.cmdline, said.community_id,
        said.conn_state, int(said.ip_version), said.local_address, int(said.local_port), said.parent_path,
        int(said.pid), said.proc_name, said.proc_path, int(said.proc_start), int(said.protocol), said.remote_address,
        int(said.remote_port), said.username,
    )  # fmt: skip


class _Base(DeclarativeBase):
    pass


class WideRow(_Base):
    __tablename__ = "wide_orm"

    row_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    node_id: Mapped[int] = mapped_column(BigInteger)
    observed_at: Mapped[datetime]
    query: Mapped[str] = mapped_column(Text)
    action: Mapped[str]
    cmdline: Mapped[str]
    community_id: Mapped[str]
    conn_state: Mapped[str]
    ip_version: Mapped[int]
    local_address: Mapped[str]
    local_port: Mapped[int]
    parent_path: Mapped[str]
    pid: Mapped[int] = mapped_column(BigInteger)
    proc_name: Mapped[str]
    proc_path: Mapped[str]
    proc_start: Mapped[int] = mapped_column(BigInteger)
    protocol: Mapped[int]
    remote_address: Mapped[str]
    remote_port: Mapped[int]
    username: Mapped[str]


class ColumnsIn(BaseModel):
    cmdline: str
    community_id: str
    conn_state: str
    ip_version: int
    local_address: str
    local_port: int
    parent_path: str
    pid: int
    proc_name: str
    proc_path: str
    proc_start: int
    protocol: int
    remote_address: str
    remote_port: int
    username: str


class LineIn(BaseModel):
    name: str
    unixTime: int  # noqa: N815 - osquery's spelling
    columns: ColumnsIn
    action: str


class LogIn(BaseModel):
    data: list[LineIn]
    node_key: str


class Gunzipped:
    """What one finds in a cookbook: inflates the body before the framework reads it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = await Request(scope, receive).body()

        async def inflated() -> Message:
            return {"type": "http.request", "body": isal_zlib.decompress(body, GZIP_WINDOW), "more_body": False}

        await self._app(scope, inflated, send)


def insert_rows() -> FastAPI:
    """What one would write first: a model in, an ORM object a row, commit."""
    engine = create_async_engine(os.environ[URL_VARIABLE], pool_size=POOL, max_overflow=0)  # noqa: TID251 - as above
    nodes: dict[str, int] = {}
    app = FastAPI()

    @app.post(PATH)
    async def log(logged: LogIn) -> dict[str, str]:
        async with AsyncSession(engine) as session:
            if logged.node_key not in nodes:
                nodes[logged.node_key] = await _node_of(session, logged.node_key)
            session.add_all(_wide(nodes[logged.node_key], line) for line in logged.data)
            await session.commit()
        return {}

    app.add_middleware(Gunzipped)
    return app


async def _node_of(session: AsyncSession, key: str) -> int:
    connection = await session.connection()
    found = await connection.exec_driver_sql(
        "SELECT node_id FROM node_keys WHERE key_sha256 = %s", (sha256(key.encode()).digest(),)
    )
    return int(found.scalar_one())


def _wide(node_id: int, line: LineIn) -> WideRow:
    return WideRow(
        node_id=node_id,
        observed_at=datetime.fromtimestamp(line.unixTime, UTC),
        query=line.name,
        action=line.action,
        **line.columns.model_dump(),
    )
