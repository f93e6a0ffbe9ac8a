"""Software around sightings: keeps what nodes say is installed, and judges again what a new list or item speaks of."""

from collections.abc import Sequence
from datetime import datetime

from app.analysis import store
from app.clock import utc_now
from app.database import Database, WriteSession
from app.detection.behaviour import Behaviour
from app.detection.context import Context
from app.detection.facts import Fact
from app.detection.software import MAIN_SOURCE, KnownSoftware, anchors, inventory_news, known_software
from app.findings.again.store import judge_nodes_again, judge_programs_again
from app.software import store as software
from app.software.approvals import current_list, difference, usable_list

#: Findings that one change of an inventory, or one import, queues to be judged again; the heaviest first.
MOST_AFTER_INVENTORY = 500
MOST_AFTER_IMPORT = 5_000
MOST_PROGRAMS = 20_000

Question = tuple[int, Behaviour, Context, datetime]


async def keep_software(session: WriteSession, facts: Sequence[Fact]) -> None:
    """The keeper of inventory rows."""
    now = utc_now()
    changed = await software.keep_inventories(session, inventory_news(facts, now.timestamp()))
    await judge_nodes_again(session, now.date(), changed, MOST_AFTER_INVENTORY)


async def around(session: WriteSession, questions: Sequence[Question]) -> list[KnownSoftware]:
    """What is known of the software of each behaviour, in three statements at most."""
    approved = await current_list(session)
    reported = await software.reported_at(session, {node for node, *_ in questions})
    led = [
        [(node, anchor) for anchor in anchors(behaviour.program, context.signer)]
        for node, behaviour, context, _ in questions
    ]
    found = await software.nearby(session, {each for keys in led for each in keys})
    return [
        known_software(
            behaviour,
            context.signer,
            seen_at.timestamp(),
            approved=approved,
            nearby=[item for key in keys for item in found.get(key, ())],
            reported_at=reported.get((node, MAIN_SOURCE[behaviour.program.platform])),
        )
        for (node, behaviour, context, seen_at), keys in zip(questions, led, strict=True)
    ]


async def heed_import(database: Database) -> None:
    """Queue the open findings that the newest import speaks of otherwise than the list before, once."""
    async with database.writing() as session:
        if await software.unheeded(session) is None or not await store.is_alone(session):
            return
        newest = await software.unheeded(session)
        if newest is None:
            return
        before = await software.import_before(session, newest.import_id)
        programs = await store.open_programs(session, MOST_PROGRAMS)
        if before is not None:  # a first list speaks of every program
            old, new = [await software.entries_of(session, number) for number in (before, newest.import_id)]
            changes = difference(old, new)
            changed = usable_list([*changes.added, *changes.removed])
            programs = [each for each in programs if changed.may_concern(*each)]
        again = {(program.platform.value, program.path) for program, _ in programs}
        await judge_programs_again(session, sorted(again), MOST_AFTER_IMPORT)
        await software.note_heeded(session, newest.import_id, utc_now())
