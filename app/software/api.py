"""Software as JSON: what people approved, import by import, and what nodes say is installed."""

from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from app.access.actor import Actor
from app.access.api import Reading, may
from app.access.duties import Permission
from app.clock import utc_now
from app.detection.approved import ApprovedSoftware
from app.detection.software import SoftwareSource
from app.keyset import Cursor, Limit, Page, Sorting, instant, keyset, uuid
from app.problems import InvalidRequest, NotFound
from app.request_body import read_bytes
from app.software import store
from app.software.approvals import Difference, compare, import_list
from app.software.approved_csv import ReadList, ports_text, read_approved
from app.software.csv_text import MAX_BYTES, CsvRefused
from app.software.models import ApprovedEntry, ApprovedImport, InstalledItem

router = APIRouter(prefix="/software", tags=["software"], dependencies=[may(Permission.READ)])

ENTRY_SORTS = {
    "line": Sorting(ApprovedEntry.line, ApprovedEntry.line, int, int),
    "name": Sorting(ApprovedEntry.name, ApprovedEntry.line, str, int),
}
IMPORT_SORTS = {"import_id": Sorting(ApprovedImport.import_id, ApprovedImport.import_id, int, int)}
ITEM_SORTS = {
    "name": Sorting(InstalledItem.name, InstalledItem.item_id, str, uuid),
    "reported_at": Sorting(InstalledItem.reported_at, InstalledItem.item_id, instant, uuid),
}
FLEET_SORTS = {"name": Sorting(InstalledItem.name, InstalledItem.publisher, str, str)}

SHOWN_CHANGES = 100

Text = Annotated[str, Query(max_length=256)]


class EntryOut(BaseModel):
    line: int
    """In the imported file, from 1."""
    name: str
    publisher: str
    team_id: str
    path: str
    owner: str
    until: date | None
    """The last day on which it holds; null for ever."""
    ports: str
    """What it allows, e.g. `tcp/443, listen tcp/5000`; empty for any."""
    note: str


class ImportOut(BaseModel):
    import_id: int
    imported_at: datetime
    imported_by: str
    file_name: str
    sha256: str
    encoding: str
    delimiter: str
    entries: int
    added: int
    """Entries that the list before did not have so; one that was changed counts as added and as removed."""
    removed: int
    heeded_at: datetime | None
    """When open findings were queued to be judged by it; null while a worker has still to do so."""


class ReceiptOut(BaseModel):
    """What an import did, or would do. `import_id` is null after a dry run."""

    import_id: int | None
    sha256: str
    encoding: str
    delimiter: str
    entries: int
    added: int
    removed: int
    shown_added: list[EntryOut]
    """At most the first 100."""
    shown_removed: list[EntryOut]


class InstalledOut(BaseModel):
    item_id: UUID
    source: SoftwareSource
    name: str
    publisher: str
    identifier: str
    version: str
    location: str
    """Normalised folder; empty where the node names none of its own."""
    reported_at: datetime


class FleetSoftwareOut(BaseModel):
    name: str
    publisher: str
    nodes: int
    versions: int
    reported_at: datetime
    """When one of the nodes last said so."""


@router.post("/approved")
async def import_approved(
    request: Request,
    actor: Annotated[Actor, may(Permission.APPROVE)],
    file_name: Text = "",
    by: Text = "",
    *,
    dry_run: bool = False,
) -> ReceiptOut:
    """Replace the approved inventory by a CSV file, the request's body. `errors` names line and field of a bad one."""
    read = _read(await _body(request))
    if dry_run:
        async with request.app.state.database.reading() as session:
            return _receipt(read, await compare(session, read), None)
    imported_by = f"{by} (given by {actor.name})" if by else actor.name
    imported, changes = await import_list(
        request.app.state.database, read, actor, file_name=file_name, imported_by=imported_by, now=utc_now()
    )
    return _receipt(read, changes, imported.import_id)


