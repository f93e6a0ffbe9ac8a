"""`portbook exception` over a served application: what people read, and what they may do from a terminal."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from app import exception_cli
from app.baselines.exceptions import terminal
from app.baselines.exceptions.terminal import ports
from app.cli import app
from app.problems import InvalidRequest

COVERED = {
    "findings": 1,
    "first": [
        {
            "finding_id": "f", "state": "open", "severity": "high", "score": 71, "node_id": 3,
            "hostname": "LT-[3]", "program": "odd.exe", "port": "4444",
        }
    ],
}  # fmt: skip
ONE: dict[str, Any] = {
    "exception_id": "9b1d", "state": "pending", "says": "odd.exe (c:\\odd.exe) connects out to tcp/4444",
    "wide": ["peers anywhere"], "platform": "windows", "role": None, "node_ids": [3], "reason": "[old] agent",
    "business_need": "backups", "risk": "low", "compensating_control": "firewall", "ticket": "", "finding_id": None,
    "renewal_of": None, "requested_by": "ada", "requested_at": "2026-05-01T10:00:00Z",
    "expires_at": "2026-06-01T10:00:00Z", "decided_by": None, "decided_at": None, "decision": None,
    "decision_reason": None, "override_reason": None, "revoked_by": None, "revoked_at": None, "revoked_reason": None,
    "findings": 0, "sightings": 0, "last_seen_at": None,
}  # fmt: skip
ACTIVE = ONE | {
    "state": "active", "decided_by": "bob", "decided_at": "2026-05-02T10:00:00Z", "decision": "approved",
    "decision_reason": "known", "override_reason": "I am alone", "findings": 4, "sightings": 1234,
    "last_seen_at": "2026-05-03T11:22:33Z",
}  # fmt: skip
ANSWERS: dict[tuple[str, str], Any] = {
    ("GET", ""): {"items": [ONE, ACTIVE], "next": "more"},
    ("GET", "/9b1d"): ONE,
    ("GET", "/active"): ACTIVE,
    ("GET", "/9b1d/effect"): COVERED | {"nodes": 12, "wide": []},
    ("POST", ""): ONE,
    ("POST", "/from-finding"): ONE,
    ("POST", "/9b1d/approve"): ACTIVE | {"covered": COVERED},
    ("POST", "/9b1d/revoke"): ONE | {"reopened": 2, "went_over": 1},
    ("POST", "/9b1d/take-back"): ONE | {"reopened": 0, "went_over": 0},
    ("POST", "/9b1d/renew"): ONE,
    ("POST", "/9b1d/reject"): ONE,
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[httpx.Request]:
    """A server that has exceptions; what it was asked."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=ANSWERS[request.method, request.url.path.removeprefix(terminal.PATH)])

    def served(url: str, token: str, ca_file: Path | None) -> httpx.Client:
        assert (token, ca_file) == ("secret", None)
        return httpx.Client(transport=httpx.MockTransport(answer), base_url=url)

    monkeypatch.setattr(terminal, "api_client", served)
    monkeypatch.setattr(exception_cli.console, "width", 160)
    return seen


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["exception", *arguments], env={"PORTBOOK_TOKEN": "secret"})
    assert result.exit_code == 0, result.output + repr(result.exception)
    return result.output


WHY = ("--reason", "x", "--business-need", "y", "--risk", "low", "--compensating-control", "z")


def sent(asked: list[httpx.Request]) -> tuple[str, dict[str, Any]]:
    request = asked[-1]
    return request.url.path.removeprefix(terminal.PATH), json.loads(request.content)


def test_the_list_shows_what_is_wide_and_where_one_person_decided(asked: list[httpx.Request]) -> None:
    said = run("list", "--state", "active", "--ending", "14")
    assert dict(asked[-1].url.params) == {"state": "active", "expiring_within_days": "14", "limit": "50"}
    for part in (
        "pending",
        "active",
        "WIDE: peers anywhere",
        "OVERRIDE: one person",
        "ada, decided by bob",
        "There are more",
    ):
        assert part in said


def test_the_environment_says_where_the_server_is_and_what_to_trust(asked: list[httpx.Request]) -> None:
    there = {"PORTBOOK_TOKEN": "secret", "PORTBOOK_URL": "https://portbook.test"}
    assert CliRunner().invoke(app, ["exception", "list"], env=there).exit_code == 0
    assert asked[-1].url.host == "portbook.test"
    refused = CliRunner().invoke(app, ["findings"], env={"PORTBOOK_CA_FILE": "nothing.pem"})
    assert "nothing.pem: No such file" in str(refused.exception)


