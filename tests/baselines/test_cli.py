"""portbook baseline, from history to a version in force, against the application itself."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result
from typing_extensions import override

from app import api_client
from app.baseline_cli import baseline_app
from app.command_line import console, errors
from tests.baselines.lived import a_past, outbound
from tests.baselines.people import BASELINES, Shop, a_shop, an_entry, created, ok, url
from tests.factories import Server, a_name

DAYS = 20
SEEN = ("--reason", "seen with the shop")


class Bridge(httpx.BaseTransport):
    """Lets a command in a thread speak to the application in the test's loop."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client, self._loop = client, asyncio.get_running_loop()

    @override
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        asked = self._client.request(request.method, request.url, content=request.read(), headers=_said(request))
        answer = asyncio.run_coroutine_threadsafe(asked, self._loop).result()
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


def _said(request: httpx.Request) -> dict[str, str]:
    return {name: value for name, value in request.headers.items() if name == "content-type"}


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    for each in (console, errors):
        monkeypatch.setattr(each, "_width", 220)


async def run(
    server: Server, monkeypatch: pytest.MonkeyPatch, *arguments: str, by: httpx.AsyncClient | None = None
) -> Result:
    bridge = Bridge(by or server.api)
    monkeypatch.setattr(
        api_client, "api_client", lambda *_: httpx.Client(transport=bridge, base_url=str(server.api.base_url))
    )
    return await asyncio.to_thread(CliRunner().invoke, baseline_app, arguments)


async def shown(
    server: Server, monkeypatch: pytest.MonkeyPatch, *arguments: str, by: httpx.AsyncClient | None = None
) -> str:
    result = await run(server, monkeypatch, *arguments, by=by)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


