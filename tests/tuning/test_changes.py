"""Changes of the knobs: tried or forced, who and why, one after the other, and never undone in silence."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy.exc import IntegrityError

from app.access.actor import os_account
from app.clock import utc_now
from app.database import Database
from app.detection.knobs import Knobs
from app.detection.scopes import EVERY, Document, Scope, canonical, document_sha256
from app.fleet.store import get_or_add_role
from app.problems import Conflict, InvalidRequest, NotFound
from app.tuning import store
from app.tuning.changes import NotBacktested, Why, change, change_one, revert
from app.tuning.in_force import KnobsInForce
from app.tuning.models import Backtest, KnobVersion
from tests.observations.stored import ask, tell

ADA = os_account("ada")
FORCED = Why(ADA, "Too loud", forced_reason="The night shift drowns")
TRIED = Why(ADA, "Too loud")
MACS = Scope("macos")
LAPTOPS = Scope("macos", "laptop")


async def put(database: Database, document: Document, scope: Scope = EVERY, why: Why = FORCED) -> KnobVersion:
    return await change_one(database, scope, document, why, utc_now(), replaces=None)


async def in_force(database: Database, role: str = "laptop", platform: str = "macos") -> tuple[Knobs, int]:
    knobs = KnobsInForce()
    async with database.reading() as session:
        await knobs.refresh(session)
    return knobs.of(role, platform)


async def both_wait(database: Database) -> None:
    """Until two changes have seen what is in force and wait for their turn."""
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    async with asyncio.timeout(30):
        while await ask(database, waiting) != [(2,)]:  # noqa: ASYNC110 - PostgreSQL announces no lock
            await asyncio.sleep(0.01)


async def a_backtest(database: Database, document: Document, scope: Scope = EVERY, state: str = "finished") -> UUID:
    run = Backtest(
        backtest_id=uuid4(),
        candidate_sha256=document_sha256(canonical(document)),
        candidate=document,
        scope=str(scope),
        days=7,
        requested_at=utc_now(),
        requested_by="ada",
        state=state,
        finished_at=utc_now() if state == "finished" else None,
    )
    async with database.writing() as session:
        session.add(run)
    return run.backtest_id


async def test_a_change_is_in_force_and_says_who_why_and_on_what_ground(fresh: Database) -> None:
    made = await put(fresh, {"Weights": {"novelty": 40}})
    assert (made.created_by, made.reason, made.forced_reason) == ("ada", "Too loud", "The night shift drowns")
    assert made.document == {"Weights": {"novelty": 40.0}}
    assert made.document_sha256 == document_sha256(made.document)
    knobs, version = await in_force(fresh)
    assert (knobs.weights.novelty, version) == (40, made.version)


async def test_the_next_version_takes_the_place_of_the_one_before(fresh: Database) -> None:
    first = await put(fresh, {"Weights": {"novelty": 40}})
    second = await put(fresh, {"Weights": {"rarity": 5}})
    knobs, version = await in_force(fresh)
    assert (knobs.weights.novelty, knobs.weights.rarity, version) == (45, 5, second.version)
    [[until, since]] = await ask(
        fresh,
        f"SELECT a.superseded_at, b.created_at FROM knob_versions a, knob_versions b"
        f" WHERE a.version = {first.version} AND b.version = {second.version}",
    )
    assert until == since


async def test_the_version_of_a_role_and_platform_is_the_newest_that_concerns_it(fresh: Database) -> None:
    async with fresh.writing() as session:
        await get_or_add_role(session, "laptop")
    wide = await put(fresh, {"Weights": {"novelty": 40}})
    narrow = await put(fresh, {"Weights": {"rarity": 5}}, LAPTOPS)
    assert (await in_force(fresh, "laptop", "macos"))[1] == narrow.version
    assert (await in_force(fresh, "server", "macos"))[1] == wide.version
    assert await in_force(fresh, "laptop", "macos") != await in_force(fresh, "laptop", "windows")


async def test_knobs_are_read_anew_only_when_there_is_a_newer_version(
    fresh: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    knobs = KnobsInForce()
    await put(fresh, {"Weights": {"novelty": 40}})
    async with fresh.reading() as session:
        await knobs.refresh(session)
        monkeypatch.delattr(store, "in_force_at")
        await knobs.refresh(session)
    assert knobs.of("", "macos")[0].weights.novelty == 40


async def test_without_a_backtest_nothing_is_applied(fresh: Database) -> None:
    with pytest.raises(NotBacktested) as refused:
        await put(fresh, {"Weights": {"novelty": 40}}, why=TRIED)
    assert refused.value.extra["candidate_sha256"] == document_sha256({"Weights": {"novelty": 40.0}}).hex()
    assert await ask(fresh, "SELECT version FROM knob_versions") == []


async def test_a_finished_backtest_of_exactly_these_settings_lets_them_in(fresh: Database) -> None:
    run = await a_backtest(fresh, {"Weights": {"novelty": 40}})
    made = await put(fresh, {"Weights": {"novelty": 40.0}}, why=TRIED)
    assert (made.backtest_id, made.forced_reason) == (run, None)


@pytest.mark.parametrize(
    ("document", "scope", "state"),
    [
        ({"Weights": {"novelty": 41}}, EVERY, "finished"),
        ({"Weights": {"novelty": 40}}, MACS, "finished"),
        ({"Weights": {"novelty": 40}}, EVERY, "running"),
        ({"Weights": {"novelty": 40}}, EVERY, "failed"),
        ({"Weights": {"novelty": 40}}, EVERY, "cancelled"),
    ],
)
async def test_another_backtest_lets_nothing_in(fresh: Database, document: Document, scope: Scope, state: str) -> None:
    run = await a_backtest(fresh, document, scope, state)
    for why in (TRIED, Why(ADA, "Too loud", backtest_id=run)):
        with pytest.raises(NotBacktested):
            await put(fresh, {"Weights": {"novelty": 40}}, why=why)


async def test_several_scopes_are_changed_together_or_not_at_all(fresh: Database) -> None:
    wanted: dict[Scope, Document] = {EVERY: {"Weights": {"novelty": 40}}, MACS: {"Severities": {"low": 60}}}
    with pytest.raises(InvalidRequest, match=r"platform\.macos: Expected low <= medium <= high"):
        await change(fresh, wanted, FORCED, utc_now(), replaces=None)
    await a_backtest(fresh, wanted[EVERY])
    with pytest.raises(NotBacktested, match=r"platform\.macos"):
        await change(fresh, wanted | {MACS: {"Severities": {"low": 35}}}, TRIED, utc_now(), replaces=None)
    assert await ask(fresh, "SELECT version FROM knob_versions") == []
    made = await change(fresh, wanted | {MACS: {"Severities": {"low": 35}}}, FORCED, utc_now(), replaces=None)
    assert [each.scope for each in made] == ["every", "platform.macos"]


async def test_a_scope_may_rely_on_what_a_wider_one_sets(fresh: Database) -> None:
    await put(fresh, {"Severities": {"high": 80, "medium": 70}})
    await put(fresh, {"Severities": {"low": 65}}, MACS)
    with pytest.raises(InvalidRequest, match=r"platform\.macos: Expected low <= medium <= high"):
        await put(fresh, {})
    assert (await in_force(fresh))[0].severities.low == 65


async def test_a_mistyped_role_is_refused(fresh: Database) -> None:
    with pytest.raises(InvalidRequest, match="no node has the role 'latpop'"):
        await put(fresh, {"Weights": {"novelty": 40}}, Scope("macos", "latpop"))


@pytest.mark.parametrize(
    ("why", "field"),
    [
        (Why(ADA, "   ", forced_reason="x"), "reason"),
        (Why(ADA, "two\nlines", forced_reason="x"), "reason"),
        (Why(ADA, "x" * 1001, forced_reason="x"), "reason"),
        (Why(ADA, "why", forced_reason="x", on_behalf_of=" "), "by"),
        (Why(ADA, "why", forced_reason=" "), "forced_reason"),
        (Why(ADA, "why", forced_reason=""), "forced_reason"),
        (Why(ADA, "why", backtest_id=uuid4(), forced_reason="x"), "backtest_id"),
    ],
)
async def test_a_change_without_a_reason_is_refused(fresh: Database, why: Why, field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await put(fresh, {"Weights": {"novelty": 40}}, why=why)
    assert refused.value.extra["field"] == field
    assert await ask(fresh, "SELECT version FROM knob_versions") == []


async def test_the_same_settings_again_are_no_change(fresh: Database) -> None:
    await put(fresh, {"Weights": {"novelty": 40}})
    with pytest.raises(Conflict, match="in force for every already"):
        await put(fresh, {"Weights": {"novelty": 40.0}})
    with pytest.raises(Conflict, match=r"in force for platform\.macos already"):
        await put(fresh, {}, MACS)
    assert await change(fresh, {EVERY: {"Weights": {"novelty": 40}}}, FORCED, utc_now(), replaces=None) == []


async def test_settings_are_withdrawn_by_an_empty_document(fresh: Database) -> None:
    await put(fresh, {"Weights": {"novelty": 40}})
    made = await put(fresh, {})
    assert await in_force(fresh) == (Knobs(), made.version)


async def test_a_change_that_was_decided_on_another_version_is_refused(fresh: Database) -> None:
    first = await put(fresh, {"Weights": {"novelty": 40}})
    await put(fresh, {"Weights": {"novelty": 41}})
    for replaces in (first.version, 0):
        with pytest.raises(Conflict, match="somebody else was faster"):
            await change_one(fresh, EVERY, {"Weights": {"novelty": 42}}, FORCED, utc_now(), replaces=replaces)
    assert (await in_force(fresh))[0].weights.novelty == 41


@pytest.mark.parametrize("there", [True, False], ids=["after another", "the first of its scope"])
async def test_of_two_changes_at_once_one_is_told_of_the_other(fresh: Database, there: bool) -> None:
    if there:
        await put(fresh, {"Weights": {"novelty": 40}})
    async with fresh.writing() as session:
        await store.hold_changes(session)
        both = [asyncio.create_task(put(fresh, {"Weights": {"novelty": value}})) for value in (41, 42)]
        await both_wait(fresh)
    done = await asyncio.gather(*both, return_exceptions=True)
    assert sorted(type(each).__name__ for each in done) == ["Conflict", "KnobVersion"]
    [made] = [each for each in done if isinstance(each, KnobVersion)]
    assert (await in_force(fresh))[1] == made.version
    assert await ask(fresh, "SELECT count(*) FROM knob_versions WHERE superseded_at IS NULL") == [(1,)]


async def test_a_clock_that_goes_back_makes_no_version_that_ends_before_it_began(fresh: Database) -> None:
    first = await put(fresh, {"Weights": {"novelty": 40}})
    earlier = utc_now() - timedelta(hours=1)
    made = await change_one(fresh, EVERY, {"Weights": {"novelty": 41}}, FORCED, earlier, replaces=None)
    assert made.created_at == first.created_at


async def test_a_revert_is_a_new_version_and_needs_its_own_ground(fresh: Database) -> None:
    first = await put(fresh, {"Weights": {"novelty": 40}})
    await put(fresh, {"Weights": {"novelty": 41}})
    with pytest.raises(NotBacktested):
        await revert(fresh, first.version, TRIED, utc_now())
    made = await revert(fresh, first.version, FORCED, utc_now())
    assert (made.document, made.document_sha256) == (first.document, first.document_sha256)
    assert made.version > first.version
    with pytest.raises(NotFound):
        await revert(fresh, made.version + 100, FORCED, utc_now())


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE knob_versions SET document = '{}'",
        "UPDATE knob_versions SET reason = 'other'",
        "UPDATE knob_versions SET created_by = 'eve'",
        "UPDATE knob_versions SET superseded_at = now(), reason = 'other'",
        "UPDATE knob_versions SET forced_reason = 'other' WHERE superseded_at IS NOT NULL",
        "UPDATE knob_versions SET superseded_at = NULL WHERE superseded_at IS NOT NULL",
        "UPDATE knob_versions SET superseded_at = now() WHERE superseded_at IS NOT NULL",
        "UPDATE knob_versions SET scope = 'platform.macos'",
        "DELETE FROM knob_versions",
        "TRUNCATE knob_versions",
    ],
)
async def test_raw_sql_cannot_rewrite_a_version(fresh: Database, statement: str) -> None:
    await put(fresh, {"Weights": {"novelty": 40}})
    await put(fresh, {"Weights": {"novelty": 41}})
    before = await ask(fresh, "SELECT to_jsonb(v) FROM knob_versions v ORDER BY version")
    with pytest.raises(IntegrityError, match="are kept as they are"):
        await tell(fresh, statement)
    assert await ask(fresh, "SELECT to_jsonb(v) FROM knob_versions v ORDER BY version") == before


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("reason", "' '"),
        ("created_by", "''"),
        ("forced_reason", "NULL"),
        ("forced_reason", "' '"),
        ("backtest_id", "gen_random_uuid()"),
        ("scope", "'role.macos'"),
        ("scope", "'platform.linux'"),
        ("document_sha256", "'x'"),
    ],
)
async def test_raw_sql_cannot_add_a_version_without_ground(fresh: Database, field: str, value: str) -> None:
    values = {
        "scope": "'every'",
        "document": "'{}'",
        "document_sha256": f"'\\x{'00' * 32}'",
        "created_at": "now()",
        "created_by": "'ada'",
        "reason": "'why'",
        "forced_reason": "'now'",
    } | {field: value}
    with pytest.raises(IntegrityError, match="ck_knob_versions"):
        await tell(fresh, f"INSERT INTO knob_versions ({', '.join(values)}) VALUES ({', '.join(values.values())})")


async def test_settings_that_a_newer_portbook_does_not_take_do_not_stop_the_judging(
    fresh: Database, logged: list[dict[str, object]]
) -> None:
    await tell(
        fresh,
        "INSERT INTO knob_versions (scope, document, document_sha256, created_at, created_by, reason, forced_reason)"
        f" VALUES ('every', '{{\"Gone\": {{\"x\": 1}}}}', '\\x{'00' * 32}', now(), 'ada', 'why', 'now')",
    )
    knobs = KnobsInForce()
    async with fresh.reading() as session:
        await knobs.refresh(session)
    assert [knobs.of("laptop", "macos"), knobs.of("laptop", "macos")] == [(Knobs(), 0)] * 2
    assert [each["event"] for each in logged] == ["knobs_unusable_defaults_taken"]
