"""A real server over TLS, as `portbook serve` starts it for the first time, and a browser."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.browser.chromium import Tab, a_tab
from tests.house.tree import ROOT


@dataclass(frozen=True)
class Served:
    """`password` is the one that the first start showed."""

    url: str
    password: str


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    command = [sys.executable, "-m", "app.cli", "serve", "--data-dir", str(folder / "data"), "--port", "0"]
    log = folder / "server.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=output, text=True) as server,
    ):
        try:
            served = _told(server, log)
            _await_answer(served.url, server)
            yield served
        finally:
            server.terminate()
            server.communicate(timeout=30)


@pytest.fixture
def tab() -> Iterator[Tab]:
    with a_tab() as tab:
        yield tab


def _told(server: subprocess.Popen[str], log: Path) -> Served:
    """What the server says to the person who starts it."""
    assert server.stdout is not None
    said = ""
    for line in server.stdout:
        said += line
        found = re.search(r"serves\s+https://\S+:(\d+).*password (\S+)", said, re.DOTALL)
        if found:
            return Served(f"https://localhost:{found[1]}", found[2])
    raise AssertionError(f"{said}{log.read_text()}")


def _await_answer(url: str, server: subprocess.Popen[str]) -> None:
    """It says where it serves a moment before it does."""
    with httpx.Client(verify=False) as client:  # a certificate of its own making
        while server.poll() is None:
            try:
                client.get(f"{url}/healthz").raise_for_status()
            except (httpx.NetworkError, httpx.TimeoutException):
                time.sleep(0.1)
            else:
                return
    raise AssertionError(f"the server ended with {server.returncode}")
