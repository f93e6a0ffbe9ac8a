"""Whoever writes to the database itself cannot approve their own work or change what is decided."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.exc import IntegrityError

from app.access.duties import Duty
from app.database import Table, migrate
from tests.baselines.people import Shop, a_shop, an_entry, ok, url
from tests.factories import Server, an_operator
from tests.house.test_migrations import named_in_env
from tests.observations.stored import ask, tell

TABLES = ("baselines", "baseline_versions", "baseline_entries", "baseline_reviews")
WHICH = "WHERE baseline_id = :baseline AND number = :number"
APPROVE = f"""
UPDATE baseline_versions SET state = 'approved', decided_by = :by, decided_at = now(), decision_reason = 'fine',
  in_force_from = now(), override_reason = :override {WHICH}
"""


async def refuse(server: Server, statement: str, match: str, **values: Any) -> None:
    with pytest.raises(IntegrityError, match=match):
        await tell(server.database, statement, **values)


async def number_of(server: Server, name: str) -> int:
    [(operator_id,)] = await ask(server.database, "SELECT operator_id FROM operators WHERE name = :name", name=name)
    return int(operator_id)


@asynccontextmanager
async def also_an_approver(server: Server, operator_id: int) -> AsyncIterator[None]:
    [(duties,)] = await ask(server.database, "SELECT duties FROM operators WHERE operator_id = :id", id=operator_id)
    change = "UPDATE operators SET duties = :duties WHERE operator_id = :id"
    await tell(server.database, change, duties=["analyst", "approver"], id=operator_id)
    yield
    await tell(server.database, change, duties=duties, id=operator_id)


def keys(version: dict[str, Any]) -> dict[str, Any]:
    return {"baseline": version["baseline_id"], "number": version["number"]}


async def test_raw_sql_does_not_approve_ones_own_version(server: Server) -> None:
    version = await (await a_shop(server)).submitted(an_entry())
    author = await number_of(server, version["author"])
    async with also_an_approver(server, author):
        await refuse(server, APPROVE, "decided_by_somebody_else", by=author, override=None, **keys(version))
        await refuse(server, APPROVE, "there is another approver", by=author, override="holidays", **keys(version))
        await refuse(server, APPROVE, "override", by=author, override="  ", **keys(version))


async def test_the_only_approver_there_is_may_override_with_a_reason_that_stays(server: Server) -> None:
    version = await (await a_shop(server)).submitted(an_entry())
    author = await number_of(server, version["author"])
    others = "UPDATE operators SET disabled_at = now() WHERE 'approver' = ANY(duties) AND operator_id <> :id"
    back = "UPDATE operators SET disabled_at = NULL"
    async with also_an_approver(server, author):
        await tell(server.database, others, id=author)
        await tell(server.database, APPROVE, by=author, override="I am alone", **keys(version))
        await tell(server.database, back)
    assert ok(await server.api.get(url(version)))["override_reason"] == "I am alone"


@pytest.mark.parametrize(
    "change", ["duties = '{analyst}'", "disabled_at = now()"], ids=["without the duty", "not active any more"]
)
async def test_raw_sql_does_not_let_somebody_decide_who_may_not(server: Server, change: str) -> None:
    version = await (await a_shop(server)).submitted(an_entry())
    name = await an_operator(server.database, Duty.APPROVER)
    await tell(server.database, f"UPDATE operators SET {change} WHERE name = :name", name=name)
    by = await number_of(server, name)
    await refuse(server, APPROVE, "only an active operator", by=by, override=None, **keys(version))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ("content_sha256 = sha256('x')", "kept as they are"),
        ("state = 'draft'", "kept as they are"),
        ("in_force_from = in_force_from - interval '1 day'", "kept as they are"),
        ("superseded_at = now() - interval '1 day'", "kept as they are"),
        ("decided_by = author_id", "kept as they are"),
        ("reason = 'other'", "kept as they are"),
    ],
)
async def test_an_approved_version_is_never_rewritten(server: Server, change: str, match: str) -> None:
    version = (await (await a_shop(server)).approved(an_entry()))["version"]
    await refuse(server, f"UPDATE baseline_versions SET {change} {WHICH}", match, **keys(version))


async def test_an_editor_does_not_vanish_from_a_draft(server: Server) -> None:
    version = await (await a_shop(server)).draft(an_entry())
    other = await number_of(server, await an_operator(server.database, Duty.ANALYST))
    statement = f"UPDATE baseline_versions SET editors = ARRAY[author_id, :other] {WHICH}"
    await tell(server.database, statement, other=other, **keys(version))
    drop = f"UPDATE baseline_versions SET editors = ARRAY[author_id] {WHICH}"
    await refuse(server, drop, "kept as they are", **keys(version))


async def test_a_version_is_not_born_decided_and_does_not_skip_its_submission(server: Server) -> None:
    version = await (await a_shop(server)).draft(an_entry())
    copied = f"""
        INSERT INTO baseline_versions SELECT (jsonb_populate_record(v, '{{"number": 9, "state": "abandoned"}}')).*
        FROM baseline_versions v {WHICH}
    """
    await refuse(server, copied, "kept as they are", **keys(version))
    by = await number_of(server, await an_operator(server.database, Duty.APPROVER))
    await refuse(server, APPROVE, "kept as they are", by=by, override=None, **keys(version))


async def test_entries_that_nobody_justifies_are_not_submitted(server: Server) -> None:
    version = await (await a_shop(server)).draft(an_entry(justification=""))
    statement = (
        f"UPDATE baseline_versions SET state = 'submitted', submitted_by = author_id, submitted_at = now() {WHICH}"
    )
    await refuse(server, statement, "needs a justification", **keys(version))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE baseline_entries SET last_port = 65535 WHERE baseline_id = :id",
        "DELETE FROM baseline_entries WHERE baseline_id = :id",
        (
            "INSERT INTO baseline_entries SELECT (jsonb_populate_record(e, jsonb_build_object("
            "'entry_id', gen_random_uuid()))).* FROM baseline_entries e WHERE baseline_id = :id"
        ),
        "DELETE FROM baseline_versions WHERE baseline_id = :id",
        "DELETE FROM baselines WHERE baseline_id = :id",
        "UPDATE baselines SET platform = 'macos' WHERE baseline_id = :id",
    ],
)
async def test_what_is_decided_keeps_its_entries(server: Server, statement: str) -> None:
    version = (await (await a_shop(server)).approved(an_entry()))["version"]
    await refuse(server, statement, "kept|takes or gives|stays", id=version["baseline_id"])


@pytest.mark.parametrize("table", TABLES)
async def test_tables_are_not_emptied(server: Server, table: str) -> None:
    await refuse(server, f"TRUNCATE {table} CASCADE", "refused")


async def test_a_review_that_was_done_stays_and_says_who_wrote_alone(server: Server) -> None:
    shop: Shop = await a_shop(server)
    version = (await shop.approved(an_entry()))["version"]
    author = await number_of(server, version["author"])
    done = """
        UPDATE baseline_reviews SET reviewed_at = now(), reviewer_id = :by, version = 1, outcome = 'confirmed',
          sod_ok = true WHERE baseline_id = :id
    """
    nobody = await number_of(server, await an_operator(server.database, Duty.ANALYST))
    await refuse(server, done, "duty reviewer", by=nobody, id=version["baseline_id"])
    await tell(server.database, done, by=author, id=version["baseline_id"])
    query = "SELECT sod_ok FROM baseline_reviews WHERE baseline_id = :id"
    assert await ask(server.database, query, id=version["baseline_id"]) == [(False,)]
    for statement in ("UPDATE baseline_reviews SET notes = 'x'", "DELETE FROM baseline_reviews"):
        await refuse(server, f"{statement} WHERE baseline_id = :id", "kept as they are", id=version["baseline_id"])


def guards_of(url: str) -> list[str]:
    triggers = ", ".join(f"'{each}'::regclass" for each in TABLES)
    functions = ", ".join(f"'{each}_are_kept'" for each in TABLES)
    query = f"""
        SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid IN ({triggers}) AND NOT tgisinternal
        UNION ALL SELECT prosrc FROM pg_proc WHERE proname IN ({functions})
    """
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        return sorted(connection.scalars(text(query)))


def test_migrations_and_models_make_the_same_guards(empty_database: Callable[[], str]) -> None:
    assert {"app.baselines.models", "app.baselines.reviews.models"} <= named_in_env()
    migrated, created = empty_database(), empty_database()
    migrate(migrated)
    Table.metadata.create_all(create_engine(created, poolclass=NullPool))
    assert guards_of(migrated) == guards_of(created)
    assert len(guards_of(migrated)) == 3 * len(TABLES)
