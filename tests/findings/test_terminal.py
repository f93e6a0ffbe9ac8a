from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from rich.console import Console

from app.findings import terminal
from app.findings.terminal import get, headline, show_findings
from app.problems import InvalidRequest, NotSignedIn

BEHAVIOUR = {
    "program": "svchost.exe",
    "unit": "netsvcs",
    "direction": "outbound",
    "transport": "tcp",
    "port": "5678",
}
FINDING = {
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


def client(status: int, document: Any) -> httpx.Client:
    transport = httpx.MockTransport(lambda _request: httpx.Response(status, json=document))
    return httpx.Client(transport=transport, base_url="https://portbook.test")


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    page = {"items": [FINDING], "next": "more"}
    monkeypatch.setattr(terminal, "api_client", lambda *_: client(200, page))
    return


@pytest.mark.usefixtures("served")
def test_a_finding_is_shown_with_its_points_and_what_could_not_be_seen() -> None:
    console = Console(record=True, width=100)
    show_findings(console, url="", token="", ca_file=None, severity=[], limit=20, as_json=False)
    shown = console.export_text()
    assert "72 high · T1571 / AN0633" in shown
    assert "svchost.exe (netsvcs) connected out to tcp/5678" in shown
    assert "+43  Port is new [for] this program." in shown
    assert "·  Not available: bytes." in shown
    assert "1 finding, and more." in shown


@pytest.mark.parametrize("direction", ["outbound", "listening", "signature", "service", "launchd"])
def test_every_direction_has_its_sentence(direction: str) -> None:
    assert headline({"behaviour": BEHAVIOUR | {"direction": direction}}).startswith("svchost.exe (netsvcs) ")


def test_a_refusal_says_what_the_server_said() -> None:
    with pytest.raises(NotSignedIn, match="send a token"):
        get(client(401, {"detail": "send a token"}), "/api/v1/findings", {})
    with pytest.raises(InvalidRequest, match="422: limit"):
        get(client(422, {"detail": "limit: too large"}), "/api/v1/findings", {})


def test_a_server_that_is_away_is_one_sentence() -> None:
    def refuse(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused")

    away = httpx.Client(transport=httpx.MockTransport(refuse), base_url="https://portbook.test")
    with pytest.raises(InvalidRequest, match=r"no answer from https://portbook\.test: connection refused"):
        get(away, "/api/v1/findings", {})
