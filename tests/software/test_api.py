"""The approved inventory and the nodes' own, over HTTP."""

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from app.database import Database
from app.detection.software import InstalledSoftware, InventoryChange, InventoryNews, SoftwareSource
from app.software import store
from app.software.approvals import current_list
from app.software.csv_text import MAX_BYTES
from tests.factories import Server, a_node
from tests.observations.stored import ask, node_of, tell

APPROVED = "/api/v1/software/approved"
HEADER = "name,publisher,path,owner,until,ports\n"
ZOOM = 'Zoom,"Zoom Communications, Inc.",,IT,2027-03-01,tcp/443\n'
AGENT = "Agent,,C:\\Program Files\\Agent\\**,HR,,\n"
NOW = 1_795_000_000


@pytest.fixture(autouse=True)
async def _empty(database: Database) -> None:
    await tell(
        database, "TRUNCATE approved_imports, approved_software, installed_software, inventories RESTART IDENTITY"
    )


async def send(server: Server, *rows: str, status: int = 200, **params: Any) -> dict[str, Any]:
    answer = await server.approver.post(APPROVED, content=(HEADER + "".join(rows)).encode(), params=params)
    assert answer.status_code == status, answer.text
    document = answer.json()
    assert isinstance(document, dict)
    return document


async def items(server: Server, path: str, **params: Any) -> list[dict[str, Any]]:
    """Those of all pages."""
    found: list[dict[str, Any]] = []
    while True:
        answer = await server.api.get(f"/api/v1/software/{path}", params=params)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += page["items"]
        if page["next"] is None:
            return found
        params |= {"cursor": page["next"]}


async def test_an_import_takes_the_place_of_the_whole_list(server: Server) -> None:
    first = await send(server, ZOOM, AGENT, file_name="first.csv", by="Ada")
    assert (first["entries"], first["added"], first["removed"]) == (2, 2, 0)
    second = await send(server, AGENT, ZOOM.replace("tcp/443", "tcp/8801"), file_name="second.csv")
    assert (second["added"], second["removed"]) == (1, 1)
    assert [entry["ports"] for entry in second["shown_added"]] == ["tcp/8801"]
    assert [(each["name"], each["line"]) for each in await items(server, "approved", limit=1)] == [
        ("Agent", 2),
        ("Zoom", 3),
    ]
    assert [each["name"] for each in await items(server, "approved", sort="-name", limit=1)] == ["Zoom", "Agent"]


async def test_earlier_imports_stay_readable(server: Server) -> None:
    first = await send(server, ZOOM, file_name="first.csv", by="Ada")
    await send(server, AGENT, file_name="second.csv")
    newest, oldest = await items(server, "imports")
    assert (oldest["import_id"], oldest["file_name"], oldest["sha256"]) == (1, "first.csv", first["sha256"])
    assert oldest["imported_by"].startswith("Ada (given by operator-")
    assert newest["imported_by"].startswith("operator-")
    assert [each["name"] for each in await items(server, "approved", import_id=1)] == ["Zoom"]
    assert (await server.api.get(APPROVED, params={"import_id": 9})).status_code == 404


async def test_entries_of_imports_long_past_go_and_their_record_stays(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "IMPORTS_KEPT", 2)
    for _ in range(3):
        await send(server, ZOOM)
    assert len(await items(server, "imports")) == 3
    assert await ask(server.database, "SELECT DISTINCT import_id FROM approved_software ORDER BY 1") == [(2,), (3,)]


async def test_a_file_with_one_mistake_changes_nothing_and_names_it(server: Server) -> None:
    await send(server, ZOOM)
    refused = await send(server, AGENT, "=1+1,Maker,,,2026-02-30,\n", status=422)
    assert [(each["line"], each["field"]) for each in refused["errors"]] == [(3, "name"), (3, "until")]
    assert "line 3: until: '2026-02-30'" in refused["detail"]
    assert [each["name"] for each in await items(server, "approved")] == ["Zoom"]
    assert len(await items(server, "imports")) == 1


async def test_a_dry_run_says_what_would_change_and_changes_nothing(server: Server) -> None:
    await send(server, ZOOM)
    receipt = await send(server, AGENT, dry_run=True)
    assert (receipt["import_id"], receipt["added"], receipt["removed"]) == (None, 1, 1)
    assert [each["name"] for each in await items(server, "approved")] == ["Zoom"]


async def test_imports_at_once_follow_each_other(server: Server) -> None:
    await asyncio.gather(*(send(server, ZOOM if n % 2 else AGENT) for n in range(6)))
    imports = await items(server, "imports", sort="import_id")
    assert [each["added"] for each in imports].count(2) == 0
    lists = [[each["name"] for each in await items(server, "approved", import_id=n)] for n in range(1, 7)]
    assert [each["added"] for each in imports[1:]] == [int(a != b) for a, b in pairwise(lists)]


async def test_a_body_over_the_limit_is_refused(server: Server) -> None:
    answer = await server.approver.post(APPROVED, content=b"x" * (MAX_BYTES + 1))
    assert answer.status_code == 422
    assert "over the limit" in answer.json()["detail"]


