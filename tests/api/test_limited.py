"""Who is limited to some roles reaches nothing of another by its number, whatever their duties, and changes nothing."""

import re
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from app.access.duties import Duty
from tests.api.test_permissions import Route, a_role, written
from tests.baselines.people import BASELINES, Shop, a_shop, an_entry, created, ok, url
from tests.factories import Server, a_sign_in, an_operator
from tests.findings.found import CHECKS
from tests.observations.stored import ask, node_of

WHY = {"reason": "why not", "business_need": "none", "risk": "low", "compensating_control": "none"}
#: What each changing route would take, were it theirs.
BODIES: dict[str, Any] = {
    "review-interval": {"review_interval_days": 7},
    "entries": {"content_sha256": "0" * 64, "entries": []},
    "submit": {},
    "abandon": {"reason": "x"},
    "approve": {"reason": "x"},
    "reject": {"reason": "x"},
    "revoke": {"reason": "x"},
    "take-back": {"reason": "x"},
    "renew": WHY,
    "reviews": {"trigger": "incident", "reason": "x"},
    "done": {"version": 1, "others_confirmed": True},
    "investigations": {},
    "state": {"state": "false_positive", "reason": "x", "checks": CHECKS},
    "assignee": {"assignee": None},
    "comments": {"text": "x"},
}
FINDING = "SELECT finding_id::text FROM findings WHERE node_id = :node"


@dataclass(frozen=True)
class Theirs:
    """Everything of a role, by the names of parameters."""

    shop: Shop
    numbers: dict[str, str]

    def of(self, route: Route) -> str:
        return route.path.format_map(self.numbers)


@pytest.fixture
async def theirs(server: Server) -> Theirs:
    shop = await a_shop(server)
    key = await shop.node()
    await shop.shows_odd(key)
    node = await node_of(server.database, key)
    ((finding,),) = await ask(server.database, FINDING, node=node)
    version = (await shop.approved(an_entry(ports="9999")))["version"]
    where = url(version).rpartition("/versions/")[0]
    review = created(await server.api.post(f"{where}/reviews", json=BODIES["reviews"]))
    exception = created(await server.api.post("/api/v1/exceptions/from-finding", json=WHY | {"finding_id": finding}))
    asked = created(await server.api.post(f"/api/v1/findings/{finding}/investigations", json={}))
    return Theirs(
        shop,
        {
            "node_id": str(node),
            "finding_id": finding,
            "baseline_id": str(version["baseline_id"]),
            "number": str(version["number"]),
            "review_id": str(review["review_id"]),
            "exception_id": exception["exception_id"],
            "investigation_id": asked["investigation_id"],
        },
    )


async def somebody_elsewhere(server: Server) -> dict[str, str]:
    _, role_id = await a_role(server)
    duties = (Duty.ANALYST, Duty.APPROVER, Duty.REVIEWER)
    return await a_sign_in(server.database, await an_operator(server.database, *duties, roles=[role_id]))


async def ask_as(server: Server, headers: dict[str, str], route: Route, path: str) -> httpx.Response:
    last = path.rpartition("/")[2]
    query = {"before": 0, "after": 1} if last == "diff" else {}
    body = None if route.method == "GET" else BODIES[last]
    return await server.agents.request(route.method, path, headers=headers, params=query, json=body)


async def test_nothing_of_another_role_is_found_by_its_number(server: Server, theirs: Theirs) -> None:
    headers = await somebody_elsewhere(server)
    events = "SELECT count(*) FROM audit_events"
    before = await ask(server.database, events)
    walked = [each for each in written() if each.demands.endswith("*") and "{" in each.path]
    assert len(walked) > 30
    for route in sorted(walked, key=lambda each: (each.path, each.method)):
        answer = await ask_as(server, headers, route, theirs.of(route))
        assert answer.status_code == 404, f"{route}: {answer.status_code} {answer.text}"
    assert await ask(server.database, events) == before


async def test_lists_show_nothing_of_another_role(server: Server, theirs: Theirs) -> None:
    headers = await somebody_elsewhere(server)
    listed = [each for each in written() if each.demands.endswith("*") and "{" not in each.path]
    for route in listed:
        if route.method == "GET":
            answer = ok(await server.agents.get(route.path, headers=headers, params={"limit": 200}))
            assert theirs.shop.role not in str(answer), route
            assert not any(each in str(answer) for each in theirs.numbers.values() if len(each) > 30), route


async def test_nothing_is_asked_or_decided_for_another_role(server: Server, theirs: Theirs) -> None:
    headers, role, numbers = await somebody_elsewhere(server), theirs.shop.role, theirs.numbers
    pattern = {"platform": "windows", "program": "odd.exe", "path": "c:\\x\\odd.exe", "direction": "outbound"}
    exception = WHY | pattern | {"transport": "tcp", "first_port": 4444}
    draft = {"role": role, "platform": "windows", "reason": "x", "entries": []}
    state = BODIES["state"] | {"finding_ids": [numbers["finding_id"]]}
    file = f"role: {role}\nplatform: windows\nentries: []\n".encode()
    for path, given in (
        (f"{BASELINES}/drafts", {"json": draft}),
        (f"{BASELINES}/proposals", {"json": {"role": role, "platform": "windows", "reason": "x"}}),
        (f"{BASELINES}/files?reason=x", {"content": file}),
        (f"{BASELINES}/files?reason=x&dry_run=true", {"content": file}),
        ("/api/v1/exceptions", {"json": exception | {"role": role}}),
        ("/api/v1/exceptions", {"json": exception | {"node_ids": [int(numbers["node_id"])]}}),
        ("/api/v1/exceptions/from-finding", {"json": WHY | {"finding_id": numbers["finding_id"]}}),
        ("/api/v1/findings/bulk/state", {"json": state}),
    ):
        answer = await server.agents.post(path, headers=headers, **given)
        assert answer.status_code in {404, 422}, f"{path}: {answer.text}"
        assert re.search("no |not there", answer.json()["detail"]), answer.text
