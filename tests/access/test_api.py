"""Signing in, my password, my tokens, operators and tokens, by JSON; and which requests a cookie is good for."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from app.access.actor import PORTBOOK
from app.access.api import COOKIE
from app.access.attempts import DENIED, OF_NAME
from app.access.duties import Duty, Permission, permissions_of
from app.access.tokens import NewToken, add_token, revoke_token
from app.clock import utc_now
from tests.access.people import PASSWORD, said_of, somebody
from tests.factories import Server, a_name, a_node, a_sign_in, a_token, an_operator

NEW = "quite another long one"


@asynccontextmanager
async def browser(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    """One that keeps cookies, and remembers what to send beside them."""
    transport = httpx.ASGITransport(server.app, raise_app_exceptions=False, client=(a_name("address"), 1))
    async with httpx.AsyncClient(transport=transport, base_url="https://portbook.test") as client:
        yield client


async def sign_in(client: httpx.AsyncClient, name: str, password: str = PASSWORD) -> httpx.Response:
    answer = await client.post("/api/v1/sign-in", json={"name": name, "password": password})
    if answer.status_code == 200:
        client.headers["X-CSRF-Token"] = answer.json()["csrf_token"]
    return answer


def fields(answer: httpx.Response, status: int) -> Any:
    """What a refusal points to."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    return document.get("field") or [each["pointer"] for each in document.get("errors", [])]


async def test_who_signs_in_is_known_until_they_sign_out(server: Server) -> None:
    name = await somebody(server.database, Duty.ANALYST)
    async with browser(server) as client:
        answer = await sign_in(client, name)
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith(f"{COOKIE}=")
        assert {part.strip().lower() for part in cookie.split(";")[1:]} == {
            "httponly",
            "path=/",
            "samesite=lax",
            "secure",
        }
        me = answer.json()
        assert (me["name"], me["operator"], me["duties"], me["roles"], me["method"]) == (
            name, name, ["analyst"], None, "password",
        )  # fmt: skip
        assert me["permissions"] == sorted(permissions_of({Duty.ANALYST}))
        assert (await client.get("/api/v1/me")).json() == me
        kept = dict(client.cookies)
        assert (await client.delete("/api/v1/sign-in")).status_code == 204
        assert not client.cookies
        client.cookies.update(kept)
        assert (await client.get("/api/v1/me")).status_code == 401


async def test_another_sign_in_of_the_same_browser_ends_the_one_before(server: Server) -> None:
    name = await somebody(server.database)
    async with browser(server) as client:
        await sign_in(client, name)
        before = dict(client.cookies)
        await sign_in(client, name)
        assert dict(client.cookies) != before
        client.cookies.update(before)
        assert (await client.get("/api/v1/me")).status_code == 401


async def test_wrong_ones_are_told_to_wait(server: Server) -> None:
    name = await somebody(server.database)
    async with browser(server) as client:
        for _ in range(OF_NAME.allowed):
            assert fields(await sign_in(client, name, "wrong"), 401) == []
        locked = await sign_in(client, name)
        assert fields(locked, 429) == []
        assert 0 < int(locked.headers["retry-after"]) <= 60
        assert "set-cookie" not in locked.headers


@pytest.mark.parametrize(
    ("body", "pointer"),
    [({}, ["name", "password"]), ({"name": 1, "password": "x"}, ["name"]),
     ({"name": "x" * 201, "password": "x"}, ["name"]), ({"name": "x", "password": "x" * 1025}, ["password"]),
     ({"name": "x", "password": "x", "duty": "admin"}, ["duty"])],
)  # fmt: skip
async def test_what_is_no_sign_in_is_pointed_at_without_saying_it_again(
    server: Server, body: dict[str, Any], pointer: list[str]
) -> None:
    answer = await server.agents.post("/api/v1/sign-in", json=body)
    assert fields(answer, 422) == pointer
    assert "x" * 200 not in answer.text


