"""What is known around fresh sightings, read before they are judged."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from app.analysis.flow_joins.joining import flows_of
from app.analysis.flow_joins.store import Judged
from app.analysis.jobs import store as jobs
from app.analysis.software import around as software_around
from app.analysis.starts import store as starts
from app.database import WriteSession
from app.detection.behaviour import Behaviour, Direction
from app.detection.context import Context, told_as_row
from app.detection.jobs import JobMatch, job_behind, relevant, wanted
from app.detection.process_start import ProcessStart, Sought, join, sought, start_in_row
from app.detection.surroundings import Surroundings
from app.flows.connections import Connection, connection_of
from app.observations.originals import Original

#: Unix seconds that no node's clock shows in earnest; what says so is taken to say nothing of its time.
LATEST = 2**33


@dataclass(frozen=True, slots=True)
class Asked:
    """A behaviour on a node, with the row that showed it, of which we ask what surrounds it."""

    node_id: int
    role_id: int
    behaviour: Behaviour
    context: Context
    seen_at: datetime
    join_seconds: float  #: TimeWindow of the node's knobs
    connection: Connection | None = None  #: outbound ones that have a peer

    @property
    def seen_at_unix(self) -> float:
        return self.seen_at.timestamp()


def connection_in(row: Original | None, node_id: int, behaviour: Behaviour, seen_at: datetime) -> Connection | None:
    """The connection that a row shows, if it shows one with a peer."""
    if row is None or behaviour.direction is not Direction.OUTBOUND:
        return None
    at = float(row.observed_at) if 0 < row.observed_at < LATEST else seen_at.timestamp()
    _, columns = told_as_row(row.query, row.columns)
    return connection_of(str(node_id), str(behaviour.behaviour_id), columns, at)


async def load(
    session: WriteSession, day: date, asked: Sequence[Asked], *, learns: bool = True
) -> Mapping[Asked, Surroundings]:
    """A few statements for any number of sightings of one day. `learns`: as of `flows_of`."""
    begun = await _starts(session, asked)
    software = await software_around(
        session, [(each.node_id, each.behaviour, each.context, each.seen_at) for each in asked]
    )
    matches = await _jobs(session, asked)
    flows = await flows_of(session, day, dict(_connections(day, asked)), learns=learns)
    return {
        each: Surroundings(
            start=begun.get(each) or start_in_row(each.context, each.seen_at_unix),
            software=known,
            job=matches.get(each),
            flows=flows.get((each.node_id, each.behaviour.behaviour_id), ()),
        )
        for each, known in zip(asked, software, strict=True)
    }


async def _starts(session: WriteSession, asked: Sequence[Asked]) -> dict[Asked, ProcessStart]:
    """The starts that events told of, of those sightings for which there is one."""
    wanted = {each: one for each in asked if (one := sought(each.behaviour, each.context, each.seen_at_unix))}
    spans = {(each.node_id, one.process_id, *one.span(each.join_seconds)) for each, one in wanted.items()}
    known = await starts.find(session, spans)

    def joined(each: Asked, one: Sought) -> ProcessStart | None:
        return join(one, known.get((each.node_id, one.process_id), ()), each.join_seconds)

    return {each: start for each, one in wanted.items() if (start := joined(each, one))}


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
            each.seen_at_unix,
        )
        for each, wish in wishes.items()
    }


def _connections(day: date, asked: Sequence[Asked]) -> Iterator[tuple[Judged, Behaviour]]:
    for each in asked:
        if each.connection:
            yield Judged(each.node_id, each.behaviour.behaviour_id, day, each.connection), each.behaviour
