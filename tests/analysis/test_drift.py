"""What a role shows for the first time, no longer, or on more and more nodes."""

import json
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from rich.console import Console
from sqlalchemy import text

from app.analysis.drift import store, terminal
from app.analysis.drift.store import Asked
from app.analysis.drift.terminal import show_drift
from app.analysis.standings import Seen
from app.analysis.worker import analyse_some
from app.clock import utc_now
from app.database import Database
from app.detection.behaviour import Direction, Platform
from app.detection.knobs import Knobs
from tests.analysis.test_retention import show
from tests.analysis.test_standings import behaviour
from tests.factories import Server, a_line, a_log, a_name, a_node, an_outbound_row
from tests.observations.stored import ask, node_of, tell

USUAL, OLD, NEW, WORM = (behaviour(name, "443") for name in ("usual.exe", "old.exe", "new.exe", "worm.exe"))


@pytest.fixture
async def clean(database: Database) -> Database:
    await tell(
        database,
        "TRUNCATE sightings, behaviours, tallies, node_tallies, images, findings, fleet_findings, fresh_sightings",
    )
    return database


class Role:
    """A role with nodes, and what they show on which day."""

    def __init__(self, server: Server, name: str, nodes: list[int], role_id: int) -> None:
        self.server, self.name, self.nodes, self.role_id = server, name, nodes, role_id

    async def shows(self, what: Any, *, days_ago: Iterable[int], nodes: Iterable[int] | None = None) -> None:
        for days in sorted(days_ago, reverse=True):
            seen = [
                Seen(self.nodes[n], self.role_id, what) for n in (range(len(self.nodes)) if nodes is None else nodes)
            ]
            await show(self.server.database, utc_now().date() - timedelta(days=days), seen)

    async def drift(self, **params: Any) -> dict[str, Any]:
        answer = await self.server.api.get("/api/v1/drift", params={"role": self.name} | params)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        assert isinstance(found, dict)
        return found


async def a_role(server: Server, nodes: int) -> Role:
    name = a_name("role")
    ids = [await node_of(server.database, await a_node(server, role=name)) for _ in range(nodes)]
    [(role_id,)] = await ask(server.database, "SELECT role_id FROM roles WHERE name = :name", name=name)
    return Role(server, name, ids, role_id)


def programs(part: dict[str, Any]) -> list[str]:
    return [each["behaviour"]["program"] for each in part["items"]]


@pytest.mark.usefixtures("clean")
async def test_new_is_what_the_role_first_showed_this_week(server: Server) -> None:
    laptops, servers = await a_role(server, 4), await a_role(server, 2)
    await laptops.shows(USUAL, days_ago=range(20))
    await servers.shows(USUAL, days_ago=[2])
    await laptops.shows(NEW, days_ago=[6], nodes=[2])
    await laptops.shows(NEW, days_ago=[5, 0])
    await laptops.shows(OLD, days_ago=[7])
    found = await laptops.drift()
    assert programs(found["new"]) == ["new.exe"]
    [new] = found["new"]["items"]
    today = utc_now().date()
    assert (new["nodes"], new["first_day"], new["last_day"]) == (4, str(today - timedelta(days=6)), str(today))
    assert (new["first_node"]["node_id"], new["trust"], new["severity"]) == (laptops.nodes[2], "unknown", None)
    assert found["known_since"] == str(today - timedelta(days=19))
    assert programs((await laptops.drift(days=5))["new"]) == []
    assert sorted(programs((await servers.drift())["new"])) == ["usual.exe"]
    everywhere = (await server.api.get("/api/v1/drift")).json()
    assert programs(everywhere["new"]) == ["new.exe"]
    assert programs((await server.api.get("/api/v1/drift", params={"platform": "macos"})).json()["new"]) == []


@pytest.mark.usefixtures("clean")
async def test_what_is_gone_is_told_from_nodes_that_went_silent(server: Server) -> None:
    role = await a_role(server, 6)
    speaking, silent = [0, 1, 2], [3, 4, 5]
    await role.shows(USUAL, days_ago=range(20), nodes=speaking)
    await role.shows(USUAL, days_ago=range(9, 20), nodes=silent)
    await role.shows(behaviour("gone.exe", "1"), days_ago=range(9, 15), nodes=speaking)
    await role.shows(behaviour("mixed.exe", "2"), days_ago=range(10, 15), nodes=[2, *silent])
    await role.shows(behaviour("silent.exe", "3"), days_ago=range(11, 15), nodes=silent)
    await role.shows(behaviour("two.exe", "4"), days_ago=range(12, 15), nodes=speaking[:2])
    await role.shows(behaviour("once.exe", "5"), days_ago=[13], nodes=speaking)
    await role.shows(behaviour("still.exe", "6"), days_ago=range(12, 15), nodes=speaking)
    await role.shows(behaviour("still.exe", "6"), days_ago=[6], nodes=speaking[:1])
    found = await role.drift()
    assert programs(found["unseen"]) == ["gone.exe", "mixed.exe", "silent.exe"]
    said = [(each["nodes_looked_at"], each["nodes_silent"], each["is_gone"]) for each in found["unseen"]["items"]]
    assert said == [(3, 0, True), (4, 3, True), (3, 3, False)]
    assert "two.exe" in programs((await role.drift(nodes=2))["unseen"])
    await tell(server.database, "DELETE FROM sightings")
    assert [each["is_gone"] for each in (await role.drift())["unseen"]["items"]] == [False] * 3