@pytest.mark.parametrize(
    "headers",
    [{}, {"X-CSRF-Token": ""}, {"X-CSRF-Token": "x"}, {"X-CSRF-Token": "é"}, {"Sec-Fetch-Site": "cross-site"},
     {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.test"}, {"Origin": "null"}, {"Origin": "http://[evil"},
     {"Origin": "https://evil.test", "Sec-Fetch-Site": "cross-site"}],
)  # fmt: skip
async def test_a_cookie_alone_changes_nothing(server: Server, headers: dict[str, str]) -> None:
    """What another site can make a browser send, even with the right token."""
    name = await somebody(server.database, Duty.ADMIN)
    async with browser(server) as client:
        right = (await sign_in(client, name)).json()["csrf_token"]
        del client.headers["X-CSRF-Token"]
        sent = headers if "X-CSRF-Token" in headers or not headers else headers | {"X-CSRF-Token": right}
        encoded = {key: value.encode() for key, value in sent.items()}
        for method, path in (
            ("POST", "operators"),
            ("DELETE", "sign-in"),
            ("PATCH", "operators/x"),
            ("PUT", "operators/x/password"),
        ):
            answer = await client.request(method, f"/api/v1/{path}", headers=encoded)
            assert answer.status_code == 403, answer.text
        assert len(await said_of(server.database, name, "request_denied")) == 4
        assert (await client.get("/api/v1/me", headers=encoded)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{"Sec-Fetch-Site": "same-origin"}, {"Origin": "https://portbook.test"}, {"Origin": "https://PORTBOOK.test"}, {},
     {"Sec-Fetch-Site": "same-origin", "Origin": "null"}],
)  # fmt: skip
async def test_our_own_pages_and_programs_may(server: Server, headers: dict[str, str]) -> None:
    async with browser(server) as client:
        await sign_in(client, await somebody(server.database, Duty.ADMIN))
        assert fields(await client.post("/api/v1/operators", headers=headers, json={}), 422) == ["name", "duties"]


async def test_another_site_cannot_sign_somebody_in(server: Server) -> None:
    name = await somebody(server.database)
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.test"}):
        answer = await server.agents.post("/api/v1/sign-in", json={"name": name, "password": PASSWORD}, headers=headers)
        assert answer.status_code == 403


async def test_a_wrong_token_is_not_made_good_by_a_cookie(server: Server) -> None:
    headers = await a_sign_in(server.database, await an_operator(server.database, Duty.ADMIN))
    for wrong in ("Bearer x", "Basic eDp5", "Bearer"):
        answer = await server.agents.get("/api/v1/me", headers=headers | {"Authorization": wrong})
        assert answer.status_code == 401


async def test_a_form_is_no_json(server: Server) -> None:
    headers = await a_sign_in(server.database, await an_operator(server.database, Duty.ADMIN))
    form = {"csrf_token": headers.pop("X-CSRF-Token"), "name": "x"}
    assert fields(await server.agents.post("/api/v1/operators", headers=headers, data=form), 422) == "body"


async def test_the_same_denial_is_logged_a_few_times_a_minute(server: Server) -> None:
    name = await an_operator(server.database, Duty.VIEWER)
    headers = {"Authorization": f"Bearer {await a_token(server.database, Duty.VIEWER, operator=name)}"}
    for number in range(DENIED.allowed + 10):
        answer = await server.agents.post(f"/api/v1/operators/x{number}/disable", headers=headers)
        assert answer.status_code == 403
    assert len(await said_of(server.database, name, "request_denied")) == DENIED.allowed
    await server.agents.get("/api/v1/tokens", headers=headers)
    said = await said_of(server.database, name, "request_denied")
    assert (said[-1]["object_id"], said[-1]["outcome"]) == ("GET /api/v1/tokens", "denied")


async def test_a_token_that_lets_nobody_in_is_logged_by_its_name_a_few_times_a_minute(server: Server) -> None:
    wanted = NewToken(a_name("token"), frozenset({Permission.READ}))
    token = await add_token(server.database, wanted, PORTBOOK, utc_now())
    await revoke_token(server.database, wanted.name, PORTBOOK, utc_now())
    async with browser(server) as client:
        for _ in range(DENIED.allowed + 5):
            assert (await client.get("/api/v1/nodes", headers={"Authorization": f"Bearer {token}"})).status_code == 401
    said = await said_of(server.database, wanted.name, "token_refused")
    assert len(said) == DENIED.allowed
    assert (said[0]["actor_name"], said[0]["outcome"]) == (f"token {wanted.name}", "denied")
    assert said[0]["source_ip"].startswith("address-")


