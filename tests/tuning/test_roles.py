"""A role is renamed whole or not at all, and its knobs go on under the new name."""

import asyncio

import pytest
from typer.testing import CliRunner

from app.access.actor import os_account
from app.cli import app
from app.clock import utc_now
from app.database import Database
from app.detection.scopes import EVERY, Document, Scope
from app.fleet.store import get_or_add_role, list_roles
from app.problems import Conflict, InvalidRequest, NotFound
from app.tuning import store
from app.tuning.changes import Why, change_one
from app.tuning.in_force import KnobsInForce
from app.tuning.roles import rename_role
from tests.access.told import last_told, told
from tests.factories import a_name
from tests.observations.stored import ask

ADA = os_account("ada")
LOUD: Document = {"Severities": {"low": 21}}


@pytest.fixture
async def role(fresh: Database) -> str:
    return await a_role(fresh)


async def a_role(database: Database) -> str:
    name = a_name("role")
    async with database.writing() as session:
        await get_or_add_role(session, name)
    return name


async def tune(database: Database, scope: Scope, document: Document) -> None:
    await change_one(database, scope, document, Why(ADA, "why", forced_reason="now"), utc_now(), replaces=None)


async def low(database: Database, role: str, platform: str = "macos") -> float:
    """From which score on a deviation is a finding, as every worker would say it."""
    knobs = KnobsInForce()
    async with database.reading() as session:
        await knobs.refresh(session)
    return knobs.of(role, platform)[0].severities.low


async def names(database: Database) -> set[str]:
    async with database.reading() as session:
        return set((await list_roles(session)).values())


async def test_the_knobs_go_on_under_the_new_name_and_no_longer_under_the_old(fresh: Database, role: str) -> None:
    new, default = a_name("role"), await low(fresh, role)
    await tune(fresh, Scope("macos", role), LOUD)
    await tune(fresh, EVERY, {"Severities": {"high": 81}})
    moved = await rename_role(fresh, role, new, ADA, utc_now())
    assert [(each.scope, each.document, each.created_by) for each in moved] == [(f"role.{new}.macos", LOUD, "ada")]
    assert moved[0].forced_reason == f"role renamed from {role} to {new}"
    assert [await low(fresh, each) for each in (new, role)] == [21, default]
    assert await low(fresh, new, "windows") == default
    async with fresh.writing() as session:
        await get_or_add_role(session, role)
    assert await low(fresh, role) == default, "who comes to have the name inherits nothing"
    async with fresh.reading() as session:
        assert {each.scope for each in await store.in_force(session) if each.document} == {"every", f"role.{new}.macos"}


async def test_renamed_there_and_back_everything_is_as_before(fresh: Database, role: str) -> None:
    new = a_name("role")
    await tune(fresh, Scope("macos", role), LOUD)
    before = await ask(fresh, "SELECT role_id FROM roles WHERE name = :name", name=role)
    await rename_role(fresh, role, new, ADA, utc_now())
    await rename_role(fresh, new, role, ADA, utc_now())
    assert await low(fresh, role) == 21
    assert await ask(fresh, "SELECT role_id FROM roles WHERE name = :name", name=role) == before


async def test_it_is_logged_with_every_version_that_it_made(fresh: Database, role: str) -> None:
    new = a_name("role")
    await tune(fresh, Scope("macos", role), LOUD)
    await rename_role(fresh, role, new, ADA, utc_now())
    event = await last_told(fresh, "role_renamed")
    assert (event["actor_name"], event["object_type"]) == ("ada", "role")
    assert event["reason"] == f"{role} before, {new} now"
    changed = [each["object_id"] for each in (await told(fresh, "knobs_changed"))[-2:]]
    assert changed == [f"role.{new}.macos", f"role.{role}.macos"]


@pytest.mark.parametrize("odd", ["", "Upper", "with space", "x" * 64, "a\nb", "\ud800", "-dash"])
async def test_a_malformed_name_is_refused_and_nothing_changes(fresh: Database, role: str, odd: str) -> None:
    before = await names(fresh)
    with pytest.raises(InvalidRequest) as refused:
        await rename_role(fresh, role, odd, ADA, utc_now())
    assert refused.value.extra["field"] == "new"
    assert await names(fresh) == before


async def test_a_name_that_is_taken_or_unknown_is_refused(fresh: Database, role: str) -> None:
    other = await a_role(fresh)
    for old, new, problem in (
        (role, other, Conflict),
        (role, role, Conflict),
        (a_name("none"), a_name("new"), NotFound),
    ):
        with pytest.raises(problem):
            await rename_role(fresh, old, new, ADA, utc_now())
    assert {role, other} <= await names(fresh)


async def test_two_who_rename_at_once_follow_each_other(fresh: Database, role: str) -> None:
    wanted = [a_name("role") for _ in range(2)]
    done = await asyncio.gather(
        *(rename_role(fresh, role, new, ADA, utc_now()) for new in wanted), return_exceptions=True
    )
    assert sorted(type(each).__name__ for each in done) == ["NotFound", "list"]
    assert len(await names(fresh) & set(wanted)) == 1


async def test_a_role_that_is_added_meanwhile_is_seen(fresh: Database, role: str) -> None:
    new = a_name("role")
    async with fresh.writing() as session:
        await get_or_add_role(session, new)
        renaming = asyncio.create_task(rename_role(fresh, role, new, ADA, utc_now()))
        async with asyncio.timeout(30):
            waits = "SELECT FROM pg_locks WHERE relation = 'roles'::regclass AND NOT granted"
            while not await ask(fresh, waits):  # noqa: ASYNC110 - PostgreSQL announces no lock
                await asyncio.sleep(0.01)
    with pytest.raises(Conflict):
        await renaming


def test_a_person_lists_and_renames_roles(role: str, database_url: str) -> None:
    new = a_name("role")
    renamed = CliRunner().invoke(app, ["role", "rename", role, new, "--database-url", database_url])
    assert renamed.exit_code == 0, renamed.output
    listed = CliRunner().invoke(app, ["role", "list", "--database-url", database_url])
    assert new in listed.stdout
    assert f"{role} " not in listed.stdout
