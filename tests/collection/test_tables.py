import sqlite3

import pytest

from app.collection.tables import SYSTEMS, EmptyAgent, known_tables


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_table_of_a_system_can_be_made_and_read(system):
    own = [name for name, table in known_tables().items() if system in table.systems]
    with EmptyAgent(system) as agent:
        for name in own:
            assert agent.prepare(f"SELECT COUNT(*) AS n FROM {name}").columns == ("n",)


def test_what_the_notes_say_of_a_column_is_said_of_a_column_that_exists():
    for name, table in known_tables().items():
        every = {column.split()[0] for text in table.columns.values() for column in text.split(",")}
        assert table.requires | table.volatile | table.column_since.keys() <= every, name


def test_what_a_statement_reads_is_told_by_table_and_column():
    with EmptyAgent("darwin") as agent:
        prepared = agent.prepare("WITH p AS (SELECT pid, upid FROM processes) SELECT upid AS id FROM p WHERE pid > 1")
    assert prepared.columns == ("id",)
    assert prepared.reads == {("processes", "pid"), ("processes", "upid")}


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE processes",
        "ATTACH ':memory:' AS other",
        "PRAGMA writable_schema = 1",
        "CREATE TABLE x (y)",
        "INSERT INTO processes (pid) SELECT 1",
    ],
)
def test_a_statement_may_only_read(statement):
    with EmptyAgent("windows") as agent, pytest.raises(sqlite3.Error, match="not authorized"):
        agent.prepare(statement)
