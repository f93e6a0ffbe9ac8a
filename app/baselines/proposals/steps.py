"""A proposal as a sequence of steps: how far it is, then what came of it. Who stops listening stops it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from datetime import datetime

from app.access.actor import Actor
from app.baselines.proposals.proposing import Proposed, Wish, propose_draft
from app.database import Database
from app.problems import Problem

Step = tuple[int, int] | Proposed


async def steps_of(database: Database, actor: Actor, wish: Wish, now: datetime) -> AsyncGenerator[Step, None]:
    """(days done, of how many), and `Proposed` at last. Raises: what `propose_draft` does, when it does."""
    told: asyncio.Queue[tuple[int, int] | None] = asyncio.Queue()

    def progress(done: int, of: int) -> None:
        told.put_nowait((done, of))

    working = asyncio.create_task(propose_draft(database, actor, wish, now, progress))
    working.add_done_callback(lambda _: told.put_nowait(None))
    try:
        while (step := await told.get()) is not None:
            yield step
        yield await working
    finally:
        working.cancel()
        with suppress(asyncio.CancelledError, Problem):
            await working
