"""Proposes a draft from history: reads a role's days one by one, keeps what is in force, adds what is regular."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import islice
from uuid import UUID

from app.access.actor import Actor
from app.baselines import found
from app.baselines import store as baselines
from app.baselines.drafts import Draft, Origin, draft_for
from app.baselines.entries import NewEntry, as_new
from app.baselines.models import BaselineVersion
from app.baselines.proposals import store
from app.database import Database, ReadSession
from app.detection.addresses import PeerScope
from app.detection.baseline import ENTRIES_MAX, Baseline, Entry
from app.detection.baseline_proposal import Enough, LeftOut, Proposal, Shown, propose
from app.detection.behaviour import NETWORK, Direction, Platform
from app.detection.context import context_of
from app.detection.expectations import UNKNOWN_SIGNER, Observed
from app.observations.originals import Originals
from app.observations.store import bodies
from app.problems import InvalidRequest

ROWS_LOOKED_AT = 8
FEWEST_NODES = 3
#: Behaviours whose rows are read at a time: a batch may be large.
AT_A_TIME = 16

Progress = Callable[[int, int], None]  #: days done, of how many


@dataclass(frozen=True, slots=True)
class Wish:
    """Whose history, how much of it, and what is enough. `min_nodes` None: 3, or a twentieth of the role's nodes."""

    role: str
    platform: Platform
    reason: str
    days: int = 30
    min_days: int = 14
    min_nodes: int | None = None
    justification: str = ""  #: of every new entry; each can be written better in the draft
    owner: str = ""


@dataclass
class _Counts:
    """Of one behaviour over the days that were read."""

    most_nodes: int = 0
    days: int = 0
    node_days: int = 0
    newest: date = date.min

    def add(self, day: date, nodes: int) -> None:
        self.most_nodes = max(self.most_nodes, nodes)
        self.days += 1
        self.node_days += nodes
        self.newest = max(self.newest, day)


@dataclass(frozen=True)
class Proposed:
    """A draft, and what was not put into it."""

    version: BaselineVersion
    kept: int  #: entries in force that stay
    proposals: tuple[Proposal, ...]
    left_out: tuple[LeftOut, ...]
    too_rare: int  #: behaviours that too few nodes showed, or on too few days
    enough: Enough
    nodes: int  #: of the role that said anything


@dataclass
class _Read:
    """What the days gave."""

    nodes: int
    enough: Enough
    counts: dict[UUID, _Counts] = field(default_factory=dict)


async def propose_draft(
    database: Database, actor: Actor, wish: Wish, now: datetime, progress: Progress = lambda _done, _all: None
) -> Proposed:
    """Reads whole days up to yesterday, each in a transaction of its own; cancelled, it leaves nothing behind.

    Raises: InvalidRequest, naming the field; Forbidden.
    """
    _check(wish)
    found.operator_of(actor)
    async with database.reading() as session:
        role_id = await found.role(session, actor, wish.role)
        in_force = await _newest(session, role_id, wish.platform)
    read = await _read_days(database, role_id, wish, now, progress)
    async with database.reading() as session:
        regular = await _regular(session, role_id, wish, read, now)
        shown = await _shown(session, role_id, wish.platform, regular, in_force)
    judged = [propose(each, read.enough) for each in shown]
    proposals = tuple(each for each in judged if isinstance(each, Proposal))
    if len(in_force) + len(proposals) > ENTRIES_MAX:
        text = f"{len(proposals):,} entries would be proposed, and a version has at most {ENTRIES_MAX:,}: ask for more"
        raise InvalidRequest(text, field="min_nodes")
    entries = [*map(as_new, in_force), *(_entry(each, wish) for each in proposals)]
    async with database.writing() as session:
        wanted = Draft(entries, Origin.PROPOSAL, wish.reason)
        version = await draft_for(session, actor, wish.role, wish.platform.value, wanted, now)
    left_out = tuple(each for each in judged if isinstance(each, LeftOut))
    rare = len(read.counts) - len(regular)
    return Proposed(version, len(in_force), proposals, left_out, rare, read.enough, read.nodes)


def _check(wish: Wish) -> None:
    found.one_line("reason", wish.reason)
    for name in ("justification", "owner"):
        if getattr(wish, name):
            found.one_line(name, getattr(wish, name))
    if not 1 <= wish.min_days <= wish.days:
        raise InvalidRequest(f"at least 1, and at most the {wish.days} days that are read", field="min_days")


