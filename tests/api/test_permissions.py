"""Who may ask what: every route as everybody, against the one table of permissions."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from app.access.api import _in_person, signed_in
from app.access.duties import PERMISSIONS, Duty, Permission, permissions_of
from app.access.store import role_names
from app.analysis.worker import analyse_some
from app.detection.knobs import Knobs
from tests.factories import (
    Server,
    a_line,
    a_log,
    a_name,
    a_node,
    a_sign_in,
    a_token,
    an_operator,
    an_outbound_row,
)
from tests.observations.stored import node_of, tell

#: What a route demands. `read*`: an operator who is limited to some roles may ask too, and sees their nodes only.
#: `anybody`: whoever is signed in, with a token too; `person`: with no token; `nobody`: it is open.
ROUTES = """
nobody          GET     /healthz
nobody          GET     /openapi.json
nobody          GET     /static/{name}
nobody          GET     /sign-in
nobody          POST    /sign-in
nobody          GET     /sign-in/openid
nobody          GET     /sign-in/openid/callback
nobody          POST    /api/v1/sign-in
person          DELETE  /api/v1/sign-in
person          GET     /
person          POST    /password
person          POST    /sign-out
anybody         GET     /api/v1/me
person          POST    /api/v1/me/password
person          GET     /api/v1/me/tokens
person          POST    /api/v1/me/tokens
person          DELETE  /api/v1/me/tokens/{name}
administer      GET     /api/v1/operators
administer      POST    /api/v1/operators
administer      PATCH   /api/v1/operators/{name}
administer      POST    /api/v1/operators/{name}/disable
administer      POST    /api/v1/operators/{name}/enable
administer      POST    /api/v1/operators/{name}/unlock
administer      PUT     /api/v1/operators/{name}/password
administer      GET     /api/v1/tokens
administer      POST    /api/v1/tokens
administer      DELETE  /api/v1/tokens/{name}
read*           GET     /api/v1/nodes
read*           GET     /api/v1/nodes/{node_id}
read*           GET     /api/v1/findings
read*           GET     /api/v1/findings/{finding_id}
read*           GET     /api/v1/findings/{finding_id}/rows
read*           GET     /api/v1/coverage
read            GET     /api/v1/coverage/queue
read            GET     /api/v1/behaviours
read            GET     /api/v1/behaviours/{behaviour_id}/days
read            GET     /api/v1/fleet-findings
read            GET     /api/v1/fleet-findings/{fleet_finding_id}
read            GET     /api/v1/fleet-findings/{fleet_finding_id}/nodes
read            GET     /api/v1/drift
read            GET     /api/v1/attack
read            GET     /api/v1/knobs
read            GET     /api/v1/knobs/versions
tune            POST    /api/v1/knobs/versions
read            GET     /api/v1/knobs/versions/{version}
tune            POST    /api/v1/knobs/versions/{version}/revert
read            GET     /api/v1/knobs/diff
read            GET     /api/v1/software/approved
approve         POST    /api/v1/software/approved
read            GET     /api/v1/software/imports
read            GET     /api/v1/software/installed
read            GET     /api/v1/software/fleet
read            GET     /api/v1/flows
import          POST    /api/v1/flows
read            GET     /api/v1/flows/sensors
import          POST    /api/v1/results
read            GET     /api/v1/backtests
backtest        POST    /api/v1/backtests
read            GET     /api/v1/backtests/{backtest_id}
backtest        DELETE  /api/v1/backtests/{backtest_id}
read            GET     /api/v1/backtests/{backtest_id}/export.csv
triage*         POST    /api/v1/findings/bulk/state
triage*         POST    /api/v1/findings/{finding_id}/assignee
read*           GET     /api/v1/findings/{finding_id}/changes
triage*         POST    /api/v1/findings/{finding_id}/comments
read*           GET     /api/v1/findings/{finding_id}/investigations
investigate*    POST    /api/v1/findings/{finding_id}/investigations
read*           GET     /api/v1/findings/{finding_id}/similar
triage*         POST    /api/v1/findings/{finding_id}/state
triage          POST    /api/v1/fleet-findings/{fleet_finding_id}/state
read*           GET     /api/v1/triage/times
read*           GET     /api/v1/investigation-queries
read*           GET     /api/v1/investigations/{investigation_id}
read*           GET     /api/v1/baselines
propose*        POST    /api/v1/baselines/drafts
propose*        POST    /api/v1/baselines/files
propose*        POST    /api/v1/baselines/proposals
read*           GET     /api/v1/baselines/{baseline_id}
read*           GET     /api/v1/baselines/{baseline_id}/diff
approve*        PUT     /api/v1/baselines/{baseline_id}/review-interval
review*         POST    /api/v1/baselines/{baseline_id}/reviews
read*           GET     /api/v1/baselines/{baseline_id}/unused
read*           GET     /api/v1/baselines/{baseline_id}/versions
read*           GET     /api/v1/baselines/{baseline_id}/versions/{number}
propose*        POST    /api/v1/baselines/{baseline_id}/versions/{number}/abandon
approve*        POST    /api/v1/baselines/{baseline_id}/versions/{number}/approve
read*           GET     /api/v1/baselines/{baseline_id}/versions/{number}/effect
propose*        PUT     /api/v1/baselines/{baseline_id}/versions/{number}/entries
read*           GET     /api/v1/baselines/{baseline_id}/versions/{number}/file
approve*        POST    /api/v1/baselines/{baseline_id}/versions/{number}/reject
propose*        POST    /api/v1/baselines/{baseline_id}/versions/{number}/submit
read*           GET     /api/v1/baseline-reviews
read*           GET     /api/v1/baseline-reviews/{review_id}
review*         POST    /api/v1/baseline-reviews/{review_id}/done
read*           GET     /api/v1/exceptions
propose*        POST    /api/v1/exceptions
propose*        POST    /api/v1/exceptions/from-finding
read*           GET     /api/v1/exceptions/{exception_id}
approve*        POST    /api/v1/exceptions/{exception_id}/approve
read*           GET     /api/v1/exceptions/{exception_id}/effect
read*           GET     /api/v1/exceptions/{exception_id}/findings
approve*        POST    /api/v1/exceptions/{exception_id}/reject
propose*        POST    /api/v1/exceptions/{exception_id}/renew
approve*        POST    /api/v1/exceptions/{exception_id}/revoke
propose*        POST    /api/v1/exceptions/{exception_id}/take-back
read_audit_log  GET     /api/v1/audit
read_audit_log  GET     /api/v1/audit/checkpoint
read_audit_log  GET     /api/v1/audit/checks
read_audit_log  GET     /api/v1/audit/export.jsonl
read            GET     /metrics
read_audit_log  GET     /api/v1/audit
read_audit_log  GET     /api/v1/audit/checkpoint
read_audit_log  GET     /api/v1/audit/checks
read_audit_log  GET     /api/v1/audit/export.jsonl
read*           GET     /api/v1/baselines
propose*        POST    /api/v1/baselines/drafts
propose*        POST    /api/v1/baselines/files
propose*        POST    /api/v1/baselines/proposals
read*           GET     /api/v1/baselines/{baseline_id}
read*           GET     /api/v1/baselines/{baseline_id}/diff
approve*        PUT     /api/v1/baselines/{baseline_id}/review-interval
review*         POST    /api/v1/baselines/{baseline_id}/reviews
read*           GET     /api/v1/baselines/{baseline_id}/unused
read*           GET     /api/v1/baselines/{baseline_id}/versions
read*           GET     /api/v1/baselines/{baseline_id}/versions/{number}
propose*        POST    /api/v1/baselines/{baseline_id}/versions/{number}/abandon
approve*        POST    /api/v1/baselines/{baseline_id}/versions/{number}/approve
read*           GET     /api/v1/baselines/{baseline_id}/versions/{number}/effect
propose*        PUT     /api/v1/baselines/{baseline_id}/versions/{number}/entries
read*           GET     /api/v1/baselines/{baseline_id}/versions/{number}/file
approve*        POST    /api/v1/baselines/{baseline_id}/versions/{number}/reject
propose*        POST    /api/v1/baselines/{baseline_id}/versions/{number}/submit
read*           GET     /api/v1/baseline-reviews
read*           GET     /api/v1/baseline-reviews/{review_id}
review*         POST    /api/v1/baseline-reviews/{review_id}/done
read*           GET     /api/v1/exceptions
propose*        POST    /api/v1/exceptions
propose*        POST    /api/v1/exceptions/from-finding
read*           GET     /api/v1/exceptions/{exception_id}
approve*        POST    /api/v1/exceptions/{exception_id}/approve
read*           GET     /api/v1/exceptions/{exception_id}/effect
read*           GET     /api/v1/exceptions/{exception_id}/findings
approve*        POST    /api/v1/exceptions/{exception_id}/reject
propose*        POST    /api/v1/exceptions/{exception_id}/renew
approve*        POST    /api/v1/exceptions/{exception_id}/revoke
propose*        POST    /api/v1/exceptions/{exception_id}/take-back
read*           GET     /api/v1/overrides
triage*         POST    /api/v1/findings/bulk/state
triage*         POST    /api/v1/findings/{finding_id}/assignee
read*           GET     /api/v1/findings/{finding_id}/changes
triage*         POST    /api/v1/findings/{finding_id}/comments
read*           GET     /api/v1/findings/{finding_id}/investigations
investigate*    POST    /api/v1/findings/{finding_id}/investigations
read*           GET     /api/v1/findings/{finding_id}/similar
triage*         POST    /api/v1/findings/{finding_id}/state
triage          POST    /api/v1/fleet-findings/{fleet_finding_id}/state
read*           GET     /api/v1/investigation-queries
read*           GET     /api/v1/investigations/{investigation_id}
read*           GET     /api/v1/triage/times
"""
UUID = "00000000-0000-4000-8000-000000000000"
#: Something for each parameter of a path; nothing of it is there.
PARAMETERS = {
    "name": "nobody", "node_id": "999999", "finding_id": UUID, "behaviour_id": UUID, "fleet_finding_id": UUID,
    "version": "999999", "backtest_id": UUID, "baseline_id": "999999", "number": "999999", "review_id": "999999",
    "exception_id": UUID, "investigation_id": UUID,
}  # fmt: skip
ENDS_SIGN_IN = {"/sign-out", "/api/v1/sign-in"}


@dataclass(frozen=True)
class Route:
    method: str
    path: str
    demands: str

    @property
    def url(self) -> str:
        return self.path.format_map(PARAMETERS)

    @property
    def duties(self) -> frozenset[Duty]:
        """Who may ask, of those who are signed in."""
        word = self.demands.rstrip("*")
        return PERMISSIONS[Permission(word)] if word in {*Permission} else frozenset(Duty)


def routes_of(app: FastAPI) -> Iterator[Route]:
    """What is there, with what it declares."""
    for context in iter_route_contexts(app.routes):
        for method in sorted((context.methods or set()) - {"HEAD"}):
            assert context.path is not None
            yield Route(method, context.path, _demands(getattr(context, "dependant", None)))


def _demands(dependant: Any) -> str:
    calls = list(_calls(dependant)) if dependant else []
    permissions = [call for call in calls if hasattr(call, "permission")]
    if permissions:
        narrowest = min(permissions, key=lambda call: len(PERMISSIONS[call.permission]))
        star = "*" if all(call.heeds_roles for call in permissions) else ""
        return f"{narrowest.permission.value}{star}"
    return "person" if _in_person in calls else "anybody" if signed_in in calls else "nobody"


def _calls(dependant: Any) -> Iterator[Any]:
    for each in dependant.dependencies:
        yield each.call
        yield from _calls(each)


def written() -> set[Route]:
    lines = (line.split() for line in ROUTES.strip().splitlines())
    return {Route(method, path, demands) for demands, method, path in lines}


def test_every_route_demands_what_is_written_here(server: Server) -> None:
    there = set(routes_of(server.app))
    assert sorted(map(repr, there - written())) == [], "a route is new, or demands something else: write it down"
    assert sorted(map(repr, written() - there)) == []


async def ask(server: Server, route: Route, headers: dict[str, str]) -> httpx.Response:
    query = {"role": "laptop", "sensor": "nobody"} if route.method == "POST" else {}
    answer = await server.agents.request(route.method, route.url, params=query, headers=headers)
    assert answer.status_code < 500, f"{route}: {answer.text}"
    return answer


def is_for_somebody(answer: httpx.Response) -> bool:
    """Pages send strangers to where they can sign in."""
    sent_away = answer.status_code == 303 and answer.headers["location"].startswith("/sign-in")
    return answer.status_code == 401 or sent_away


async def walk(server: Server, operator: str | None, stranger: dict[str, str]) -> list[tuple[Route, httpx.Response]]:
    """Every route as an operator, or with a stranger's headers."""
    answers = []
    headers = await a_sign_in(server.database, operator) if operator else stranger
    for route in sorted(written(), key=lambda each: each.url):
        answers.append((route, await ask(server, route, headers)))
        if operator and route.url in ENDS_SIGN_IN:
            headers = await a_sign_in(server.database, operator)
    return answers


