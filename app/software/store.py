"""The SQL of software: inventories node by node, and the approved list import by import."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, TextClause, bindparam, delete, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY, BIGINT, TEXT, TIMESTAMP
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.types import TypeEngine

from app.database import ReadSession, WriteSession
from app.detection.approved import ApprovedSoftware, allowed_ports
from app.detection.software import InstalledSoftware, InventoryChange, InventoryNews, SoftwareSource
from app.software.models import ApprovedEntry, ApprovedImport, InstalledItem, Inventory

#: Items that are kept of one node; one that invents software cannot fill the table.
NODE_ITEMS_MAX = 5_000
#: Imports whose entries stay readable; of earlier ones who, when, hash and counts stay.
IMPORTS_KEPT = 20
#: Names the lock in PostgreSQL, any number that is ours alone.
IMPORT_LOCK = 0x41707072

_INSTANT = TIMESTAMP(timezone=True)


def _arrays(statement: str, **types: TypeEngine[Any]) -> TextClause:
    return text(statement).bindparams(*(bindparam(name, type_=ARRAY(type_)) for name, type_ in types.items()))


_ADD_ITEMS = _arrays(
    """
    INSERT INTO installed_software AS s
      (node_id, item_id, source, name, publisher, identifier, version, location, anchor, reported_at)
    SELECT * FROM unnest(:nodes, :items, :sources, :names, :publishers, :identifiers, :versions, :locations, :anchors,
                         :times)
    ORDER BY 1, 2
    ON CONFLICT (node_id, item_id) DO UPDATE SET version = excluded.version, reported_at = excluded.reported_at
    WHERE s.reported_at <= excluded.reported_at
    RETURNING node_id, xmax = 0
    """,
    nodes=BIGINT(), items=PG_UUID(), sources=TEXT(), names=TEXT(), publishers=TEXT(), identifiers=TEXT(),
    versions=TEXT(), locations=TEXT(), anchors=TEXT(), times=_INSTANT,
)  # fmt: skip

_DELETE_ITEMS = _arrays(
    """
    DELETE FROM installed_software s
    USING unnest(:nodes, :items, :versions, :times) AS gone(node_id, item_id, version, at)
    WHERE s.node_id = gone.node_id AND s.item_id = gone.item_id AND s.version = gone.version
      AND s.reported_at <= gone.at
    RETURNING s.node_id
    """,
    nodes=BIGINT(), items=PG_UUID(), versions=TEXT(), times=_INSTANT,
)  # fmt: skip

_DELETE_UNSAID = _arrays(
    """
    DELETE FROM installed_software s USING unnest(:nodes, :sources, :times) AS said(node_id, source, at)
    WHERE s.node_id = said.node_id AND s.source = said.source AND s.reported_at < said.at
    RETURNING s.node_id
    """,
    nodes=BIGINT(), sources=TEXT(), times=_INSTANT,
)  # fmt: skip

_DELETE_SURPLUS = _arrays(
    """
    DELETE FROM installed_software s USING (
      SELECT node_id, item_id, row_number() OVER (PARTITION BY node_id ORDER BY reported_at DESC, item_id) AS place
      FROM installed_software WHERE node_id IN (
        SELECT node_id FROM installed_software WHERE node_id = ANY(:nodes) GROUP BY node_id HAVING count(*) > :most
      )
    ) ranked
    WHERE s.node_id = ranked.node_id AND s.item_id = ranked.item_id AND ranked.place > :most
    """,
    nodes=BIGINT(),
)  # fmt: skip

_ADD_REPORTS = _arrays(
    """
    INSERT INTO inventories AS i (node_id, source, reported_at)
    SELECT * FROM unnest(:nodes, :sources, :times) ORDER BY 1, 2
    ON CONFLICT (node_id, source) DO UPDATE SET reported_at = greatest(i.reported_at, excluded.reported_at)
    RETURNING node_id, xmax = 0
    """,
    nodes=BIGINT(), sources=TEXT(), times=_INSTANT,
)  # fmt: skip


async def keep_inventories(session: WriteSession, news: InventoryNews) -> set[int]:
    """Returns the nodes that have other items than before, or whose inventory had never been reported."""
    present = [(int(node), each) for (node, _), each in news.changes.items() if each.present]
    gone = [(int(node), each) for (node, _), each in news.changes.items() if not each.present]
    nodes = {int(node) for node, _ in news.reports}
    changed = await _add_items(session, present)
    changed |= await _delete_items(session, gone)
    changed |= await _deleted(session, _DELETE_UNSAID, _sources(news.whole))
    await session.execute(_DELETE_SURPLUS, {"nodes": sorted(nodes), "most": NODE_ITEMS_MAX})
    reported = await session.execute(_ADD_REPORTS, _sources(news.reports)) if news.reports else ()
    return changed | {node for node, is_new in reported if is_new}


async def _add_items(session: WriteSession, present: Sequence[tuple[int, InventoryChange]]) -> set[int]:
    if not present:
        return set()
    items = [each.item for _, each in present]
    values = {
        "nodes": [node for node, _ in present],
        "items": [item.item_id for item in items],
        "sources": [item.source.value for item in items],
        "names": [item.name for item in items],
        "publishers": [item.publisher for item in items],
        "identifiers": [item.identifier for item in items],
        "versions": [item.version for item in items],
        "locations": [item.location for item in items],
        "anchors": [item.anchor for item in items],
        "times": [_instant(each.at) for _, each in present],
    }
    return {node for node, is_new in await session.execute(_ADD_ITEMS, values) if is_new}


async def _delete_items(session: WriteSession, gone: Sequence[tuple[int, InventoryChange]]) -> set[int]:
    values: dict[str, list[Any]] = {
        "nodes": [node for node, _ in gone],
        "items": [each.item.item_id for _, each in gone],
        "versions": [each.item.version for _, each in gone],
        "times": [_instant(each.at) for _, each in gone],
    }
    return await _deleted(session, _DELETE_ITEMS, values)


async def _deleted(session: WriteSession, statement: TextClause, values: Mapping[str, list[Any]]) -> set[int]:
    return set((await session.scalars(statement, values)).all()) if values["nodes"] else set()


def _sources(times: Mapping[tuple[str, SoftwareSource], int]) -> dict[str, list[Any]]:
    return {
        "nodes": [int(node) for node, _ in times],
        "sources": [source.value for _, source in times],
        "times": [_instant(at) for at in times.values()],
    }


def _instant(unix: float) -> datetime:
    return datetime.fromtimestamp(unix, UTC)


_NEARBY = _arrays(
    """
    SELECT s.node_id, s.anchor, s.source, s.name, s.publisher, s.identifier, s.version, s.location
    FROM installed_software s JOIN unnest(:nodes, :anchors) AS w(node_id, anchor) USING (node_id, anchor)
    """,
    nodes=BIGINT(), anchors=TEXT(),
)  # fmt: skip


async def nearby(session: ReadSession, wanted: Collection[tuple[int, str]]) -> dict[tuple[int, str], list[Any]]:
    """(node, anchor) → the node's items that it leads to."""
    found: dict[tuple[int, str], list[Any]] = {}
    if wanted:
        nodes, anchors = (list(column) for column in zip(*wanted, strict=True))
        for node, anchor, source, *item in await session.execute(_NEARBY, {"nodes": nodes, "anchors": anchors}):
            found.setdefault((node, anchor), []).append(InstalledSoftware(SoftwareSource(source), *item))
    return found


