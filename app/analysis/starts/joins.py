"""Counts, as sightings are judged, for which connections an event told how their process began."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from app.analysis.starts import store
from app.database import WriteSession
from app.findings.store import start_sources


@dataclass(frozen=True, slots=True)
class Joined:
    """An outbound sighting that has been judged. `source`: the kind of event, empty where there was none."""

    node_id: int
    behaviour_id: UUID
    source: str
    again: bool  #: it was judged, and counted, before


async def count(session: WriteSession, day: date, judged: Sequence[Joined]) -> None:
    """Before the findings of these judgements are kept, for they say how what is judged again was counted."""
    if not store.is_kept(day):
        return
    again = {(each.node_id, each.behaviour_id) for each in judged if each.again}
    before = await start_sources(session, day, again)
    totals: Counter[store.TallyKey] = Counter()
    for each in judged:
        key = (each.node_id, each.behaviour_id)
        if not each.again:
            totals[day, each.node_id, each.source] += 1
        elif key in before and before[key] != each.source:
            totals[day, each.node_id, before[key]] -= 1
            totals[day, each.node_id, each.source] += 1
            before[key] = each.source
    await store.count_connections(session, totals)
