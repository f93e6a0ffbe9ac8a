"""An end is an event: once, by one worker, with all that follows from it; a coming one is announced once."""

import asyncio
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from prometheus_client import REGISTRY

from app.access.duties import Duty
from app.baselines.exceptions.asking import renew
from app.baselines.exceptions.calendar import keep
from app.baselines.exceptions.deciding import Decision, approve, revoke
from app.baselines.exceptions.states import ANNOUNCED
from app.clock import utc_now
from app.database import Database
from tests.baselines.excepting import (
    DAY,
    a_pattern,
    a_person,
    a_why,
    asked,
    audited,
    changes_of,
    finding_of,
    granted,
    show,
    state_of_finding,
)
from tests.factories import Server, a_node
from tests.observations.stored import ask, node_of, tell

SECOND = timedelta(seconds=1)
LEAST = timedelta(microseconds=1)


@pytest.fixture(autouse=True)
async def quiet(database: Database) -> None:
    """Nothing left in the queue, no history, and the past of other tests noted."""
    await tell(database, "TRUNCATE fresh_sightings, tallies, node_tallies, findings, fleet_findings")
    await keep(database, utc_now() + 400 * DAY)


async def an_excepted_finding(server: Server, until: datetime | None = None) -> tuple[str, UUID, tuple[int, ...]]:
    """A node, the exception that covers its finding, and the nodes for which that is."""
    key = await a_node(server)
    nodes = (await node_of(server.database, key),)
    await show(server, key)
    covering = await granted(server.database, utc_now(), until=until, node_ids=nodes)
    assert await state_of_finding(server, key) == "excepted"
    return key, covering, nodes


async def test_an_end_opens_again_what_was_covered(server: Server) -> None:
    end = utc_now() + DAY
    key, covering, _ = await an_excepted_finding(server, end)
    await keep(server.database, end - LEAST)
    assert await state_of_finding(server, key) == "excepted"
    await keep(server.database, end)
    found = await finding_of(server, key)
    assert (found["state"], found["is_open"], found["exception_id"]) == ("reopened", True, None)
    assert (await changes_of(server, key))[-1] == ("portbook", "reopened", f"exception {covering} expired")
    due = "SELECT due_since FROM findings WHERE finding_id = :id"
    assert await ask(server.database, due, id=found["finding_id"]) == [(end,)]


async def test_an_end_is_noted_once_whoever_looks(server: Server) -> None:
    end = utc_now() + DAY
    key, covering, _ = await an_excepted_finding(server, end)
    await asyncio.gather(*(keep(server.database, end + SECOND) for _ in range(4)))
    await keep(server.database, end + DAY)
    actions = [action for action, _ in await audited(server.database, covering)]
    assert actions.count("exception_expired") == 1
    assert [state for _, state, _ in await changes_of(server, key)] == ["excepted", "reopened"]
    noted = "SELECT expired_noted_at FROM exceptions WHERE exception_id = :id"
    assert await ask(server.database, noted, id=covering) == [(end + SECOND,)]


async def test_more_ends_than_fit_into_one_transaction_are_all_noted(server: Server) -> None:
    end = utc_now() + DAY
    nodes = (await node_of(server.database, await a_node(server)),)
    for port in range(1, 23):
        pattern = a_pattern(first_port=port, last_port=port)
        await granted(server.database, utc_now(), until=end, node_ids=nodes, pattern=pattern)
    await keep(server.database, end)
    unnoted = "SELECT count(*) FROM exceptions WHERE expires_at = :end AND expired_noted_at IS NULL"
    assert await ask(server.database, unnoted, end=end) == [(0,)]


async def test_what_another_one_covers_goes_over_to_it(server: Server) -> None:
    end = utc_now() + DAY
    key, _, nodes = await an_excepted_finding(server, end)
    other = await granted(server.database, utc_now(), node_ids=nodes, pattern=a_pattern(peer_scope=None))
    await keep(server.database, end)
    found = await finding_of(server, key)
    assert (found["state"], found["exception_id"]) == ("excepted", other)
    assert [state for _, state, _ in await changes_of(server, key)] == ["excepted", "excepted"]