@router.get("/approved")
async def list_approved(
    session: Reading, import_id: int | None = None, sort: str = "line", cursor: Cursor = None, limit: Limit = 50
) -> Page[EntryOut]:
    """Entries of the list that holds, or of an earlier import."""
    found = await store.find_import(session, import_id)
    if found is None and import_id is not None:
        raise NotFound(f"no import {import_id}")
    pages = keyset(sort, cursor, ENTRY_SORTS)
    wanted = [ApprovedEntry.import_id == (found.import_id if found else 0), *pages.conditions]
    rows = await store.list_entries(session, wanted, pages.order, limit + 1)
    following = pages.next(rows, limit, lambda row: (getattr(row, sort.removeprefix("-")), row.line))
    return Page(items=[_entry(store.approved(row)) for row in rows[:limit]], next=following)


@router.get("/imports")
async def list_imports(
    session: Reading, sort: str = "-import_id", cursor: Cursor = None, limit: Limit = 50
) -> Page[ImportOut]:
    """Who imported which file when, newest first. The first is the list that holds."""
    pages = keyset(sort, cursor, IMPORT_SORTS)
    rows = await store.list_imports(session, pages.conditions, pages.order, limit + 1)
    following = pages.next(rows, limit, lambda row: (row.import_id, row.import_id))
    return Page(items=[_import(row) for row in rows[:limit]], next=following)


@router.get("/installed")
async def list_installed(  # noqa: PLR0913, PLR0917 - filters of a list
    session: Reading,
    node_id: int,
    source: SoftwareSource | None = None,
    name: Text | None = None,
    sort: str = "name",
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[InstalledOut]:
    """What one node says it has installed."""
    pages = keyset(sort, cursor, ITEM_SORTS)
    wanted: list[tuple[Any, Any]] = [
        (InstalledItem.node_id, node_id),
        (InstalledItem.source, source),
        (InstalledItem.name, name),
    ]
    conditions = [column == value for column, value in wanted if value is not None]
    rows = await store.list_installed(session, conditions + pages.conditions, pages.order, limit + 1)
    following = pages.next(rows, limit, lambda row: (getattr(row, sort.removeprefix("-")), row.item_id))
    items = [InstalledOut(**{field: getattr(row, field) for field in InstalledOut.model_fields}) for row in rows]
    return Page(items=items[:limit], next=following)


@router.get("/fleet")
async def list_fleet(
    session: Reading,
    name: Text | None = None,
    publisher: Text | None = None,
    sort: str = "name",
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[FleetSoftwareOut]:
    """What is installed, by name and publisher, with the number of nodes that say so."""
    pages = keyset(sort, cursor, FLEET_SORTS)
    wanted: list[tuple[Any, Any]] = [(InstalledItem.name, name), (InstalledItem.publisher, publisher)]
    conditions = [column == value for column, value in wanted if value is not None]
    rows = await store.list_by_name(session, conditions + pages.conditions, pages.order, limit + 1)
    following = pages.next(rows, limit, lambda row: (row.name, row.publisher))
    items = [FleetSoftwareOut(**row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name
    return Page(items=items[:limit], next=following)


async def _body(request: Request) -> bytes:
    """Never more than a file may hold."""
    return await read_bytes(request, MAX_BYTES, InvalidRequest(f"the file is over the limit of {MAX_BYTES:,} bytes"))


def _read(body: bytes) -> ReadList:
    try:
        return read_approved(body)
    except CsvRefused as refused:
        errors = [{"line": each.line, "field": each.field, "detail": each.text} for each in refused.problems]
        raise InvalidRequest(f"nothing was imported: {refused}", errors=errors) from None


def _receipt(read: ReadList, changes: Difference, import_id: int | None) -> ReceiptOut:
    return ReceiptOut(
        import_id=import_id,
        sha256=read.sha256,
        encoding=read.encoding,
        delimiter=read.delimiter,
        entries=len(read.entries),
        added=len(changes.added),
        removed=len(changes.removed),
        shown_added=[_entry(each) for each in changes.added[:SHOWN_CHANGES]],
        shown_removed=[_entry(each) for each in changes.removed[:SHOWN_CHANGES]],
    )


def _entry(entry: ApprovedSoftware) -> EntryOut:
    named: dict[str, Any] = {name: getattr(entry, name) for name in EntryOut.model_fields if name != "ports"}
    return EntryOut(**named, ports=ports_text(entry))


def _import(row: ApprovedImport) -> ImportOut:
    named: dict[str, Any] = {name: getattr(row, name) for name in ImportOut.model_fields if name != "sha256"}
    return ImportOut(**named, sha256=row.sha256.hex())
