"""The pages: what they say, to whom, and that nothing gets in or out that is not ours."""

from collections.abc import AsyncIterator, Callable
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest
from typing_extensions import override

from app.access.actor import PORTBOOK
from app.access.attempts import OF_NAME
from app.access.duties import Duty
from app.access.operators import NewOperator, add
from app.clock import utc_now
from app.web.page import CONTENT_SECURITY_POLICY
from app.web.static import static_files, static_url
from tests.factories import Server, a_name, a_sign_in, a_token, an_operator

PASSWORD, NEW = "a long one for the tests", "quite another long one"


class Read(HTMLParser):
    """Elements with their attributes, and the text of a page."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        self.feed(answer.text)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    @override
    def handle_data(self, data: str) -> None:
        self.text += data

    def value(self, name: str) -> str | None:
        return next(attributes.get("value") for tag, attributes in self.elements if attributes.get("name") == name)


@pytest.fixture
async def browser(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(server.app, raise_app_exceptions=False, client=(a_name("address"), 1))
    headers = {"Sec-Fetch-Site": "same-origin"}
    async with httpx.AsyncClient(transport=transport, base_url="https://portbook.test", headers=headers) as client:
        yield client


async def somebody(server: Server, *duties: Duty) -> str:
    name = a_name("operator")
    wanted = NewOperator(name, frozenset(duties or {Duty.VIEWER}), password=PASSWORD)
    await add(server.database, wanted, PORTBOOK, utc_now())
    return name


async def sign_in(client: httpx.AsyncClient, name: str, **given: str) -> httpx.Response:
    return await client.post("/sign-in", data={"name": name, "password": PASSWORD} | given)


async def test_from_a_page_to_the_sign_in_and_back(server: Server, browser: httpx.AsyncClient) -> None:
    name = await somebody(server, Duty.ANALYST, Duty.AUDITOR)
    sent_away = await browser.get("/")
    assert (sent_away.status_code, sent_away.headers["location"]) == (303, "/sign-in")
    assert Read(await browser.get("/sign-in?next=/findings%3Fstate%3Dopen")).value("next") == "/findings?state=open"
    answer = await sign_in(browser, name, next="/findings?state=open")
    assert (answer.status_code, answer.headers["location"]) == (303, "/findings?state=open")
    page = Read(await browser.get("/"))
    for words in (name, "triages, investigates", "read the audit log", "this one", "You see nodes of every role."):
        assert words in page.text
    assert "change the knobs" not in page.text
    there = await browser.get("/sign-in?next=/nodes")
    assert (there.status_code, there.headers["location"]) == (303, "/nodes")
    kept = dict(browser.cookies)
    out = await browser.post("/sign-out", data={"csrf_token": str(page.value("csrf_token"))})
    assert (out.status_code, out.headers["location"]) == (303, "/sign-in")
    browser.cookies.update(kept)
    assert (await browser.get("/")).status_code == 303


@pytest.mark.parametrize(
    "elsewhere", ["//evil.test", "https://evil.test", "/\\evil.test", "/\t/evil.test", "javascript:x"]
)
async def test_nobody_is_led_to_another_site_after_signing_in(
    server: Server, browser: httpx.AsyncClient, elsewhere: str
) -> None:
    assert Read(await browser.get("/sign-in", params={"next": elsewhere})).value("next") == "/"
    answer = await sign_in(browser, await somebody(server), next=elsewhere)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert (await browser.get("/sign-in", params={"next": elsewhere})).headers["location"] == "/"


async def test_a_wrong_password_is_said_so_that_everybody_perceives_it(
    server: Server, browser: httpx.AsyncClient
) -> None:
    name = await somebody(server)
    for _ in range(OF_NAME.allowed):
        wrong = await sign_in(browser, name, password="wrong", next="/nodes")
        assert wrong.status_code == 422
    page = Read(wrong)
    assert (page.value("name"), page.value("password"), page.value("next")) == (name, None, "/nodes")
    by_id = {attributes.get("id"): attributes for _, attributes in page.elements}
    assert by_id["fault"]["role"] == "alert"
    for field in ("name", "password"):
        assert (by_id[field]["aria-invalid"], by_id[field]["aria-describedby"]) == ("true", "fault")
        assert ("label", {"for": field}) in page.elements
    locked = await sign_in(browser, name)
    assert locked.status_code == 429
    assert int(locked.headers["retry-after"]) > 0
    assert "try again in" in Read(locked).text


HOSTILE = "<script>alert(1)</script>\"' onload=x"


async def test_what_somebody_typed_is_shown_as_text(browser: httpx.AsyncClient) -> None:
    answer = await browser.post("/sign-in", data={"name": HOSTILE, "password": "x", "next": HOSTILE})
    assert HOSTILE not in answer.text
    page = Read(answer)
    assert page.value("name") == HOSTILE
    assert not [tag for tag, _ in page.elements if tag == "script"]


@pytest.mark.parametrize(
    "content", [b"name=%ff", b"name=a&name=b", b"a=b&" * 200, b"x" * 70_000, b"", b"\0", b"name=\xff"]
)
async def test_no_form_is_too_odd_for_an_answer(browser: httpx.AsyncClient, content: bytes) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await browser.post("/sign-in", content=content, headers=headers)
    assert answer.status_code == 422
    assert Read(answer).elements


async def test_a_form_of_another_site_does_nothing(server: Server, browser: httpx.AsyncClient) -> None:
    name = await somebody(server)
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site", "Origin": "https://evil.test"}):
        forced = await browser.post("/sign-in", data={"name": name, "password": PASSWORD}, headers=headers)
        assert forced.status_code == 403
    await sign_in(browser, name)
    token = str(Read(await browser.get("/")).value("csrf_token"))
    for path, data, headers in (
        ("/sign-out", {"csrf_token": token}, {"Sec-Fetch-Site": "cross-site"}),
        ("/sign-out", {}, {}),
        ("/sign-out", {"csrf_token": "x"}, {}),
        ("/password", {"old": PASSWORD, "new": NEW, "again": NEW}, {}),
    ):
        answer = await browser.post(path, data=data, headers=headers)
        assert answer.status_code == 403
        assert "Forbidden" in Read(answer).text
    assert (await browser.get("/")).status_code == 200


async def test_the_password_is_changed_on_the_page(server: Server, browser: httpx.AsyncClient) -> None:
    await sign_in(browser, await somebody(server))
    token = str(Read(await browser.get("/")).value("csrf_token"))
    for given, field in (
        ({"old": "wrong", "new": NEW, "again": NEW}, "old"),
        ({"old": PASSWORD, "new": "short", "again": "short"}, "new"),
        ({"old": PASSWORD, "new": NEW, "again": f"{NEW}!"}, "again"),
    ):
        answer = await browser.post("/password", data=given | {"csrf_token": token})
        assert answer.status_code == 422
        page = Read(answer)
        marked = [attributes["id"] for tag, attributes in page.elements if attributes.get("aria-invalid")]
        assert marked == [field]
        assert NEW not in answer.text
    done = await browser.post("/password", data={"old": PASSWORD, "new": NEW, "again": NEW, "csrf_token": token})
    assert (done.status_code, done.headers["location"]) == (303, "/?done=password-changed")
    assert "Your password is changed" in Read(await browser.get("/?done=password-changed")).text
    assert HOSTILE not in (await browser.get("/", params={"done": HOSTILE})).text


async def test_who_signs_in_by_openid_has_no_password_to_change(server: Server) -> None:
    headers = await a_sign_in(server.database, await an_operator(server.database, Duty.VIEWER))
    assert "Change your password" not in Read(await server.agents.get("/", headers=headers)).text


async def test_pages_are_for_people(server: Server) -> None:
    headers = {"Authorization": f"Bearer {await a_token(server.database, Duty.VIEWER)}"}
    answer = await server.agents.get("/", headers=headers)
    assert answer.status_code == 403
    assert "a token may not" in Read(answer).text


def is_inline(tag: str, attributes: dict[str, Any]) -> bool:
    return tag in {"script", "style", "base", "iframe", "object"} or any(
        name == "style" or name.startswith("on") for name in attributes
    )


@pytest.mark.parametrize("path", ["/", "/sign-in", "/sign-in?next=//evil.test", "/password"])
async def test_a_page_holds_nothing_that_its_policy_forbids(server: Server, path: str) -> None:
    headers = {} if "sign-in" in path else await a_sign_in(server.database, await somebody(server))
    ask: Callable[..., Any] = server.agents.post if path == "/password" else server.agents.get
    answer = await ask(path, headers=headers)
    assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    page = Read(answer)
    assert [each for each in page.elements if is_inline(*each)] == []
    addresses = [attributes.get(name) for _, attributes in page.elements for name in ("href", "src", "action")]
    assert [each for each in addresses if each and not each.startswith(("/", "#"))] == []


async def test_what_pages_are_made_of_is_served_and_kept(server: Server) -> None:
    assert static_files().keys() == {"app.css", "icon.svg"}
    for name, there in static_files().items():
        named = await server.agents.get(static_url(name))
        assert (named.status_code, named.content) == (200, there.content)
        assert "immutable" in named.headers["cache-control"]
        assert named.headers["x-content-type-options"] == "nosniff"
        for other in ("", "?v=x"):
            assert (await server.agents.get(f"/static/{name}{other}")).headers["cache-control"] == "no-cache"
    for name in ("nothing", "..%2fpage.py", "%2e%2e/page.py", "app.css%00"):
        assert (await server.agents.get(f"/static/{name}")).status_code == 404
