"""A small fleet whose past days went through the server and the live judging, to be judged again."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from random import Random
from typing import Any

from app.access.actor import os_account
from app.analysis.backtest.document import Result
from app.analysis.backtest.run import Request, run_now
from app.analysis.worker import analyse_some
from app.clock import utc_now
from app.collection.packs import load_packs
from app.database import Database
from app.detection.knobs import Knobs
from tests.factories import Server, a_line, a_log, a_node, an_outbound_row
from tests.observations.stored import tell

DAYS = 9
A_TESTER = os_account("a test")
TEMP = "C:\\Users\\bob\\AppData\\Local\\Temp\\{}"
TABLES = "fresh_sightings, tallies, node_tallies, images, findings, sightings, backtests, executions"


async def forget(database: Database) -> None:
    await tell(database, f"TRUNCATE {TABLES}")
    await tell(database, "DELETE FROM batches")


def at(days_ago: int, second: int = 0) -> int:
    """A time of that day; of today, one that has passed."""
    day = utc_now().date() - timedelta(days=days_ago)
    wanted = int(datetime.combine(day, time(10), UTC).timestamp()) + second
    return min(wanted, int(utc_now().timestamp()))


async def say(server: Server, key: str, lines: Sequence[Mapping[str, Any]]) -> None:
    assert await server.say("log", a_log(key, lines), compress=True) == {}


async def analyse(server: Server) -> None:
    while await analyse_some(server.database, Knobs()):
        pass


def connects(program: str, port: int, when: int, **columns: str) -> dict[str, Any]:
    path = columns.pop("path", f"C:\\Program Files\\{program}\\{program}")
    row = an_outbound_row(proc_path=path, proc_name=program, svchost_hint="", remote_port=str(port), **columns)
    return a_line(row, unix_time=when)


def signed(path: str, when: int, status: str = "trusted", by: str = "Example Ltd") -> dict[str, Any]:
    row = {"path": path, "sign_status": status, "subject_name": by}
    return a_line(row, query="pack/windows_context/signatures", unix_time=when)


class Fleet:
    """Nodes that do the same every day, and now and then something new, signed at once, later, or never."""

    def __init__(self, server: Server, seed: int) -> None:
        self._server, self._chance = server, Random(seed)
        self.keys: list[str] = []

    async def live(self, nodes: int = 9) -> None:
        roles = ["laptop"] * (nodes - 3) + ["server"] * 2 + ["kiosk"]
        self.keys = [await a_node(self._server, role=role) for role in roles]
        for days_ago in range(DAYS - 1, -1, -1):
            for key in self.keys:
                await say(self._server, key, list(self._usual(days_ago)))
            await analyse(self._server)
            await self._odd_day(days_ago)

    def _usual(self, days_ago: int) -> list[dict[str, Any]]:
        programs = [("svchost.exe", 443), ("office.exe", 443), ("updater.exe", 8443)]
        seen = [pair for pair in programs if self._chance.random() < 0.9]
        return [connects(name, port, at(days_ago)) for name, port in seen]

    async def _odd_day(self, days_ago: int) -> None:
        """What is found without its signature may be withdrawn, or grow, when the signature comes."""
        late = [(key, await self._odd(key, days_ago)) for key in self._chance.sample(self.keys, 4)]
        await analyse(self._server)
        for key, lines in late:
            await say(self._server, key, lines)
        await analyse(self._server)

    async def _odd(self, key: str, days_ago: int) -> list[dict[str, Any]]:
        """Returns the signature when it is to come late."""
        name = f"tool{self._chance.randrange(5)}.exe"
        path = TEMP.format(name) if self._chance.random() < 0.5 else f"C:\\tools\\{name}"
        port = self._chance.choice([4444, 8088, 50_500, 25, 443])
        lines = [connects(name, port, at(days_ago, 60), path=path)]
        status = self._chance.choice(["trusted", "missing", "distrusted", "late", "never"])
        if status not in {"late", "never"}:
            lines.append(signed(path, at(days_ago, 120), status, "Tools Ltd"))
        await say(self._server, key, lines)
        return [signed(path, at(days_ago, 120), "trusted", "Tools Ltd")] if status == "late" else []


async def tried(
    database: Database, document: Mapping[str, Any] | None = None, *, scope: str = "every", days: int = DAYS
) -> Result:
    _, result = await run_now(database, Request(document or {}, scope, days, A_TESTER), load_packs())
    return result
