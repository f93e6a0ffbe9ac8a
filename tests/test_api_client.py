from pathlib import Path
from typing import Any

import httpx
import pytest

from app.api_client import api_client, get, get_text, opened
from app.problems import InvalidRequest, NotSignedIn


def client(status: int, document: Any) -> httpx.Client:
    transport = httpx.MockTransport(lambda _request: httpx.Response(status, json=document))
    return httpx.Client(transport=transport, base_url="https://portbook.test")


def test_a_refusal_says_what_the_server_said() -> None:
    with pytest.raises(NotSignedIn, match="PORTBOOK_TOKEN"):
        get(client(401, {"detail": "send a header"}), "/api/v1/findings")
    with pytest.raises(InvalidRequest, match="422: limit"):
        get(client(422, {"detail": "limit: too large"}), "/api/v1/findings")


def test_a_refusal_names_the_field_and_each_of_several_faults() -> None:
    faults = [{"pointer": f"ports/{number}", "detail": "is no port"} for number in range(12)]
    with pytest.raises(InvalidRequest) as refused:
        get(client(422, {"detail": "ports/0: is no port, and 11 more", "errors": faults}), "/api/v1/findings")
    head, first, *_, last = refused.value.detail.splitlines()
    assert head.endswith("422: 12 faults")
    assert (first, last) == ("  ports/0: is no port", "  and 2 more")
    with pytest.raises(InvalidRequest, match=r"422: visible text only \[text\]$"):
        get(client(422, {"detail": "visible text only", "field": "text"}), "/api/v1/findings")
    with pytest.raises(InvalidRequest, match=r"409: somebody was faster \[version\]$"):
        get(client(409, {"detail": "somebody was faster", "field": "version"}), "/api/v1/findings")


def test_a_server_that_is_away_is_one_sentence() -> None:
    def refuse(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused")

    away = httpx.Client(transport=httpx.MockTransport(refuse), base_url="https://portbook.test")
    with pytest.raises(InvalidRequest, match=r"no answer from https://portbook\.test: connection refused"):
        get(away, "/api/v1/findings")
    with pytest.raises(InvalidRequest, match="connection refused"):
        get_text(away, "/api/v1/baselines/1/versions/1/file")
    with pytest.raises(InvalidRequest, match="connection refused"), opened(away, "POST", "/api/v1/baselines/proposals"):
        pass


def test_an_answer_of_something_else_is_one_sentence() -> None:
    page = httpx.MockTransport(lambda _request: httpx.Response(200, text="<html>"))
    with pytest.raises(InvalidRequest, match="without JSON"):
        get(httpx.Client(transport=page, base_url="https://portbook.test"), "/api/v1/findings")


def test_a_certificate_that_is_none_is_named(tmp_path: Path) -> None:
    nothing, text = tmp_path / "nothing.pem", tmp_path / "text.pem"
    text.write_text("no certificate")
    with pytest.raises(InvalidRequest, match=r"nothing\.pem: No such file"):
        api_client("https://portbook.test", "", nothing)
    with pytest.raises(InvalidRequest, match=r"text\.pem: not a PEM"):
        api_client("https://portbook.test", "", text)
