"""The stored counts say what the history in memory says."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from random import Random

import pytest

from app.analysis import standings
from app.analysis.standings import Seen
from app.clock import utc_now
from app.database import Database
from app.detection.behaviour import Behaviour, Direction, Platform, Program, Transport
from app.detection.history import LEARNING_DAYS, History
from app.detection.standing import Standing
from app.observations.store import INSERT_BEHAVIOURS, Writer, behaviour_row, write
from tests.observations.stored import tell

ROLES = {1: "laptop", 2: "server", 3: "kiosk"}
NODES = {n: (1 if n < 6 else 2 if n < 9 else 3) for n in range(1, 10)}
EPOCH = date(1970, 1, 1)
Day = tuple[date, list[Seen]]


def behaviour(program: str, port: str, direction: Direction = Direction.OUTBOUND) -> Behaviour:
    return Behaviour(Program(Platform.WINDOWS, f"c:\\{program}", program), direction, Transport.TCP, port)


def life(seed: int, days: int) -> Iterator[Day]:
    """What a small fleet shows, day by day; now and then a program that nobody ever ran."""
    chance = Random(seed)
    programs = [f"p{n}.exe" for n in range(4)]
    first = utc_now().date() - timedelta(days=days)
    for number in range(days):
        if chance.random() < 0.3:
            programs.append(f"new{number}.exe")
        seen = {Seen(node, role, behaviour("always.exe", "443")) for node, role in NODES.items()}
        for node, role in NODES.items():
            for _ in range(chance.randrange(4)):
                direction = chance.choice([Direction.OUTBOUND, Direction.LISTENING])
                port = chance.choice(["443", "80", "8088", "dynamic"])
                seen.add(Seen(node, role, behaviour(chance.choice(programs), port, direction)))
        yield first + timedelta(days=number), sorted(seen, key=lambda each: (each.node_id, each.behaviour.behaviour_id))


async def forget_everything(database: Database) -> None:
    await tell(database, "TRUNCATE tallies, node_tallies")


async def note_behaviours(database: Database, seen: list[Seen]) -> None:
    rows = sorted({behaviour_row(each.behaviour) for each in seen})
    writer = Writer(database)
    async with writer.transaction() as cursor:
        await write(cursor, INSERT_BEHAVIOURS, rows)
    await writer.close()


@pytest.mark.parametrize("seed", range(3))
async def test_a_stored_standing_equals_the_one_in_memory(database: Database, seed: int) -> None:
    await forget_everything(database)
    history = History()
    for number, (day, seen) in enumerate(life(seed, LEARNING_DAYS + 5)):
        strangers = [Seen(99, 1, seen[0].behaviour), Seen(98, 7, seen[-1].behaviour), Seen(1, 1, behaviour("x", "1"))]
        await note_behaviours(database, [*seen, *strangers])
        async with database.writing() as session:
            stored = await standings.load(session, day, [*seen, *strangers], ROLES)
            await standings.count(session, day, seen)
        for each in [*seen, *strangers]:
            expected = history.standing(str(each.node_id), ROLES.get(each.role_id, ""), _number(day), each.behaviour)
            assert _alike(stored[each], number) == _alike(expected, number), (day, each)
        for each in seen:
            history.add(str(each.node_id), ROLES[each.role_id], _number(day), each.behaviour)


def _number(day: date) -> int:
    return (day - EPOCH).days


def _alike(standing: Standing, number: int) -> Standing:
    """Before the learning period is over the two estimate new programs differently; a role without a name is alone."""
    rate = standing.new_programs_per_day if number > LEARNING_DAYS else 0.0
    return replace(standing, new_programs_per_day=pytest.approx(rate), only_of_its_role=standing.peers == "x")


async def test_a_node_that_is_the_only_one_of_its_role_says_so(database: Database) -> None:
    await forget_everything(database)
    history = History()
    shown = behaviour("a.exe", "443")
    both = [Seen(1, 1, shown), Seen(2, 1, shown), Seen(3, 2, shown)]
    today = utc_now().date()
    async with database.writing() as session:
        await standings.count(session, today - timedelta(days=1), both)
        stored = await standings.load(session, today, both, ROLES)
    for each in both:
        history.add(str(each.node_id), ROLES[each.role_id], 1, each.behaviour)
    for each in both:
        expected = history.standing(str(each.node_id), ROLES[each.role_id], 2, each.behaviour)
        assert stored[each].only_of_its_role == expected.only_of_its_role == (each.node_id == 3)


async def test_the_day_that_is_judged_counts_for_nobody(database: Database) -> None:
    """However a day is cut into claims, its sightings are judged alike."""
    await forget_everything(database)
    shown = [Seen(node, 1, behaviour("a.exe", "443")) for node in range(1, 6)]
    today = utc_now().date()
    async with database.writing() as session:
        for each in shown:
            standing = (await standings.load(session, today, [each], ROLES))[each]
            assert (standing.behaviour.units, standing.everything.units, standing.own_days) == (0, 0, 0)
            await standings.count(session, today, [each])
        standing = (await standings.load(session, today + timedelta(days=1), [shown[0]], ROLES))[shown[0]]
        assert (standing.behaviour.units, standing.behaviour.nodes, standing.own_days) == (4, 4, 1)