@pytest.mark.parametrize("who", ["nobody", "a node", *Duty])
async def test_everybody_may_what_the_table_says_and_no_more(server: Server, who: str) -> None:
    operator = await an_operator(server.database, Duty(who)) if who in {*Duty} else None
    node = {"Authorization": f"Bearer {await a_node(server)}"} if who == "a node" else {}
    for route, answer in await walk(server, operator, node):
        if route.demands == "nobody":
            assert answer.status_code not in {401, 403}, route
        elif operator is None:
            assert is_for_somebody(answer), route
        elif Duty(who) in route.duties:
            assert answer.status_code not in {401, 403}, route
            assert route.path == "/sign-out" or not is_for_somebody(answer), route
        else:
            assert answer.status_code == 403, route
            assert answer.json()["detail"] == f"this needs the permission {route.demands.rstrip('*')}"


async def a_role(server: Server) -> tuple[str, int]:
    """A role that has a node, and its number."""
    role = a_name("role")
    await a_node(server, role=role)
    async with server.database.reading() as session:
        numbers = {name: number for number, name in (await role_names(session)).items()}
    return role, numbers[role]


async def test_an_operator_of_some_roles_is_denied_what_shows_every_node(server: Server) -> None:
    _, role_id = await a_role(server)
    duties = frozenset({Duty.ANALYST, Duty.ADMIN})
    name = await an_operator(server.database, *duties, roles=[role_id])
    for route, answer in await walk(server, name, {}):
        is_fleet_wide = route.demands in {*Permission}
        assert (answer.status_code == 403) == (is_fleet_wide or not duties & route.duties), route


