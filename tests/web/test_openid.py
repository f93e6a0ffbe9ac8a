"""Sign-in by a real provider, as a browser lives it: Canaille runs here, with its own login and consent forms."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import httpx
import pytest

from app.access.api import COOKIE
from app.access.duties import Duty
from app.access.openid.registration import CALLBACK, Registration
from app.main import create_app
from app.settings import Settings
from app.web.openid import STATE_COOKIE
from tests.access.openid.real_provider import at_canaille, running_canaille
from tests.access.test_audit import lines
from tests.factories import Server, an_operator, serving
from tests.observations.stored import ask, tell

SITE = "https://portbook.test"
START = "/sign-in/openid?next=/%3Fdone%3Dnothing"
#: What Canaille calls them: its subject, and its preferred_username.
ADA, GRACE = ("ada-1815", "ada"), ("grace-1815", "grace")
WHO_NEVER_CONSENTED = "hedy-1815"


@pytest.fixture(scope="module")
def canaille() -> Iterator[Registration]:
    with running_canaille(SITE) as registration:
        yield registration


@pytest.fixture
async def portbook(settings: Settings, database_url: str, canaille: Registration) -> AsyncIterator[Server]:
    given = {
        "public_url": SITE,
        "openid_issuer": canaille.issuer,
        "openid_client_id": canaille.client_id,
        "openid_client_secret": canaille.client_secret,
    }
    async with serving(create_app(settings.model_copy(update=given), database_url)) as server:
        yield server


@asynccontextmanager
async def a_browser(portbook: Server) -> AsyncIterator[httpx.AsyncClient]:
    """Keeps cookies; reaches Portbook without a socket, and the provider by its own."""
    ours = {SITE: httpx.ASGITransport(portbook.app, raise_app_exceptions=False)}
    async with httpx.AsyncClient(base_url=SITE, mounts=ours) as browser:
        yield browser


async def come_back(browser: httpx.AsyncClient, login: str, *, start: str = START, answer: str = "accept") -> str:
    """Go to the provider and sign in there. Returns the address that it sends the browser back to."""
    gone = await browser.get(start)
    assert gone.status_code == 303
    return await at_canaille(browser, gone.headers["location"], login, answer)


async def who(browser: httpx.AsyncClient) -> str | None:
    """The operator whom the browser is signed in as."""
    answer = await browser.get("/api/v1/me")
    return answer.json()["operator"] if answer.is_success else None  # type: ignore[no-any-return]


async def add(portbook: Server, name: str) -> None:
    """As an admin does for somebody who shall sign in by the provider."""
    subject, wanted = await an_operator(portbook.database, Duty.ANALYST), name
    await tell(portbook.database, "UPDATE operators SET name = :wanted WHERE name = :name", wanted=wanted, name=subject)


async def test_first_sign_in_sign_out_and_second_sign_in(portbook: Server) -> None:
    await add(portbook, ADA[1])
    async with a_browser(portbook) as browser:
        for actions in (["operator_linked", "signed_in"], ["signed_in"]):
            arrived = await browser.get(await come_back(browser, ADA[0]))
            assert (arrived.status_code, arrived.headers["location"]) == (303, "/?done=nothing")
            assert await who(browser) == ADA[1]
            page = await browser.get("/")
            assert "Signed in with OpenID Connect" in page.text
            logged = (await lines(portbook.database))[-len(actions) :]
            assert [each["action"] for each in logged] == actions
            assert {each["auth_method"] for each in logged} == {"openid"}
            assert STATE_COOKIE not in browser.cookies
            token = (await browser.get("/api/v1/me")).json()["csrf_token"]
            assert (await browser.post("/sign-out", data={"csrf_token": token})).status_code == 303
            assert await who(browser) is None


async def test_somebody_who_is_no_operator_hears_what_an_admin_must_do(portbook: Server) -> None:
    before = await ask(portbook.database, "SELECT count(*) FROM operators")
    async with a_browser(portbook) as browser:
        refused = await browser.get(await come_back(browser, GRACE[0]))
        assert refused.status_code == 403
        assert f"portbook operator add {GRACE[1]} --no-password" in refused.text
        assert refused.headers["content-type"] == "text/html; charset=utf-8"
        assert COOKIE not in browser.cookies
        assert await who(browser) is None
    last = (await lines(portbook.database))[-1]
    assert (last["action"], last["outcome"], last["actor_name"]) == ("sign_in_denied", "denied", "unknown")
    assert last["object_id"].endswith(f" {GRACE[0]}")
    assert await ask(portbook.database, "SELECT count(*) FROM operators") == before


async def test_a_refused_consent_signs_nobody_in(portbook: Server) -> None:
    async with a_browser(portbook) as browser:
        address = await come_back(browser, WHO_NEVER_CONSENTED, answer="deny")
        assert "error=access_denied" in address
        refused = await browser.get(address)
        assert (refused.status_code, await who(browser)) == (400, None)
        assert "The provider refused the sign-in: access_denied." in refused.text


async def test_what_one_browser_began_no_other_can_end_and_it_ends_once(portbook: Server) -> None:
    await add(portbook, GRACE[1])
    async with a_browser(portbook) as browser, a_browser(portbook) as other:
        address = await come_back(browser, GRACE[0])
        stolen = await other.get(address)
        assert (stolen.status_code, await who(other)) == (400, None)
        assert "another browser" in stolen.text
        cookie = browser.cookies[STATE_COOKIE]
        assert (await browser.get(address)).status_code == 303
        browser.cookies.set(STATE_COOKIE, cookie, domain="portbook.test")
        replayed = await browser.get(address)
        assert replayed.status_code == 400
        assert "used already" in replayed.text
        assert await who(browser) == GRACE[1]


@pytest.mark.parametrize("wanted", ["https://evil.example/", "//evil.example"])
async def test_the_way_leads_to_no_other_site(portbook: Server, wanted: str) -> None:
    async with a_browser(portbook) as browser:
        address = await come_back(browser, ADA[0], start=f"/sign-in/openid?next={wanted}")
        arrived = await browser.get(address)
        assert (arrived.status_code, arrived.headers["location"]) == (303, "/")


async def test_the_state_is_kept_where_only_this_site_and_no_script_finds_it(portbook: Server) -> None:
    async with a_browser(portbook) as browser:
        gone = await browser.get("/sign-in/openid")
    assert gone.headers["cache-control"] == "no-store"
    _, *said = gone.headers["set-cookie"].split("; ")
    assert gone.headers["set-cookie"].startswith(f"{STATE_COOKIE}=")
    assert sorted(said) == ["HttpOnly", "Max-Age=600", "Path=/", "SameSite=lax", "Secure"]


async def test_the_page_to_sign_in_names_the_provider(portbook: Server, canaille: Registration) -> None:
    async with a_browser(portbook) as browser:
        page = await browser.get("/sign-in?next=/findings%3Fa%3D1%26b%3D2")
        assert f"Sign in with {canaille.issuer.removeprefix('http://')}" in page.text
        assert 'href="/sign-in/openid?next=/findings%3Fa%3D1%26b%3D2"' in page.text
        again = await browser.post("/sign-in", data={"name": "ada", "password": "wrong"})
        assert "Sign in with 127.0.0.1" in again.text


async def test_where_there_is_no_provider_there_is_no_way_to_it(server: Server) -> None:
    async with a_browser(server) as browser:
        assert "openid" not in (await browser.get("/sign-in")).text
        for path in ("/sign-in/openid", CALLBACK):
            nowhere = await browser.get(path)
            assert nowhere.status_code == 404
            assert "not set up" in nowhere.text
