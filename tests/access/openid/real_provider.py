"""Canaille, a real OpenID Connect provider, on this host; and the forms that a browser fills in there."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx
from pydantic import SecretStr

from app.access.openid.registration import CALLBACK, Registration

SCRIPT = Path(__file__).parent / "run_canaille.py"
#: As `run_canaille.py` has them, which imports what no test should.
CLIENT_ID, CLIENT_SECRET = "portbook-at-canaille", "only-for-tests_0~1.2"
PASSWORD = "correct horse battery staple"
START_SECONDS = 60
PAGES_MAX = 20


@contextmanager
def running_canaille(site: str) -> Iterator[Registration]:
    """Its registration of Portbook. Its socket is bound here, so that nobody else can take the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        name = f"127.0.0.1:{listener.getsockname()[1]}"
        started = subprocess.Popen(
            [sys.executable, str(SCRIPT), str(listener.fileno()), name, site + CALLBACK],
            pass_fds=[listener.fileno()],
        )
    try:
        httpx.get(f"http://{name}/.well-known/openid-configuration", timeout=START_SECONDS).raise_for_status()
        yield Registration(f"http://{name}", CLIENT_ID, SecretStr(CLIENT_SECRET), site + CALLBACK)
    finally:
        started.terminate()
        started.wait(START_SECONDS)


async def at_canaille(browser: httpx.AsyncClient, address: str, login: str, answer: str = "accept") -> str:
    """Do there what a person does, page by page. Returns where it sends the browser in the end."""
    page = await browser.get(address)
    for _ in range(PAGES_MAX):
        if page.is_redirect:
            following = urljoin(str(page.url), page.headers["location"])
            if urlsplit(following).hostname != page.url.host:
                return following
            page = await browser.get(following)
        elif page.url.path == "/login":
            page = await _send(browser, page, login=login)
        elif page.url.path == "/auth/password":
            page = await _send(browser, page, password=PASSWORD)
        else:
            page = await _send(browser, page, answer=answer)
    raise AssertionError(f"lost at {page.url}")


async def _send(browser: httpx.AsyncClient, page: httpx.Response, **filled: str) -> httpx.Response:
    form = _Form()
    form.feed(page.text)
    assert form.action is not None, f"no form: {page.status_code} {page.url}"
    return await browser.post(urljoin(str(page.url), form.action), data=form.fields | filled)


class _Form(HTMLParser):
    """The first form of a page that is sent by POST: where to, and what stands in it already."""

    def __init__(self) -> None:
        super().__init__()
        self.action: str | None = None
        self.fields: dict[str, str] = {}
        self._open = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        if tag == "form" and said.get("method", "").upper() == "POST" and self.action is None:
            self._open, self.action = True, said.get("action", "")
        elif tag == "input" and self._open and "name" in said:
            self.fields[said["name"]] = said.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        self._open = self._open and tag != "form"
