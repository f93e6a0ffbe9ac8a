"""From one node to a hundred thousand: what few may say, and that many cost no more to judge."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import event, text

from app.analysis import store, worker
from app.analysis.worker import analyse_some
from app.clock import utc_now
from app.database import Database, WriteSession
from app.detection.behaviour import Behaviour, Direction, Platform, Program, Transport
from app.detection.knobs import Knobs, Severities
from app.detection.standing import Subjects
from tests.factories import Server, a_line, a_log, a_name, a_node, an_outbound_row
from tests.observations.stored import ask, node_of, tell

DAY = 86_400
SSH = "C:\\Windows\\System32\\OpenSSH\\ssh.exe"
Finding = dict[str, Any]


@pytest.fixture(autouse=True)
async def clean(database: Database) -> Database:
    await tell(database, "TRUNCATE fresh_sightings, tallies, node_tallies, findings, fleet_findings, images")
    return database


async def show(server: Server, key: str, port: int = 443, *, days_ago: int = 0, path: str | None = None) -> None:
    row = an_outbound_row(remote_port=str(port)) | ({"proc_path": path, "svchost_hint": ""} if path else {})
    then = int(utc_now().timestamp()) - days_ago * DAY
    assert await server.say("log", a_log(key, [a_line(row, unix_time=then)])) == {}


async def a_past(server: Server, keys: list[str], *, days: int) -> None:
    """Every node showed svchost.exe on port 443 every day."""
    for days_ago in range(days, 0, -1):
        for key in keys:
            await show(server, key, days_ago=days_ago)
        await judge(server)


async def judge(server: Server, low: int = 30) -> None:
    while await analyse_some(server.database, Knobs(severities=Severities(low=low))):
        pass


async def found(server: Server, key: str) -> list[Finding]:
    params = {"node_id": await node_of(server.database, key), "members": True}
    items = (await server.api.get("/api/v1/findings", params=params)).json()["items"]
    assert isinstance(items, list)
    return items


def lines(finding: Finding) -> dict[str, str]:
    return {each["reason"]: each["text"] for each in finding["evidence"]}


async def test_five_nodes_make_no_claim_of_prevalence(server: Server) -> None:
    keys = [await a_node(server) for _ in range(5)]
    await a_past(server, keys, days=8)
    await show(server, keys[0], 5678)
    await judge(server)
    [finding] = await found(server, keys[0])
    assert finding["severity"] == "high"
    assert lines(finding)["few_peers"].startswith("4 peers: no prevalence claim (0 of 4 other laptop nodes")
    assert "rare_among_peers" not in lines(finding)


async def test_a_fleet_of_one_node_speaks_from_its_own_past_only(server: Server) -> None:
    key = await a_node(server, role=a_name("role"))
    await a_past(server, [key], days=9)
    for days_ago in (1, 0):
        await show(server, key, 22, path=SSH, days_ago=days_ago)
        await show(server, key, 443, path=SSH, days_ago=days_ago)
        await judge(server)
    [finding] = await found(server, key)
    assert lines(finding)["no_peers"] == (
        "No other node to compare with: this node speaks from its own past only, which has it on 0 earlier days."
    )
    assert not {"rare_among_peers", "few_peers", "not_rare", "port_new_for_program"} & set(lines(finding))
    assert finding["days_seen"] == 2


async def test_the_only_node_of_a_role_says_that_others_are_of_other_roles(server: Server) -> None:
    keys = [await a_node(server) for _ in range(6)]
    lonely = await a_node(server, role=a_name("role"))
    await a_past(server, [*keys, lonely], days=8)
    await show(server, lonely, 5678)
    await judge(server, low=20)
    [finding] = await found(server, lonely)
    assert lines(finding)["only_of_its_role"] == (
        "No other node has this role: it is compared with nodes of other roles."
    )
    assert finding["severity"] == "low"
    assert "0 of 6 other windows nodes" in lines(finding)["few_peers"]


async def test_a_cold_start_learns_and_alerts_on_what_needs_no_history(server: Server) -> None:
    keys = [await a_node(server) for _ in range(6)]
    for key in keys:
        await show(server, key, 443)
        await show(server, key, 5678)
    await show(server, keys[0], 443, path=SSH)
    await judge(server)
    [finding] = await found(server, keys[0])
    assert (finding["behaviour"]["program"], finding["severity"]) == ("ssh.exe", "medium")
    assert "port_belies_program" in lines(finding)
    assert [await found(server, key) for key in keys[1:]] == [[]] * 5


async def test_while_it_learns_what_is_new_goes_to_the_hunt_list(server: Server) -> None:
    keys = [await a_node(server) for _ in range(6)]
    await a_past(server, keys, days=3)
    for key in keys:
        await show(server, key, 5678)
    await judge(server)
    findings = [each for key in keys for each in await found(server, key)]
    assert [each["severity"] for each in findings] == ["low"] * 6
    assert lines(findings[0])["learning"].startswith("Held at low: day 4 of 7 of learning")
    [fleet] = (await server.api.get("/api/v1/fleet-findings")).json()["items"]
    assert (fleet["severity"], fleet["nodes"]) == ("low", 6)


#: A role whose nodes all showed svchost.exe on 40 ports and 200 other things for 20 days.
FILL = """
INSERT INTO tallies (role_id, subject, first_day, day, units, nodes, day_units, day_nodes)
SELECT role, md5('s' || n)::uuid, current_date - 20, current_date - 1, :nodes * 19, :nodes, :nodes, 0
FROM unnest(ARRAY[0, :role]) AS role, generate_series(1, 5000) AS n ON CONFLICT DO NOTHING;
INSERT INTO node_tallies (node_id, subject, first_day, day, days)
SELECT 1000000 + node, md5('s' || n)::uuid, current_date - 20, current_date - 1, 20
FROM generate_series(1, :nodes) AS node, generate_series(1, 3) AS n
"""
ADD = """
INSERT INTO tallies (role_id, subject, first_day, day, units, nodes, day_units, day_nodes, parent, bucket)
SELECT role, :subject, current_date - 20, current_date - 1, :nodes * 19, :nodes, :nodes, 0, :parent, :bucket
FROM unnest(ARRAY[0, :role]) AS role ON CONFLICT DO NOTHING
"""
READ = """
SELECT sum(idx_tup_fetch + seq_tup_read)::int FROM pg_stat_xact_user_tables
WHERE relname IN ('tallies', 'node_tallies', 'findings', 'fleet_findings', 'behaviours') OR relname LIKE 'sightings%'
"""


async def a_history(database: Database, role: int, nodes: int) -> None:
    for statement in FILL.split(";"):
        await tell(database, statement, nodes=nodes, **({"role": role} if ":role" in statement else {}))
    program = Program(Platform.WINDOWS, r"c:\windows\system32\svchost.exe", "svchost.exe", "wuauserv")
    for port in range(7000, 7040):
        subjects = Subjects.of(Behaviour(program, Direction.OUTBOUND, Transport.TCP, str(port)))
        for subject in subjects.all:
            own = subject == subjects.behaviour
            where = {"parent": subjects.program if own else None, "bucket": str(port) if own else None}
            await tell(database, ADD, role=role, nodes=nodes, subject=subject, **where)
    async with database.engine.connect() as connection:
        await (await connection.execution_options(isolation_level="AUTOCOMMIT")).execute(text("ANALYZE"))


@contextmanager
def statements_of(database: Database) -> Iterator[list[str]]:
    """Those that are sent in the block."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        sent.append(statement)

    engine = database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    yield sent
    event.remove(engine, "before_cursor_execute", note)


