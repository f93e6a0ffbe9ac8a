"""What the agent endpoints share: limits, keys, packs and the intake of one worker process."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from starlette.requests import Request

from app.agent_api.bodies import Budget, inflate, read_body, stored_form
from app.collection.packs import Pack
from app.collection.schedule import configuration_for, osquery_name
from app.database import Database
from app.findings.investigations.waiting import Desk
from app.fleet.nodes import KnownNode, NodeKeys
from app.observations.intake import Intake, Submission
from app.observations.notices import notices_in
from app.observations.reduction import Clock, Reduced, Reducer
from app.osquery import protocol
from app.settings import Settings


@dataclass(frozen=True)
class AgentDoor:
    settings: Settings
    database: Database
    packs: Sequence[Pack]
    keys: NodeKeys
    intake: Intake
    reducer: Reducer
    budget: Budget
    desk: Desk
    now: Callable[[], datetime]

    async def read(self, request: Request) -> bytes:
        """The body, inflated if it says it is gzip.

        Raises: BodyRefused.
        """
        settings = self.settings
        is_gzip = request.headers.get("content-encoding", "").lower() == "gzip"
        max_bytes = settings.body_max_bytes if is_gzip else settings.inflated_max_bytes
        body = await read_body(request, max_bytes=max_bytes, budget=self.budget)
        return inflate(body, max_bytes=settings.inflated_max_bytes) if is_gzip else body

    async def find_node(self, request: Request, body_key: str) -> KnownNode | None:
        return await self.keys.find(_header_key(request) or body_key)

    def configuration(self, node: KnownNode) -> bytes:
        return configuration_for(self.packs, osquery_name(node.platform), node_phase=node.node_id, now=self.now()).body

    async def understand(self, request: Request, body: bytes) -> tuple[str, Submission | None]:
        """The key in the body, and what the body says; None when the key is unknown.

        Raises: UnreadableBody.
        """
        if protocol.is_status(body):
            status = protocol.decode_status(body)
            node = await self.find_node(request, status.node_key)
            reduced = Reduced(lines=len(status.data))
            for number, line in enumerate(status.data):
                if line is None:
                    reduced.quarantine("unreadable_line", number, "")
            return status.node_key, self._submission(node, "status", reduced, notices_in(status.data)) if node else None
        results, mended = protocol.decode_log(body)
        node = await self.find_node(request, results.node_key)
        if node is None:
            return results.node_key, None
        reduced = self.reducer.reduce(results.data, node.platform, self.clock())
        if mended:
            reduced.quarantine("mended_text", 0, "")
        return results.node_key, self._submission(node, "result", reduced, {})

    def _submission(
        self, node: KnownNode, kind: str, reduced: Reduced, notices: dict[str, tuple[int, str]]
    ) -> Submission:
        return Submission(node, uuid4(), self.now(), kind, b"", reduced, notices)

    async def accept(self, submission: Submission, body: bytes, node_key: str) -> None:
        submission.body = stored_form(body, node_key)
        await self.intake.accept(submission)

    def clock(self) -> Clock:
        now, settings = self.now(), self.settings
        earliest = now - timedelta(days=settings.history_days - 1)
        latest = now + timedelta(hours=settings.clock_tolerance_hours)
        return Clock(now.timestamp(), earliest.timestamp(), latest.timestamp())


def _header_key(request: Request) -> str:
    """Source: osquery 5.23, pull request 8805."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "nodekey" else ""
