"""Sends requests as osqueryd does: its headers and no others, and one silent repetition when a connection breaks."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from isal import igzip

from app.simulator.wire import Answer, Wire

VERSION = "5.23.1"
ANSWER_TIMEOUT_SECONDS = 16.0  # hard-coded in the agent, for the whole exchange
GZIP_LEVEL = 1  # the agent's is 9; a fleet in one process has no time for that


class Unanswered(Exception):
    """No answer at all: refused, cut or too late. The message says which."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    enroll: str = "/api/v1/osquery/enroll"
    config: str = "/api/v1/osquery/config"
    log: str = "/api/v1/osquery/log"
    distributed_read: str = "/api/v1/osquery/distributed/read"
    distributed_write: str = "/api/v1/osquery/distributed/write"


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """`ca_file` is what osqueryd has in `--tls_server_certs`; without one the system's authorities count."""

    url: str
    ca_file: Path | None = None
    endpoints: Endpoints = Endpoints()
    new_connections: bool = False
    """A new connection for each request, the one before left open and idle, as a real osqueryd does; otherwise the
    whole fleet shares a few."""


class Connection:
    """The way to the server for one agent, or for a fleet that shares its connections."""

    def __init__(self, address: ServerAddress, context: ssl.SSLContext | None) -> None:
        self.endpoints = address.endpoints
        self._address = address
        self._context = context
        self._url = urlsplit(address.url)
        self._idle: list[Wire] = []
        self._of_agents: list[Connection] = []

    async def post(self, path: str, body: bytes, *, node_key: str = "", compress: bool = False) -> bytes:
        """The body of the answer, whatever its status.

        Raises:
            Unanswered: nothing came within 16 seconds, the connection broke twice, or the answer was a redirect.
        """
        content = igzip.compress(body, compresslevel=GZIP_LEVEL, mtime=0) if compress else body
        request = self._head(path, len(content), node_key=node_key, compress=compress) + content
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_SECONDS):
                answer = await self._repeated_once(request)
        except (TimeoutError, OSError) as error:
            raise Unanswered(f"{self._address.url}{path}: {str(error) or 'no answer in time'}") from error
        if HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST:
            raise Unanswered(f"{self._address.url}{path}: redirected")
        return answer.body

    def for_agent(self) -> "Connection":
        """Its own where every request has a connection of its own, else this one."""
        if not self._address.new_connections:
            return self
        self._of_agents.append(Connection(self._address, self._context))
        return self._of_agents[-1]

    def close(self) -> None:
        for wire in self._idle:
            wire.close()
        for connection in self._of_agents:
            connection.close()

    async def _repeated_once(self, request: bytes) -> Answer:
        try:
            return await self._exchange(request)
        except ConnectionError:
            return await self._exchange(request)

    async def _exchange(self, request: bytes) -> Answer:
        wire = await self._wire()
        try:
            answer = await wire.ask(request)
        except BaseException:
            wire.close()
            raise
        if not wire.lost:
            self._idle.append(wire)
        return answer

    async def _wire(self) -> Wire:
        while self._idle:
            wire = self._idle.pop()
            if not (wire.lost or self._address.new_connections):
                return wire
            wire.close()
        return await Wire.opened(self._url, self._context)

    def _head(self, path: str, length: int, *, node_key: str, compress: bool) -> bytes:
        lines = [
            f"POST {self._url.path.rstrip('/')}{path} HTTP/1.1",
            "Content-Type: application/json",
            "Accept: application/json",
            f"User-Agent: osquery/{VERSION}",
            *([f"Authorization: NodeKey {node_key}"] if node_key else ()),
            *(["Content-Encoding: gzip"] if compress else ()),
            f"Host: {self._url.netloc}",
            f"Content-Length: {length}",
        ]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


@asynccontextmanager
async def connected(address: ServerAddress) -> AsyncIterator[Connection]:
    """Raises: OSError, ssl.SSLError when `ca_file` cannot be read."""
    context = None
    if address.url.startswith("https:"):
        context = ssl.create_default_context(cafile=str(address.ca_file) if address.ca_file else None)
    connection = Connection(address, context)
    try:
        yield connection
    finally:
        connection.close()
