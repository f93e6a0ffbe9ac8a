"""The doors as a whole: who may enter, what failures look like, and that a reply comes after the end of its session."""

import gzip
import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute
from prometheus_client.parser import text_string_to_metric_families

from app.access.actor import PORTBOOK, Actor, AuthMethod
from app.access.duties import Permission
from app.access.tokens import NewToken, add_token, revoke_token
from app.clock import utc_now
from app.database import Database, ReadSession
from app.main import create_app
from app.settings import Settings
from tests.factories import OSQUERY, Server, a_line, a_log, a_name, a_node, a_secret, an_enrollment, an_outbound_row
from tests.observations.stored import ask

UUID = "00000000-0000-4000-8000-000000000000"
#: How a stored body begins (RFC 1952: deflate, no flags). Two bytes would be too few: some hash begins with them.
GZIP = b"\x1f\x8b\x08\x00"
#: Says nothing of anybody: whether the service is up, and the shape of the API.
FOR_STRANGERS = {"/healthz", "/openapi.json", "/api/v1/sign-in"}


def paths(server: Server) -> list[tuple[str, str]]:
    """(method, path) of every route, with something in the place of each parameter."""
    document = server.app.openapi()
    described = [(method.upper(), path) for path, item in document["paths"].items() for method in item]
    plain = [("GET", route.path) for route in server.app.routes if isinstance(route, APIRoute)]
    named = {(method, path) for method, path in described + plain if path not in FOR_STRANGERS}
    return [(method, path.replace("{node_id}", "1").replace("{finding_id}", UUID).replace("{behaviour_id}", UUID))
            for method, path in sorted(named) if method == "POST" or path != "/api/v1/results"]  # fmt: skip


def is_problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """RFC 9457 section 3, and `error` for whoever reads it as an agent would."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert isinstance(document, dict)
    assert document["status"] == status
    assert document["type"]
    assert document["title"]
    assert document["error"]
    return document


@pytest.mark.parametrize(
    "path", ["/api/v1/me", "/api/v1/findings", "/api/v1/nothing", "/metrics", "/api/v1/audit/export.jsonl", "/nothing"]
)
async def test_no_answer_is_kept_framed_or_taken_for_something_else(server: Server, path: str) -> None:
    for client in (server.api, server.agents):
        headers = (await client.get(path)).headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]


async def test_every_route_demands_a_token(server: Server) -> None:
    walked = paths(server)
    assert len(walked) >= 10
    revoked = a_name("token")
    token = await add_token(server.database, NewToken(revoked, frozenset({Permission.READ})), PORTBOOK, utc_now())
    await revoke_token(server.database, revoked, PORTBOOK, utc_now())
    for method, path in walked:
        for header in (
            {},
            {"Authorization": "Bearer x"},
            {"Authorization": f"Bearer {token}"},
            {"Authorization": "Basic eDp5"},
        ):
            answer = await server.agents.request(method, path, headers=header)
            is_problem(answer, 401)
            assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_node_key_is_no_token(server: Server) -> None:
    key = await a_node(server)
    for scheme in ("Bearer", "NodeKey"):
        answer = await server.agents.get("/api/v1/nodes", headers={"Authorization": f"{scheme} {key}"})
        is_problem(answer, 401)


async def test_strangers_learn_that_the_service_is_up_and_no_more(server: Server) -> None:
    assert (await server.agents.get("/healthz")).json() == {"status": "ok"}


async def test_health_says_so_when_the_database_is_away(settings: Settings) -> None:
    app = create_app(settings, "postgresql+psycopg://nobody@/nowhere?host=/nonexistent")
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="https://portbook.test") as stranger:
        is_problem(await stranger.get("/healthz"), 500)
    await app.state.database.close()


async def test_metrics_can_be_read_by_prometheus_and_count_what_came(server: Server) -> None:
    key = await a_node(server)
    before = await _metric(server, "portbook_intake_rows")
    await server.say("log", a_log(key, [a_line(), a_line({}), "?"]))
    assert await _metric(server, "portbook_intake_rows") == before + 2
    assert await _metric(server, "portbook_intake_quarantined_lines", reason="unreadable_line") >= 1
    assert await _metric(server, "portbook_agent_answers", endpoint="log", answer="ok") >= 1


async def _metric(server: Server, name: str, **labels: str) -> float:
    text = (await server.api.get("/metrics")).text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    found = [each.value for each in samples if each.name == f"{name}_total" and each.labels == labels]
    return found[0] if found else 0.0


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/api/v1/nodes/", "/nothing", "/docs"])
async def test_a_path_that_is_none_is_a_problem(server: Server, path: str) -> None:
    is_problem(await server.api.get(path), 404)


async def test_what_is_not_there_is_a_problem(server: Server) -> None:
    for path in ("nodes/999999", f"findings/{UUID}", f"findings/{UUID}/rows"):
        assert "no " in is_problem(await server.api.get(f"/api/v1/{path}"), 404)["detail"]
    is_problem(await server.api.delete("/api/v1/nodes"), 405)


@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        ("nodes?limit=0", "query/limit"), ("nodes?limit=501", "query/limit"), ("nodes?limit=x", "query/limit"),
        ("nodes/x", "path/node_id"), ("findings/x", "path/finding_id"), ("findings?severity=bad", "query/severity/0"),
        ("findings?since=yesterday", "query/since"), ("behaviours?direction=up", "query/direction"),
        ("behaviours?program=" + "x" * 301, "query/program"), ("nodes?cursor=" + "x" * 2001, "query/cursor"),
    ],
)  # fmt: skip
async def test_a_parameter_that_is_wrong_is_pointed_at(server: Server, path: str, pointer: str) -> None:
    document = is_problem(await server.api.get(f"/api/v1/{path}"), 422)
    assert [each["pointer"] for each in document["errors"]] == [pointer]


def cursor(value: object) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).decode()


@pytest.mark.parametrize(
    "bad",
    ["x", "!", "é", "====", cursor(None), cursor([1]), cursor([1, 2, 3]), cursor([None, None]), cursor([{}, []]),
     cursor(["x", "y"]), cursor([[1], [2]]), cursor("ab"), cursor([True, "\0"]), cursor([1e308, 1]), "W10x"],
)  # fmt: skip
@pytest.mark.parametrize(
    "path", ["nodes?sort=enrolled_at", "findings?sort=-score", "behaviours?sort=behaviour_id", "coverage"]
)
async def test_a_cursor_that_is_none_of_ours_is_refused(server: Server, path: str, bad: str) -> None:
    name, _, sort = path.partition("?sort=")
    answer = await server.api.get(f"/api/v1/{name}", params={"cursor": bad} | ({"sort": sort} if sort else {}))
    is_problem(answer, 422)


@pytest.mark.parametrize("sort", ["", "-", "nothing", "--score", "score;", "finding_id"])
@pytest.mark.parametrize("path", ["nodes", "findings", "behaviours"])
async def test_a_sort_that_is_none_is_refused_with_the_field(server: Server, path: str, sort: str) -> None:
    document = is_problem(await server.api.get(f"/api/v1/{path}", params={"sort": sort}), 422)
    assert document["field"] == "sort"


@pytest.mark.parametrize(
    "path",
    [
        "nodes/99999999999999999999", "nodes?hostname=%00", "nodes?role=%00", "nodes?platform=%00",
        "findings?node_id=99999999999999999999", "findings?program=%00", "findings?role=%00",
        "findings?since=0001-01-01", "findings?since=9999-12-31T23:59:59-23:59", "behaviours?port=%00",
        "behaviours?node_id=-99999999999999999999", "behaviours?program=%ff%fe",
        "coverage?node_id=99999999999999999999",
        f"nodes?cursor={cursor([10**30, 1])}", f"behaviours?cursor={cursor([chr(0), UUID])}",
    ],
)  # fmt: skip
async def test_a_value_that_no_column_can_hold_finds_nothing_and_breaks_nothing(server: Server, path: str) -> None:
    answer = await server.api.get(f"/api/v1/{path}")
    if answer.status_code == 200:
        assert answer.json()["items"] == []
    else:
        is_problem(answer, answer.status_code)
        assert answer.status_code in {404, 422}


async def test_the_session_of_a_request_ends_before_its_reply_leaves(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reply that went out before could not take back what the session's end found out."""
    reading = Database.reading

    @asynccontextmanager
    async def fails_at_its_end(database: Database) -> AsyncIterator[ReadSession]:
        async with reading(database) as session:
            yield session
        raise ConnectionError("the end failed")

    assert (await server.api.get("/api/v1/nodes")).status_code == 200
    monkeypatch.setattr("app.access.api.find_actor", _anybody)
    monkeypatch.setattr(Database, "reading", fails_at_its_end)
    answer = await server.api.get("/api/v1/nodes")
    is_problem(answer, 500)
    assert (answer.headers["cache-control"], answer.headers["x-content-type-options"]) == ("no-store", "nosniff")


