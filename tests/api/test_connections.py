"""No request holds a connection while it waits for another: a dozen at once would stall everybody, agents too."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from tests.api.test_main import paths
from tests.factories import Server

#: As many as `Database` opens at most.
ALL = 12


@pytest.mark.parametrize("token", ["that of a stranger", None])
async def test_every_route_gets_by_with_one_connection(server: Server, token: str | None) -> None:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with AsyncExitStack() as held:
        for _ in range(ALL - 1):
            session = await held.enter_async_context(server.database.writing())
            await session.connection()
        for method, path in paths(server):
            async with asyncio.timeout(10):
                answer = await server.api.request(method, path, headers=headers)
            assert answer.status_code != 500, f"{method} {path}"
            assert token is None or answer.status_code in {401, 404}, f"{method} {path}: {answer.text}"


async def test_what_is_held_is_all_there_is(server: Server) -> None:
    async with AsyncExitStack() as held:
        for _ in range(ALL):
            session = await held.enter_async_context(server.database.writing())
            await session.connection()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await server.agents.get("/healthz")
