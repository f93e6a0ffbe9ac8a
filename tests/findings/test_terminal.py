import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from app.findings.terminal import api_client, get, headline, show_findings
from app.problems import InvalidRequest, NotSignedIn

BEHAVIOUR = {
    "program": "svchost.exe",
    "unit": "netsvcs",
    "direction": "outbound",
    "transport": "tcp",
    "port": "5678",
}
FINDING = {
    "finding_id": "0b0e6ed6-0000-4000-8000-000000000001",
    "state": "acknowledged",
    "score": 72,
    "severity": "high",
    "technique": "T1571",
    "analytic": "AN0633",
    "hostname": "LT-0033",
    "role": "laptop",
    "first_seen_at": "2026-11-20T10:00:00Z",
    "behaviour": BEHAVIOUR,
    "evidence": [
        {"reason": "port_new", "points": 43.2, "text": "Port is new [for] this program."},
        {"reason": "not_available", "points": 0, "text": "Not available: bytes."},
    ],
}
FLEET_FINDING = {name: value for name, value in FINDING.items() if name not in {"hostname", "role"}} | {
    "fleet_finding_id": "0b0e6ed6-0000-4000-8000-000000000002",
    "score": 34,
    "severity": "low",
    "nodes": 1060,
    "first_nodes": [{"node_id": n, "hostname": f"LT-000{n}"} for n in (1, 2)],
    "first_seen_at": "2026-11-20T09:00:00Z",
    "last_seen_at": "2026-11-20T11:00:00Z",
}


def client(status: int, document: Any) -> httpx.Client:
    transport = httpx.MockTransport(lambda _request: httpx.Response(status, json=document))
    return httpx.Client(transport=transport, base_url="https://portbook.test")


PAGES = {
    "/api/v1/findings": {"items": [FINDING], "next": "more"},
    "/api/v1/fleet-findings": {"items": [FLEET_FINDING], "next": None},
}
SERVED = httpx.Client(
    transport=httpx.MockTransport(lambda request: httpx.Response(200, json=PAGES[request.url.path])),
    base_url="https://portbook.test",
)


def test_a_finding_is_shown_with_its_points_and_what_could_not_be_seen() -> None:
    console = Console(record=True, width=100)
    show_findings(console, SERVED, {"limit": 20}, as_json=False)
    shown = console.export_text()
    assert "72 high · T1571 / AN0633" in shown
    assert "svchost.exe (netsvcs) connected out to tcp/5678" in shown
    assert "+43  Port is new [for] this program." in shown
    assert "·  Not available: bytes." in shown
    assert "finding 0b0e6ed6-0000-4000-8000-000000000001: acknowledged" in shown
    assert "2 findings, and more." in shown


def test_a_fleet_finding_is_shown_once_with_its_nodes_where_its_score_belongs() -> None:
    console = Console(record=True, width=140)
    show_findings(console, SERVED, {"limit": 20}, as_json=False)
    shown = console.export_text()
    assert "On 1,060 nodes, from 2026-11-20 09:00 UTC to 2026-11-20 11:00 UTC: LT-0001, LT-0002 and 1,058 more" in shown
    assert shown.index("LT-0033") < shown.index("1,060 nodes")


def test_a_limit_is_of_both_kinds_together(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(record=True, width=140)
    show_findings(console, SERVED, {"limit": 1}, as_json=False)
    assert "1,060 nodes" not in console.export_text()
    show_findings(console, SERVED, {"limit": 1}, as_json=True)
    document = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (document["items"], document["fleet_findings"]) == ([FINDING], [FLEET_FINDING])


@pytest.mark.parametrize("direction", ["outbound", "listening", "signature", "service", "launchd"])
def test_every_direction_has_its_sentence(direction: str) -> None:
    assert headline({"behaviour": BEHAVIOUR | {"direction": direction}}).startswith("svchost.exe (netsvcs) ")


def test_a_refusal_says_what_the_server_said() -> None:
    with pytest.raises(NotSignedIn, match="PORTBOOK_TOKEN"):
        get(client(401, {"detail": "send a header"}), "/api/v1/findings", {})
    with pytest.raises(InvalidRequest, match="422: limit"):
        get(client(422, {"detail": "limit: too large"}), "/api/v1/findings", {})


def test_a_refusal_names_the_field_and_each_of_several_faults() -> None:
    faults = [{"pointer": f"ports/{number}", "detail": "is no port"} for number in range(12)]
    with pytest.raises(InvalidRequest) as refused:
        get(client(422, {"detail": "ports/0: is no port, and 11 more", "errors": faults}), "/api/v1/findings", {})
    head, first, *_, last = refused.value.detail.splitlines()
    assert head.endswith("422: 12 faults")
    assert (first, last) == ("  ports/0: is no port", "  and 2 more")
    with pytest.raises(InvalidRequest, match=r"422: visible text only \[text\]$"):
        get(client(422, {"detail": "visible text only", "field": "text"}), "/api/v1/findings", {})
    with pytest.raises(InvalidRequest, match=r"409: somebody was faster \[version\]$"):
        get(client(409, {"detail": "somebody was faster", "field": "version"}), "/api/v1/findings", {})


def test_a_server_that_is_away_is_one_sentence() -> None:
    def refuse(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused")

    away = httpx.Client(transport=httpx.MockTransport(refuse), base_url="https://portbook.test")
    with pytest.raises(InvalidRequest, match=r"no answer from https://portbook\.test: connection refused"):
        get(away, "/api/v1/findings", {})


def test_an_answer_of_something_else_is_one_sentence() -> None:
    page = httpx.MockTransport(lambda _request: httpx.Response(200, text="<html>"))
    with pytest.raises(InvalidRequest, match="without JSON"):
        get(httpx.Client(transport=page, base_url="https://portbook.test"), "/api/v1/findings", {})


def test_a_certificate_that_is_none_is_named(tmp_path: Path) -> None:
    nothing, text = tmp_path / "nothing.pem", tmp_path / "text.pem"
    text.write_text("no certificate")
    with pytest.raises(InvalidRequest, match=r"nothing\.pem: No such file"):
        api_client("https://portbook.test", "", nothing)
    with pytest.raises(InvalidRequest, match=r"text\.pem: not a PEM"):
        api_client("https://portbook.test", "", text)
