"""The SQL of baselines: versions, their entries, what is in force, and the open findings that they speak of."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Row, SmallInteger, Text, bindparam, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import distinct_on, insert

from app.access.models import Operator
from app.baselines.models import BaselineEntry, BaselineOfRole, BaselineVersion
from app.database import ReadSession, WriteSession
from app.detection.addresses import PeerScope
from app.detection.baseline import Entry
from app.detection.behaviour import Direction, Platform, Transport
from app.detection.expectations import Expectation
from app.findings.models import Finding
from app.findings.states import State
from app.fleet.models import Node, Role
from app.observations.models import Behaviour

#: Any number that is ours alone: one worker keeps the calendar.
CALENDAR_LOCK = 0x426173656C

#: Versions that wait, of all baselines that a list shows.
WAITING_MAX = 500

Named = Row[BaselineOfRole, str]
Covered = Row[Finding, Behaviour, str]


async def get_or_add_baseline(session: WriteSession, role_id: int, platform: str, now: datetime) -> int:
    keys = {"role_id": role_id, "platform": platform}
    await session.execute(insert(BaselineOfRole).values(**keys, created_at=now).on_conflict_do_nothing())
    query = select(BaselineOfRole.baseline_id).filter_by(**keys)
    return (await session.scalars(query)).one()


async def list_baselines(session: ReadSession, conditions: Sequence[ColumnElement[bool]]) -> Sequence[Named]:
    """Each with the name of its role, in the order of people."""
    query = select(BaselineOfRole, Role.name).join(Role, Role.role_id == BaselineOfRole.role_id).where(*conditions)
    return (await session.execute(query.order_by(Role.name, BaselineOfRole.platform))).all()


async def find_baseline(session: ReadSession, baseline_id: int) -> Named | None:
    found = await list_baselines(session, [BaselineOfRole.baseline_id == baseline_id])
    return found[0] if found else None


async def find_baseline_of(session: ReadSession, role_id: int, platform: str) -> Named | None:
    of = [BaselineOfRole.role_id == role_id, BaselineOfRole.platform == platform]
    found = await list_baselines(session, of)
    return found[0] if found else None


def of_roles(roles: Collection[int] | None) -> list[ColumnElement[bool]]:
    return [] if roles is None else [BaselineOfRole.role_id.in_(roles)]


async def lock_baseline(session: WriteSession, baseline_id: int) -> None:
    """Two who write versions of one baseline follow each other."""
    query = select(BaselineOfRole.baseline_id).where(BaselineOfRole.baseline_id == baseline_id)
    await session.execute(query.with_for_update())


async def set_interval(session: WriteSession, baseline_id: int, days: int) -> None:
    changed = update(BaselineOfRole).where(BaselineOfRole.baseline_id == baseline_id)
    await session.execute(changed.values(review_interval_days=days))


async def next_number(session: WriteSession, baseline_id: int) -> int:
    query = select(func.coalesce(func.max(BaselineVersion.number), 0) + 1)
    return (await session.scalars(query.where(BaselineVersion.baseline_id == baseline_id))).one()


async def insert_version(session: WriteSession, **values: Any) -> None:
    await session.execute(insert(BaselineVersion).values(**values))


async def update_version(session: WriteSession, baseline_id: int, number: int, **values: Any) -> None:
    which = (BaselineVersion.baseline_id == baseline_id, BaselineVersion.number == number)
    await session.execute(update(BaselineVersion).where(*which).values(**values))


async def find_version(session: ReadSession, baseline_id: int, number: int) -> BaselineVersion | None:
    """As it is now, even where this transaction has read it before."""
    return await session.get(BaselineVersion, (baseline_id, number), populate_existing=True)


async def list_versions(
    session: ReadSession, conditions: Sequence[Any], order: Sequence[Any], limit: int
) -> Sequence[BaselineVersion]:
    return (await session.scalars(select(BaselineVersion).where(*conditions).order_by(*order).limit(limit))).all()


async def newest_approved(session: ReadSession, baseline_id: int) -> BaselineVersion | None:
    """The one that nothing supersedes yet; it may come into force later."""
    of = (BaselineVersion.baseline_id == baseline_id, BaselineVersion.state == "approved")
    query = select(BaselineVersion).where(*of, BaselineVersion.superseded_at.is_(None))
    return await session.scalar(query.execution_options(populate_existing=True))


def in_force(at: datetime) -> list[ColumnElement[bool]]:
    version = BaselineVersion
    ends = version.superseded_at.is_(None) | (version.superseded_at > at)
    return [version.state == "approved", version.in_force_from <= at, ends]


async def versions_in_force(
    session: ReadSession, baseline_ids: Collection[int], at: datetime
) -> dict[int, BaselineVersion]:
    query = select(BaselineVersion).where(BaselineVersion.baseline_id.in_(baseline_ids), *in_force(at))
    return {each.baseline_id: each for each in await session.scalars(query)}


async def waiting_versions(
    session: ReadSession, baseline_ids: Collection[int], now: datetime
) -> Sequence[BaselineVersion]:
    """Drafts, submitted versions, and those that come into force later; the newest first."""
    later = (BaselineVersion.state == "approved") & (BaselineVersion.in_force_from > now)
    waits = BaselineVersion.state.in_(["draft", "submitted"]) | later
    query = select(BaselineVersion).where(BaselineVersion.baseline_id.in_(baseline_ids), waits)
    return (await session.scalars(query.order_by(BaselineVersion.number.desc()).limit(WAITING_MAX))).all()


async def unapplied(session: ReadSession, now: datetime) -> Sequence[BaselineVersion]:
    """Versions that came into force, and that nobody has held open findings against."""
    due = (BaselineVersion.applied_at.is_(None), BaselineVersion.in_force_from <= now)
    query = select(BaselineVersion).where(BaselineVersion.state == "approved", *due)
    return (await session.scalars(query.order_by(BaselineVersion.in_force_from))).all()


async def keeps_calendar(session: WriteSession) -> bool:
    """Whether this transaction is the one that does; another's end lets the next one in."""
    return bool(await session.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": CALENDAR_LOCK}))


async def insert_entries(session: WriteSession, baseline_id: int, number: int, entries: Sequence[Entry]) -> None:
    if entries:
        await session.execute(insert(BaselineEntry), [_row(baseline_id, number, each) for each in entries])


async def delete_entries(session: WriteSession, baseline_id: int, number: int) -> None:
    of_draft = (BaselineEntry.baseline_id == baseline_id, BaselineEntry.version == number)
    await session.execute(delete(BaselineEntry).where(*of_draft))


async def entries_of(session: ReadSession, baseline_id: int, number: int, platform: Platform) -> list[Entry]:
    of = (BaselineEntry.baseline_id == baseline_id, BaselineEntry.version == number)
    return [entry_of(row, platform) for row in await session.scalars(select(BaselineEntry).where(*of))]


async def entries_named(
    session: ReadSession, baseline_id: int, ids: Collection[UUID], platform: Platform
) -> list[Entry]:
    """Each as the newest version that has it, whatever became of that version."""
    of = (BaselineEntry.baseline_id == baseline_id, BaselineEntry.entry_id.in_(ids))
    query = select(BaselineEntry).where(*of).ext(distinct_on(BaselineEntry.entry_id))
    rows = await session.scalars(query.order_by(BaselineEntry.entry_id, BaselineEntry.version.desc())) if ids else ()
    return [entry_of(row, platform) for row in rows]


async def count_entries(session: ReadSession, baseline_ids: Collection[int]) -> dict[tuple[int, int], int]:
    """(baseline, version) → how many entries it has."""
    key = (BaselineEntry.baseline_id, BaselineEntry.version)
    query = select(*key, func.count()).where(BaselineEntry.baseline_id.in_(baseline_ids)).group_by(*key)
    return {(of, number): total for of, number, total in await session.execute(query)}


_OF_EXPECTATION = ("program", "path", "signer", "unit", "first_port", "last_port")
_OF_ENTRY = ("entry_id", "justification", "owner", "requested_by", "why", "added_at")


def _row(baseline_id: int, number: int, entry: Entry) -> dict[str, Any]:
    expects = entry.expects
    return {
        "baseline_id": baseline_id,
        "version": number,
        "direction": expects.direction.value,
        "transport": expects.transport.value,
        "peer_scope": expects.peer_scope and expects.peer_scope.value,
        **{name: getattr(expects, name) for name in _OF_EXPECTATION},
        **{name: getattr(entry, name) for name in _OF_ENTRY},
    }


def entry_of(row: BaselineEntry, platform: Platform) -> Entry:
    expects = Expectation(
        platform=platform,
        direction=Direction(row.direction),
        transport=Transport(row.transport),
        peer_scope=PeerScope(row.peer_scope) if row.peer_scope else None,
        **{name: getattr(row, name) for name in _OF_EXPECTATION},
    )
    return Entry(expects=expects, **{name: getattr(row, name) for name in _OF_ENTRY})


async def names_of(session: ReadSession, operator_ids: Collection[int | None]) -> dict[int, str]:
    wanted = {each for each in operator_ids if each is not None}
    query = select(Operator.operator_id, Operator.name).where(Operator.operator_id.in_(wanted))
    return {operator_id: name for operator_id, name in await session.execute(query)}  # noqa: C416


def is_undecided() -> ColumnElement[bool]:
    """Open, or excepted for a time: no person has said that it is done."""
    return Finding.is_open | (Finding.state == State.EXCEPTED.value)


async def undecided_findings(
    session: ReadSession, role_id: int, platform: str, programs: Collection[str] | None
) -> Sequence[Covered]:
    """Those of the nodes that have the role now, with behaviour and host name. `programs` None: of any."""
    query = (
        select(Finding, Behaviour, Node.hostname)
        .join(Node, Node.node_id == Finding.node_id)
        .join(Behaviour, Behaviour.behaviour_id == Finding.behaviour_id)
        .where(is_undecided(), Node.role_id == role_id, Behaviour.platform == platform)
    )
    query = query if programs is None else query.where(Behaviour.name.in_(programs))
    return (await session.execute(query.order_by(Finding.score.desc(), Finding.finding_id))).all()


_EXPECTED = text(
    """
    SELECT b.role_id, b.platform, r.name AS role, o.name AS approver, v.number, v.in_force_from, v.superseded_at,
           e.entry_id, e.program, e.path, e.signer, e.unit, e.direction, e.transport, e.first_port, e.last_port,
           e.peer_scope, e.justification, e.owner, e.requested_by, e.why, e.added_at
    FROM baselines b JOIN roles r USING (role_id) JOIN baseline_versions v USING (baseline_id)
    JOIN operators o ON o.operator_id = v.decided_by
    JOIN baseline_entries e ON e.baseline_id = v.baseline_id AND e.version = v.number
    WHERE b.role_id = ANY(:roles) AND v.state = 'approved' AND v.in_force_from <= :until
      AND (v.superseded_at IS NULL OR v.superseded_at > :since) AND e.program = ANY(:programs)
    ORDER BY b.baseline_id, v.number, e.entry_id
    """
).bindparams(bindparam("roles", type_=ARRAY(SmallInteger)), bindparam("programs", type_=ARRAY(Text)))


async def entries_in_force(
    session: ReadSession, roles: Collection[int], programs: Collection[str], since: datetime, until: datetime
) -> Sequence[Row[Any]]:
    """Entries on the programs, of whatever was in force for the roles at any time between."""
    values = {"roles": sorted(roles), "programs": sorted(programs), "since": since, "until": until}
    return (await session.execute(_EXPECTED, values)).all()
