"""One keyword away from the interesting case: a server to speak to, agents, their rows, lines and requests."""

import gzip
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import httpx
from fastapi import FastAPI
from starlette.routing import BaseRoute

from app.access import store as access
from app.access.actor import PORTBOOK, AuthMethod
from app.access.api import COOKIE, CSRF_HEADER
from app.access.duties import Duty, permissions_of
from app.access.sign_ins import begin
from app.access.tokens import NewToken, add_token
from app.clock import utc_now
from app.database import Database
from app.fleet.secrets import NewSecret, add_secret

OSQUERY = "/api/v1/osquery"
PLATFORM_TYPES = {"windows": "2", "macos": "21", "linux": "9"}
_numbers = count(1)
ALL_BUT_APPROVER = (Duty.ANALYST, Duty.REVIEWER, Duty.AUDITOR, Duty.ADMIN)

Answer = dict[str, Any]


@dataclass(frozen=True)
class Server:
    """`agents` sends as an osqueryd does; `api` as an operator who may all but approve; `approver` as one who may."""

    app: FastAPI
    agents: httpx.AsyncClient
    api: httpx.AsyncClient
    approver: httpx.AsyncClient

    @property
    def database(self) -> Database:
        database = self.app.state.database
        assert isinstance(database, Database)
        return database

    async def say(self, endpoint: str, document: object, *, compress: bool = False) -> Answer:
        """POST a document to an agent endpoint (`enroll`, `config`, `log`, `distributed/read` …)."""
        body = json.dumps(document).encode()
        headers = {"Content-Type": "application/json"} | ({"Content-Encoding": "gzip"} if compress else {})
        content = gzip.compress(body) if compress else body
        answer = await self.agents.post(f"{OSQUERY}/{endpoint}", content=content, headers=headers)
        document_ = answer.json()
        assert isinstance(document_, dict)
        return document_


#: The routes of the first application. What they hold of one is in `app.state`, so that they serve every other too.
_routes: list[BaseRoute] = []


def _share_routes(app: FastAPI) -> None:
    """FastAPI works out what routes demand at an application's first request, for a third of a second: once will do."""
    _routes.extend(() if _routes else app.router.routes)
    app.router.routes[:] = _routes


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[Server]:
    """Run an application's tasks, and clients that speak to it without a socket."""
    _share_routes(app)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with app.router.lifespan_context(app):
        database = app.state.database
        tokens = [None, await a_token(database, *ALL_BUT_APPROVER), await a_token(database, Duty.APPROVER)]
        async with AsyncExitStack() as clients:
            opened = [await clients.enter_async_context(_client(transport, token)) for token in tokens]
            yield Server(app, *opened)


def _client(transport: httpx.ASGITransport, token: str | None) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.AsyncClient(transport=transport, base_url="https://portbook.test", headers=headers)


async def an_operator(database: Database, *duties: Duty, roles: Sequence[int] | None = None) -> str:
    """The name of a new operator."""
    name = a_name("operator")
    async with database.writing() as session:
        await access.insert_operator(session, name=name, duties=sorted(duties), role_ids=roles, created_at=utc_now())
    return name


async def a_sign_in(database: Database, name: str) -> dict[str, str]:
    """What the browser of an operator sends who has just signed in."""
    async with database.writing() as session:
        operator = await access.find_operator(session, name)
        assert operator is not None
        begun = await begin(session, operator, AuthMethod.PASSWORD, "192.0.2.1", utc_now())
    return {"Cookie": f"{COOKIE}={begun.token}", CSRF_HEADER: begun.csrf_token, "Sec-Fetch-Site": "same-origin"}


async def a_token(database: Database, *duties: Duty, operator: str | None = None) -> str:
    """An API token that may all that the duties allow, of a new operator unless one is named."""
    name = operator or await an_operator(database, *duties)
    return await add_token(database, NewToken(a_name("token"), permissions_of(duties), name), PORTBOOK, utc_now())


def a_name(of: str) -> str:
    """A name that no other test has."""
    return f"{of}-{next(_numbers)}"


async def a_secret(database: Database, *, role: str = "laptop", **given: Any) -> str:
    """An enroll secret's text."""
    return await add_secret(database, NewSecret(a_name("secret"), role, **given), PORTBOOK, utc_now())


def an_enrollment(secret: str, *, platform: str = "windows", host: str | None = None, **system: str) -> Answer:
    """What an agent posts to enroll; `system` are columns of its `system_info`."""
    host = host or a_name("host")
    info = {"hostname": host, "uuid": f"uuid-{host}", "hardware_serial": f"serial-{host}", "cpu_brand": "x\0"} | system
    return {
        "enroll_secret": secret,
        "host_identifier": host,
        "platform_type": PLATFORM_TYPES[platform],
        "host_details": {"system_info": info, "osquery_info": {"version": "5.23.1", "instance_id": f"instance-{host}"}},
    }


async def a_node(server: Server, *, role: str = "laptop", platform: str = "windows", **given: str) -> str:
    """Enroll a node of a role. Returns its node key."""
    secret = await a_secret(server.database, role=role)
    enrolled = await server.say("enroll", an_enrollment(secret, platform=platform, **given))
    key = enrolled["node_key"]
    assert isinstance(key, str)
    return key


def an_outbound_row(**columns: str) -> dict[str, str]:
    """A row of `pack/windows_network/outbound`: svchost.exe to a peer's port 443."""
    return {
        "pid": "1234",
        "proc_name": "svchost.exe",
        "proc_path": "C:\\Windows\\System32\\svchost.exe",
        "cmdline": "C:\\Windows\\System32\\svchost.exe -k netsvcs -p -s wuauserv",
        "svchost_hint": "wuauserv",
        "protocol": "6",
        "local_address": "192.0.2.7",
        "local_port": "50123",
        "remote_address": "198.51.100.20",
        "remote_port": "443",
        "conn_state": "open",
        "local_port_listening": "0",
    } | columns


def a_line(
    columns: Mapping[str, object] | None = None,
    *,
    query: str = "pack/windows_network/outbound",
    unix_time: int | None = None,
    **fields: object,
) -> Answer:
    """A result line in event form, of now unless said otherwise; `fields` are osquery's own (epoch, counter …)."""
    return {
        "name": query,
        "hostIdentifier": "host",
        "calendarTime": "",
        "unixTime": int(utc_now().timestamp()) if unix_time is None else unix_time,
        "epoch": 1,
        "counter": 1,
        "numerics": False,
        "columns": an_outbound_row() if columns is None else columns,
        "action": "added",
    } | fields


def a_log(node_key: str, lines: Sequence[object] = (), *, log_type: str = "result") -> Answer:
    """What an agent posts to the log endpoint."""
    return {"node_key": node_key, "data": list(lines), "log_type": log_type}
