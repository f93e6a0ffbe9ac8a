"""One connection to a server: bytes of a request go out, the parsed answer comes back."""

import asyncio
import ssl
from dataclasses import dataclass
from typing import cast
from urllib.parse import SplitResult

import httptools
from typing_extensions import override


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes


class Wire(asyncio.Protocol):
    """Takes one request at a time. httptools names the methods that it calls as the answer comes in."""

    def __init__(self) -> None:
        self._transport: asyncio.WriteTransport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self._answer: asyncio.Future[Answer] | None = None
        self.lost = False

    @classmethod
    async def opened(cls, url: SplitResult, context: ssl.SSLContext | None) -> "Wire":
        """`context` is None for plain http. Raises: OSError, which ssl.SSLError is, too."""
        loop = asyncio.get_running_loop()
        port = url.port or (443 if context else 80)
        _, wire = await loop.create_connection(cls, url.hostname or "", port, ssl=context)
        return wire

    async def ask(self, request: bytes) -> Answer:
        """Raises: ConnectionError when the connection ends before the answer does."""
        if self.lost or self._transport is None:
            raise ConnectionResetError("the connection is closed")
        self._parser, self._body = httptools.HttpResponseParser(self), []
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            return await self._answer
        finally:
            self._answer = None

    def close(self) -> None:
        self.lost = True
        if self._transport is not None:
            self._transport.close()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self._fail(ConnectionResetError(f"the server closed the connection{f': {exc}' if exc else ''}"))

    @override
    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self.close()
            self._fail(ConnectionAbortedError(f"not HTTP: {error}"))

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(Answer(self._parser.get_status_code(), b"".join(self._body)))
        if not self._parser.should_keep_alive():
            self.close()

    def _fail(self, error: ConnectionError) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
