"""What runs beside the requests, each loop until it is cancelled."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog

from app.access.auditor.checking import check_daily
from app.analysis.backtest.run import work_queue
from app.analysis.retention import keep_days
from app.analysis.worker import work
from app.baselines.calendar import keep as keep_baselines
from app.baselines.exceptions.calendar import keep as keep_exceptions
from app.clock import utc_now
from app.collection.packs import Pack
from app.collection.questions import Question
from app.database import Database
from app.detection.knobs import Knobs
from app.findings.investigations.tending import tend
from app.settings import Settings

HOURLY, MINUTELY = timedelta(hours=1), timedelta(minutes=1)

log = structlog.get_logger()

Loop = Coroutine[Any, Any, None]


def judging(database: Database, settings: Settings, packs: Sequence[Pack], questions: Sequence[Question]) -> list[Loop]:
    """Of workers that judge, and of `portbook worker`."""
    return [
        work(database, Knobs()),
        work_queue(database, packs),
        tend(database, questions, investigate_high=settings.investigate_high),
    ]


async def keep_now(database: Database, settings: Settings) -> None:
    """What must be so before anything is served."""
    await keep_days(database, settings, utc_now())
    await keep_exceptions(database, utc_now())


def keeping(database: Database, settings: Settings) -> list[Loop]:
    """Of every worker that serves: days to come and past, baselines and exceptions whose time has come, the log."""
    return [
        every(HOURLY, "days_not_kept", partial(keep_days, database, settings)),
        every(MINUTELY, "baselines_not_kept", partial(keep_baselines, database)),
        every(MINUTELY, "exceptions_not_kept", partial(keep_exceptions, database)),
        check_daily(database),
    ]


@asynccontextmanager
async def running(loops: Iterable[Loop]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(each) for each in loops]
    yield
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)  # each may have something to put back
    with suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks)


async def every(pause: timedelta, failed: str, keep: Callable[[datetime], Coroutine[Any, Any, object]]) -> None:
    """`failed`: what the log calls it; the next time is tried all the same."""
    while True:
        await asyncio.sleep(pause.total_seconds())
        try:
            await keep(utc_now())
        except Exception:
            log.exception(failed)
