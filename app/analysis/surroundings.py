"""What is known around fresh sightings, read before they are judged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.analysis.jobs import store as jobs
from app.database import WriteSession
from app.detection.behaviour import Behaviour
from app.detection.context import Context
from app.detection.jobs import JobMatch, job_behind, relevant, wanted
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
    matches = await _jobs(session, asked)
    return {
        each: Surroundings(start=start_in_row(each.context, each.seen_at.timestamp()), job=matches.get(each))
        for each in asked
    }


async def _jobs(session: WriteSession, asked: Sequence[Asked]) -> Mapping[Asked, JobMatch | None]:
    wishes = {each: wish for each in asked if (wish := wanted(each.behaviour, each.context))}
    if not wishes:
        return {}
    parts = await jobs.around(session, [(each.node_id, wish) for each, wish in wishes.items()])
    since, _ = await jobs.inventories(session, {each.node_id for each in wishes})
    return {
        each: job_behind(
            relevant(parts.get(each.node_id, ()), wish),
            since.get(each.node_id, {}),
            each.behaviour,
            each.context,
            each.seen_at.timestamp(),
        )
        for each, wish in wishes.items()
    }