async def test_strangers_may_neither_import_nor_look(server: Server) -> None:
    for method, path in (("POST", "approved"), ("GET", "approved"), ("GET", "imports"), ("GET", "fleet")):
        assert (await server.agents.request(method, f"/api/v1/software/{path}", content=HEADER)).status_code == 401


async def test_the_list_that_holds_is_read_anew_after_an_import(server: Server) -> None:
    async def names() -> list[str] | None:
        async with server.database.reading() as session:
            found = await current_list(session)
        return [each.name for each in found.entries] if found else None

    assert await names() is None
    await send(server, ZOOM)
    assert (await names(), await names()) == (["Zoom"], ["Zoom"])
    await send(server, AGENT)
    assert await names() == ["Agent"]


async def test_an_entry_that_todays_rules_refuse_stops_nothing(server: Server, logged: list[Any]) -> None:
    await send(server, ZOOM, AGENT)
    await tell(server.database, "UPDATE approved_software SET path = '/**' WHERE name = 'Agent'")
    await tell(server.database, "UPDATE approved_imports SET sha256 = sha256(sha256)")  # no list of a test before
    async with server.database.reading() as session:
        found = await current_list(session)
    assert found
    assert [each.name for each in found.entries] == ["Zoom"]
    assert "approved_entry_unusable" in {each["event"] for each in logged}


def item(name: str, version: str = "1", **fields: str) -> InstalledSoftware:
    return InstalledSoftware(SoftwareSource.PROGRAMS, name, version=version, **fields)


async def keep(
    database: Database, node: int, *changes: tuple[InstalledSoftware, bool], at: int = NOW, whole: int = 0
) -> set[int]:
    key = (str(node), SoftwareSource.PROGRAMS)
    news = InventoryNews(
        {(str(node), what.item_id): InventoryChange(what, present, at) for what, present in changes},
        {key: at},
        {key: whole} if whole else {},
    )
    async with database.writing() as session:
        return await store.keep_inventories(session, news)


async def test_what_a_node_has_is_listed_and_counted_over_the_fleet(server: Server) -> None:
    nodes = [await node_of(server.database, await a_node(server)) for _ in range(3)]
    for number, node in enumerate(nodes):
        await keep(
            server.database, node, (item("Zoom", str(number), publisher="Zoom"), True), (item(f"Own {number}"), True)
        )
    assert [each["name"] for each in await items(server, "installed", node_id=nodes[0], limit=1)] == ["Own 0", "Zoom"]
    fleet = await items(server, "fleet", limit=1)
    assert [(each["name"], each["nodes"], each["versions"]) for each in fleet] == [
        ("Own 0", 1, 1),
        ("Own 1", 1, 1),
        ("Own 2", 1, 1),
        ("Zoom", 3, 3),
    ]
    assert [each["nodes"] for each in await items(server, "fleet", name="Zoom", publisher="Zoom")] == [3]
    assert (await server.api.get("/api/v1/software/installed")).status_code == 422


async def test_an_update_changes_the_version_and_a_removal_takes_the_item_away(server: Server) -> None:
    node = await node_of(server.database, await a_node(server))
    assert await keep(server.database, node, (item("Zoom", "1"), True)) == {node}
    assert await keep(server.database, node, (item("Zoom", "2"), True), at=NOW + 1) == set()
    assert await keep(server.database, node, (item("Zoom", "1"), False), at=NOW + 2) == set()
    assert [each["version"] for each in await items(server, "installed", node_id=node)] == ["2"]
    assert await keep(server.database, node, (item("Zoom", "2"), False), at=NOW + 3) == {node}
    assert await items(server, "installed", node_id=node) == []


async def test_what_a_whole_state_does_not_name_is_gone(server: Server) -> None:
    node, other = [await node_of(server.database, await a_node(server)) for _ in range(2)]
    for each in (node, other):
        await keep(server.database, each, (item("Zoom"), True), (item("Slack"), True))
    again = ((item("Zoom"), True),)
    assert await keep(server.database, node, *again, at=NOW + 9, whole=NOW + 9) == {node}
    assert [each["name"] for each in await items(server, "installed", node_id=node)] == ["Zoom"]
    assert len(await items(server, "installed", node_id=other)) == 2
    assert await keep(server.database, node, *again, at=NOW + 99, whole=NOW + 99) == set()


async def test_a_node_that_invents_software_keeps_no_more_than_a_number(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "NODE_ITEMS_MAX", 10)
    node = await node_of(server.database, await a_node(server))
    for start in (0, 20):
        await keep(server.database, node, *((item(f"It {start + n}"), True) for n in range(20)), at=NOW + start)
    assert len(await items(server, "installed", node_id=node)) == 10


async def test_names_of_any_length_can_be_kept(server: Server) -> None:
    node = await node_of(server.database, await a_node(server))
    wide = "".join(chr(0x4E00 + n * 7919 % 20_000) for n in range(600))
    names = {"publisher": wide[:256], "identifier": wide[:256], "location": "c:\\" + wide[:597]}
    await keep(server.database, node, (item(wide[:256], wide[:256], **names), True))
    assert len(await items(server, "installed", node_id=node)) == 1