def _entry(proposal: Proposal, wish: Wish) -> NewEntry:
    return NewEntry(proposal.expects, wish.justification, wish.owner, why=proposal.why)


async def _newest(session: ReadSession, role_id: int, platform: Platform) -> list[Entry]:
    """What was approved last, perhaps for later."""
    named = await baselines.find_baseline_of(session, role_id, platform.value)
    newest = await baselines.newest_approved(session, named[0].baseline_id) if named else None
    return await baselines.entries_of(session, newest.baseline_id, newest.number, platform) if newest else []


async def _read_days(database: Database, role_id: int, wish: Wish, now: datetime, progress: Progress) -> _Read:
    since, until = now.date() - timedelta(days=wish.days), now.date() - timedelta(days=1)
    async with database.reading() as session:
        nodes = await store.nodes_that_spoke(session, role_id, wish.platform.value, since, until)
    fewest = wish.min_nodes or max(FEWEST_NODES, -(-nodes // 20))
    read = _Read(nodes, Enough(fewest, wish.min_days, wish.days))
    for done in range(wish.days):
        progress(done, wish.days)
        day = since + timedelta(days=done)
        async with database.reading() as session:
            for behaviour_id, shown_on in await store.nodes_by_behaviour(session, role_id, day):
                read.counts.setdefault(behaviour_id, _Counts()).add(day, shown_on)
    progress(wish.days, wish.days)
    return read


async def _regular(session: ReadSession, role_id: int, wish: Wish, read: _Read, now: datetime) -> dict[UUID, _Counts]:
    """Those on enough days and nodes. Where no single day had enough nodes, the nodes of all days are counted."""
    days = {key: each for key, each in read.counts.items() if each.days >= read.enough.days}
    few = {key for key, each in days.items() if each.most_nodes < read.enough.nodes <= each.node_days}
    since = now.date() - timedelta(days=wish.days)
    spread = await store.distinct_nodes(session, role_id, few, since, now.date() - timedelta(days=1))
    for key, nodes in spread.items():
        days[key].most_nodes = nodes
    return {key: each for key, each in days.items() if each.most_nodes >= read.enough.nodes}


async def _shown(
    session: ReadSession,
    role_id: int,
    platform: Platform,
    regular: Mapping[UUID, _Counts],
    in_force: Iterable[Entry],
) -> list[Shown]:
    """The regular behaviours that the baseline does not have yet, with all that a proposal asks of them."""
    every = await store.behaviours(session, set(regular), platform.value)
    networked = {key: each for key, each in every.items() if each.direction in NETWORK}
    signers = await store.signers(session, role_id, {each.program.path for each in networked.values()})
    findings = await store.open_findings(session, role_id, set(networked))
    outbound = {key for key, each in networked.items() if each.direction is Direction.OUTBOUND}
    peers = await _peers(session, role_id, {key: regular[key].newest for key in outbound})
    baseline = Baseline(list(in_force))
    shown = [
        Shown(
            behaviour,
            regular[key].most_nodes,
            regular[key].days,
            regular[key].node_days,
            signers.get(behaviour.program.path, {}),
            peers.get(key, {}),
            findings.get(key, 0),
        )
        for key, behaviour in networked.items()
    ]
    return sorted((each for each in shown if not _is_expected(baseline, each)), key=lambda each: -each.node_days)


def _is_expected(baseline: Baseline, shown: Shown) -> bool:
    """Whether entries in force cover every way in which it was seen."""
    signers = list(shown.signers)
    scopes = list(shown.peers) or [PeerScope.UNKNOWN]
    ways = [Observed(shown.behaviour, signer, scope) for signer in signers for scope in scopes]
    return bool(ways) and all(baseline.find(each) for each in ways)


async def _peers(session: ReadSession, role_id: int, newest: Mapping[UUID, date]) -> dict[UUID, Counter[PeerScope]]:
    """Behaviour → scopes of the peers in a few of its stored rows."""
    scopes: dict[UUID, Counter[PeerScope]] = {}
    waiting = iter(newest.items())
    while some := dict(islice(waiting, AT_A_TIME)):
        sightings = await store.some_sightings(session, role_id, some, ROWS_LOOKED_AT)
        rows = Originals(await bodies(session, sightings))
        for each in sightings:
            row = rows.find(each.batch_id, each.line_number, each.row_number)
            if row:
                scope = context_of(row.query, row.columns, node="", signer=UNKNOWN_SIGNER).peer_scope
                scopes.setdefault(each.behaviour_id, Counter())[scope] += 1
    return scopes
