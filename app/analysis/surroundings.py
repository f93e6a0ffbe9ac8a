"""What is known around fresh sightings, read before they are judged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.analysis.software import around
from app.database import WriteSession
from app.detection.behaviour import Behaviour
from app.detection.context import Context
from app.detection.process_start import start_in_row
from app.detection.surroundings import Surroundings


@dataclass(frozen=True, slots=True)
class Asked:
    """A behaviour on a node, with the row that showed it, of which we ask what surrounds it."""

    node_id: int
    role_id: int
    behaviour: Behaviour
    context: Context
    seen_at: datetime


async def load(session: WriteSession, asked: Sequence[Asked]) -> Mapping[Asked, Surroundings]:
    """A few statements for any number of sightings."""
    software = await around(session, [(each.node_id, each.behaviour, each.context, each.seen_at) for each in asked])
    return {
        each: Surroundings(start=start_in_row(each.context, each.seen_at.timestamp()), software=known)
        for each, known in zip(asked, software, strict=True)
    }
