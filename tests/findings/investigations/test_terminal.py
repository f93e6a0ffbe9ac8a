import json
from io import StringIO
from typing import Any

import httpx
import pytest
from rich.console import Console

from app.findings.investigations import terminal

ANSWER = {
    "query": "process_tree",
    "statement": "SELECT 1",
    "sent_at": "2026-11-20T10:00:30Z",
    "times_sent": 1,
    "answered_at": "2026-11-20T10:00:31Z",
    "status": 0,
    "message": "",
    "rows": [{"depth": "-1", "name": "explorer.exe", "note": ""}, {"depth": "0", "name": "[red]x\x1b[2J", "note": ""}],
    "rows_total": 2,
    "cut": False,
}
FOUND = {
    "investigation_id": "5a1f",
    "finding_id": "77b2",
    "state": "partial",
    "asked_by": "ada",
    "asked_at": "2026-11-20T10:00:00.123Z",
    "expires_at": "2026-11-21T10:00:00Z",
    "answer_expected_by": None,
    "node": {"hostname": "LT-0033", "online": True, "last_heard_at": "2026-11-20T09:59:00Z"},
    "about": {"process_id": 7312, "process_started": 1795213801, "path": "C:\\relay.exe", "unit": None},
    "left_out": {"service": "not known: pid, unit"},
    "answers": [
        ANSWER,
        ANSWER | {"query": "file_hash", "rows": [{"path": "C:\\relay.exe", "sha256": "9c56"}], "rows_total": 1},
        ANSWER | {"query": "sockets_now", "status": 1, "message": "distributed query is denylisted", "rows": []},
        ANSWER | {"query": "listening_ports", "rows": [{"a": "b"}], "rows_total": 700, "cut": True},
        ANSWER | {"query": "authenticode", "answered_at": None, "rows": None, "rows_total": None, "status": None},
    ],
}


def shown(found: dict[str, Any]) -> str:
    written = StringIO()
    terminal.show(Console(file=written, width=120), found)
    return written.getvalue()


def client(*pages: dict[str, Any]) -> httpx.Client:
    """Answers with the pages one after the other."""
    waiting = iter(pages)
    transport = httpx.MockTransport(lambda _request: httpx.Response(200, json=next(waiting)))
    return httpx.Client(transport=transport, base_url="https://portbook.test")


def test_every_answer_is_shown_with_how_it_went() -> None:
    text = shown(FOUND)
    for said in (
        "partial · LT-0033 is online, last heard 2026-11-20 09:59:00 UTC",
        "pid 7312, started 2026-11-20 22:30:01 UTC, C:\\relay.exe",
        "process_tree  2 rows, 2026-11-20 10:00:31 UTC",
        "explorer.exe",
        "sha256  9c56",
        "sockets_now  failed: distributed query is denylisted",
        "listening_ports  700 rows, the first 1 are kept",
        "authenticode  sent 1 times, no answer",
        "service  not asked: not known: pid, unit",
    ):
        assert said in text, said


def test_what_a_node_says_cannot_write_on_the_terminal() -> None:
    text = shown(FOUND)
    assert "[red]x" in text
    assert "\x1b" not in text


def test_a_column_in_which_nothing_is_said_is_left_out() -> None:
    assert "note" not in shown(FOUND)


STATEMENT = "WITH a AS (SELECT a, b, z) SELECT t.z, t.b AS a FROM a LIMIT 5"


def in_text(rows: list[dict[str, str]], width: int) -> str:
    console = Console(record=True, width=width, file=StringIO())
    console.print(terminal.rows_view(rows, STATEMENT, width))
    return console.export_text()


def test_columns_stand_in_the_order_of_the_statement() -> None:
    head = next(line for line in in_text([{"a": "1", "b": "2", "z": "3"}] * 2, 80).splitlines() if line.strip())
    assert head.split() == ["z", "b", "a"]


def test_rows_that_are_too_wide_for_a_table_are_shown_as_names_and_values() -> None:
    rows = [{"a": "x" * 300, "b": "y" * 30, "z": str(number)} for number in range(2)]
    assert "─" in in_text(rows, 80)
    narrow = in_text(rows, 50).splitlines()
    assert [line.split() for line in narrow if line.startswith(("z", "b"))] == [
        ["z", "0"], ["b", "y" * 30], ["z", "1"], ["b", "y" * 30],
    ]  # fmt: skip


def test_one_that_runs_says_how_to_see_it_later() -> None:
    assert "portbook investigate 77b2 --show" in shown(FOUND | {"state": "sent"})
    assert "--show" not in shown(FOUND)


def test_waiting_ends_with_the_last_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "POLL_SECONDS", 0.0)
    found = terminal.wait(client(FOUND | {"state": "sent"}, FOUND), Console(quiet=True), FOUND | {"state": "waiting"})
    assert found["state"] == "partial"


def test_ctrl_c_ends_the_waiting_and_keeps_what_came(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(terminal.time, "sleep", interrupt)
    assert terminal.wait(client(), Console(quiet=True), FOUND | {"state": "sent"})["state"] == "sent"


def test_it_asks_what_is_wanted() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(201, json=FOUND)

    with httpx.Client(transport=httpx.MockTransport(answer), base_url="https://portbook.test") as opened:
        terminal.ask(opened, "77b2", ["file_hash"])
        terminal.ask(opened, "77b2", [])
    assert [json.loads(each.content) for each in asked] == [{"queries": ["file_hash"]}, {}]
    assert {(each.method, each.url.path) for each in asked} == {("POST", "/api/v1/findings/77b2/investigations")}