@pytest.mark.usefixtures("clean")
async def test_what_spreads_is_ordered_by_its_growth(server: Server) -> None:
    role = await a_role(server, 9)
    await role.shows(USUAL, days_ago=range(20))
    await role.shows(WORM, days_ago=[3], nodes=[0])
    await role.shows(WORM, days_ago=[2], nodes=range(2))
    await role.shows(WORM, days_ago=[1], nodes=range(8))
    await role.shows(NEW, days_ago=[2], nodes=range(3))
    await role.shows(NEW, days_ago=[1, 0], nodes=range(5))
    await role.shows(behaviour("steady.exe", "1"), days_ago=[2, 1, 0], nodes=range(4))
    await role.shows(behaviour("fading.exe", "2"), days_ago=[3, 2], nodes=range(9))
    await role.shows(behaviour("single.exe", "3"), days_ago=[0], nodes=[1])
    found = (await role.drift())["spreading"]
    assert programs(found) == ["worm.exe", "new.exe"]
    assert [(each["nodes_a_day_before"], each["nodes_on_last_day"]) for each in found["items"]] == [(1.5, 8), (4, 5)]
    page = (await role.drift(limit=1))["spreading"]
    assert (programs(page), page["more"]) == (["worm.exe"], True)


@pytest.mark.usefixtures("clean")
async def test_a_judged_newcomer_comes_with_its_severity_and_signer(server: Server) -> None:
    role = a_name("role")
    path = "C:\\Users\\bob\\AppData\\Local\\Temp\\svchost.exe"
    lines = [
        a_line({"path": path, "sign_status": "missing", "subject_name": ""}, query="pack/windows_context/signatures"),
        a_line(an_outbound_row(proc_path=path, svchost_hint="", remote_port="8088")),
    ]
    for _ in range(5):
        assert await server.say("log", a_log(await a_node(server, role=role), lines)) == {}
    while await analyse_some(server.database, Knobs()):
        pass
    found = (await server.api.get("/api/v1/drift", params={"role": role})).json()
    [shown] = found["new"]["items"]  # its first signature is no news of its own
    [fleet] = (await server.api.get("/api/v1/fleet-findings")).json()["items"]
    assert (shown["trust"], shown["nodes"], shown["fleet_finding_id"]) == ("unsigned", 5, fleet["fleet_finding_id"])
    assert shown["severity"] in {"low", "medium", "high"}


@pytest.mark.usefixtures("clean")
async def test_another_signer_is_news_and_a_first_one_is_not(server: Server) -> None:
    role = await a_role(server, 3)
    await role.shows(USUAL, days_ago=range(20))
    await role.shows(behaviour("old.exe", "trusted: A", Direction.SIGNATURE), days_ago=range(3, 20))
    await role.shows(behaviour("old.exe", "trusted: B", Direction.SIGNATURE), days_ago=[2])
    await role.shows(behaviour("new.exe", "trusted: A", Direction.SIGNATURE), days_ago=[2])
    new = (await role.drift())["new"]
    assert [(each["behaviour"]["program"], each["behaviour"]["port"]) for each in new["items"]] == [
        ("old.exe", "trusted: B")
    ]


async def test_a_role_that_is_not_there_is_said_with_those_that_are(server: Server) -> None:
    role = await a_role(server, 1)
    answer = await server.api.get("/api/v1/drift", params={"role": "nobody"})
    assert answer.status_code == 422
    assert "no role 'nobody'; there is " in answer.json()["detail"]
    assert role.name in answer.json()["detail"]
    for params in ({"days": 0}, {"days": 32}, {"limit": 101}, {"platform": "amiga"}):
        assert (await server.api.get("/api/v1/drift", params=params)).status_code == 422


FILL = """
INSERT INTO behaviours (behaviour_id, program_id, platform, path, name, unit, direction, transport, bucket, subjects)
SELECT md5('b' || n)::uuid, md5('p' || n)::uuid, 'windows', 'c:\\p' || n, 'p' || n, '', 'outbound', 'tcp', '443',
       array_fill(md5('w')::uuid, ARRAY[6])
FROM generate_series(1, :n) AS n;
INSERT INTO tallies (role_id, subject, first_day, day, units, nodes, day_units, day_nodes, parent, bucket)
SELECT role, md5('b' || n)::uuid, current_date - 20, current_date - n % 2, 10000, 900, 500, 0, md5('p')::uuid, '443'
FROM generate_series(0, 1) AS role, generate_series(1, :n) AS n;
UPDATE tallies SET first_day = current_date - 2 WHERE subject = md5('b7')::uuid;
UPDATE tallies SET day = current_date - 9 WHERE subject = md5('b8')::uuid;
"""
READ = "SELECT coalesce(sum(idx_tup_fetch + seq_tup_read), 0)::int FROM pg_stat_xact_user_tables"


