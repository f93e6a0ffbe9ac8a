import gzip
import io
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.agent_api import import_command
from app.agent_api.import_command import import_files
from app.problems import InvalidRequest

RECEIPT = {"lines": 0, "rows": 0, "nodes": 1, "quarantined": 0, "unreadable_lines": []}


class Portbook:
    """Counts the lines of each request; answers as told."""

    def __init__(self) -> None:
        self.requests: list[list[bytes]] = []
        self.answer: tuple[int, dict[str, Any]] = (200, {})

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/api/v1/results"
        lines = gzip.decompress(request.content).splitlines()
        self.requests.append(lines)
        status, document = self.answer
        return httpx.Response(status, json=RECEIPT | {"lines": len(lines), "rows": len(lines)} | document)

    @property
    def client(self) -> httpx.Client:
        return httpx.Client(transport=httpx.MockTransport(self), base_url="https://portbook.test")


@pytest.fixture
def portbook(monkeypatch: pytest.MonkeyPatch) -> Portbook:
    monkeypatch.setattr(import_command, "LINES_A_REQUEST", 2)
    return Portbook()


def a_file(folder: Path, lines: int, name: str = "results.log") -> Path:
    text = b"".join(json.dumps({"n": number}).encode() + b"\n" for number in range(lines))
    path = folder / name
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def test_files_go_in_pieces_plain_or_compressed(portbook: Portbook, tmp_path: Path) -> None:
    files = [a_file(tmp_path, 3), a_file(tmp_path, 2, "results.log.gz")]
    assert import_files(portbook.client, files, "laptop") == {"lines": 5, "rows": 5, "quarantined": 0}
    assert [len(lines) for lines in portbook.requests] == [2, 1, 2]


def test_a_dash_is_standard_input(portbook: Portbook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"{}\n")))
    assert import_files(portbook.client, [Path("-")], "laptop")["lines"] == 1


def test_a_line_that_is_none_is_named_by_its_place_in_the_file(
    portbook: Portbook, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = a_file(tmp_path, 3)
    portbook.answer = (200, {"unreadable_lines": [1]})
    import_files(portbook.client, [path], "laptop")
    assert capsys.readouterr().err == f"{path}:1: not a result line\n{path}:3: not a result line\n"


def test_a_refusal_names_file_and_line(portbook: Portbook, tmp_path: Path) -> None:
    path = a_file(tmp_path, 1)
    portbook.answer = (422, {"detail": "role: no such role"})
    with pytest.raises(InvalidRequest, match=r"results\.log:1: role: no such role"):
        import_files(portbook.client, [path], "laptop")


@pytest.mark.parametrize("answer", [httpx.ConnectError("connection refused"), httpx.Response(200, text="<html>")])
def test_a_server_that_is_away_or_none_is_one_sentence(tmp_path: Path, answer: httpx.Response | Exception) -> None:
    def served(_request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    client = httpx.Client(transport=httpx.MockTransport(served), base_url="https://portbook.test")
    with pytest.raises(InvalidRequest, match=r"results.log:1: no answer from https://portbook\.test"):
        import_files(client, [a_file(tmp_path, 1)], "laptop")
