"""One osqueryd: enrolls, asks for its configuration, delivers lines, answers queries. It loses nothing that waits."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha1
from typing import Literal

import msgspec

from app.simulator.answers import Verdict, document_of, judge, node_key_of
from app.simulator.connection import Connection, Unanswered
from app.simulator.identity import Identity
from app.simulator.outbox import Outbox

LogType = Literal["result", "status"]
#: Query id → statement; returns what is posted to the write endpoint, but for the key.
Respond = Callable[[Mapping[str, object]], dict[str, object]]


class EnrollmentFailed(Exception):
    """The server gave no node key, often enough to give up."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How an agent waits: `n` squared times the period after the n-th failure in a row, so often, then it gives up."""

    period_seconds: float = 4.0
    attempts: int = 12
    longest_seconds: float = 3600.0

    async def wait(self, failures: int) -> None:
        await asyncio.sleep(min(self.period_seconds * failures**2, self.longest_seconds))


@dataclass(slots=True)
class Counts:
    """What agents have done so far; a fleet shares one. Result `rows` were acknowledged; lines `resent` twice."""

    enrollments: int = 0
    batches: int = 0
    rows: int = 0
    resent: int = 0


class Agent:
    def __init__(
        self,
        identity: Identity,
        secret: str,
        connection: Connection,
        *,
        patience: Patience | None = None,
        counts: Counts | None = None,
        respond: Respond | None = None,
    ) -> None:
        self.identity = identity
        self.results = Outbox()
        self.statuses = Outbox()
        self.counts = counts or Counts()
        self.node_key = ""
        self.config: dict[str, object] = {}
        self.config_hash = ""
        self._secret = secret
        self._connection = connection.for_agent()
        self._patience = patience or Patience()
        self._respond = respond or empty_answers
        self._unsent_answers: dict[str, object] | None = None

    async def enroll(self) -> None:
        """Raises: EnrollmentFailed, after as many tries as patience allows."""
        reason = "no node key in the answer"
        for failures in range(1, self._patience.attempts + 1):
            try:
                body = self.identity.enrollment(self._secret)
                answer = await self._connection.post(self._connection.endpoints.enroll, body)
            except Unanswered as error:
                reason = str(error)
            else:
                if key := node_key_of(answer):
                    self.node_key = key
                    self.counts.enrollments += 1
                    return
            await self._patience.wait(failures)
        raise EnrollmentFailed(f"{self.identity.hostname}: {reason}")

    async def fetch_config(self) -> bool:
        """Whether a configuration came. `{}` and an empty body count as one, and wipe the schedule."""
        verdict, body = await self._persistently(self._connection.endpoints.config, {})
        if verdict is not Verdict.TAKEN:
            return False
        self.config = document_of(body) or {}
        self.config_hash = config_hash(self.config)
        return True

    async def post_results(self, *, lose_answer: bool = False) -> Verdict:
        """Send the oldest lines; with `lose_answer` the agent dies before it deletes them, and sends them again."""
        return await self._post_lines(self.results, "result", lose_answer=lose_answer)

    async def post_status(self) -> Verdict:
        return await self._post_lines(self.statuses, "status")

    async def deliver(self) -> bool:
        """Post until nothing waits. False when patience ended first: what waits is kept."""
        for outbox, post in ((self.results, self.post_results), (self.statuses, self.post_status)):
            failures = 0
            while len(outbox):
                if await post() is Verdict.TAKEN:
                    failures = 0
                    continue
                failures += 1
                if failures >= self._patience.attempts:
                    return False
                await self._patience.wait(failures)
        return True

    async def poll_distributed(self) -> bool:
        """Fetch queries and answer them; answers that cannot be delivered go with the next poll."""
        endpoints = self._connection.endpoints
        if self._unsent_answers is None:
            verdict, body = await self._persistently(endpoints.distributed_read, {})
            queries = (document_of(body) or {}).get("queries")
            if verdict is not Verdict.TAKEN or not isinstance(queries, Mapping) or not queries:
                return verdict is Verdict.TAKEN
            self._unsent_answers = self._respond(queries)
        verdict, _ = await self._persistently(endpoints.distributed_write, self._unsent_answers)
        if verdict is Verdict.TAKEN:
            self._unsent_answers = None
        return verdict is Verdict.TAKEN

    async def _post_lines(self, outbox: Outbox, log_type: LogType, *, lose_answer: bool = False) -> Verdict:
        if not self.node_key:
            await self.enroll()
        lines, again = outbox.head()
        body = log_body(lines, log_type, self.node_key)
        verdict, _ = await self._ask(self._connection.endpoints.log, body, compress=True)
        self.counts.resent += again
        if verdict is Verdict.TAKEN and not lose_answer:
            outbox.drop(len(lines))
            self.counts.batches += 1
            self.counts.rows += len(lines) if outbox is self.results else 0
        return verdict

    async def _persistently(self, path: str, document: Mapping[str, object]) -> tuple[Verdict, bytes]:
        """Up to three tries, as osqueryd makes for configuration and queries."""
        for failures in (1, 2, 3):
            if not self.node_key:
                await self.enroll()
            body = msgspec.json.encode({**document, "node_key": self.node_key})
            verdict, answer = await self._ask(path, body)
            if verdict is Verdict.TAKEN:
                return verdict, answer
            await self._patience.wait(failures)
        return Verdict.REFUSED, b""

    async def _ask(self, path: str, body: bytes, *, compress: bool = False) -> tuple[Verdict, bytes]:
        try:
            answer = await self._connection.post(path, body, node_key=self.node_key, compress=compress)
        except Unanswered:
            return Verdict.REFUSED, b""
        verdict = judge(answer)
        if verdict is Verdict.NODE_INVALID:
            self.node_key = ""
        return verdict, answer


def log_body(lines: list[bytes], log_type: LogType, node_key: str) -> bytes:
    """`data` first and `node_key` last, as osqueryd writes it."""
    tail = msgspec.json.encode({"log_type": log_type, "node_key": node_key})
    return b'{"data":[%b],%b' % (b",".join(lines), tail[1:])


def config_hash(config: Mapping[str, object]) -> str:
    """As in `osquery_info`: the hash of each source's hash; the agent first writes a document anew, compactly."""
    source = sha1(msgspec.json.encode(config), usedforsecurity=False).hexdigest()
    return sha1(source.encode(), usedforsecurity=False).hexdigest()


def empty_answers(queries: Mapping[str, object]) -> dict[str, object]:
    stats = {"wall_time_ms": 0, "user_time": 0, "system_time": 0, "memory": 0}
    return {
        "queries": {name: [] for name in queries},
        "statuses": dict.fromkeys(queries, 0),
        "messages": dict.fromkeys(queries, ""),
        "stats": dict.fromkeys(queries, stats),
    }
