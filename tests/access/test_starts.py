"""Starts and stops are in the log, and with which settings; secrets are not."""

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE
from socket import gethostname

import pytest
from pydantic import SecretStr

from app.access.starts import VALUE_MAX, note_start, note_stop, told
from app.database import Database
from app.settings import Settings
from tests.access.told import last_told
from tests.access.told import told as events
from tests.house.tree import ROOT

SECRET = "postgresql+psycopg://portbook:hunter2@db/portbook"


async def start(database: Database, **given: object) -> None:
    await note_start(database, Settings(**{"postgres_bin_dir": None} | given), "https://localhost:8443")


async def test_a_start_and_a_stop_are_logged(database: Database) -> None:
    await start(database)
    await note_stop(database, "https://localhost:8443")
    for action in ("server_started", "server_stopped"):
        event = await last_told(database, action)
        assert (event["actor_name"], event["object_id"]) == ("portbook", gethostname())
        assert event["reason"] == "https://localhost:8443"


async def test_settings_are_logged_when_they_differ_from_the_last_start(database: Database) -> None:
    await start(database, port=1234)
    first = await last_told(database, "settings_changed")
    assert json.loads(first["reason"])["set"] == {"port": "1234"}
    before = len(await events(database, "settings_changed"))
    await start(database, port=1234)
    assert len(await events(database, "settings_changed")) == before
    await start(database, workers=2, database_url=SecretStr(SECRET))
    event = await last_told(database, "settings_changed")
    said = json.loads(event["reason"])
    assert said["changed"] == ["database_url", "port", "workers"]
    assert said["set"] == {"database_url": "(secret)", "workers": "2"}
    assert event["before_sha256"] == first["after_sha256"] != event["after_sha256"]
    assert "hunter2" not in json.dumps(event)


async def test_a_long_value_is_cut_and_its_change_still_seen(database: Database) -> None:
    names = tuple(f"host-{n}.example" for n in range(300))
    await start(database, tls_hostnames=names)
    first = await last_told(database, "settings_changed")
    assert len(json.loads(first["reason"])["set"]["tls_hostnames"]) == VALUE_MAX
    await start(database, tls_hostnames=(*names, "another.example"))
    assert (await last_told(database, "settings_changed"))["before_sha256"] == first["after_sha256"]


def test_only_what_is_no_default_is_told() -> None:
    assert told(Settings()) == {}
    assert told(Settings(database_url=SecretStr(SECRET))) == {"database_url": "(secret)"}


@pytest.mark.parametrize("ends", [signal.SIGINT, signal.SIGTERM])
async def test_a_server_that_is_told_to_stop_logs_that_it_did(
    database: Database, database_url: str, ends: signal.Signals
) -> None:
    before = len(await events(database, "server_stopped"))
    serve = ("-m", "app.cli", "serve", "--plain-http", "--port", "0", "--database-url", database_url)
    server = await asyncio.create_subprocess_exec(sys.executable, *serve, cwd=ROOT, stdout=PIPE, stderr=PIPE)
    assert server.stdout
    await server.stdout.readuntil(b"Enroll a host")
    server.send_signal(ends)
    _, complaints = await server.communicate()
    assert server.returncode == 0, complaints.decode()
    assert len(await events(database, "server_stopped")) == before + 1
