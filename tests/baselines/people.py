"""A role of a test's own, with a finding on its node, and versions of its baseline."""

from dataclasses import dataclass
from typing import Any

import httpx

from app.analysis.worker import analyse_some
from app.clock import utc_now
from app.detection.knobs import Knobs
from tests.factories import Server, a_line, a_log, a_name, a_node, an_outbound_row
from tests.observations.stored import ask, node_of

BASELINES = "/api/v1/baselines"
ODD = "c:\\users\\*\\appdata\\local\\temp\\odd.exe"
SENT = "C:\\Users\\bob\\AppData\\Local\\Temp\\odd.exe"


def an_entry(**given: Any) -> dict[str, Any]:
    """As requests give it: what `shows_odd` shows."""
    return {
        "program": "odd.exe",
        "path": ODD,
        "direction": "outbound",
        "transport": "tcp",
        "ports": "4444",
        "justification": "the till speaks so",
        "owner": "shop floor",
    } | given


@dataclass(frozen=True)
class Shop:
    """A server, and a role that no other test has."""

    server: Server
    role: str

    async def node(self) -> str:
        return await a_node(self.server, role=self.role)

    async def shows_odd(self, key: str, port: int = 4444, *, days_ago: int = 0, **columns: str) -> None:
        row = an_outbound_row(proc_path=SENT, proc_name="odd.exe", remote_port=str(port), svchost_hint="") | columns
        line = a_line(row, unix_time=int(utc_now().timestamp()) + 1 - 86_400 * days_ago)
        assert await self.server.say("log", a_log(key, [line])) == {}
        await self.judge()

    async def judge(self) -> None:
        while await analyse_some(self.server.database, Knobs()):
            pass

    async def states(self, key: str) -> list[str]:
        query = "SELECT state FROM findings WHERE node_id = :node ORDER BY opened_at, state"
        return [
            state for (state,) in await ask(self.server.database, query, node=await node_of(self.server.database, key))
        ]

    async def draft(self, *entries: dict[str, Any], **given: Any) -> dict[str, Any]:
        body = {"role": self.role, "platform": "windows", "reason": "first try", "entries": list(entries)} | given
        return created(await self.server.api.post(f"{BASELINES}/drafts", json=body))

    async def submitted(self, *entries: dict[str, Any]) -> dict[str, Any]:
        draft = await self.draft(*entries)
        return ok(await self.server.api.post(f"{url(draft)}/submit"))

    async def approve(self, version: dict[str, Any], **given: Any) -> dict[str, Any]:
        return ok(await self.server.approver.post(f"{url(version)}/approve", json={"reason": "fine"} | given))

    async def approved(self, *entries: dict[str, Any], **given: Any) -> dict[str, Any]:
        return await self.approve(await self.submitted(*entries), **given)


async def a_shop(server: Server) -> Shop:
    shop = Shop(server, a_name("shop"))
    await shop.node()
    return shop


def url(version: dict[str, Any]) -> str:
    return f"{BASELINES}/{version['baseline_id']}/versions/{version['number']}"


def ok(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()


def created(answer: httpx.Response) -> Any:
    assert answer.status_code == 201, answer.text
    return answer.json()


def refused(answer: httpx.Response, status: int, field: str, said: str = "") -> dict[str, Any]:
    """A problem of RFC 9457 that names the field."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    fields = [problem.get("field"), *(each["pointer"] for each in problem.get("errors", ()))]
    assert field in fields, problem
    assert said in problem["detail"]
    assert isinstance(problem, dict)
    return problem
