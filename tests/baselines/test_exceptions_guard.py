"""Separation of duties holds against whoever writes SQL, and what was decided stays."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.exc import IntegrityError

from app.access.actor import Actor
from app.access.duties import Duty
from app.clock import utc_now
from app.database import Database, Table, migrate
from app.findings.states import State
from app.findings.triage.deciding import Decision, decide
from tests.baselines.excepting import a_person, asked, granted
from tests.factories import Server, a_node
from tests.findings.found import CHECKS, a_finding
from tests.observations.stored import ask, node_of, tell

APPROVED = "decision = 'approved', decision_reason = 'fine', decided_at = requested_at"
A_VIEWER = "(SELECT max(operator_id) FROM operators WHERE duties = '{viewer}')"
GUARD = """
SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = 'exceptions'::regclass AND NOT tgisinternal
UNION ALL SELECT prosrc FROM pg_proc WHERE proname = 'exceptions_are_kept'
"""


async def for_a_node(server: Server, **given: Any) -> UUID:
    return await asked(
        server.database, utc_now(), node_ids=(await node_of(server.database, await a_node(server)),), **given
    )


async def set_(database: Database, exception_id: UUID, values: str, **given: Any) -> None:
    await tell(database, f"UPDATE exceptions SET {values} WHERE exception_id = :id", id=exception_id, **given)


async def decided(database: Database, exception_id: UUID) -> str | None:
    ((decision,),) = await ask(database, "SELECT decision FROM exceptions WHERE exception_id = :id", id=exception_id)
    return str(decision) if decision else None


async def refused(database: Database, exception_id: UUID, by: Actor, match: str, values: str = APPROVED) -> None:
    with pytest.raises(IntegrityError, match=match):
        await set_(database, exception_id, f"{values}, decided_by = :by", by=by.operator_id)
    assert await decided(database, exception_id) is None


async def test_an_approver_may(server: Server) -> None:
    made = await for_a_node(server)
    by = await a_person(server.database, Duty.APPROVER)
    await set_(server.database, made, f"{APPROVED}, decided_by = :by", by=by.operator_id)
    assert await decided(server.database, made) == "approved"


async def test_nobody_decides_on_their_own_request(server: Server) -> None:
    ada = await a_person(server.database, Duty.ANALYST, Duty.APPROVER)
    made = await for_a_node(server, by=ada)
    await refused(server.database, made, ada, "decided_by_another")
    await refused(server.database, made, ada, "another approver can", f"{APPROVED}, override_reason = 'I am alone'")


async def test_no_override_where_two_people_decide(server: Server) -> None:
    made = await for_a_node(server)
    await tell(server.database, "UPDATE operators SET disabled_at = now() WHERE 'approver' = ANY(duties)")
    by = await a_person(server.database, Duty.APPROVER)
    await refused(server.database, made, by, "override", f"{APPROVED}, override_reason = 'x'")
    await tell(server.database, "UPDATE operators SET disabled_at = NULL")


@pytest.mark.parametrize("duty", [duty for duty in Duty if duty is not Duty.APPROVER])
async def test_no_other_duty_decides(server: Server, duty: Duty) -> None:
    made = await for_a_node(server)
    await refused(server.database, made, await a_person(server.database, duty), "only an active approver")


async def test_who_is_disabled_or_lost_the_duty_decides_nothing(server: Server) -> None:
    made, by = await for_a_node(server), await a_person(server.database, Duty.APPROVER)
    change = "UPDATE operators SET disabled_at = now() WHERE operator_id = :by"
    await tell(server.database, change, by=by.operator_id)
    await refused(server.database, made, by, "only an active approver")
    change = "UPDATE operators SET disabled_at = NULL, duties = '{viewer}' WHERE operator_id = :by"
    await tell(server.database, change, by=by.operator_id)
    await refused(server.database, made, by, "only an active approver")


async def test_who_closed_the_finding_as_false_does_not_accept_it(server: Server) -> None:
    made, by = await for_a_node(server), await a_person(server.database, Duty.ANALYST, Duty.APPROVER)
    finding = (await a_finding(server))["finding_id"]
    closing = Decision(State.FALSE_POSITIVE, "it is ours", CHECKS)
    await decide(server.database, by, UUID(finding), closing, utc_now())
    other = "jsonb_build_object('exception_id', CAST(:new AS text), 'finding_id', CAST(:finding AS text))"
    async with server.database.writing() as session:
        new = await session.scalar(text("SELECT gen_random_uuid()"))
        copy = f"SELECT (jsonb_populate_record(e, {other})).* FROM exceptions e WHERE exception_id = :id"
        insert = f"INSERT INTO exceptions {copy}"
        await session.execute(text(insert), {"new": str(new), "finding": finding, "id": made})
    await refused(server.database, new, by, "false positive")


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ("decision = 'approved'", "decided_whole|only an active"),
        (f"{APPROVED}, decided_by = :by, override_reason = ' '", "override|another"),
        ("decision = 'approved', decision_reason = ' ', decided_at = requested_at, decided_by = :by", "decided"),
        ("decision = 'approved', decision_reason = 'x', decided_at = expires_at, decided_by = :by", "before_its_end"),
        ("expires_at = expires_at + interval '1 day'", "what was asked for stays"),
        ("first_port = 1", "what was asked for stays"),
        ("requested_by = :by", "what was asked for stays"),
        ("node_ids = NULL, role_id = 1", "what was asked for stays"),
        (f"revoked_at = now(), revoked_reason = 'x', revoked_by = {A_VIEWER}", "takes it"),
    ],
)
async def test_no_half_decision_and_no_other_request(server: Server, values: str, match: str) -> None:
    await a_person(server.database, Duty.VIEWER)
    made, by = await for_a_node(server), await a_person(server.database, Duty.APPROVER)
    with pytest.raises(IntegrityError, match=match):
        await set_(server.database, made, values, **({"by": by.operator_id} if ":by" in values else {}))


@pytest.mark.parametrize(
    "values",
    [
        "decision = 'rejected'",
        "decided_at = decided_at + interval '1 second'",
        "decision_reason = 'y'",
        "decision = NULL, decision_reason = NULL, decided_at = NULL, decided_by = NULL",
        "last_port = 65535",
        "signer = 'x'",
    ],
)
async def test_a_decision_stays(server: Server, values: str) -> None:
    node = await node_of(server.database, await a_node(server))
    made = await granted(server.database, utc_now(), node_ids=(node,))
    with pytest.raises(IntegrityError, match="kept as they were decided"):
        await set_(server.database, made, values)


@pytest.mark.parametrize("column", ["announced_at", "expired_noted_at"])
async def test_what_was_noted_once_stays(server: Server, column: str) -> None:
    node = await node_of(server.database, await a_node(server))
    made = await granted(server.database, utc_now(), node_ids=(node,))
    await set_(server.database, made, f"{column} = '2026-01-01Z'")
    for value in ("NULL", "now()"):
        with pytest.raises(IntegrityError, match="what was noted stays"):
            await set_(server.database, made, f"{column} = {value}")


@pytest.mark.parametrize(
    "statement", ["DELETE FROM exceptions", "TRUNCATE exceptions CASCADE", "UPDATE exceptions SET requested_at = now()"]
)
async def test_nothing_is_ever_taken_away(server: Server, statement: str) -> None:
    await for_a_node(server)
    with pytest.raises(IntegrityError, match="kept as they were decided"):
        await tell(server.database, statement)


@pytest.mark.parametrize(
    ("other", "match"),
    [
        ("'decision', 'approved', 'decided_at', now(), 'decision_reason', 'x', 'decided_by', 1", "begins as a request"),
        ("'requested_by', 0", "no active operator"),
        ("'requested_by', NULL", "no active operator"),
        ("'expires_at', now() + interval '181 days'", "expires_at"),
        ("'expires_at', requested_at", "expires_at"),
        ("'requested_at', now() + interval '9 years', 'expires_at', now() + interval '9.4 years'", "last longer"),
        ("'first_port', 0", "ports"),
        ("'last_port', 70000", "ports"),
        ("'path', ''", "program"),
        ("'program', '*'", "every_program"),
        ("'reason', ' '", "why"),
        ("'risk', 'none'", "risk"),
        ("'node_ids', NULL", "role_or_nodes"),
        ("'role_id', 1", "role_or_nodes"),
        ("'node_ids', '[]'::jsonb", "node_ids"),
        ("'direction', 'listening'", "peer_scope"),
    ],
)
async def test_no_request_that_nobody_could_decide_on(server: Server, other: str, match: str) -> None:
    made = await for_a_node(server)
    changed = f"jsonb_build_object('exception_id', gen_random_uuid(), {other})"
    copy = f"INSERT INTO exceptions SELECT (jsonb_populate_record(e, {changed})).* FROM exceptions e"
    with pytest.raises(IntegrityError, match=match):
        await tell(server.database, f"{copy} WHERE exception_id = :id", id=made)


def guard_of(url: str) -> list[str]:
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        return sorted(connection.scalars(text(GUARD)))


def test_migrations_and_models_make_the_same_guard(empty_database: Callable[[], str]) -> None:
    migrated, created = empty_database(), empty_database()
    migrate(migrated)
    Table.metadata.create_all(create_engine(created, poolclass=NullPool))
    assert guard_of(migrated) == guard_of(created)
    assert len(guard_of(migrated)) == 3