async def test_an_operator_of_some_roles_sees_nodes_findings_and_coverage_of_those_only(server: Server) -> None:
    fake = "C:\\Users\\bob\\AppData\\Local\\Temp\\svchost.exe"
    (ours, role_id), (theirs, _) = await a_role(server), await a_role(server)
    nodes = {}
    for role in (ours, theirs):
        key = await a_node(server, role=role)
        row = an_outbound_row(proc_path=fake, remote_port="4444", svchost_hint="")
        await server.say("log", a_log(key, [a_line(row)]))
        nodes[role] = await node_of(server.database, key)
    while await analyse_some(server.database, Knobs()):
        pass
    headers = await a_sign_in(server.database, await an_operator(server.database, Duty.ANALYST, roles=[role_id]))
    found = {(await server.api.get("/api/v1/findings", params={"node_id": node})).json()["items"][0]["finding_id"]
             for node in nodes.values()}  # fmt: skip
    assert len(found) == 2
    for path in ("nodes", "findings", "coverage"):
        items = (await server.agents.get(f"/api/v1/{path}", headers=headers)).json()["items"]
        assert {each["role"] for each in items} == {ours}, path
    for path in (f"nodes/{nodes[theirs]}", *(f"findings/{each}{rows}" for each in found for rows in ("", "/rows"))):
        mine = (await server.agents.get(f"/api/v1/{path}", headers=headers)).status_code
        assert mine in {200, 404}, path
    seen = [
        (await server.agents.get(f"/api/v1/findings/{each}", headers=headers)).status_code for each in sorted(found)
    ]
    assert sorted(seen) == [200, 404]
    assert (await server.agents.get(f"/api/v1/nodes/{nodes[theirs]}", headers=headers)).status_code == 404


