"""What sensors saw is heeded, whether it came before the judgement or after."""

from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from sqlalchemy import text

from app.analysis.flow_joins import late
from app.analysis.store import is_alone
from app.analysis.worker import analyse_some
from app.clock import utc_now
from app.database import Database
from app.detection.behaviour import Transport
from app.detection.community_id import community_id
from app.detection.knobs import Knobs
from app.flows.keeping import Days, Keeper, make_days
from app.flows.records import FlowRecord
from tests.detection.events import SYSMON_NET, sysmon_connection
from tests.factories import Server, a_line, a_log, a_node, an_outbound_row
from tests.observations.stored import ask, node_of, tell

PEER = "198.51.100.20"
FAKE = "C:\\Users\\bob\\AppData\\Local\\Temp\\svchost.exe"
AT_ONCE = timedelta(0)
HOUR = 3600
_hosts = count(1)


@pytest.fixture
async def quiet(database: Database) -> Database:
    """No queue, history, flows or joins."""
    await tell(database, "TRUNCATE fresh_sightings, tallies, node_tallies, findings, sightings")
    await tell(database, "TRUNCATE flows, flow_sensors, judged_connections, flow_skews")
    await tell(database, "UPDATE flow_marks SET kept_at = 'epoch'")
    return database


class Host:
    """A node with an address of its own, and what a sensor sees of it."""

    def __init__(self, server: Server, key: str, node: int) -> None:
        self.server, self.key, self.node = server, key, node
        self.address = f"10.0.{next(_hosts)}.7"

    @classmethod
    async def enrolled(cls, server: Server) -> "Host":
        key = await a_node(server)
        return cls(server, key, await node_of(server.database, key))

    async def says(self, port: int, *local_ports: int, path: str = FAKE, days_ago: int = 0) -> None:
        at = int(utc_now().timestamp()) - days_ago * 24 * HOUR
        rows = [
            an_outbound_row(
                proc_path=path,
                svchost_hint="",
                local_address=self.address,
                local_port=str(local),
                remote_port=str(port),
            )
            for local in local_ports or (50_123,)
        ]
        assert await self.server.say("log", a_log(self.key, [a_line(row, unix_time=at) for row in rows])) == {}

    def flow(self, port: int, local_port: int = 50_123, *, late_by: float = 0, **given: Any) -> FlowRecord:
        """One in which nothing was recognised, though both sides talked."""
        origin, responder = (given.pop("seen_as", self.address), local_port), (PEER, port)
        talked = {"packets_out": 14, "packets_in": 20, "bytes_out": 700, "bytes_in": 900, "state": "SF"}
        named = {"community_id": community_id("tcp", origin, responder)}
        at = float(int(utc_now().timestamp()) - 5 + late_by)
        flow_id = f"C{self.node}-{local_port}-{port}"
        return FlowRecord(
            "zeek", "dmz-1", flow_id, at, Transport.TCP, origin, responder, **{**talked, **named, **given}
        )

    async def evidence(self) -> dict[str, tuple[float, str]]:
        """Of its only finding that is open; empty without one."""
        answer = await self.server.api.get("/api/v1/findings", params={"node_id": self.node})
        items = [each for each in answer.json()["items"] if each["state"] == "open"]
        assert len(items) <= 1
        return {line["reason"]: (line["points"], line["text"]) for each in items for line in each["evidence"]}

    async def coverage(self) -> dict[str, Any]:
        answer = await self.server.api.get("/api/v1/coverage", params={"node_id": self.node})
        flows = answer.json()["items"][0]["flows"]
        assert isinstance(flows, dict)
        return flows


async def seen(database: Database, *flows: FlowRecord) -> None:
    """Flows of a sensor that knows TLS, HTTP and violations."""
    now = utc_now()
    days = Days.now(now, 4)
    await make_days(database, days)
    keeper = Keeper(database, "dmz-1", days, now=now)
    known = FlowRecord(
        "zeek", "dmz-1", "Cknown", now.timestamp(), Transport.TCP, ("192.0.2.1", 1), ("192.0.2.2", 443),
        services=frozenset({"tls", "http"}), state="SF",
    )  # fmt: skip
    await keeper.add([known, *flows], ["zeek/conn", "zeek/ssl", "zeek/http", "zeek/analyzer"])
    await keeper.commit()


async def judged(database: Database) -> None:
    while await analyse_some(database, Knobs()):
        pass


async def looked_through(database: Database) -> int:
    found = await late.look(database, utc_now(), AT_ONCE)
    await judged(database)
    return found


