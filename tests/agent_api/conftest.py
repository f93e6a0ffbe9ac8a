"""A server whose limits are small enough to be reached."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from app.main import create_app
from app.settings import Settings
from tests.factories import OSQUERY, Server, serving

Post = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[Any]]:
    """What is logged is kept for the test instead of printed."""
    with capture_logs() as entries:
        yield entries


@pytest.fixture
async def small(settings: Settings, database_url: str) -> AsyncIterator[Server]:
    limits = {"body_max_bytes": 4096, "inflated_max_bytes": 8192}
    async with serving(create_app(settings.model_copy(update=limits), database_url)) as server:
        yield server


@pytest.fixture
def post(server: Server) -> Post:
    """POST raw bytes to an agent endpoint; `key` goes into the header."""

    async def post(endpoint: str, content: object = b"", *, key: str = "", **headers: str) -> httpx.Response:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent |= {"Authorization": f"NodeKey {key}"} if key else {}
        return await server.agents.post(f"{OSQUERY}/{endpoint}", content=content, headers=sent)

    return post
