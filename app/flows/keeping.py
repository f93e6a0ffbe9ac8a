"""Keep flow records: parts that come together are one record, and so are parts that come later."""

from asyncio import Semaphore
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import reduce
from typing import get_args

from app.database import Database, WriteSession
from app.flows import merging, store
from app.flows.reading import Span
from app.flows.records import FlowRecord, Tool
from app.flows.store import Asked, SeenSensor
from app.observations.store import ensure_partitions

FLOWS_A_COMMIT = 2_000
#: Days past today for which partitions are made and flows taken: a sensor's clock may be ahead by hours.
DAYS_AHEAD = 1
#: Lines of one flow may be dated later than its last packet.
SLACK_SECONDS = 600


@dataclass(slots=True)
class Kept:
    """Flows by what became of them; one that comes in two commits counts in both."""

    new: int = 0
    changed: int = 0
    same: int = 0


@dataclass(frozen=True, slots=True)
class Days:
    """Under which days flows are kept now."""

    first: date
    last: date

    @classmethod
    def now(cls, now: datetime, retention_days: int) -> "Days":
        return cls(now.date() - timedelta(days=retention_days - 1), now.date() + timedelta(days=DAYS_AHEAD))

    @property
    def span(self) -> Span:
        """For a reader: what it need not read."""
        days = (self.last - self.first).days + 1 - DAYS_AHEAD
        return Span(
            datetime.combine(self.first, time(), UTC).timestamp(),
            datetime.combine(self.last + timedelta(days=1), time(), UTC).timestamp(),
            f"older than the {days} days for which flows are kept",
            "in the future",
        )

    def __iter__(self) -> Iterator[date]:
        return (self.first + timedelta(days=n) for n in range((self.last - self.first).days + 1))


async def make_days(database: Database, days: Days) -> None:
    async with database.writing() as session:
        await ensure_partitions(session, "flows", days)


class Keeper:
    """Of one sensor. `commit` at the end; what is committed stays, and the same lines again change nothing."""

    def __init__(
        self, database: Database, sensor: str, days: Days, *, now: datetime, gate: Semaphore | None = None
    ) -> None:
        self.kept = Kept()
        self._database, self._sensor, self._days, self._now = database, sensor, days, now
        self._gate = gate or Semaphore()
        self._pending: dict[merging.Key, FlowRecord] = {}
        self._logs: set[str] = set()

    async def add(self, parts: Iterable[FlowRecord], logs: Iterable[str]) -> None:
        """`logs`: those that told something so far, as `zeek/conn`."""
        self._logs.update(logs)
        for part in parts:
            merging.add(self._pending, part)
        if len(self._pending) >= FLOWS_A_COMMIT:
            await self.commit()

    async def commit(self) -> None:
        """Returns when everything that was added is stored."""
        pending, self._pending = self._pending, {}
        for tool in get_args(Tool):
            records = [record for record in pending.values() if record.tool == tool]
            if records:
                async with self._gate, self._database.writing() as session:
                    await self._keep(session, tool, records)

    async def _keep(self, session: WriteSession, tool: Tool, records: Sequence[FlowRecord]) -> None:
        seen = self._seen(tool, records)
        sensor_id = await store.lock_sensor(session, seen)
        kept = await store.find_kept(session, seen, sensor_id, [self._asked(record) for record in records])
        gone: list[tuple[date, str]] = []
        written: list[FlowRecord] = []
        for record in records:
            known = kept.get(record.flow_id, [])
            whole = reduce(merging.combined, (each for _, each in known), record)
            if len(known) == 1 and known[0][1] == whole:
                self.kept.same += 1
                continue
            written.append(whole)
            gone += [(day, record.flow_id) for day, _ in known]
            self.kept.changed += bool(known)
            self.kept.new += not known
        await store.delete_flows(session, sensor_id, gone)
        await store.copy_flows(session, sensor_id, written)

    def _seen(self, tool: Tool, records: Sequence[FlowRecord]) -> SeenSensor:
        starts = [record.started_at for record in records]
        services = frozenset[str]().union(*(record.services for record in records))
        logs = sorted(log.partition("/")[2] for log in self._logs if log.startswith(f"{tool}/"))
        first, last = (datetime.fromtimestamp(at, UTC) for at in (min(starts), max(starts)))
        most = store.SENSOR_NAMES_MAX
        return SeenSensor(self._sensor, tool, first, last, self._now, logs[:most], sorted(services)[:most])

    def _asked(self, record: FlowRecord) -> Asked:
        """Lines that describe the flow itself know its start, others may be dated days later: where it may be stored.

        Two of those others, dated days apart, are two records until the flow's own line comes.
        """
        day = store.day_of(record.started_at)
        end = store.day_of(record.started_at + (record.duration or 0) + SLACK_SECONDS)
        return Asked(record.flow_id, day if merging.is_whole(record) else self._days.first, max(day, end))
