"""Plays a scenario against a server: every node through the real protocol, day after day, faster than life."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import count

from app.clock import utc_now
from app.simulator import life, plants
from app.simulator.agent import Agent, Counts, Patience
from app.simulator.connection import Connection, ServerAddress, connected
from app.simulator.lines import Execution, result_lines
from app.simulator.minutes import Minutes
from app.simulator.nodes import Node
from app.simulator.processes import Day
from app.simulator.replies import replies
from app.simulator.scenario import Scenario

#: Failures wait 0.05, 0.2, 0.45 s …: the agent's own 4, 16, 36 s have no place in fast time.
FAST = Patience(period_seconds=0.05, attempts=8)

#: How often the agents of an endless play ask for their configuration and for queries.
REFRESH_SECONDS = 300.0
#: How often those of a finished play poll while they stand by, and how often they give a sign of life.
STAND_BY_SECONDS = 5.0
HEARTBEAT_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Progress:
    """`day` counts from 0; `node_days_total` is None when the play has no end."""

    day: int
    days: int
    node_days: int
    node_days_total: int | None
    batches: int
    rows: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Played:
    """`rows` were acknowledged, each counted once; `kept` lines still wait for a server that takes them."""

    nodes: int
    batches: int
    rows: int
    resent: int
    kept: int
    seconds: float


class Performance:
    """One run of a scenario: the agents and what they have done."""

    def __init__(
        self,
        scenario: Scenario,
        connection: Connection,
        secrets: Mapping[str, str],
        *,
        on_progress: Callable[[Progress], None] = lambda _: None,
        concurrency: int = 16,
    ) -> None:
        self._scenario = scenario
        self._counts = Counts()
        self._agents = {
            node.number: Agent(
                node.identity,
                secrets[node.role],
                connection,
                patience=FAST,
                counts=self._counts,
                respond=partial(self._respond, node),
            )
            for node in scenario.fleet
        }
        self._on_progress = on_progress
        self._concurrency = min(concurrency, len(self._agents))
        self._began = time.monotonic()
        self._node_days = 0
        self._day = 0
        self._today: Day | None = None

    async def run(self, now: datetime) -> None:
        *_, self._today = self._scenario.days_until(now)
        for day in self._scenario.days_until(now):
            self._day = day.index
            await self._each(partial(self._play_day, day))
        await self._each(self._finish)
        if self._scenario.endless:
            shares = [list(self._scenario.fleet[first :: self._concurrency]) for first in range(self._concurrency)]
            await _together([self._poll_forever(nodes, day) for nodes in shares])

    def played(self) -> Played:
        return Played(
            nodes=sum(bool(agent.node_key) for agent in self._agents.values()),
            batches=self._counts.batches,
            rows=self._counts.rows,
            resent=self._counts.resent,
            kept=sum(len(agent.results) + len(agent.statuses) for agent in self._agents.values()),
            seconds=time.monotonic() - self._began,
        )

    def _respond(self, node: Node, queries: Mapping[str, object]) -> dict[str, object]:
        assert self._today is not None
        return replies(node, self._today, self._scenario.plants_on(node), queries)

    async def stand_by(self, now: datetime) -> None:
        """The evening after the play, until cancelled: every agent gives signs of life and is there to be asked."""
        *_, self._today = self._scenario.days_until(now)
        beaten = float("-inf")
        while True:
            beats = time.monotonic() - beaten >= HEARTBEAT_SECONDS
            beaten = time.monotonic() if beats else beaten
            await self._each(partial(self._attend, beats=beats))
            await asyncio.sleep(STAND_BY_SECONDS)

    async def _attend(self, node: Node, *, beats: bool) -> None:
        agent = self._agents[node.number]
        if beats:
            await agent.fetch_config()
            at = int(utc_now().timestamp())
            columns = life.heartbeat_columns(node.identity, at, agent.config_hash)
            beat = [Execution(life.HEARTBEAT, at, (columns,), snapshot=True)]
            agent.results.put(*result_lines(node.identity, beat, epoch=at // 86_400, counters={}))
            await agent.deliver()
        await agent.poll_distributed()

    async def _play_day(self, day: Day, node: Node) -> None:
        agent = self._agents[node.number]
        if not agent.config_hash and day.index >= node.habits.joins:
            await agent.fetch_config()
        hidden = self._scenario.plants_on(node) if day.days_ago == 0 else ()
        also = [execution for plant in hidden for execution in plants.executions_of(plant, node, day)]
        logged = life.logged(node, day, config_hash=agent.config_hash, also=also)
        agent.results.put(*logged.results)
        agent.statuses.put(*logged.statuses)
        if logged.reachable:
            if logged.loses_answer:
                await agent.post_results(lose_answer=True)
            await agent.deliver()
        self._node_days += 1
        self._tell()

    async def _finish(self, node: Node) -> None:
        agent = self._agents[node.number]
        await agent.deliver()
        await agent.poll_distributed()

    async def _poll_forever(self, nodes: list[Node], day: Day) -> None:
        """One coroutine polls for its share of the fleet; a node posts once a period, each at its own phase."""
        minutes = {node.number: Minutes(node, day, self._agents[node.number].config_hash) for node in nodes}
        began = refreshed = time.monotonic()
        for turn in count():
            for place, node in enumerate(nodes):
                due = began + (turn + place / len(nodes)) * self._scenario.poll_seconds
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                agent = self._agents[node.number]
                agent.results.put(*minutes[node.number].lines(int(utc_now().timestamp())))
                await agent.deliver()
                self._node_days += 1
                self._tell()
            if time.monotonic() - refreshed > REFRESH_SECONDS:
                refreshed = time.monotonic()
                await self._refresh(nodes)

    async def _refresh(self, nodes: list[Node]) -> None:
        for node in nodes:
            await self._agents[node.number].fetch_config()
            await self._agents[node.number].poll_distributed()

    async def _each(self, work: Callable[[Node], Awaitable[None]]) -> None:
        waiting = iter(self._scenario.fleet)

        async def worker() -> None:
            for node in waiting:
                await work(node)

        await _together([worker() for _ in range(self._concurrency)])

    def _tell(self) -> None:
        endless = self._scenario.endless
        self._on_progress(
            Progress(
                day=self._day,
                days=self._scenario.days,
                node_days=self._node_days,
                node_days_total=None if endless else self._scenario.days * self._scenario.nodes,
                batches=self._counts.batches,
                rows=self._counts.rows,
                seconds=time.monotonic() - self._began,
            )
        )


async def _together(work: list[Coroutine[object, object, None]]) -> None:
    """Runs all; the first failure ends the others and is raised as itself."""
    try:
        async with asyncio.TaskGroup() as group:
            for coroutine in work:
                group.create_task(coroutine)
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None


async def play(
    scenario: Scenario,
    *,
    server: ServerAddress,
    secrets: Mapping[str, str],
    now: datetime,
    on_progress: Callable[[Progress], None] = lambda _: None,
    concurrency: int = 16,
) -> Played:
    """History arrives in order: all nodes finish a day before the next begins. `secrets` are by role.

    Raises:
        EnrollmentFailed: a node was refused for as long as its patience lasts.
        KeyError: `secrets` lacks a role of the scenario.
    """
    async with connected(server) as connection:
        performance = Performance(scenario, connection, secrets, on_progress=on_progress, concurrency=concurrency)
        await performance.run(now)
        return performance.played()


async def stand_by(scenario: Scenario, *, server: ServerAddress, secrets: Mapping[str, str], now: datetime) -> None:
    """The agents of a play that ended, started anew: they enroll and are there to be asked, until cancelled.

    `now` as when it was played, so that they have the processes that they told of.
    """
    async with connected(server) as connection:
        await Performance(scenario, connection, secrets).stand_by(now)
