"""`portbook finding` sends what the API takes, and shows what happened to a finding."""

import json
from typing import Any

import httpx
import pytest
from rich.console import Console

from app.findings.triage import terminal
from app.problems import InvalidRequest
from tests.findings.found import CHECKS
from tests.findings.test_terminal import FINDING

CHANGE = {
    "at": "2026-11-20T10:00:00Z", "kind": "state", "actor_name": "ada", "from_state": "open", "to_state": "remediated",
    "assignee": None, "reason": "[gone]", "checks": CHECKS, "reference": "",
}  # fmt: skip


class Spoken:
    """A server that notes what it is asked."""

    def __init__(self, document: Any) -> None:
        self.asked: list[tuple[str, Any]] = []
        self._document = document
        self.client = httpx.Client(transport=httpx.MockTransport(self._answer), base_url="https://portbook.test")

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append((request.url.raw_path.decode(), json.loads(request.content) if request.content else None))
        if isinstance(self._document, dict) and request.url.path in self._document:
            return httpx.Response(200, json=self._document[request.url.path])
        return httpx.Response(200, json=self._document)


def test_checks_are_read_by_name() -> None:
    said = terminal.checks_from(["process=the updater = signed"], ["user=no user in the row"])
    assert said == {
        "process": {"checked": True, "note": "the updater = signed"},
        "user": {"unknown": "no user in the row"},
    }
    assert terminal.checks_from([], []) is None
    for checked, unknown in ((["process"], []), (["user=x"], ["user=y"])):
        with pytest.raises(InvalidRequest):
            terminal.checks_from(checked, unknown)


def test_one_several_and_a_fleet_finding_are_each_asked_for_at_their_place() -> None:
    spoken, decision = Spoken({"findings": 7}), {"state": "acknowledged", "reason": "x"}
    said = [
        terminal.triage(spoken.client, ids, decision, is_fleet=is_fleet).plain
        for ids, is_fleet in ((["a/b"], False), (["a", "b"], False), (["f"], True))
    ]
    assert said == ["1 finding: acknowledged", "7 findings: acknowledged", "7 findings: acknowledged"]
    assert spoken.asked == [
        ("/api/v1/findings/a%2Fb/state", decision),
        ("/api/v1/findings/bulk/state", decision | {"finding_ids": ["a", "b"]}),
        ("/api/v1/fleet-findings/f/state", decision),
    ]
    with pytest.raises(InvalidRequest, match="one fleet finding"):
        terminal.triage(spoken.client, ["f", "g"], decision, is_fleet=True)


def test_a_finding_is_shown_with_its_evidence_and_its_past() -> None:
    path = f"/api/v1/findings/{FINDING['finding_id']}"
    pages = {path: FINDING | {"assignee": "ada"}, f"{path}/changes": {"items": [CHANGE], "next": None}}
    console = Console(record=True, width=120)
    terminal.show(console, Spoken(pages).client, str(FINDING["finding_id"]), as_json=False)
    shown = console.export_text()
    for text in (
        "The work of ada.",
        "ada: open → remediated",
        "[gone]",
        "unknown: the owner is away",
        "+43",
    ):
        assert text in shown


def test_what_is_alike_is_shown_with_ids_to_triage() -> None:
    group = {"likeness": "same_port", "words": "other programs", "total": 1_000, "findings": [FINDING]}
    console = Console(record=True, width=160)
    terminal.show_similar(console, Spoken([group]).client, "x", limit=1, as_json=False)
    shown = console.export_text()
    assert "1,000 other programs" in shown
    assert f"{FINDING['finding_id']}  72 high  LT-0033: svchost.exe" in shown