async def reported_at(session: ReadSession, nodes: Collection[int]) -> dict[tuple[int, SoftwareSource], float]:
    """(node, inventory) → unix seconds of its last report."""
    query = select(Inventory).where(Inventory.node_id.in_(nodes))
    return {
        (row.node_id, SoftwareSource(row.source)): row.reported_at.timestamp() for row in await session.scalars(query)
    }


async def lock_imports(session: WriteSession) -> None:
    """Two imports at once follow each other."""
    await session.execute(select(func.pg_advisory_xact_lock(IMPORT_LOCK)))


async def insert_import(
    session: WriteSession, approved_list: Iterable[ApprovedSoftware], **values: object
) -> ApprovedImport:
    """The new list, and the end of the entries of imports long past."""
    added = insert(ApprovedImport).values(**values).returning(ApprovedImport)
    imported = (await session.scalars(added)).one()
    await session.execute(insert(ApprovedEntry), [_entry_row(imported.import_id, each) for each in approved_list])
    kept = select(ApprovedImport.import_id).order_by(ApprovedImport.import_id.desc()).limit(IMPORTS_KEPT)
    oldest_kept = select(func.min(kept.subquery().c.import_id)).scalar_subquery()
    await session.execute(delete(ApprovedEntry).where(ApprovedEntry.import_id < oldest_kept))
    return imported