async def test_a_renewal_takes_over_without_a_gap(server: Server) -> None:
    end = utc_now() + DAY
    key, covering, _ = await an_excepted_finding(server, end)
    later = await renew(server.database, await a_person(server.database, Duty.ANALYST), covering, a_why(), utc_now())
    assert (await finding_of(server, key))["exception_id"] == covering
    await approve(server.database, await a_person(server.database, Duty.APPROVER), later, Decision("again"), utc_now())
    assert (await finding_of(server, key))["exception_id"] == later
    await keep(server.database, end)
    assert await state_of_finding(server, key) == "excepted"
    same = "SELECT count(DISTINCT (program, path, first_port, last_port, node_ids)), max(renewal_of::text)"
    found = await ask(server.database, f"{same} FROM exceptions WHERE exception_id IN (:a, :b)", a=covering, b=later)
    assert found == [(1, str(covering))]


async def test_a_renewal_that_nobody_approved_keeps_nothing_covered(server: Server) -> None:
    end = utc_now() + DAY
    key, covering, _ = await an_excepted_finding(server, end)
    await renew(server.database, await a_person(server.database, Duty.ANALYST), covering, a_why(), utc_now())
    await keep(server.database, end)
    assert await state_of_finding(server, key) == "reopened"


async def test_what_expired_can_be_renewed_and_covers_again(server: Server) -> None:
    end = utc_now() + timedelta(minutes=4)  # nobody may ask much later than now
    key, covering, _ = await an_excepted_finding(server, end)
    await keep(server.database, end)
    later = await renew(server.database, await a_person(server.database, Duty.ANALYST), covering, a_why(), end)
    await approve(server.database, await a_person(server.database, Duty.APPROVER), later, Decision("again"), end)
    found = await finding_of(server, key)
    assert (found["state"], found["exception_id"]) == ("excepted", later)


async def test_what_is_taken_back_is_open_again_at_once(server: Server) -> None:
    key, covering, _ = await an_excepted_finding(server)
    by = await a_person(server.database, Duty.APPROVER)
    became = await revoke(server.database, by, covering, "not true any more", utc_now())
    assert (became.reopened, became.went_over) == (1, 0)
    assert await state_of_finding(server, key) == "reopened"
    why = f"exception {covering} taken back by {by.name}: not true any more"
    assert (await changes_of(server, key))[-1] == ("portbook", "reopened", why)
    await show(server, key, port=4445)
    await keep(server.database, utc_now() + 400 * DAY)
    assert "exception_expired" not in [action for action, _ in await audited(server.database, covering)]


async def test_a_coming_end_is_announced_once(server: Server) -> None:
    end = utc_now() + 30 * DAY
    _, covering, _ = await an_excepted_finding(server, end)
    for now in (end - ANNOUNCED - LEAST, end - ANNOUNCED, end - DAY):
        await asyncio.gather(keep(server.database, now), keep(server.database, now))
        actions = [action for action, _ in await audited(server.database, covering)]
        assert actions.count("exception_ends_soon") == (now >= end - ANNOUNCED)


async def test_neither_a_request_nor_a_refused_one_is_announced_or_expires(server: Server) -> None:
    end = utc_now() + DAY
    nodes = (await node_of(server.database, await a_node(server)),)
    made = await asked(server.database, utc_now(), until=end, node_ids=nodes)
    await keep(server.database, utc_now())
    await keep(server.database, end)
    assert [action for action, _ in await audited(server.database, made)] == ["exception_requested"]


async def test_gauges_say_how_many_are_in_force_and_how_many_end_soon(server: Server) -> None:
    far = utc_now() + 150 * DAY
    before = [await gauges(server, far)]
    await an_excepted_finding(server, far + 5 * DAY)
    await an_excepted_finding(server, far + 20 * DAY)
    assert await gauges(server, far) == (before[0][0] + 2, before[0][1] + 1)


async def gauges(server: Server, now: datetime) -> tuple[float, float]:
    await keep(server.database, now)
    active, ending = (REGISTRY.get_sample_value(f"portbook_exceptions_{name}") for name in ("active", "ending"))
    assert active is not None
    assert ending is not None
    return active, ending
