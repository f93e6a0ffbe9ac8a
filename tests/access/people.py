"""Operators with a password, what they send, and what the audit log says of it."""

import json
from collections.abc import Sequence
from typing import Any

from app.access.actor import PORTBOOK
from app.access.by_password import Claim
from app.access.duties import Duty
from app.access.operators import NewOperator, add
from app.clock import utc_now
from app.database import Database
from tests.factories import a_name
from tests.observations.stored import ask

PASSWORD = "a long one for the tests"


async def somebody(database: Database, *duties: Duty, name: str | None = None) -> str:
    """The name of a new operator, whose password is `PASSWORD`."""
    name = name or a_name("operator")
    wanted = NewOperator(name, frozenset(duties or {Duty.VIEWER}), password=PASSWORD)
    await add(database, wanted, PORTBOOK, utc_now())
    return name


def a_claim(name: str, password: str = PASSWORD) -> Claim:
    """From an address that no other test has."""
    return Claim(name, password, a_name("address"))


async def said_of(database: Database, name: str, *actions: str) -> Sequence[dict[str, Any]]:
    """What the audit log has of an operator, the oldest first."""
    lines = await ask(
        database, "SELECT line FROM audit_events WHERE object_id = :name OR actor_name = :name ORDER BY seq", name=name
    )
    found = [json.loads(line) for (line,) in lines]
    return [each for each in found if not actions or each["action"] in actions]