@pytest.mark.parametrize("never", ["portbook_never", "x" * 5000, "a password?"])
async def test_what_never_was_a_token_is_logged_without_its_text(server: Server, never: str) -> None:
    before = len(await said_of(server.database, "unknown", "token_refused"))
    async with browser(server) as client:
        headers = {"Authorization": f"Bearer {never}"}
        assert (await client.get("/api/v1/nodes", headers=headers)).status_code == 401
    said = await said_of(server.database, "unknown", "token_refused")
    assert len(said) == before + 1
    assert never not in repr(said)


async def test_what_a_token_tries_in_place_of_a_person_is_logged(server: Server) -> None:
    name = await an_operator(server.database, Duty.ADMIN)
    headers = {"Authorization": f"Bearer {await a_token(server.database, Duty.ADMIN, operator=name)}"}
    wanted = {"name": "more", "scope": ["administer"]}
    answer = await server.agents.post("/api/v1/me/tokens", headers=headers, json=wanted)
    assert fields(answer, 403) == []
    [said] = await said_of(server.database, name, "request_denied")
    assert (said["object_id"], said["auth_method"], said["outcome"]) == ("POST /api/v1/me/tokens", "token", "denied")


async def test_an_operator_changes_their_password(server: Server) -> None:
    name = await somebody(server.database)
    async with browser(server) as client, browser(server) as other:
        await sign_in(client, name)
        await sign_in(other, name)
        wrong = await client.post("/api/v1/me/password", json={"old": "wrong", "new": NEW})
        assert fields(wrong, 422) == "old"
        assert fields(await client.post("/api/v1/me/password", json={"old": PASSWORD, "new": "x"}), 422) == "new"
        changed = await client.post("/api/v1/me/password", json={"old": PASSWORD, "new": NEW})
        assert changed.status_code == 200
        assert (await client.get("/api/v1/me")).json()["csrf_token"] == changed.json()["csrf_token"]
        assert (await other.get("/api/v1/me")).status_code == 401
        assert (await sign_in(other, name, NEW)).status_code == 200


async def test_an_operator_makes_lists_and_revokes_tokens_of_their_own(server: Server) -> None:
    name, token_name = await somebody(server.database, Duty.ANALYST), a_name("token")
    strangers = a_name("token")
    async with browser(server) as client:
        await sign_in(client, name)
        wanted = {"name": token_name, "scope": ["read", "triage"], "days": 1}
        token = (await client.post("/api/v1/me/tokens", json=wanted)).json()["token"]
        bearer = {"Authorization": f"Bearer {token}"}
        assert (await server.agents.get("/api/v1/me", headers=bearer)).json()["permissions"] == ["read", "triage"]
        [kept] = (await client.get("/api/v1/me/tokens")).json()
        assert (kept["name"], kept["operator"], kept["scope"], kept["revoked_at"]) == (
            token_name, name, ["read", "triage"], None,
        )  # fmt: skip
        assert kept["last_used_at"]
        assert token not in repr(kept)
        assert fields(await client.post("/api/v1/me/tokens", json=wanted), 409) == "name"
        too_much = wanted | {"name": a_name("token"), "scope": ["approve"]}
        assert fields(await client.post("/api/v1/me/tokens", json=too_much), 422) == "scope"
        assert fields(await client.post("/api/v1/me/tokens", json=wanted | {"days": 366}), 422) == ["days"]
        program = {"name": strangers, "scope": ["read"]}
        assert (await server.api.post("/api/v1/tokens", json=program)).status_code == 201
        assert (await client.delete(f"/api/v1/me/tokens/{strangers}")).status_code == 404
        assert (await client.delete(f"/api/v1/me/tokens/{token_name}")).status_code == 204
        assert (await server.agents.get("/api/v1/me", headers=bearer)).status_code == 401