def _entry_row(import_id: int, entry: ApprovedSoftware) -> dict[str, Any]:
    names = ("line", "name", "publisher", "team_id", "path", "owner", "until", "note")
    ports = ", ".join(map(str, entry.ports))
    return {"import_id": import_id, "ports": ports} | {name: getattr(entry, name) for name in names}


async def find_import(session: ReadSession, import_id: int | None = None) -> ApprovedImport | None:
    """An import, the newest without a number."""
    query = select(ApprovedImport).order_by(ApprovedImport.import_id.desc()).limit(1)
    return await session.scalar(query if import_id is None else query.where(ApprovedImport.import_id == import_id))


async def entries_of(session: ReadSession, import_id: int) -> list[ApprovedSoftware]:
    query = select(ApprovedEntry).where(ApprovedEntry.import_id == import_id).order_by(ApprovedEntry.line)
    return [approved(row) for row in await session.scalars(query)]


def approved(row: ApprovedEntry) -> ApprovedSoftware:
    return ApprovedSoftware(
        name=row.name,
        publisher=row.publisher,
        team_id=row.team_id,
        path=row.path,
        owner=row.owner,
        until=row.until,
        ports=allowed_ports(row.ports),
        note=row.note,
        line=row.line,
    )


async def unheeded(session: WriteSession) -> ApprovedImport | None:
    """The newest import, unless what is open has been queued to be judged by it."""
    newest = await find_import(session)
    return newest if newest and newest.heeded_at is None else None


async def import_before(session: ReadSession, import_id: int) -> int | None:
    """The import whose list held when open findings were last judged again, or None if none did."""
    query = select(func.max(ApprovedImport.import_id))
    heeded = ApprovedImport.heeded_at.is_not(None)
    return await session.scalar(query.where(ApprovedImport.import_id < import_id, heeded))


async def note_heeded(session: WriteSession, import_id: int, now: datetime) -> None:
    """Of those that it took the place of, too."""
    heeded = update(ApprovedImport).where(ApprovedImport.import_id <= import_id, ApprovedImport.heeded_at.is_(None))
    await session.execute(heeded.values(heeded_at=now))


async def list_imports(
    session: ReadSession, conditions: Sequence[Any], order: Sequence[Any], limit: int
) -> Sequence[ApprovedImport]:
    query = select(ApprovedImport).where(*conditions).order_by(*order).limit(limit)
    return (await session.scalars(query)).all()


async def list_entries(
    session: ReadSession, conditions: Sequence[Any], order: Sequence[Any], limit: int
) -> Sequence[ApprovedEntry]:
    return (await session.scalars(select(ApprovedEntry).where(*conditions).order_by(*order).limit(limit))).all()


async def list_installed(
    session: ReadSession, conditions: Sequence[Any], order: Sequence[Any], limit: int
) -> Sequence[InstalledItem]:
    return (await session.scalars(select(InstalledItem).where(*conditions).order_by(*order).limit(limit))).all()


async def list_by_name(
    session: ReadSession, conditions: Sequence[Any], order: Sequence[Any], limit: int
) -> Sequence[Row[str, str, int, int, datetime]]:
    """Name, publisher, nodes, versions, and when one of the nodes last said so."""
    query = select(
        InstalledItem.name,
        InstalledItem.publisher,
        func.count(InstalledItem.node_id.distinct()).label("nodes"),
        func.count(InstalledItem.version.distinct()).label("versions"),
        func.max(InstalledItem.reported_at).label("reported_at"),
    )
    query = query.where(*conditions).group_by(InstalledItem.name, InstalledItem.publisher)
    return (await session.execute(query.order_by(*order).limit(limit))).all()
