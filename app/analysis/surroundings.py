"""What is known around fresh sightings, read before they are judged."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from app.analysis.flow_joins.joining import flows_of
from app.analysis.flow_joins.store import Judged
from app.database import WriteSession
from app.detection.behaviour import Behaviour
from app.detection.context import Context
from app.detection.process_start import start_in_row
from app.detection.surroundings import Surroundings
from app.flows.connections import Connection


@dataclass(frozen=True, slots=True)
class Asked:
    """A behaviour on a node, with the row that showed it, of which we ask what surrounds it."""

    node_id: int
    role_id: int
    behaviour: Behaviour
    context: Context
    seen_at: datetime
    connection: Connection | None = None  #: outbound ones that have a peer


async def load(session: WriteSession, day: date, asked: Sequence[Asked]) -> Mapping[Asked, Surroundings]:
    """A few statements for any number of sightings of one day."""
    flows = await flows_of(session, day, dict(_connections(day, asked)))
    return {
        each: Surroundings(
            start=start_in_row(each.context, each.seen_at.timestamp()),
            flows=flows.get((each.node_id, each.behaviour.behaviour_id), ()),
        )
        for each in asked
    }


def _connections(day: date, asked: Sequence[Asked]) -> Iterator[tuple[Judged, Behaviour]]:
    for each in asked:
        if each.connection:
            yield Judged(each.node_id, each.behaviour.behaviour_id, day, each.connection), each.behaviour
