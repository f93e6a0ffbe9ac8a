import asyncio
from datetime import datetime, timedelta

import pytest
from structlog.testing import capture_logs

from app.loops import every, running


async def test_what_fails_is_logged_and_tried_again() -> None:
    done = asyncio.Event()
    tried: list[datetime] = []

    async def keep(now: datetime) -> None:
        tried.append(now)
        if len(tried) == 1:
            raise OSError("the database is away")
        done.set()

    with capture_logs() as logs:
        async with running([every(timedelta(0), "days_not_kept", keep)]):
            await done.wait()
    assert [each["event"] for each in logs] == ["days_not_kept"]


async def test_what_runs_may_put_back_what_it_holds_before_it_ends() -> None:
    began, put_back = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            put_back.set()

    async with running([hold()]):
        await began.wait()
    assert put_back.is_set()


async def test_what_broke_is_told_at_the_end() -> None:
    began = asyncio.Event()

    async def broken() -> None:
        began.set()
        raise ValueError("a fault of ours")

    with pytest.raises(ValueError, match="a fault of ours"):
        async with running([broken()]):
            await began.wait()
