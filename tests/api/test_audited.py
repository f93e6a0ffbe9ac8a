"""What changes anything is in the audit log, with who, to what, and how it ended; what fails to change is not."""

import gzip
import json
from datetime import timedelta
from typing import Any

import pytest

from app.access.actor import os_account
from app.analysis.retention import keep_days
from app.clock import utc_now
from app.fleet.nodes import revoke_node
from app.fleet.secrets import NewSecret, add_secret, revoke
from app.problems import NotFound
from app.settings import Settings
from tests.access.told import last_told, told
from tests.factories import Server, a_line, a_name, a_node, a_secret, an_enrollment
from tests.flows.logs import CONN, text
from tests.observations.stored import node_of

ADA = os_account("ada")
SHOWN = ("actor_name", "auth_method", "object_type", "object_id", "outcome", "reason")


def shown(event: dict[str, Any], *more: str) -> tuple[Any, ...]:
    return tuple(event[name] for name in (*SHOWN, *more))


async def test_enroll_secrets_are_logged_without_their_text(server: Server) -> None:
    name = a_name("secret")
    secret = await add_secret(server.database, NewSecret(name, "kiosk", None, timedelta(days=3), 5), ADA, utc_now())
    event = await last_told(server.database, "enroll_secret_added")
    expected = ("ada", "os_account", "enroll_secret", name, "success", "role kiosk, for 3 days, at most 5 nodes")
    assert shown(event) == expected
    assert secret not in json.dumps(event)
    await revoke(server.database, name, ADA, utc_now())
    assert (await last_told(server.database, "enroll_secret_revoked"))["object_id"] == name
    with pytest.raises(NotFound):
        await revoke(server.database, name, ADA, utc_now())
    assert (
        len([each for each in await told(server.database, "enroll_secret_revoked") if each["object_id"] == name]) == 1
    )


async def test_a_revoked_node_is_logged(server: Server) -> None:
    node = await node_of(server.database, await a_node(server))
    await revoke_node(server.database, node, ADA, utc_now())
    assert shown(await last_told(server.database, "node_revoked"))[:4] == ("ada", "os_account", "node", str(node))


async def test_a_node_that_comes_back_in_another_role_is_logged(server: Server) -> None:
    first, second = await a_secret(server.database, role="kiosk"), await a_secret(server.database, role="till")
    document = an_enrollment(first)
    key = (await server.say("enroll", document))["node_key"]
    before = len(await told(server.database, "node_role_changed"))
    await server.say("enroll", document)
    assert len(await told(server.database, "node_role_changed")) == before
    await server.say("enroll", document | {"enroll_secret": second})
    event = await last_told(server.database, "node_role_changed")
    assert (event["auth_method"], event["object_id"]) == ("enroll_secret", str(await node_of(server.database, key)))
    assert event["reason"] == "kiosk before, till now"


async def test_a_change_of_knobs_is_logged_with_what_was_before_and_after(server: Server) -> None:
    hashes = []
    for low in (31, 32):
        body = {"scope": "every", "document": {"Severities": {"low": low}}, "reason": "Why", "forced_reason": "Now"}
        answer = await server.api.post("/api/v1/knobs/versions", json=body)
        assert answer.status_code == 201, answer.text
        hashes.append(answer.json()["document_sha256"])
    event = await last_told(server.database, "knobs_changed")
    assert event["auth_method"] == "token"
    assert event["actor_id"] is not None
    assert (event["object_id"], event["object_version"]) == ("every", str(answer.json()["version"]))
    assert (event["before_sha256"], event["after_sha256"]) == tuple(hashes)
    assert event["reason"].endswith(": Why; forced: Now")
    assert len(event["request_id"]) == 36


async def test_an_import_of_approved_software_is_logged_and_a_dry_run_is_not(server: Server) -> None:
    content = b"name,publisher\nZoom,Zoom Inc\n"
    for dry in (True, False):
        params = {"file_name": "list.csv", "by": "Grace", "dry_run": dry}
        answer = await server.approver.post("/api/v1/software/approved", params=params, content=content)
        assert answer.status_code == 200, answer.text
    (event,) = await told(server.database, "approved_software_imported")
    assert (event["object_id"], event["after_sha256"]) == ("list.csv", answer.json()["sha256"])
    assert "Grace" in event["reason"]
    assert "1 added, 0 removed" in event["reason"]


async def test_a_backtest_is_logged_when_asked_for_and_when_cancelled(server: Server) -> None:
    answer = await server.api.post("/api/v1/backtests", json={"document": {"Severities": {"low": 20}}, "days": 3})
    backtest = answer.json()["backtest_id"]
    asked = await last_told(server.database, "backtest_requested")
    assert (asked["object_id"], asked["reason"]) == (backtest, "every, 3 days")
    assert asked["after_sha256"] == answer.json()["candidate_sha256"]
    for status in (204, 409):
        assert (await server.api.delete(f"/api/v1/backtests/{backtest}")).status_code == status
    assert [each["object_id"] for each in await told(server.database, "backtest_cancelled")] == [backtest]


async def test_an_import_of_results_is_logged_well_or_not(server: Server) -> None:
    line = json.dumps(a_line(hostIdentifier=a_name("host"))).encode()
    for content, outcome, reason in ((line, "success", "1 lines, 1 nodes"), (b"nonsense", "error", "no line is")):
        await server.api.post("/api/v1/results", params={"role": "kiosk"}, content=content)
        event = await last_told(server.database, "results_imported")
        assert shown(event)[2:5] == ("role", "kiosk", outcome)
        assert event["reason"].startswith(reason)


async def test_an_import_of_flows_is_logged_well_or_not(server: Server) -> None:
    for content, outcome in ((gzip.compress(text("conn", CONN)), "success"), (b"nonsense\n", "error")):
        await server.api.post("/api/v1/flows", params={"sensor": "edge"}, content=content)
        event = await last_told(server.database, "flows_imported")
        assert shown(event)[2:5] == ("sensor", "edge", outcome)


async def test_days_that_retention_drops_are_logged(server: Server, settings: Settings) -> None:
    await keep_days(server.database, settings, utc_now() + timedelta(days=1))
    today = utc_now().date()
    dropped = {each["object_id"] for each in await told(server.database, "day_dropped")}
    first = today - timedelta(days=settings.batch_retention_days - 1)
    assert {f"batches {first}", f"flows {today - timedelta(days=settings.flow_retention_days - 1)}"} <= dropped
    event = await last_told(server.database, "day_dropped")
    assert (event["actor_name"], event["auth_method"]) == ("portbook", "none")
