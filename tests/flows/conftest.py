"""What is logged is kept for the test instead of printed; flows are those of the test alone."""

from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.database import Database
from tests.observations.stored import tell


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[Any]]:
    with capture_logs() as entries:
        yield entries


@pytest.fixture
async def clean(database: Database) -> Database:
    await tell(database, "TRUNCATE flows, flow_sensors")
    return database
