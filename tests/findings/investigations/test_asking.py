"""Who may ask which node what: clear answers, and nothing asked where it cannot be."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from app.access.duties import Duty
from app.fleet.store import list_roles
from tests.factories import Server, a_token, an_operator
from tests.findings.investigations.conftest import ALL_OF_WINDOWS, ODD, Case, a_case
from tests.observations.stored import ask, tell


async def post(case: Case, body: object = None, **headers: str) -> httpx.Response:
    path = f"/api/v1/findings/{case.finding_id}/investigations"
    return await case.server.api.post(path, json={} if body is None else body, headers=headers)


async def asked_of(case: Case) -> int:
    statement = "SELECT count(*) FROM investigations WHERE finding_id = :id"
    ((total,),) = await ask(case.server.database, statement, id=case.finding_id)
    return int(total)


async def test_each_platform_is_asked_its_own_questions(prompt: Server) -> None:
    windows, mac = await a_case(prompt), await a_case(prompt, platform="macos", proc_path="/tmp/x/odd", proc_name="odd")
    assert {each["query"] for each in (await windows.asks())["answers"]} == ALL_OF_WINDOWS
    macs = {"process_tree", "file_hash", "signature", "launchd_job", "sockets_now", "listening_ports"}
    assert {each["query"] for each in (await mac.asks())["answers"]} == macs


async def test_the_questions_can_be_read_with_their_sql_before_anything_is_asked(case: Case) -> None:
    listed = (await case.server.api.get("/api/v1/investigation-queries")).json()
    by_name = {each["name"]: each for each in listed}
    assert len(listed) == 8
    assert by_name["service"]["parameters"] == ["pid", "unit"]
    assert "s.pid = :pid OR s.name = :unit" in by_name["service"]["statement"]
    assert len(by_name["service"]["statement_sha256"]) == 64


async def test_a_second_investigation_waits_for_the_end_of_the_first(case: Case) -> None:
    first = await case.asks(queries=["file_hash"])
    second = await post(case)
    assert second.status_code == 409
    assert second.json()["investigation_id"] == first["investigation_id"]
    (name,) = await case.fetches()
    await case.answers({name: []})
    third = await case.asks()
    listed = (await case.server.api.get(f"/api/v1/findings/{case.finding_id}/investigations?limit=1")).json()
    assert [each["investigation_id"] for each in listed["items"]] == [third["investigation_id"]]
    path = f"/api/v1/findings/{case.finding_id}/investigations?cursor={listed['next']}"
    rest = (await case.server.api.get(path)).json()
    assert [(each["investigation_id"], each["state"]) for each in rest["items"]] == [
        (first["investigation_id"], "answered")
    ]


@pytest.mark.parametrize("name", ["o\td.exe", "\x1b[31m.exe", "x" * 5000])
async def test_what_is_not_known_or_cannot_be_written_is_left_out_and_said(prompt: Server, name: str) -> None:
    path = ODD.replace("odd.exe", name)
    case = await a_case(prompt, proc_path=path, pid="none")
    asked = await case.asks()
    assert (asked["about"]["path"], asked["about"]["process_id"]) == (None, None)
    assert {each["query"] for each in asked["answers"]} == {"listening_ports"}
    assert asked["left_out"]["file_hash"] == "not known: path"
    assert asked["left_out"]["service"] == "not known: pid, unit"
    other = await a_case(prompt, proc_path=path, pid="none")
    nothing = await post(other, {"queries": ["file_hash"]})
    assert (nothing.status_code, nothing.json()["field"]) == (409, "queries")
    assert await asked_of(other) == 0


async def test_a_path_that_tries_to_break_out_is_a_literal_like_any_other(prompt: Server) -> None:
    path = "C:\\Temp\\o'; SELECT * FROM users -- :pid /*.exe"
    asked = await (await a_case(prompt, proc_path=path)).asks(queries=["file_hash"])
    assert asked["about"]["path"] == path
    assert f"WHERE h.path = '{path.replace(chr(39), 2 * chr(39))}' LIMIT 1" in asked["answers"][0]["statement"]


async def test_when_the_row_is_gone_the_finding_still_knows_the_process(case: Case) -> None:
    await tell(case.server.database, "DELETE FROM batches WHERE node_id = :node", node=case.node_id)
    about = (await case.asks())["about"]
    assert (about["process_id"], about["path"]) == (1234, None)


async def test_a_node_of_another_manager_cannot_be_asked(prompt: Server) -> None:
    case = await a_case(prompt)
    await tell(prompt.database, "DELETE FROM node_keys WHERE node_id = :node", node=case.node_id)
    answer = await post(case)
    assert answer.status_code == 409
    assert "another manager" in answer.json()["detail"]
    assert await asked_of(case) == 0


async def test_a_revoked_node_and_one_of_another_platform_cannot_be_asked(prompt: Server) -> None:
    for change, words in (("revoked_at = now()", "revoked"), ("platform = 'other'", "neither Windows nor macOS")):
        case = await a_case(prompt)
        await tell(prompt.database, f"UPDATE nodes SET {change} WHERE node_id = :node", node=case.node_id)
        answer = await post(case)
        assert answer.status_code == 409
        assert words in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"queries": ["signature"]}, "no question 'signature' for this node"),
        ({"queries": ["SELECT 1"]}, "no question 'SELECT 1' for this node"),
        ({"queries": []}, "at least 1 item"),
        ({"queries": "file_hash"}, "valid list"),
        ({"sql": "SELECT 1"}, "Extra inputs"),
        ([], "valid dictionary"),
    ],
)
async def test_there_is_no_free_sql_and_a_fault_names_its_field(case: Case, body: Any, words: str) -> None:
    answer = await post(case, body)
    assert answer.status_code == 422
    assert words in answer.json()["detail"]
    assert await asked_of(case) == 0


async def test_an_unknown_finding_or_investigation_is_not_found(prompt: Server) -> None:
    for method, path in (
        ("POST", f"findings/{uuid4()}/investigations"),
        ("GET", f"findings/{uuid4()}/investigations"),
        ("GET", f"investigations/{uuid4()}"),
    ):
        answer = await prompt.api.request(method, f"/api/v1/{path}", json={})
        assert answer.status_code == 404, path


async def test_only_an_analyst_asks_and_each_try_is_in_the_log(case: Case) -> None:
    for duty, status in ((Duty.VIEWER, 403), (Duty.APPROVER, 403), (Duty.ADMIN, 403), (Duty.ANALYST, 201)):
        token = await a_token(case.server.database, duty)
        answer = await post(case, Authorization=f"Bearer {token}")
        assert answer.status_code == status, duty
    ((asked_by,),) = await ask(
        case.server.database,
        "SELECT actor_name FROM audit_events WHERE action = 'investigation_asked' AND object_id = :id",
        id=str(case.finding_id),
    )
    assert asked_by == answer.json()["asked_by"]


async def test_a_limited_operator_sees_and_asks_their_own_nodes_only(prompt: Server) -> None:
    mine, other = await a_case(prompt), await a_case(prompt)
    async with prompt.database.reading() as session:
        roles = {name: role_id for role_id, name in (await list_roles(session)).items()}
    await tell(prompt.database, "INSERT INTO roles (name) VALUES ('kiosk') ON CONFLICT DO NOTHING")
    await tell(
        prompt.database,
        "UPDATE nodes SET role_id = (SELECT role_id FROM roles WHERE name = 'kiosk') WHERE node_id = :n",
        n=other.node_id,
    )
    asked = await other.asks()
    operator = await an_operator(prompt.database, Duty.ANALYST, roles=[roles["laptop"]])
    bearer = {"Authorization": f"Bearer {await a_token(prompt.database, Duty.ANALYST, operator=operator)}"}
    assert (await post(mine, **bearer)).status_code == 201
    assert (await post(other, **bearer)).status_code == 404
    for path in (f"findings/{other.finding_id}/investigations", f"investigations/{asked['investigation_id']}"):
        assert (await prompt.api.get(f"/api/v1/{path}", headers=bearer)).status_code == 404
    await tell(
        prompt.database,
        "UPDATE nodes SET role_id = (SELECT role_id FROM roles WHERE name = 'kiosk') WHERE node_id = :n",
        n=mine.node_id,
    )
    assert (await post(mine, **bearer)).status_code == 404


async def test_whether_the_node_is_there_is_said_and_when_to_expect_its_answer(case: Case) -> None:
    asked = await case.asks()
    assert asked["node"]["online"]
    assert asked["answer_expected_by"] > asked["asked_at"]
    long_ago = "UPDATE nodes SET enrolled_at = now() - interval '1 day', heartbeat_at = now() - interval '6 minutes'"
    await tell(case.server.database, f"{long_ago} WHERE node_id = :node", node=case.node_id)
    later = await case.reads(asked)
    assert (later["node"]["online"], later["answer_expected_by"]) == (False, None)
    await case.fetches()
    assert (await case.reads(asked))["node"]["online"]
