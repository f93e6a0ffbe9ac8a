"""What a poll costs: nothing while nothing waits, whoever polls."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event

from app.clock import utc_now
from app.database import Database
from app.findings.investigations.waiting import Desk
from app.osquery.distributed import NO_QUERIES
from tests.factories import Server
from tests.findings.investigations.conftest import Case, a_case


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """What is sent to PostgreSQL meanwhile."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        sent.append(statement)

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    yield sent
    event.remove(database.engine.sync_engine, "before_cursor_execute", note)


async def test_ten_thousand_polls_ask_the_database_once(database: Database) -> None:
    desk = Desk(database, utc_now, refresh_seconds=3600)
    with statements(database) as sent:
        answers = {await desk.questions_for(node_id) for node_id in range(10_000)}
    assert answers == {NO_QUERIES}
    assert len(sent) == 1
    assert "SELECT DISTINCT investigations.node_id" in sent[0]


async def test_a_question_is_seen_by_every_worker_when_it_looks_again(case: Case) -> None:
    early, prompt = Desk(case.server.database, utc_now, 3600), Desk(case.server.database, utc_now, 0)
    assert await early.questions_for(case.node_id) == NO_QUERIES
    await case.asks(queries=["file_hash"])
    assert await early.questions_for(case.node_id) == NO_QUERIES
    assert await prompt.questions_for(case.node_id) != NO_QUERIES
    assert await prompt.questions_for(case.node_id) == b'{"queries":{}}'


async def test_a_node_that_waits_does_not_make_others_look(prompt: Server) -> None:
    asked, other = await a_case(prompt), await a_case(prompt)
    await asked.asks()
    desk = Desk(prompt.database, utc_now, 3600)
    await desk.questions_for(asked.node_id)
    with statements(prompt.database) as sent:
        assert await desk.questions_for(other.node_id) == NO_QUERIES
    assert sent == []


async def test_while_the_database_is_away_one_poll_fails_and_the_others_go_on() -> None:
    away = Database("postgresql+psycopg://nobody@127.0.0.1:1/none")
    desk = Desk(away, utc_now, 3600)
    with pytest.raises(Exception, match="connection"):
        await desk.questions_for(1)
    assert await desk.questions_for(2) == NO_QUERIES
    await away.close()
