"""Entries in force that no node of the role shows any more: what a review should take out first."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from app.baselines import found
from app.baselines.reviews import store
from app.baselines.store import Named
from app.database import ReadSession
from app.detection.addresses import PeerScope
from app.detection.baseline import Entry
from app.detection.behaviour import NETWORK, Behaviour, Direction, Platform, Program, Transport
from app.detection.context import Signer, Trust
from app.detection.expectations import ANY_PROGRAM, Observed


@dataclass(frozen=True, slots=True)
class LastShown:
    """`day` None: never, as far as history reaches."""

    entry: Entry
    day: date | None


async def last_shown(session: ReadSession, named: Named, entries: Sequence[Entry]) -> list[LastShown]:
    """Each entry with the newest day on which a node of the role showed what it covers, wherever the peer was.

    An entry that asks for a signer counts as shown where some node of the fleet has the file so signed.
    """
    programs = {each.expects.program for each in entries}
    asked = None if ANY_PROGRAM in programs else programs
    rows = await store.last_shown(session, named[0].role_id, named[0].platform, asked)
    signed = await store.signed_by(session, {each.expects.signer for each in entries} - {""})
    platform = found.platform(named)
    shown = [(_behaviour(row, platform), row.day) for row in rows if row.direction in set(NETWORK)]
    return [LastShown(each, _newest(each, shown, signed)) for each in entries]


def _behaviour(row: Any, platform: Platform) -> Behaviour:
    program = Program(platform, row.path, row.name, row.unit)
    return Behaviour(program, Direction(row.direction), Transport(row.transport), row.bucket)


def _newest(entry: Entry, shown: Sequence[tuple[Behaviour, date]], signed: set[tuple[str, str]]) -> date | None:
    expects = entry.expects

    def covers(behaviour: Behaviour) -> bool:
        has = (behaviour.program.path, expects.signer) in signed
        signer = Signer(Trust.TRUSTED, expects.signer) if has else Signer()
        return expects.covers(Observed(behaviour, signer, expects.peer_scope or PeerScope.UNKNOWN))

    return max((day for behaviour, day in shown if covers(behaviour)), default=None)
