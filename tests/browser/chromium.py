"""A headless Chromium, driven over the DevTools protocol with what uvicorn brings along: websockets.

Whatever the console, the page or a security policy complains of is kept in `Tab.complaints`.
"""

import json
import shutil
import subprocess
import tempfile
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage",
           "--ignore-certificate-errors", "--remote-debugging-port=0", "--hide-scrollbars")  # fmt: skip
SECONDS = 30


class Tab:
    """One page of the browser; what it is told, it has done when the call returns."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._number = 0
        self._happened: list[dict[str, Any]] = []
        self.complaints: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Audits"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: object) -> dict[str, Any]:
        self._number += 1
        number = self._number
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            said = self._receive()
            if said.get("id") == number:
                assert "error" not in said, said
                result: dict[str, Any] = said["result"]
                return result

    def open(self, url: str) -> None:
        self._happened.clear()
        self.call("Page.navigate", url=url)
        self._await_load()

    def fill(self, selector: str, text: str) -> None:
        self.run(f"document.querySelector({json.dumps(selector)}).select()")
        self.call("Input.insertText", text=text)

    def press(self, selector: str) -> None:
        """Click what leads to another page."""
        self._happened.clear()
        self.run(f"document.querySelector({json.dumps(selector)}).click()")
        self._await_load()

    def run(self, expression: str) -> Any:
        """The DevTools' own evaluation, which no policy of the page forbids."""
        done = self.call("Runtime.evaluate", expression=expression, returnByValue=True, userGesture=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    @property
    def text(self) -> str:
        return str(self.run("document.body.innerText"))

    @property
    def path(self) -> str:
        return str(self.run("location.pathname + location.search"))

    def picture(self, file: Path, *, width: int, height: int, dark: bool = False) -> None:
        feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[feature])
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        taken = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        file.write_bytes(b64decode(taken["data"]))

    def _await_load(self) -> None:
        while not any(each["method"] == "Page.loadEventFired" for each in self._happened):
            self._receive()

    def _receive(self) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self._socket.recv(timeout=SECONDS))
        if "method" in said:
            self._happened.append(said)
            self._listen(said["method"], said["params"])
        return said

    def _listen(self, method: str, params: dict[str, Any]) -> None:
        if method == "Log.entryAdded" and params["entry"]["level"] in {"error", "warning"}:
            self.complaints.append(f"{params['entry']['source']}: {params['entry']['text']}")
        elif method in {"Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Audits.issueAdded"}:
            self.complaints.append(f"{method}: {json.dumps(params)}")


def program() -> str:
    """Raises: FileNotFoundError."""
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if found is None:
        raise FileNotFoundError(f"none of {', '.join(PROGRAMS)} is installed")
    return found


@contextmanager
def a_tab() -> Iterator[Tab]:
    """A browser with nothing remembered."""
    with tempfile.TemporaryDirectory(prefix="portbook-browser-", ignore_cleanup_errors=True) as folder:
        command = [program(), *OPTIONS, f"--user-data-dir={folder}", "about:blank"]
        browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            port = _port(Path(folder) / "DevToolsActivePort", browser)
            with connect(_address(port), max_size=None) as socket:
                yield Tab(socket)
        finally:
            browser.terminate()
            with suppress(subprocess.TimeoutExpired):
                browser.wait(10)
            browser.kill()


def _port(file: Path, browser: subprocess.Popen[bytes]) -> int:
    """Chromium writes it into a file when it listens."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and browser.poll() is None:
        lines = file.read_text().splitlines() if file.exists() else []
        if lines:
            return int(lines[0])
        time.sleep(0.05)
    raise TimeoutError("Chromium does not listen")


def _address(port: int) -> str:
    tabs = httpx.get(f"http://127.0.0.1:{port}/json").json()
    return str(next(each["webSocketDebuggerUrl"] for each in tabs if each["type"] == "page"))
