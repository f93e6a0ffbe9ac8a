"""Which nodes are asked something, known to each worker: all others poll without a look at the database."""

import time
from collections.abc import Callable
from datetime import datetime

from app.database import Database
from app.findings.investigations import store
from app.findings.investigations.answering import file_answers, hand_out
from app.osquery.distributed import NO_QUERIES, Answers, queries_document

REFRESH_SECONDS = 2.0


class Desk:
    """What agents fetch here and hand in. `refresh_seconds`: how long a new question may be overlooked."""

    def __init__(
        self, database: Database, now: Callable[[], datetime], refresh_seconds: float = REFRESH_SECONDS
    ) -> None:
        self.refresh_seconds = refresh_seconds
        self._database = database
        self._now = now
        self._waiting: frozenset[int] = frozenset()
        self._stale_at = 0.0

    async def questions_for(self, node_id: int) -> bytes:
        """The answer to a poll."""
        await self._refresh()
        if node_id not in self._waiting:
            return NO_QUERIES
        return queries_document(await hand_out(self._database, node_id, self._now()))

    async def take(self, node_id: int, answers: Answers) -> int:
        """Returns how many of the answers were kept."""
        return await file_answers(self._database, node_id, answers, self._now())

    async def _refresh(self) -> None:
        """Once in a while, by one of those who poll; the others go by what was known before."""
        began = time.monotonic()
        if began < self._stale_at:
            return
        self._stale_at = began + self.refresh_seconds
        async with self._database.reading() as session:
            self._waiting = frozenset(await store.nodes_that_wait(session))
