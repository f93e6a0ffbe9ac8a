"""Several people and one node whose findings they take through their lives, over HTTP."""

from dataclasses import dataclass
from typing import Any

import httpx

from app.access.duties import Duty
from app.analysis.worker import analyse_some
from app.clock import utc_now
from app.detection.knobs import Knobs, Severities, TimeWindow
from tests.baselines.excepting import ODD, WHY
from tests.baselines.people import an_entry
from tests.factories import Server, a_line, a_log, a_node, a_token, an_operator, an_outbound_row
from tests.findings.found import CHECKS
from tests.observations.stored import node_of

DAY = 86_400
#: A fleet of one node has little to compare with: here what is odd in itself is high.
KNOBS = Knobs(time_window=TimeWindow(learning_days=0), severities=Severities(high=25, medium=20, low=12))


@dataclass(frozen=True)
class Person:
    """An operator with a token, who speaks HTTP and no other way."""

    server: Server
    name: str
    headers: dict[str, str]

    async def asks(self, method: str, path: str, body: Any = None, **params: Any) -> httpx.Response:
        return await self.server.agents.request(
            method, f"/api/v1/{path}", json=body, params=params, headers=self.headers
        )

    async def reads(self, path: str, **params: Any) -> Any:
        return _well(await self.asks("GET", path, **params))

    async def does(self, path: str, body: Any = None) -> Any:
        """POST, which must succeed."""
        return _well(await self.asks("POST", path, body))

    async def fails(self, status: int, path: str, body: Any = None) -> dict[str, Any]:
        """POST, which must be refused with this status, as RFC 9457 says."""
        answer = await self.asks("POST", path, body)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        problem: dict[str, Any] = answer.json()
        return problem

    async def gives(self, finding: dict[str, Any], state: str, **given: Any) -> dict[str, Any]:
        """A finding another state."""
        checks = {"checks": CHECKS} if state in {"remediated", "false_positive"} else {}
        body = {"state": state, "reason": f"{self.name} looked"} | checks | given
        shown: dict[str, Any] = await self.does(f"findings/{finding['finding_id']}/state", body)
        return shown


def _well(answer: httpx.Response) -> Any:
    assert answer.is_success, answer.text
    return answer.json()


async def a_person(server: Server, *duties: Duty, roles: list[int] | None = None) -> Person:
    name = await an_operator(server.database, *duties, roles=roles)
    token = await a_token(server.database, *duties, operator=name)
    return Person(server, name, {"Authorization": f"Bearer {token}"})


@dataclass(frozen=True)
class Machine:
    """A node of a role, and its key."""

    server: Server
    key: str

    async def shows(self, port: int = 4444, *, days_ago: int = 0, seconds: int = 0, **columns: str) -> None:
        """The odd program connects out, is told and judged; `seconds` later than now on that day."""
        row = an_outbound_row(proc_path=ODD, proc_name="odd.exe", remote_port=str(port), svchost_hint="") | columns
        then = int(utc_now().timestamp()) + 1 - DAY * days_ago + seconds  # no earlier than what was decided before
        assert await self.server.say("log", a_log(self.key, [a_line(row, unix_time=then)])) == {}
        await judge(self.server)

    async def signed(self, status: str, signer: str) -> None:
        """Its signature query tells of the odd program, and what was judged is judged again."""
        said = {"path": ODD, "sign_status": status, "subject_name": signer}
        line = a_line(said, query="pack/windows_context/signatures")
        assert await self.server.say("log", a_log(self.key, [line])) == {}
        await judge(self.server)

    async def finding(self, port: int = 4444) -> dict[str, Any]:
        """The newest of the node and port, in whatever state."""
        found = [each for each in await self.findings() if each["behaviour"]["port"] == str(port)]
        return found[-1]

    async def findings(self) -> list[dict[str, Any]]:
        node = await node_of(self.server.database, self.key)
        params: dict[str, Any] = {"node_id": node, "members": True, "sort": "opened_at"}
        found = []
        for is_open in (True, False):
            answer = await self.server.api.get("/api/v1/findings", params=params | {"is_open": is_open})
            found += [each for each in _well(answer)["items"] if each["behaviour"]["direction"] == "outbound"]
        return sorted(found, key=lambda each: each["opened_at"])


async def a_machine(server: Server, role: str) -> Machine:
    return Machine(server, await a_node(server, role=role))


async def judge(server: Server) -> None:
    while await analyse_some(server.database, KNOBS):
        pass


async def asks_exception(by: Person, finding: dict[str, Any], **given: Any) -> dict[str, Any]:
    asked = await by.does("exceptions/from-finding", WHY | {"finding_id": finding["finding_id"]} | given)
    assert isinstance(asked, dict)
    return asked


async def asks_for_role(by: Person, role: str, **given: Any) -> dict[str, Any]:
    """An exception for what the odd program shows on the nodes of a role."""
    names = ("program", "path", "direction", "transport")
    pattern = {name: an_entry()[name] for name in names} | {"platform": "windows", "first_port": 4444, "role": role}
    asked = await by.does("exceptions", WHY | pattern | given)
    assert isinstance(asked, dict)
    return asked


async def submits(by: Person, role: str, *entries: dict[str, Any]) -> dict[str, Any]:
    """A version of the baseline of a role."""
    body = {"role": role, "platform": "windows", "reason": "the till speaks so", "entries": list(entries)}
    draft = await by.does("baselines/drafts", body)
    submitted = await by.does(f"{version(draft)}/submit")
    assert isinstance(submitted, dict)
    return submitted


def version(of: dict[str, Any]) -> str:
    return f"baselines/{of['baseline_id']}/versions/{of['number']}"
