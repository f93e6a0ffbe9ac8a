"""Raw SQL changes no state without its row, closes nothing without its checks, and finds one living finding."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.exc import IntegrityError

from app.database import Database, Table, migrate
from tests.factories import Server
from tests.findings.found import CHECKS, a_finding, decide
from tests.house.test_migrations import named_in_env
from tests.observations.stored import ask, tell

CLOSE = "UPDATE findings SET state = 'false_positive', is_open = false WHERE finding_id = :f"
TELL = """
INSERT INTO finding_changes (finding_id, node_id, at, kind, operator_id, actor_name, from_state, to_state, reason,
                             checks)
SELECT :f, 1, now(), 'state', (SELECT min(operator_id) FROM operators), 'me', :before, :after, 'x',
       CAST(:checks AS jsonb)
"""
DEFINED = """
SELECT pg_get_triggerdef(oid) FROM pg_trigger
WHERE tgrelid IN ('findings'::regclass, 'finding_changes'::regclass) AND NOT tgisinternal
UNION ALL SELECT prosrc FROM pg_proc
WHERE proname IN ('closing_checks_are_complete', 'finding_states_have_their_changes', 'finding_changes_are_kept',
                  'findings_are_kept')
"""


async def both(database: Database, *statements: tuple[str, dict[str, Any]]) -> None:
    """In one transaction."""
    async with database.writing() as session:
        for statement, values in statements:
            await session.execute(text(statement), values)


def told(finding: dict[str, Any], before: str, after: str, checks: Any = None) -> tuple[str, dict[str, Any]]:
    said = json.dumps(checks) if checks is not None else None
    return TELL, {"f": finding["finding_id"], "before": before, "after": after, "checks": said}


@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM findings", "UPDATE findings SET finding_id = gen_random_uuid()", "UPDATE findings SET node_id = 0"],
)
async def test_no_finding_is_taken_away_or_made_another(server: Server, statement: str) -> None:
    finding = await a_finding(server)
    with pytest.raises(IntegrityError, match="stays what it was found to be"):
        await tell(server.database, f"{statement} WHERE finding_id = :f", f=finding["finding_id"])


async def test_a_state_that_no_row_tells_of_is_refused_at_commit(server: Server) -> None:
    finding = await a_finding(server)
    close = (CLOSE, {"f": finding["finding_id"]})
    for statements in (
        [close],
        [close, told(finding, "open", "acknowledged")],
        [close, told(finding, "acknowledged", "false_positive", CHECKS)],
        [told(finding, "open", "acknowledged")],
    ):
        with pytest.raises(IntegrityError, match="is not what its changes say"):
            await both(server.database, *statements)
    await both(server.database, close, told(finding, "open", "false_positive", CHECKS))
    back = "UPDATE findings SET state = 'open', is_open = true WHERE finding_id = :f"
    with pytest.raises(IntegrityError, match="is not what its changes say"):
        await tell(server.database, back, f=finding["finding_id"])
    assert await ask(server.database, "SELECT state FROM findings WHERE finding_id = :f", f=finding["finding_id"]) == [
        ("false_positive",)
    ]


async def test_nothing_is_put_in_as_closed(server: Server) -> None:
    finding = await a_finding(server)
    copy = """
    CREATE TEMPORARY TABLE copied ON COMMIT DROP AS SELECT * FROM findings WHERE finding_id = :f;
    UPDATE copied SET finding_id = gen_random_uuid(), node_id = -1, state = 'remediated', is_open = false;
    INSERT INTO findings SELECT * FROM copied
    """
    statements = [(each, {"f": finding["finding_id"]} if ":f" in each else {}) for each in copy.split(";")]
    with pytest.raises(IntegrityError, match="is not what its changes say"):
        await both(server.database, *statements)


@pytest.mark.parametrize(
    "checks",
    [
        None, [], "x", {}, CHECKS | {"more": {"unknown": "x"}}, {name: CHECKS[name] for name in list(CHECKS)[:4]},
        CHECKS | {"user": {"unknown": "  "}}, CHECKS | {"user": {"checked": True, "note": "\n"}},
        CHECKS | {"user": {"checked": "true", "note": "x"}}, CHECKS | {"user": {"checked": True}},
        CHECKS | {"user": {"unknown": 7}}, CHECKS | {"user": None}, CHECKS | {"user": {"unknown": "x", "note": "y"}},
    ],
)  # fmt: skip
async def test_a_closing_without_complete_checks_is_refused(database: Database, checks: Any) -> None:
    query = "SELECT coalesce(closing_checks_are_complete(CAST(:c AS jsonb)), false)"
    assert await ask(database, query, c=json.dumps(checks)) == [(False,)]
    assert await ask(database, query, c=json.dumps(CHECKS)) == [(True,)]


async def test_a_row_of_spaces_and_a_row_of_nobody_are_refused(server: Server) -> None:
    finding = await a_finding(server)
    close, (_, values) = (CLOSE, {"f": finding["finding_id"]}), told(finding, "open", "false_positive", CHECKS)
    for before, after in (("'x'", "'  '"), ("'me'", "' '"), ("(SELECT min(operator_id) FROM operators)", "null")):
        with pytest.raises(IntegrityError, match="check constraint"):
            await both(server.database, close, (TELL.replace(before, after), values))


async def test_a_second_living_finding_of_a_node_and_behaviour_is_refused(server: Server) -> None:
    finding = await a_finding(server)
    await decide(server, finding, "remediated")
    columns = [str(each.name) for each in Table.metadata.tables["findings"].columns]
    same = ", ".join(name for name in columns if name not in {"finding_id", "state", "is_open"})
    copy = f"INSERT INTO findings (finding_id, {same}) SELECT gen_random_uuid(), {same} FROM findings "
    copy += "WHERE finding_id = :f"
    with pytest.raises(IntegrityError, match="uq_findings_living"):
        await tell(server.database, copy, f=finding["finding_id"])


def test_migrations_and_models_make_the_same_guards(empty_database: Callable[[], str]) -> None:
    assert "app.findings.models" in named_in_env()
    migrated, created = empty_database(), empty_database()
    migrate(migrated)
    Table.metadata.create_all(create_engine(created, poolclass=NullPool))
    said = []
    for url in (migrated, created):
        with create_engine(url, poolclass=NullPool).connect() as connection:
            said.append(sorted(connection.scalars(text(DEFINED))))
    assert said[0] == said[1]
    assert len(said[0]) == 10