async def test_a_duty_that_was_taken_meanwhile_counts_with_the_next_request(server: Server) -> None:
    """By sign-in and by token."""
    name = await an_operator(server.database, Duty.ADMIN)
    token = {"Authorization": f"Bearer {await a_token(server.database, Duty.ADMIN, operator=name)}"}
    for headers in (await a_sign_in(server.database, name), token):
        await tell(server.database, "UPDATE operators SET duties = '{admin}' WHERE name = :name", name=name)
        assert (await server.agents.get("/api/v1/operators", headers=headers)).status_code == 200
        await tell(server.database, "UPDATE operators SET duties = '{viewer}' WHERE name = :name", name=name)
        assert (await server.agents.get("/api/v1/operators", headers=headers)).status_code == 403
        assert (await server.agents.get("/api/v1/nodes", headers=headers)).status_code == 200


async def test_a_token_may_no_more_than_its_scope_and_is_no_person(server: Server) -> None:
    name = await an_operator(server.database, Duty.ANALYST)
    headers = {"Authorization": f"Bearer {await a_token(server.database, Duty.VIEWER, operator=name)}"}
    assert (await server.agents.get("/api/v1/nodes", headers=headers)).status_code == 200
    assert (await server.agents.post("/api/v1/backtests", headers=headers)).status_code == 403
    me = (await server.agents.get("/api/v1/me", headers=headers)).json()
    assert (me["operator"], me["method"], me["permissions"], me["csrf_token"]) == (name, "token", ["read"], None)
    for route in written():
        if route.demands == "person":
            assert (await ask(server, route, headers)).status_code == 403, route


def test_nobody_may_everything() -> None:
    """No set of duties that the database allows has every permission: two people are needed."""
    assert permissions_of(set(Duty) - {Duty.APPROVER}) != frozenset(Permission)
    assert permissions_of(set(Duty) - {Duty.ADMIN}) != frozenset(Permission)
