"""What the audit log tells, for a test to compare."""

import json
from typing import Any

from app.database import Database
from tests.observations.stored import ask


async def told(database: Database, action: str) -> list[dict[str, Any]]:
    """Events of an action, oldest first."""
    statement = "SELECT line FROM audit_events WHERE action = :action ORDER BY seq"
    return [json.loads(line) for (line,) in await ask(database, statement, action=action)]


async def last_told(database: Database, action: str) -> dict[str, Any]:
    return (await told(database, action))[-1]
