"""Findings and exceptions to act on, one keyword away from the interesting case."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from app.access.actor import Actor, AuthMethod
from app.access.duties import Duty, permissions_of
from app.analysis.worker import analyse_some
from app.baselines.exceptions.asking import Wanted, Why, request
from app.baselines.exceptions.deciding import Decision, approve
from app.baselines.exceptions.states import Risk
from app.clock import utc_now
from app.database import Database
from app.detection.addresses import PeerScope
from app.detection.behaviour import Direction, Platform, Transport
from app.detection.expectations import Expectation
from app.detection.knobs import Knobs
from tests.factories import Server, a_line, a_log, an_operator, an_outbound_row
from tests.observations.stored import ask, node_of

ODD = "C:\\Users\\bob\\AppData\\Local\\Temp\\odd.exe"
ODD_NORMALISED = "c:\\users\\*\\appdata\\local\\temp\\odd.exe"
DAY = timedelta(days=1)
WHY: dict[str, Any] = {
    "reason": "the old backup agent",
    "business_need": "backups until the new agent is there",
    "risk": "low",
    "compensating_control": "the firewall lets it reach one host",
}


async def show(
    server: Server, *keys: str, port: int = 4444, days_ago: float = 0, path: str = ODD, peer: str = "8.8.8.8"
) -> None:
    """Each node shows the odd program connecting out, and is judged."""
    row = an_outbound_row(
        proc_path=path, proc_name="odd.exe", remote_port=str(port), svchost_hint="", remote_address=peer
    )
    then = int((utc_now() - timedelta(days=days_ago)).timestamp())
    for key in keys:
        assert await server.say("log", a_log(key, [a_line(row, unix_time=then)])) == {}
    await judge(server.database)


async def judge(database: Database) -> None:
    while await analyse_some(database, Knobs()):
        pass


async def finding_of(server: Server, key: str, port: int = 4444) -> dict[str, Any]:
    """The living finding of a node and port."""
    columns = "finding_id, node_id, state, is_open, exception_id, days_seen, score, role_id, fleet_finding_id"
    statement = f"""
        SELECT {columns} FROM findings f JOIN behaviours b USING (behaviour_id)
        WHERE node_id = :node AND b.bucket = :port AND b.direction = 'outbound' AND f.state <> 'withdrawn'
    """
    node = await node_of(server.database, key)
    ((*values,),) = await ask(server.database, statement, node=node, port=str(port))
    return dict(zip(columns.split(", "), values, strict=True))


async def state_of_finding(server: Server, key: str, port: int = 4444) -> str:
    return str((await finding_of(server, key, port))["state"])


async def changes_of(server: Server, key: str, port: int = 4444) -> list[tuple[str, str, str]]:
    """Who gave the finding which state and why, the first first."""
    found = await finding_of(server, key, port)
    statement = "SELECT actor_name, to_state, reason FROM finding_changes WHERE finding_id = :id ORDER BY change_id"
    return [(name, state, why) for name, state, why in await ask(server.database, statement, id=found["finding_id"])]


async def a_person(database: Database, *duties: Duty, roles: list[int] | None = None) -> Actor:
    name = await an_operator(database, *duties, roles=roles)
    ((operator_id,),) = await ask(database, "SELECT operator_id FROM operators WHERE name = :name", name=name)
    allowed = frozenset(roles) if roles is not None else None
    return Actor(name, AuthMethod.PASSWORD, operator_id, frozenset(duties), permissions_of(duties), allowed)


def a_pattern(**given: Any) -> Expectation:
    said: dict[str, Any] = {
        "platform": Platform.WINDOWS,
        "program": "odd.exe",
        "path": ODD_NORMALISED,
        "signer": "",
        "direction": Direction.OUTBOUND,
        "transport": Transport.TCP,
        "first_port": 4444,
        "last_port": 4444,
        "peer_scope": PeerScope.PUBLIC,
    }
    return Expectation(**(said | given))


def a_why(**given: Any) -> Why:
    return Why(**(WHY | {"risk": Risk.LOW} | given))


async def asked(database: Database, now: datetime, *, until: datetime | None = None, **given: Any) -> UUID:
    """A request of an analyst of its own, for nodes or a role."""
    pattern = given.pop("pattern", a_pattern())
    by = given.pop("by", None) or await a_person(database, Duty.ANALYST)
    return await request(database, by, Wanted(pattern, a_why(expires_at=until), **given), now)


async def granted(database: Database, now: datetime, *, until: datetime | None = None, **given: Any) -> UUID:
    """The same, approved by an approver of its own."""
    made = await asked(database, now, until=until, **given)
    await approve(database, await a_person(database, Duty.APPROVER), made, Decision("known"), now)
    return made


async def audited(database: Database, exception_id: UUID) -> list[tuple[str, str]]:
    """Actions and outcomes of the audit log, the first first."""
    statement = "SELECT action, outcome FROM audit_events WHERE object_id = :id ORDER BY seq"
    return [(action, outcome) for action, outcome in await ask(database, statement, id=str(exception_id))]