async def test_a_hundred_thousand_nodes_are_judged_by_as_many_statements_and_rows_as_a_hundred(
    server: Server, clean: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []

    async def is_alone(session: WriteSession) -> bool:
        """What the connection's transactions before this one read may not have been told yet."""
        read.append(await session.scalar(text(READ)) or 0)
        return await first(session)

    async def finish(session: WriteSession, fresh_ids: list[int]) -> None:
        read.append((await session.scalar(text(READ)) or 0) - read[-1])
        await last(session, fresh_ids)

    first, last = store.is_alone, store.finish
    monkeypatch.setattr(worker.store, "is_alone", is_alone)
    monkeypatch.setattr(worker.store, "finish", finish)
    key = await a_node(server)
    [(role,)] = await ask(clean, "SELECT role_id FROM nodes WHERE node_id = :n", n=await node_of(clean, key))
    costs = []
    for port, nodes in ((5678, 100), (5679, 100_000)):
        await tell(clean, "TRUNCATE tallies, node_tallies")
        await a_history(clean, role, nodes)
        await show(server, key, port)
        with statements_of(clean) as sent:
            assert await analyse_some(clean, Knobs()) == 1
        costs.append((len(sent), read[-1]))
        [finding, *_] = [each for each in await found(server, key) if each["behaviour"]["port"] == str(port)]
        assert f"0 of {nodes:,} other laptop nodes that run it show this" in lines(finding)["rare_among_peers"]
    (few_statements, _), (statements, rows) = costs
    assert statements == few_statements
    assert rows < 200  # of a few hundred rows all are read, for that is cheaper than an index


#: An open fleet finding of so many nodes, each with its own.
ROLL_OUT = """
WITH fleet AS (
  INSERT INTO fleet_findings (fleet_finding_id, behaviour_id, spread, severity, score, analytic, evidence, nodes,
                              opened_at, judged_at, first_seen_at, last_seen_at)
  SELECT :fleet, behaviour_id, 'novel', 'high', 60, 'AN0633', '[]', :nodes, now(), now(), now(), now()
  FROM behaviours WHERE name = 'svchost.exe' AND bucket = :port RETURNING *)
INSERT INTO findings (finding_id, node_id, behaviour_id, role_id, severity, score, analytic, evidence, opened_at,
                      judged_at, first_seen_at, last_seen_at, day, new_to_peers, spread, fleet_finding_id,
                      batch_day, batch_id, line_number, row_number)
SELECT gen_random_uuid(), 2000000 + n, behaviour_id, 1, 'high', 60, 'AN0633', '[]', now(), now(), now(), now(),
       current_date, true, 'novel', fleet_finding_id, current_date, gen_random_uuid(), 0, 0
FROM fleet, generate_series(1, :nodes) AS n
"""


async def test_a_node_joins_a_roll_out_of_twenty_thousand_as_it_joins_one_of_a_hundred(
    server: Server, clean: Database
) -> None:
    """By what the plans of its statements look at; the count of members is kept, not counted anew."""
    costs = []
    key = await a_node(server)
    [(role,)] = await ask(clean, "SELECT role_id FROM nodes WHERE node_id = :n", n=await node_of(clean, key))
    await a_history(clean, role, 500)
    for port, nodes in ((5688, 100), (5689, 20_000)):
        await show(server, key, port)
        await tell(clean, ROLL_OUT, fleet=uuid4(), nodes=nodes, port=str(port))
        async with clean.engine.connect() as connection:
            await (await connection.execution_options(isolation_level="AUTOCOMMIT")).execute(text("ANALYZE findings"))
        with statements_of(clean) as sent:
            assert await analyse_some(clean, Knobs()) == 1
        costs.append(len(sent))
        seen = "SELECT nodes, last_seen_at FROM fleet_findings ORDER BY opened_at DESC LIMIT 1"
        assert (await ask(clean, seen))[0][0] == nodes + 1
    assert costs[0] == costs[1]
    assert utc_now() - timedelta(minutes=5) < (await ask(clean, seen))[0][1]