async def read(server: Server, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Any:
    return json.loads(await shown(server, monkeypatch, *arguments, "--json"))


async def test_from_history_to_a_version_in_force(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shop = Shop(server, a_name("shop"))
    past = await a_past(server.database, shop.role, 40, DAYS)
    await past.shows(outbound("till.exe"), DAYS, 40)
    await past.shows(outbound("[red]odd.exe"), DAYS, 40, signer="")
    of = (shop.role, "windows")
    text = await shown(server, monkeypatch, "propose", *of, "--days", str(DAYS), "--owner", "shop")
    assert "Version 1 is a draft: 1 new entry, 0 kept" in text
    assert "[red]odd.exe outbound tcp/443" in text
    assert "no node said who signed it" in text
    file = tmp_path / "till.yaml"
    await shown(server, monkeypatch, "export", *of, "--output", str(file))
    file.write_text(file.read_text("utf-8").replace("justification: ''", "justification: the till"), "utf-8")
    assert "is new: the till (owner shop)" in await shown(server, monkeypatch, "diff", str(file))
    text = await shown(server, monkeypatch, "apply", str(file), "--reason", "justified")
    assert "version 2 is a draft; submit it, and somebody else decides" in text
    assert shop.role in {each["role"] for each in await read(server, monkeypatch, "list")}
    [found] = ok(await server.api.get(BASELINES, params={"role": shop.role}))
    draft = {"baseline_id": found["baseline_id"], "number": 2}
    ok(await server.api.post(f"{url(draft)}/submit"))
    assert "would withdraw no open finding" in await shown(server, monkeypatch, "show", *of, "--version", "2")
    await shop.approve(draft)
    assert "nothing differs" in await shown(server, monkeypatch, "apply", str(file), "--reason", "again")
    text = await shown(server, monkeypatch, "show", *of)
    assert "version 2 · approved" in text
    assert "the till" in text
    text = await shown(server, monkeypatch, "list")
    assert shop.role in text
    assert "version 2" in text
    words = await shown(server, monkeypatch, "diff", *of, "1", "2")
    assert "justification nothing becomes the till" in words


async def test_what_an_approval_would_close_is_shown(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = await a_shop(server)
    key = await shop.node()
    await shop.shows_odd(key)
    await shop.submitted(an_entry())
    text = await shown(server, monkeypatch, "show", shop.role, "windows")
    assert "An approval would withdraw 1 open finding:" in text
    assert "odd.exe connected out to tcp/4444 (open)" in text
    assert "wide: peers anywhere" in text


async def test_a_version_is_submitted_and_decided_on_at_the_command_line(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = await a_shop(server)
    await shop.shows_odd(await shop.node())
    await shop.draft(an_entry())
    of = (shop.role, "windows", "--version")
    assert "version 1 · submitted" in await shown(server, monkeypatch, "submit", *of, "1")
    own = await run(server, monkeypatch, "approve", *of, "1", "--reason", "mine")
    assert "answered 403" in str(own.exception)
    blank = await run(server, monkeypatch, "approve", *of, "1", "--reason", " ", by=server.approver)
    assert "reason must be one visible line" in str(blank.exception)
    when = await run(server, monkeypatch, "approve", *of, "1", *SEEN, "--in-force-from", "soon", by=server.approver)
    assert "in_force_from: " in str(when.exception)
    text = await shown(server, monkeypatch, "approve", *of, "1", *SEEN, by=server.approver)
    assert "version 1 · approved" in text
    assert "Withdrew 1 open finding:" in text
    assert "odd.exe connected out to tcp/4444" in text
    await shop.draft()
    assert "version 2 · abandoned" in await shown(server, monkeypatch, "abandon", *of, "2", "--reason", "too little")
    await shop.submitted()
    assert "version 3 · rejected" in await shown(server, monkeypatch, "reject", *of, "3", *SEEN, by=server.approver)


async def test_reviews_are_listed_with_what_came_of_them(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = await a_shop(server)
    version = (await shop.approved(an_entry()))["version"]
    assert shop.role in await shown(server, monkeypatch, "reviews")
    body = {"trigger": "incident", "reason": "a backdoor"}
    opened = created(await server.api.post(f"{BASELINES}/{version['baseline_id']}/reviews", json=body))
    done = {"version": 1, "others_confirmed": True}
    ok(await server.api.post(f"/api/v1/baseline-reviews/{opened['review_id']}/done", json=done))
    text = await shown(server, monkeypatch, "reviews", "--state", "done")
    assert "incident: a backdoor" in text
    assert "1 confirmed" in text
    assert "(wrote it alone)" in text
    assert "no review is overdue" in await shown(server, monkeypatch, "reviews", "--state", "overdue")


async def test_after_an_incident_what_nobody_shows_is_reviewed_away_at_the_command_line(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = await a_shop(server)
    await shop.shows_odd(await shop.node())
    await shop.approved(an_entry(), an_entry(ports="9999"))
    of = (shop.role, "windows")
    opened = await shown(server, monkeypatch, "review", *of, "--after", "incident", "--reason", "a backdoor")
    assert "incident: a backdoor" in opened
    [unused] = (await read(server, monkeypatch, "unused", *of))["items"]
    said = await shown(server, monkeypatch, "unused", *of)
    assert f"{unused['entry']['entry']}  never shown" in said
    assert "Version 1: 1 entry not shown for 30 days; history reaches back to" in said
    number = max(each["review_id"] for each in (await read(server, monkeypatch, "reviews"))["items"])
    silent = await run(server, monkeypatch, "reviewed", str(number), "--version", "1")
    assert "confirm" in str(silent.exception)
    verdict = ("--remove", unused["entry"]["entry"], "--confirm-others", "--notes", "gone since May")
    done = await shown(server, monkeypatch, "reviewed", str(number), "--version", "1", *verdict)
    assert "1 confirmed, 1 to remove; draft 2" in done


async def test_a_file_with_faults_is_told_line_by_line_and_not_sent(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("role: till\nplatform: windows\nentries:\n- program: a.exe\n  ports: &x 1\n", "utf-8")
    result = await run(server, monkeypatch, "apply", str(file), "--reason", "x")
    assert result.exit_code == 2
    assert f"{file}:5: anchors are not taken: &x" in result.output
    missing = await run(server, monkeypatch, "show", "nobody", "windows")
    assert "no baseline of nobody on windows" in str(missing.exception)
