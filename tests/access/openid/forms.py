"""What a browser does with a provider's pages: fill in the form, send it, follow."""

from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx


class Form(HTMLParser):
    """The first form of a page that is sent by POST: where to, and what stands in it already."""

    def __init__(self, page: httpx.Response) -> None:
        super().__init__()
        self.url = ""
        self.fields: dict[str, str] = {}
        self._open = False
        self.feed(page.text)
        assert self.url, f"no form in {page.url}: {page.status_code} {page.text[:2000]}"
        self.url = urljoin(str(page.url), self.url)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        if tag == "form" and said.get("method", "").upper() == "POST" and not self.url:
            self._open, self.url = True, said.get("action") or "?"
        elif tag == "input" and self._open and "name" in said:
            self.fields[said["name"]] = said.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = False


async def send(browser: httpx.AsyncClient, page: httpx.Response, **filled: str) -> httpx.Response:
    form = Form(page)
    url = str(page.url) if form.url.endswith("?") else form.url
    return await browser.post(url, data=form.fields | filled)
