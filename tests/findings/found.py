"""Findings to triage, and how a person or a node acts on them."""

from collections.abc import Mapping
from typing import Any

import httpx

from app.analysis.worker import analyse_some
from app.clock import utc_now
from app.detection.knobs import Knobs, Severities, TimeWindow
from app.findings.triage.checks import DEMANDED
from tests.factories import Server, a_line, a_log, a_node, an_outbound_row
from tests.observations.stored import ask, node_of

DAY = 86_400
ODD = "C:\\Users\\bob\\AppData\\Local\\Temp\\{}"
CHECKS: dict[str, Any] = {name: {"checked": True, "note": f"{name} is known"} for name in DEMANDED[:-1]} | {
    "justification": {"unknown": "the owner is away"}
}
#: Judged by the context of the row alone, so that what is shown later weighs the same.
LEVELS = (12, 40, 60)


def knobs(low: int = LEVELS[0], medium: int = LEVELS[1], high: int = LEVELS[2]) -> Knobs:
    severities = Severities(high=high, medium=medium, low=low)
    return Knobs(time_window=TimeWindow(learning_days=0), severities=severities)


async def judge(server: Server, by: Knobs | None = None) -> None:
    while await analyse_some(server.database, by or knobs()):
        pass


async def show(
    server: Server,
    key: str,
    port: int = 4444,
    *,
    seconds_ago: int = 0,
    program: str = "odd.exe",
    by: Knobs | None = None,
    signed: str | None = None,
    **columns: str,
) -> None:
    """A node shows an odd program on a port, perhaps with what its signature query says, and is judged."""
    then = int(utc_now().timestamp()) - seconds_ago
    path = ODD.format(program)
    row = an_outbound_row(proc_path=path, proc_name=program, remote_port=str(port), svchost_hint="", **columns)
    lines = [a_line(row, unix_time=then)]
    if signed is not None:
        said = {"path": path, "sign_status": "trusted" if signed else "missing", "subject_name": signed}
        lines.insert(0, a_line(said, query="pack/windows_context/signatures", unix_time=then))
    assert await server.say("log", a_log(key, lines)) == {}
    await judge(server, by)


async def found(server: Server, key: str, **params: Any) -> list[dict[str, Any]]:
    """Living and other findings of connections of a node, of any state unless `params` say otherwise."""
    wanted = {"node_id": await node_of(server.database, key), "members": True, "sort": "opened_at"} | params
    both = [wanted | {"is_open": each} for each in (True, False)] if not params else [wanted]
    items = [each for one in both for each in (await server.api.get("/api/v1/findings", params=one)).json()["items"]]
    return [each for each in items if each["behaviour"]["direction"] == "outbound"]


async def a_finding(server: Server, port: int = 4444, *, role: str = "laptop", **given: Any) -> dict[str, Any]:
    """Of a node of its own, which showed it yesterday."""
    key = await a_node(server, role=role)
    await show(server, key, port, seconds_ago=DAY, **given)
    [finding] = await found(server, key)
    return finding | {"key": key}


async def the(server: Server, finding: Mapping[str, Any]) -> dict[str, Any]:
    """The finding as it is now."""
    answer = await server.api.get(f"/api/v1/findings/{finding['finding_id']}")
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def decide(
    server: Server, finding: Mapping[str, Any], state: str, *, api: httpx.AsyncClient | None = None, **given: Any
) -> httpx.Response:
    closing = {"checks": CHECKS} if state in {"remediated", "false_positive"} else {}
    body = {"state": state, "reason": "looked at it"} | closing | given
    return await (api or server.api).post(f"/api/v1/findings/{finding['finding_id']}/state", json=body)


async def changes(server: Server, finding: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(who, from, to) of its states."""
    answer = await server.api.get(f"/api/v1/findings/{finding['finding_id']}/changes")
    assert answer.status_code == 200, answer.text
    rows = [each for each in answer.json()["items"] if each["kind"] == "state"]
    return [(each["actor_name"], each["from_state"], each["to_state"]) for each in rows]


async def who(server: Server) -> str:
    """The operator behind `server.api`."""
    query = "SELECT actor_name FROM finding_changes WHERE operator_id IS NOT NULL ORDER BY change_id DESC LIMIT 1"
    return str((await ask(server.database, query))[0][0])