@pytest.mark.usefixtures("quiet")
async def test_a_flow_gives_the_same_finding_before_and_after_its_connection_is_judged(server: Server) -> None:
    before, after = await Host.enrolled(server), await Host.enrolled(server)
    await seen(server.database, before.flow(8088, tls_version="TLSv12", services=frozenset({"tls"})))
    for host in (before, after):
        await host.says(8088)
    await judged(server.database)
    assert "flow_tls_elsewhere" in await before.evidence()
    assert "flow log for this connection" in (await after.evidence())["not_available"][1]
    await seen(server.database, after.flow(8088, tls_version="TLSv12", services=frozenset({"tls"})))
    assert await looked_through(server.database) >= 1
    first, second = await before.evidence(), await after.evidence()
    assert first["flow_tls_elsewhere"][0] == 30
    assert "joined by Community ID" in first["flow_tls_elsewhere"][1]
    assert {name: points for name, (points, _) in first.items()} == {
        name: points for name, (points, _) in second.items()
    }


@pytest.mark.usefixtures("quiet")
async def test_what_weighed_too_little_becomes_a_finding_when_its_flow_comes(server: Server) -> None:
    host = await Host.enrolled(server)
    await host.says(443, path="C:\\Windows\\System32\\lsass.exe")
    await judged(server.database)
    assert await host.evidence() == {}
    await seen(server.database, host.flow(443))
    await looked_through(server.database)
    assert (await host.evidence())["flow_without_tls"][0] == 30


@pytest.mark.usefixtures("quiet")
async def test_a_finding_goes_on_when_more_becomes_known_of_its_flow(server: Server) -> None:
    host = await Host.enrolled(server)
    await seen(server.database, host.flow(443))
    await host.says(443)
    await judged(server.database)
    assert "flow_without_tls" in await host.evidence()
    await seen(server.database, host.flow(443, services=frozenset({"tls"}), tls_version="TLSv13"))
    await looked_through(server.database)
    assert "flow_without_tls" not in await host.evidence()


@pytest.mark.usefixtures("quiet")
async def test_nothing_is_judged_again_without_news(server: Server) -> None:
    host = await Host.enrolled(server)
    await seen(server.database, host.flow(8088))
    await host.says(8088)
    await judged(server.database)
    earlier = "UPDATE flows SET kept_at = kept_at - interval '1 hour'"
    await tell(server.database, earlier)
    assert [await looked_through(server.database) for _ in range(2)] == [0, 0]
    assert await late.look(server.database, utc_now()) == 0


@pytest.mark.usefixtures("quiet")
async def test_while_one_worker_judges_no_other_looks(server: Server) -> None:
    host = await Host.enrolled(server)
    await host.says(8088)
    await judged(server.database)
    await seen(server.database, host.flow(8088))
    async with server.database.writing() as other:
        assert await is_alone(other)
        assert await late.look(server.database, utc_now(), AT_ONCE) == 0
    assert await late.look(server.database, utc_now(), AT_ONCE) == 1


@pytest.mark.usefixtures("quiet")
async def test_a_flow_of_the_day_before_still_speaks_for_a_finding_of_today(server: Server) -> None:
    host = await Host.enrolled(server)
    await host.says(8088, 50_001, days_ago=1)
    await host.says(8088, 50_002)
    await judged(server.database)
    tls = {"services": frozenset({"tls"})}
    await seen(server.database, host.flow(8088, 50_001, late_by=-24 * HOUR, **tls))
    await looked_through(server.database)
    assert f"C{host.node}-50001-8088" in (await host.evidence())["flow_tls_elsewhere"][1]


@pytest.mark.usefixtures("quiet")
async def test_a_sensors_clock_is_learned_and_shown(server: Server) -> None:
    host = await Host.enrolled(server)
    ports = [8081, 8082, 8083, 8084]
    tls = {"services": frozenset({"tls"})}
    await seen(server.database, *(host.flow(port, 50_000 + port % 10, late_by=7 * HOUR, **tls) for port in ports))
    for port in ports[:3]:
        await host.says(port, 50_000 + port % 10)
    await judged(server.database)
    await tell(server.database, "TRUNCATE findings")
    await host.says(ports[3], 50_004)
    await judged(server.database)
    points, words = (await host.evidence())["flow_tls_elsewhere"]
    assert points == 30  # firm: the three before showed the same skew
    assert "clocks 7.0 h apart" in words
    [sensor] = (await host.coverage())["sensors"]
    assert (sensor["sensor"], sensor["tool"], sensor["joined"], sensor["share"]) == ("dmz-1", "zeek", 4, 1.0)
    assert sensor["skew_seconds"] == pytest.approx(7 * HOUR, abs=30)
    assert await ask(server.database, "SELECT joins FROM flow_skews") == [(4,)]


