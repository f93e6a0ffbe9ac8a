"""A real provider that runs on this host while a module needs it."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from app.access.openid.registration import CALLBACK, Registration

SCRIPT = Path(__file__).parent / "run_canaille.py"
#: As `run_canaille.py` has it, which imports what no test should.
CLIENT = ("portbook-at-canaille", "only-for-tests_0~1.2")
SITE = "https://portbook.test"
START_SECONDS = 60


@pytest.fixture(scope="module")
def canaille() -> Iterator[Registration]:
    """Portbook's registration with a running Canaille. Its socket is bound here, so that nobody else takes its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        name = f"127.0.0.1:{listener.getsockname()[1]}"
        arguments = [str(listener.fileno()), name, SITE + CALLBACK]
        started = subprocess.Popen(
            [sys.executable, str(SCRIPT), *arguments],
            pass_fds=[listener.fileno()],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    try:
        httpx.get(f"http://{name}/.well-known/openid-configuration", timeout=START_SECONDS).raise_for_status()
        yield Registration(f"http://{name}", CLIENT[0], SecretStr(CLIENT[1]), SITE + CALLBACK)
    finally:
        started.terminate()
        started.wait(START_SECONDS)