async def _anybody(_database: Database, _token: str, _now: datetime) -> Actor:
    return Actor("anybody", AuthMethod.TOKEN, permissions=frozenset({Permission.READ}))


async def test_no_secret_stands_in_any_table_or_in_the_log(server: Server, logged: list[Any]) -> None:
    secret = await a_secret(server.database)
    document = an_enrollment(secret)
    key = (await server.say("enroll", document))["node_key"]
    lines = [a_line(an_outbound_row(cmdline="x" * 40)), a_line({"version": "1", "instance_id": "", "config_hash": ""},
                                                                query="pack/telemetry/heartbeat")]  # fmt: skip
    for compress in (False, True):
        await server.say("log", a_log(key, lines), compress=compress)
    await server.say("log", a_log(key, [{"message": "Error executing scheduled query"}], log_type="status"))
    header = {"Authorization": f"NodeKey {key}"}
    for body in (b'{"node_key" : "%b" ,"data":[]}' % key.encode(), b"{", b"[]", b'{"data":[{}]}'):
        await server.agents.post(f"{OSQUERY}/log", content=body, headers=header)
    for endpoint in ("config", "distributed/read", "distributed/write"):
        await server.say(endpoint, {"node_key": key})
    await server.say("enroll", document | {"host_identifier": ""})
    texts = await everything(server.database)
    assert any("x" * 40 in text for text in texts), "the search reads the stored batches"
    for hidden in (key, secret):
        assert not [text for text in texts if hidden in text]
        assert hidden not in repr(logged)


async def everything(database: Database) -> list[str]:
    """Every value of every column of every table as text, stored bodies inflated."""
    tables = await ask(database, "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'")
    found = []
    for (table,) in tables:
        for row in await ask(database, f"SELECT * FROM ONLY {table}"):
            for value in row:
                packed = isinstance(value, bytes) and value.startswith(GZIP)
                found.append(gzip.decompress(value).decode(errors="replace") if packed else repr(value))
    return found