@pytest.mark.usefixtures("asked")
def test_a_request_is_shown_with_what_it_would_cover() -> None:
    said = run("show", "9b1d")
    for part in ("[old] agent", "it would cover on 12 nodes", "71 high", "LT-[3]", "1 finding in all"):
        assert part in said
    assert json.loads(run("show", "9b1d", "--json"))["effect"]["nodes"] == 12


@pytest.mark.usefixtures("asked")
def test_one_in_force_is_shown_with_what_it_covers() -> None:
    said = run("show", "active")
    for part in ("approved 2026-05-02 10:00 UTC by bob: known", "I am alone", "4 findings", "1,234 sightings"):
        assert part in said


def test_one_asks_for_a_pattern_or_from_a_finding(asked: list[httpx.Request]) -> None:
    run("request", *WHY, "--platform", "windows", "--program", "odd.exe", "--signer", "Acme", "--port", "80-90",
        "--node", "3", "--node", "4", "--ticket", "C-1")  # fmt: skip
    path, body = sent(asked)
    assert (path, body["first_port"], body["last_port"], body["node_ids"]) == ("", 80, 90, [3, 4])
    assert (body["signer"], body["direction"], body["ticket"]) == ("Acme", "outbound", "C-1")
    assert not {"path", "role", "unit"} & body.keys()
    run("request", *WHY, "--finding", "f", "--held-by", "signer", "--days", "3")
    path, body = sent(asked)
    assert (path, body["finding_id"], body["held_by"]) == ("/from-finding", "f", "signer")
    assert "platform" not in body


def test_what_to_cover_must_be_said() -> None:
    result = CliRunner().invoke(app, ["exception", "request", *WHY])
    assert result.exit_code == 2
    assert "--finding" in result.output


@pytest.mark.parametrize(
    "more",
    [("--role", "till"), ("--node", "3"), ("--port", "443"), ("--direction", "outbound"), ("--peer-scope", "public")],
)
def test_beside_a_finding_nothing_else_says_what_to_cover(asked: list[httpx.Request], more: tuple[str, str]) -> None:
    result = CliRunner().invoke(app, ["exception", "request", *WHY, "--finding", "f", *more], env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert f"leave out {more[0]}" in result.output
    assert not asked


@pytest.mark.parametrize(
    ("arguments", "path", "body", "says"),
    [
        (("approve", "9b1d", "--reason", "ok"), "/9b1d/approve", {"reason": "ok"}, "Excepted from now on"),
        (("approve", "9b1d", "--reason", "ok", "--override", "alone"), "/9b1d/approve",
         {"reason": "ok", "override_reason": "alone"}, "LT-[3]"),
        (("reject", "9b1d", "--reason", "no"), "/9b1d/reject", {"reason": "no"}, "pending"),
        (("revoke", "9b1d", "--reason", "gone"), "/9b1d/revoke", {"reason": "gone"}, "Open again: 2 findings"),
        (("revoke", "9b1d", "--own", "--reason", "gone"), "/9b1d/take-back", {"reason": "gone"}, "Open again: 0"),
    ],
)  # fmt: skip
def test_a_decision_is_sent_and_its_effect_shown(
    asked: list[httpx.Request], arguments: tuple[str, ...], path: str, body: dict[str, str], says: str
) -> None:
    assert says in run(*arguments)
    assert sent(asked) == (path, body)


def test_a_renewal_has_reasons_of_its_own(asked: list[httpx.Request]) -> None:
    assert json.loads(run("renew", "9b1d", *WHY, "--json"))["exception_id"] == "9b1d"
    path, body = sent(asked)
    assert (path, body["business_need"]) == ("/9b1d/renew", "y")


@pytest.mark.parametrize(("text", "wanted"), [("443", (443, 443)), ("1-65535", (1, 65535))])
def test_ports_are_one_or_a_range(text: str, wanted: tuple[int, int]) -> None:
    assert ports(text) == wanted


@pytest.mark.parametrize("text", ["", "http", "1-", "-1", "1-2-3", "٣", "1000000"])
def test_other_texts_are_no_ports(text: str) -> None:
    with pytest.raises(InvalidRequest):
        ports(text)