@pytest.mark.parametrize("behaviours", [5_000, 50_000])
async def test_drift_reads_what_changed_and_not_the_history(clean: Database, behaviours: int) -> None:
    for statement in FILL.split(";")[:-1]:
        await tell(clean, statement, **({"n": behaviours} if ":n" in statement else {}))
    async with clean.engine.connect() as connection:
        await (await connection.execution_options(isolation_level="AUTOCOMMIT")).execute(text("ANALYZE"))
    today = utc_now().date()
    asked = Asked(1, Platform.WINDOWS, today - timedelta(days=7), today, 21)
    async with clean.reading() as session:
        before = await session.scalar(text(READ))
        new, unseen = await store.new(session, asked), await store.unseen(session, asked, 3)
        spreading = await store.spreading(session, asked)
        await store.known_since(session, asked)
        read = await session.scalar(text(READ))
    assert [row[0].subject for row in new] != [row[0].subject for row in unseen]
    assert (len(new), len(unseen), len(spreading)) == (1, 1, 0)
    assert read - before <= 12


DRIFT = {
    "role": "laptop",
    "platform": None,
    "since": "2026-11-13",
    "until": "2026-11-20",
    "known_since": "2026-11-10",
    "new": {
        "more": True,
        "items": [
            {
                "behaviour": {
                    "program": "tool.exe", "path": r"c:\tool\[b]tool.exe", "unit": "", "direction": "outbound",
                    "transport": "tcp", "port": "8531",
                },
                "nodes": 1200, "first_day": "2026-11-14", "last_day": "2026-11-20", "severity": "high",
                "fleet_finding_id": "x", "first_node": {"hostname": "LT-0033"}, "trust": "unsigned", "signer": "",
            }
        ],
    },
}  # fmt: skip
[ITEM] = DRIFT["new"]["items"]  # type: ignore[index]
SPREADING = ITEM | {"nodes_a_day_before": 100.0, "nodes_on_last_day": 400, "trust": "trusted", "signer": "Tool Ltd"}
UNSEEN = [
    ITEM | {"nodes_looked_at": looked_at, "nodes_silent": silent, "is_gone": silent < looked_at}
    for looked_at, silent in ((200, 3), (5, 5), (1, 1), (0, 0))
]


def shown(monkeypatch: pytest.MonkeyPatch, drift: dict[str, Any], *, as_json: bool = False, width: int = 150) -> str:
    transport = httpx.MockTransport(lambda _request: httpx.Response(200, json=drift))
    client = httpx.Client(transport=transport, base_url="https://portbook.test")
    monkeypatch.setattr(terminal, "api_client", lambda *_: client)
    console = Console(record=True, width=width)
    show_drift(console, url="", token="", ca_file=None, role="laptop", platform=None, days=7, limit=20, as_json=as_json)
    return console.export_text()


def test_drift_is_a_table_for_each_of_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = {"spreading": {"items": [SPREADING], "more": False}, "unseen": {"items": UNSEEN, "more": False}}
    text = shown(monkeypatch, DRIFT | parts)
    for said in (
        "Drift of role laptop: after 2026-11-13, until 2026-11-20",
        "History begins on 2026-11-10",
        "tool.exe connected out to tcp/8531",
        r"c:\tool\[b]tool.exe",
        "100 → 400",
        "Tool Ltd",
        "high, fleet finding",
        "gone: 197 of 200 nodes still speak, 3 went silent",
        "unknown: all 5 nodes went silent",
        "unknown: its node went silent",
        "its days are dropped: nobody can say",
        "… and more",
    ):
        assert said in text


def test_where_nothing_drifts_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    nothing = {"items": [], "more": False}
    quiet = DRIFT | {"new": nothing, "spreading": nothing, "unseen": nothing, "known_since": "2026-01-01"}
    text = shown(monkeypatch, quiet)
    assert "No longer seen: all that was regular is still there." in text
    assert "History" not in text
    assert "nothing was reported yet" in shown(monkeypatch, quiet | {"known_since": None})
    capsys.readouterr()
    shown(monkeypatch, quiet, as_json=True)
    assert json.loads(capsys.readouterr().out) == quiet


def test_a_hundred_columns_cut_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    long = ITEM | {"signer": "Zoom Video Communications, Inc.", "trust": "trusted", "severity": None}
    long |= {"behaviour": ITEM["behaviour"] | {"path": r"c:\users\*\appdata\roaming\zoom\bin\a-long-name-of-it.exe"}}
    new, nothing = {"new": {"items": [long], "more": False}}, {"items": [], "more": False}
    text = shown(monkeypatch, DRIFT | dict.fromkeys(("spreading", "unseen"), nothing) | new, width=100)
    assert "recorded only" in text
    assert "it.exe" in text
    assert "…" not in text
