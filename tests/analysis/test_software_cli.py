import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from app import api_client
from app.analysis.software_cli import software_app
from app.problems import NotFound
from app.software.approved_csv import read_approved

HEADER = "name,publisher,path,ports\n"
ENTRY = {
    "line": 2, "name": "Zoom [Workplace]", "publisher": "Zoom Inc", "team_id": "", "path": "", "owner": "IT",
    "until": "2020-01-01", "ports": "tcp/443", "note": "",
}  # fmt: skip
RECEIPT = {
    "import_id": 3, "sha256": "ab" * 32, "encoding": "utf-8", "delimiter": "comma",
    "entries": 1, "added": 1, "removed": 0, "shown_added": [ENTRY], "shown_removed": [],
}  # fmt: skip
IMPORT = {
    "import_id": 3, "imported_at": "2026-11-18T10:00:00Z", "imported_by": "Ada (token first)", "file_name": "a.csv",
    "sha256": "ab" * 32, "encoding": "utf-8", "delimiter": "comma",
    "entries": 1, "added": 1, "removed": 0, "heeded_at": None,
}  # fmt: skip
FLEET = {"name": "Zoom", "publisher": "Zoom Inc", "nodes": 7, "versions": 2, "reported_at": "2026-11-18T10:00:00Z"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[httpx.Request]:
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        params = request.url.params
        if request.method == "POST":
            return httpx.Response(200, json=RECEIPT | ({"import_id": None} if params["dry_run"] == "true" else {}))
        second = {"items": [ENTRY | {"name": "Slack", "line": 3, "until": None, "ports": ""}], "next": None}
        pages: dict[str, Any] = {
            "approved": second if "cursor" in params else {"items": [ENTRY], "next": "more"},
            "imports": {"items": [IMPORT], "next": None},
            "fleet": {"items": [FLEET], "next": None},
        }
        return httpx.Response(200, json=pages[request.url.path.rpartition("/")[2]])

    transport = httpx.MockTransport(answer)
    url = "https://portbook.test"
    monkeypatch.setattr(api_client, "api_client", lambda *_: httpx.Client(transport=transport, base_url=url))
    return requests


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(software_app, arguments)
    assert result.exit_code == code, result.output
    return result.output


def a_file(tmp_path: Path, *rows: str) -> str:
    path = tmp_path / "approved.csv"
    path.write_text(HEADER + "".join(rows), "utf-8")
    return str(path)


def test_an_import_sends_the_file_and_says_what_changed(tmp_path: Path, asked: list[httpx.Request]) -> None:
    shown = run("import", a_file(tmp_path, "Zoom,Zoom Inc,,\n"), "--by", "Ada")
    assert "+ Zoom [Workplace]  Zoom Inc" in shown
    assert "Import 3: 1 entry, 1 new or changed, 0 gone or changed." in shown
    [request] = asked
    assert dict(request.url.params) == {"file_name": "approved.csv", "by": "Ada", "dry_run": "false"}
    assert request.content == (HEADER + "Zoom,Zoom Inc,,\n").encode()


def test_a_dry_run_says_that_it_is_one(tmp_path: Path, asked: list[httpx.Request]) -> None:
    assert "Nothing imported (dry run)" in run("import", a_file(tmp_path, "Zoom,Zoom Inc,,\n"), "--dry-run")
    assert asked[0].url.params["dry_run"] == "true"


def test_a_bad_file_is_named_with_line_and_field_before_anything_is_sent(
    tmp_path: Path, asked: list[httpx.Request]
) -> None:
    file = a_file(tmp_path, "Zoom,,,\n", "=1,Maker,,tcp/0\n")
    shown = run("import", file, code=2)
    assert f"{file}:2: publisher: a name alone approves nothing" in shown
    assert f"{file}:3: name: '=1' begins as a formula does" in shown
    assert f"{file}:3: ports: 'tcp/0' is no port" in shown
    assert asked == []


@pytest.mark.usefixtures("asked")
def test_the_list_shows_what_has_expired_and_what_is_open() -> None:
    shown = run("list")
    assert "2020-01-01 expired" in shown
    assert "Zoom [Workplace]" in shown
    assert "2 entries." in shown
    assert [each["name"] for each in json.loads(run("list", "--json"))] == ["Zoom [Workplace]", "Slack"]


@pytest.mark.usefixtures("asked")
def test_an_entry_is_shown_in_full_with_its_nodes() -> None:
    shown = run("show", "zoom")
    assert "tcp/443" in shown
    assert "installed on 7 nodes" in shown
    with pytest.raises(NotFound, match="nothing-like-it"):
        CliRunner().invoke(software_app, ["show", "nothing-like-it"], catch_exceptions=False)


@pytest.mark.usefixtures("asked")
def test_imports_name_who_when_and_hash() -> None:
    shown = run("imports")
    assert "Ada (token first)" in shown
    assert "2026-11-18 10:00" in shown
    assert "abababababababab" in shown


@pytest.mark.usefixtures("asked")
def test_an_export_can_be_imported_again() -> None:
    entries = read_approved(run("export").encode()).entries
    assert [(each.name, str(each.until), len(each.ports)) for each in entries] == [
        ("Zoom [Workplace]", "2020-01-01", 1),
        ("Slack", "None", 0),
    ]