async def test_an_admin_sees_and_revokes_every_token_and_makes_those_of_programs(server: Server) -> None:
    analyst, name = await an_operator(server.database, Duty.ANALYST), a_name("token")
    theirs = await a_token(server.database, Duty.ANALYST, operator=analyst)
    made = await server.api.post("/api/v1/tokens", json={"name": name, "scope": ["import", "read"]})
    bearer = {"Authorization": f"Bearer {made.json()['token']}"}
    me = (await server.agents.get("/api/v1/me", headers=bearer)).json()
    assert (me["name"], me["operator"], me["duties"]) == (f"token {name}", None, [])
    for refused in ({"name": a_name("t"), "scope": ["approve"]}, {"name": a_name("t"), "scope": []}):
        assert fields(await server.api.post("/api/v1/tokens", json=refused), 422) == "scope"
    with_operator = {"name": a_name("t"), "scope": ["read"], "operator": analyst}
    assert fields(await server.api.post("/api/v1/tokens", json=with_operator), 422) == ["operator"]
    all_tokens = {each["name"]: each for each in (await server.api.get("/api/v1/tokens")).json()}
    [of_analyst] = [each for each in all_tokens.values() if each["operator"] == analyst]
    assert all_tokens[name]["operator"] is None
    assert (await server.api.delete(f"/api/v1/tokens/{of_analyst['name']}")).status_code == 204
    stale = await server.agents.get("/api/v1/me", headers={"Authorization": f"Bearer {theirs}"})
    assert stale.status_code == 401


async def test_an_admin_looks_after_operators(server: Server) -> None:
    role, name = a_name("role"), a_name("operator")
    await a_node(server, role=role)
    api, path = server.api, f"/api/v1/operators/{name}"
    wanted = {"name": name, "duties": ["analyst", "reviewer"], "roles": [role], "password": PASSWORD}
    added = (await api.post("/api/v1/operators", json=wanted)).json()
    assert (added["duties"], added["roles"], added["disabled_at"], added["locked_until"]) == (
        ["analyst", "reviewer"], [role], None, None,
    )  # fmt: skip
    assert "hash" not in repr(added)
    assert fields(await api.post("/api/v1/operators", json=wanted), 409) == "name"
    async with browser(server) as client:
        assert (await sign_in(client, name)).json()["roles"] == [role]
        assert (await api.patch(path, json={"duties": ["viewer"]})).json()["duties"] == ["viewer"]
        assert (await api.patch(path, json={"roles": None})).json()["roles"] is None
        assert (await client.get("/api/v1/me")).json()["permissions"] == ["read"]
        assert (await api.post(f"{path}/disable")).json()["disabled_at"]
        assert (await client.get("/api/v1/me")).status_code == 401
        assert (await sign_in(client, name)).status_code == 401
        assert (await api.post(f"{path}/enable")).json()["disabled_at"] is None
        assert (await api.put(f"{path}/password", json={"password": NEW})).status_code == 204
        for _ in range(OF_NAME.allowed):
            await sign_in(client, name, "wrong")
        assert (await sign_in(client, name, NEW)).status_code == 429
        listed = {each["name"]: each for each in (await api.get("/api/v1/operators")).json()}
        assert listed[name]["locked_until"]
        assert (await api.post(f"{path}/unlock")).json()["locked_until"] is None
        assert (await sign_in(client, name, NEW)).status_code == 200


@pytest.mark.parametrize(
    ("change", "field"),
    [({"duties": ["boss"]}, ["duties/0"]), ({"duties": []}, "duties"), ({"duties": ["admin", "approver"]}, "duties"),
     ({"roles": ["no such role"]}, "roles"), ({"roles": []}, "roles"), ({"name": "x"}, ["name"])],
)  # fmt: skip
async def test_a_change_that_cannot_be_names_the_field(server: Server, change: dict[str, Any], field: object) -> None:
    name = await somebody(server.database)
    assert fields(await server.api.patch(f"/api/v1/operators/{name}", json=change), 422) == field
    assert fields(await server.api.patch("/api/v1/operators/nobody", json={}), 404) == "name"


async def test_nobody_gives_themselves_a_duty(server: Server) -> None:
    name = await somebody(server.database, Duty.ADMIN)
    async with browser(server) as client:
        await sign_in(client, name)
        path = f"/api/v1/operators/{name}"
        assert fields(await client.patch(path, json={"duties": ["approver"]}), 409) == "duties"
        assert fields(await client.post(f"{path}/disable"), 409) == "disabled"
        assert fields(await client.put(f"{path}/password", json={"password": NEW}), 409) == "name"
        assert (await client.get("/api/v1/me")).json()["duties"] == ["admin"]
