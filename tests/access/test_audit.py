"""The audit log is one chain, holds what was committed and nothing else, and is kept as it is."""

import asyncio
import json
from hashlib import sha256
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from app.access.actor import PORTBOOK
from app.access.audit.actions import Action
from app.access.audit.deed import Deed
from app.access.audit.line import line_of
from app.access.audit.record import record
from app.clock import utc_now
from app.database import Database
from tests.observations.stored import ask, tell

WRITERS, EACH = 8, 25
INSERT = "INSERT INTO audit_events (line) VALUES (:line)"


async def lines(database: Database) -> list[dict[str, Any]]:
    return [json.loads(line) for (line,) in await ask(database, "SELECT line FROM audit_events ORDER BY seq")]


async def newest(database: Database, total: int = 1) -> list[str]:
    return [each["object_id"] for each in (await lines(database))[-total:]]


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


async def test_what_a_savepoint_takes_back_is_not_logged_and_what_was_before_it_is(database: Database) -> None:
    async with database.writing() as session:
        record(session, PORTBOOK, a_deed("before"))
        for name, ends_well in (("kept", True), ("taken back", False)):
            outer = await session.begin_nested()
            async with session.begin_nested():
                record(session, PORTBOOK, a_deed(name))
            await (outer.commit() if ends_well else outer.rollback())
        record(session, PORTBOOK, a_deed("after"))
    assert await newest(database, 3) == ["before", "kept", "after"]


async def test_what_cannot_be_logged_does_not_happen(database: Database) -> None:
    await tell(database, "ALTER TABLE audit_events ADD CONSTRAINT no_room CHECK (object_id <> 'no room') NOT VALID")

    async def change() -> None:
        async with database.writing() as session:
            await session.execute(text("INSERT INTO roles (name) VALUES ('never')"))
            record(session, PORTBOOK, a_deed("no room"))

    with pytest.raises(IntegrityError, match="no_room"):
        await change()
    assert await ask(database, "SELECT FROM roles WHERE name = 'never'") == []
    await tell(database, "ALTER TABLE audit_events DROP CONSTRAINT no_room")


async def test_writers_at_once_keep_one_chain_of_what_they_committed(database: Database) -> None:
    async def write(writer: int) -> None:
        for number in range(EACH):
            if number % 5 == 4:
                with pytest.raises(ConnectionError):
                    await fail_after(database, a_deed("rolled back"))
            async with database.writing() as session:
                record(session, PORTBOOK, a_deed(f"{writer}/{number}"))

    before = len(await lines(database))
    await asyncio.gather(*(write(writer) for writer in range(WRITERS)))
    written = (await lines(database))[before:]
    assert [each["seq"] for each in written] == list(range(before + 1, before + 1 + WRITERS * EACH))
    by_writer = [
        [each["object_id"] for each in written if each["object_id"].startswith(f"{n}/")] for n in range(WRITERS)
    ]
    assert by_writer == [[f"{n}/{number}" for number in range(EACH)] for n in range(WRITERS)]
    rows = await ask(database, "SELECT line, sha256 FROM audit_events ORDER BY seq")
    assert [json.loads(line)["prev"] for line, _ in rows[1:]] == [hashed.hex() for _, hashed in rows[:-1]]


@pytest.mark.parametrize(
    "odd", ["\0", "\x7f", "\ud800", "\u202e", "\u2028", '"},{"', "x" * 10_000, "日本語", "🐴" * 3000]
)
async def test_no_text_is_too_odd_to_be_logged(database: Database, odd: str) -> None:
    async with database.writing() as session:
        record(session, PORTBOOK, a_deed(odd, reason=odd, object_version=odd))
    (line,) = (await ask(database, "SELECT line FROM audit_events ORDER BY seq DESC LIMIT 1"))[0]
    assert json.loads(line)["reason"]
    assert line.isascii()
    assert line.isprintable()


@pytest.mark.parametrize(
    "forged",
    [
        lambda line: line.replace('{"ts"', '{"seq":1,"prev":"' + "0" * 64 + '","ts"'),
        lambda line: line.replace('"reason":""', '"reason":{"prev":"00"}'),
        lambda line: line.replace('"reason":""', '"reason":"two\nlines"'),
        lambda line: line.replace('"reason":""', '"reason":"","reason":"other"'),
        lambda line: line.replace('"request_id"', '"more":["prev"],"request_id"'),
        lambda line: line.replace('"outcome":"success"', '"outcome":"maybe"'),
        lambda line: f" {line}",
        lambda line: f"{line}\n{line}",
        lambda _: "{}",
    ],
    ids=["chain", "nested", "two-lines", "twice", "more", "outcome", "space", "two", "empty"],
)
async def test_a_line_in_another_form_is_refused_by_the_database(database: Database, forged: Any) -> None:
    line = forged(line_of(PORTBOOK, a_deed(), utc_now()))
    with pytest.raises(DBAPIError):
        await tell(database, INSERT, line=line)


async def test_place_and_hash_are_the_databases_whoever_inserts(database: Database) -> None:
    line = line_of(PORTBOOK, a_deed("mine"), utc_now())
    columns = "seq, at, actor_name, action, object_type, object_id, outcome, line, sha256"
    await tell(
        database,
        f"INSERT INTO audit_events ({columns}) VALUES (1, now(), 'a', 'b', 'c', 'd', 'e', :line, '')",
        line=line,
    )
    (last,) = (await lines(database))[-1:]
    assert (last["seq"], last["object_id"]) == (len(await lines(database)), "mine")
    found = await ask(database, "SELECT action, object_id, outcome FROM audit_events ORDER BY seq DESC LIMIT 1")
    assert found == [("token_added", "mine", "success")]


async def test_a_transaction_that_cannot_see_who_came_before_is_refused(database: Database) -> None:
    async with database.apart() as apart:
        with pytest.raises(DBAPIError, match="READ COMMITTED"):
            async with apart._session("ISOLATION LEVEL REPEATABLE READ") as session:
                record(session, PORTBOOK, a_deed())


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit_events SET line = '{}'", "DELETE FROM audit_events", "TRUNCATE audit_events"],
)
async def test_the_log_cannot_be_changed_by_sql(database: Database, statement: str) -> None:
    async with database.writing() as session:
        record(session, PORTBOOK, a_deed())
    with pytest.raises(IntegrityError, match="kept as it is"):
        await tell(database, statement)
