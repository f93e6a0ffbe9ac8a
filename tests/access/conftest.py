"""What is logged is kept for the test instead of printed, and is where it looks for secrets."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.database import Database, migrate


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[Any]]:
    with capture_logs() as entries:
        yield entries


@pytest.fixture
async def empty(empty_database: Callable[[], str]) -> AsyncIterator[Database]:
    """As at the very first start."""
    url = empty_database()
    migrate(url)
    database = Database(url)
    yield database
    await database.close()
