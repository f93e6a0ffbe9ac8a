"""The audit log is one chain, holds what was committed and nothing else, and is kept as it is."""

import json
from hashlib import sha256
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from app.access.actor import PORTBOOK
from app.access.audit.actions import Action
from app.access.audit.deed import Deed
from app.access.audit.record import record
from app.database import Database
from tests.observations.stored import ask, tell


async def lines(database: Database) -> list[dict[str, Any]]:
    return [json.loads(line) for (line,) in await ask(database, "SELECT line FROM audit_events ORDER BY seq")]


async def fail_after(database: Database, deed: Deed) -> None:
    async with database.writing() as session:
        record(session, PORTBOOK, deed)
        raise ConnectionError


def a_deed(name: str = "x", **given: Any) -> Deed:
    return Deed(Action.TOKEN_ADDED, "token", name, **given)


async def test_events_are_written_when_the_transaction_commits(database: Database) -> None:
    before = len(await lines(database))
    with pytest.raises(ConnectionError):
        await fail_after(database, a_deed())
    async with database.writing() as session:
        record(session, PORTBOOK, a_deed("first"))
        record(session, PORTBOOK, a_deed("second"))
        assert len(await lines(database)) == before
    assert [each["object_id"] for each in (await lines(database))[before:]] == ["first", "second"]


async def test_each_line_names_the_hash_of_the_one_before(database: Database) -> None:
    for _ in range(3):
        async with database.writing() as session:
            record(session, PORTBOOK, a_deed())
    rows = await ask(database, "SELECT seq, line, sha256 FROM audit_events ORDER BY seq")
    previous = "0" * 64
    for number, (seq, line, hashed) in enumerate(rows, start=1):
        assert (seq, json.loads(line)["seq"], json.loads(line)["prev"]) == (number, number, previous)
        previous = sha256(line.encode()).hexdigest()
        assert hashed.hex() == previous


@pytest.mark.parametrize("odd", ["\0", "\ud800", "\u202e", '"},{"', "x" * 10_000, "日本語"])
async def test_no_text_is_too_odd_to_be_logged(database: Database, odd: str) -> None:
    async with database.writing() as session:
        record(session, PORTBOOK, a_deed(odd, reason=odd))
    assert (await lines(database))[-1]["reason"]


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit_events SET line = '{}'", "DELETE FROM audit_events", "TRUNCATE audit_events"],
)
async def test_the_log_cannot_be_changed_by_sql(database: Database, statement: str) -> None:
    async with database.writing() as session:
        record(session, PORTBOOK, a_deed())
    with pytest.raises(IntegrityError, match="kept as it is"):
        await tell(database, statement)
