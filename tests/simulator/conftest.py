import asyncio
from collections.abc import AsyncIterator

import pytest
from fake_portbook import FakeServer

from app.simulator.connection import Connection, ServerAddress, connected


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    fake = FakeServer()
    listener = await asyncio.start_server(fake.serve, "127.0.0.1", 0)
    fake.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    async with listener:
        yield fake


@pytest.fixture
async def connection(server: FakeServer) -> AsyncIterator[Connection]:
    async with connected(ServerAddress(server.url)) as connection:
        yield connection