@pytest.mark.usefixtures("quiet")
async def test_coverage_counts_connections_that_no_sensor_saw(server: Server) -> None:
    host, other = await Host.enrolled(server), await Host.enrolled(server)
    await seen(server.database, host.flow(8088))
    await host.says(8088)
    await host.says(8089)
    await judged(server.database)
    flows = await host.coverage()
    assert (flows["connections"], flows["joined"], flows["share"]) == (2, 1, 0.5)
    assert await other.coverage() == {"connections": 0, "joined": 0, "share": None, "sensors": []}


@pytest.mark.usefixtures("quiet")
async def test_a_translated_address_is_joined_only_where_one_program_uses_the_port(server: Server) -> None:
    host = await Host.enrolled(server)
    tls = {"services": frozenset({"tls"}), "seen_as": "203.0.113.1"}
    await seen(server.database, host.flow(8088, 61_000, **tls), host.flow(8089, 61_001, **tls))
    other = await Host.enrolled(server)
    await other.says(8089)
    await host.says(8088)
    await host.says(8089)
    await judged(server.database)
    answer = await server.api.get("/api/v1/findings", params={"node_id": host.node})
    said = {
        each["behaviour"]["port"]: [line["text"] for line in each["evidence"] if line["reason"].startswith("flow_")]
        for each in answer.json()["items"]
    }
    assert said["8089"] == []
    assert "joined by peer and time" in said["8088"][0]


@pytest.mark.usefixtures("quiet")
async def test_old_connections_are_forgotten(server: Server) -> None:
    host = await Host.enrolled(server)
    await host.says(8088, days_ago=3)
    await host.says(8088)
    await judged(server.database)
    await late.look(server.database, utc_now() + timedelta(days=1), AT_ONCE)
    days = await ask(server.database, "SELECT day FROM judged_connections")
    assert days == [(utc_now().date(),)]


@pytest.mark.parametrize("unix_time", [10**15, -(10**15), 2**40])
@pytest.mark.usefixtures("quiet")
async def test_a_connection_of_a_time_that_cannot_be_is_judged(server: Server, unix_time: int) -> None:
    host = await Host.enrolled(server)
    await seen(server.database, host.flow(8088))
    row = an_outbound_row(proc_path=FAKE, svchost_hint="", local_address=host.address, remote_port="8088")
    assert await server.say("log", a_log(host.key, [a_line(row, unix_time=unix_time)])) == {}
    await judged(server.database)
    assert any(reason.startswith("flow_") for reason in await host.evidence())


@pytest.mark.usefixtures("quiet")
async def test_what_cannot_be_a_community_id_is_none(server: Server) -> None:
    host = await Host.enrolled(server)
    await seen(server.database, host.flow(8088))
    noise = "".join(chr(0x4E00 + n * 7919 % 20_000) for n in range(3000))
    row = an_outbound_row(proc_path=FAKE, svchost_hint="", local_address=host.address, remote_port="8088")
    line = a_line(row | {"community_id": noise})
    assert await server.say("log", a_log(host.key, [line])) == {}
    await judged(server.database)
    named = community_id("tcp", (host.address, 50_123), (PEER, 8088))
    assert await ask(server.database, "SELECT community_id FROM judged_connections") == [(named,)]


@pytest.mark.usefixtures("quiet")
async def test_a_connection_counts_once_however_late_its_flow_comes(server: Server) -> None:
    host = await Host.enrolled(server)
    await host.says(443, path="C:\\Windows\\System32\\lsass.exe")
    await judged(server.database)
    total = "SELECT sum(connections) FROM start_tallies WHERE node_id = :n"
    before = await ask(server.database, total, n=host.node)
    await seen(server.database, host.flow(443))
    assert await looked_through(server.database) == 1
    assert await ask(server.database, total, n=host.node) == before == [(1,)]


@pytest.mark.usefixtures("quiet")
async def test_a_connection_that_an_event_told_of_is_joined_too(server: Server) -> None:
    host = await Host.enrolled(server)
    await seen(server.database, host.flow(8088, services=frozenset({"tls"})))
    ends = {"SourceIp": host.address, "SourcePort": "50123", "DestinationIp": PEER, "DestinationPort": "8088"}
    event = sysmon_connection(Image=FAKE, UtcTime=f"{utc_now():%Y-%m-%d %H:%M:%S.000}", **ends)
    assert await server.say("log", a_log(host.key, [a_line(event, query=SYSMON_NET)])) == {}
    await judged(server.database)
    assert "flow_tls_elsewhere" in await host.evidence()


async def test_who_else_uses_a_port_is_found_without_reading_every_behaviour(database: Database) -> None:
    asked = "SELECT FROM behaviours WHERE direction = 'outbound' AND bucket = '8088' AND transport = 'tcp'"
    async with database.writing() as session:
        await session.execute(text("SET LOCAL enable_seqscan = off"))
        plan = "\n".join(await session.scalars(text(f"EXPLAIN {asked}")))
    assert "Index Cond" in plan
