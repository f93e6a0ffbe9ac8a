"""What is logged is kept for the test instead of printed; knobs start from the defaults, whatever was before."""

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
async def fresh(database: Database) -> Database:
    """No version yet. The guard that stands in the way is the tables' own, so the tests' role steps around it."""
    await tell(database, "ALTER TABLE knob_versions DISABLE TRIGGER USER")
    await tell(database, "TRUNCATE knob_versions, backtests")
    await tell(database, "ALTER TABLE knob_versions ENABLE TRIGGER USER")
    return database
