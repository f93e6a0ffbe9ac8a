"""Tables of what nodes said. Batches, sightings and quarantine are partitioned by day and kept by dropping days."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Date,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Table

INSTANT = DateTime(timezone=True)
BY_DAY = {"postgresql_partition_by": "RANGE (day)"}


class Batch(Table):
    """One POST to the log endpoint, as received but for the node key, which is blanked."""

    __tablename__ = "batches"
    __table_args__ = (CheckConstraint("kind IN ('result', 'status')", name="kind"), BY_DAY)

    day: Mapped[date] = mapped_column(Date, primary_key=True, doc="UTC day of received_at")
    node_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    batch_id: Mapped[UUID] = mapped_column(PG_UUID, primary_key=True)
    received_at: Mapped[datetime] = mapped_column(INSTANT)
    kind: Mapped[str] = mapped_column(Text)
    lines: Mapped[int] = mapped_column(Integer)
    rows: Mapped[int] = mapped_column(Integer)
    body: Mapped[bytes] = mapped_column(LargeBinary, doc="gzip")
    body_sha256: Mapped[bytes] = mapped_column(LargeBinary, doc="of `body`, the gzip bytes as stored")


class Behaviour(Table):
    """Small reference table; its ids are hashes of the content, so no worker has to ask for one."""

    __tablename__ = "behaviours"
    __table_args__ = (
        Index("ix_behaviours_name", "name", "direction"),
        Index("ix_behaviours_bucket", "bucket", "platform", "transport", postgresql_where="direction = 'listening'"),
        Index("ix_behaviours_outbound", "bucket", "transport", postgresql_where="direction = 'outbound'"),
    )

    behaviour_id: Mapped[UUID] = mapped_column(PG_UUID, primary_key=True)
    program_id: Mapped[UUID] = mapped_column(PG_UUID, index=True)
    platform: Mapped[str] = mapped_column(Text)
    path: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    unit: Mapped[str] = mapped_column(Text)
    direction: Mapped[str] = mapped_column(Text)
    transport: Mapped[str] = mapped_column(Text)
    bucket: Mapped[str] = mapped_column(Text)
    subjects: Mapped[list[UUID]] = mapped_column(ARRAY(PG_UUID), doc="what history counts of it, see Subjects")


class Sighting(Table):
    """A behaviour on a node on a UTC day, with the row that showed it first."""

    __tablename__ = "sightings"
    __table_args__ = (Index("ix_sightings_behaviour_id", "behaviour_id", "day", "role_id"), BY_DAY)

    day: Mapped[date] = mapped_column(Date, primary_key=True, doc="UTC day by the node's clock, if that is credible")
    node_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    behaviour_id: Mapped[UUID] = mapped_column(PG_UUID, primary_key=True)
    role_id: Mapped[int] = mapped_column(SmallInteger, doc="the node's role at that time")
    first_seen_at: Mapped[datetime] = mapped_column(INSTANT)
    ended_at: Mapped[datetime | None] = mapped_column(
        INSTANT, doc="when a removed row last ended an instance of it; up to 15 minutes behind for busy programs"
    )
    batch_day: Mapped[date] = mapped_column(Date)
    batch_id: Mapped[UUID] = mapped_column(PG_UUID)
    line_number: Mapped[int] = mapped_column(Integer, doc="0-based among the lines of the batch")
    row_number: Mapped[int] = mapped_column(Integer, doc="0-based among the rows of the line")


class FreshSightings(Table):
    """What one batch showed for the first time that day and analysis has not read yet: the queue between them."""

    __tablename__ = "fresh_sightings"

    node_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    batch_id: Mapped[UUID] = mapped_column(PG_UUID, primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    batch_day: Mapped[date] = mapped_column(Date)
    fresh_id: Mapped[int] = mapped_column(BigInteger, Identity(), index=True)
    role_id: Mapped[int] = mapped_column(SmallInteger)
    behaviour_ids: Mapped[list[UUID]] = mapped_column(ARRAY(PG_UUID))
    line_numbers: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    row_numbers: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    seen_at: Mapped[list[datetime]] = mapped_column(ARRAY(INSTANT))
    again: Mapped[bool] = mapped_column(
        Boolean, server_default=text("false"), doc="judged before that day; better evidence has come"
    )
    failures: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))


class FreshFacts(Table):
    """Lines of one batch that explain behaviours and that analysis has not read yet: a queue like the one above."""

    __tablename__ = "fresh_facts"

    node_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    batch_id: Mapped[UUID] = mapped_column(PG_UUID, primary_key=True)
    batch_day: Mapped[date] = mapped_column(Date)
    fresh_id: Mapped[int] = mapped_column(BigInteger, Identity(), index=True)
    line_numbers: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    failures: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))


class Execution(Table):
    """How far each query of each node has come: epoch and counter, and what went missing on the way."""

    __tablename__ = "executions"
    __table_args__ = ({"postgresql_with": {"fillfactor": 70}},)

    node_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    query: Mapped[str] = mapped_column(Text, primary_key=True)
    epoch: Mapped[int] = mapped_column(BigInteger)
    counter: Mapped[int] = mapped_column(BigInteger)
    observed_at: Mapped[datetime] = mapped_column(INSTANT)
    received_at: Mapped[datetime] = mapped_column(INSTANT)
    rows_total: Mapped[int] = mapped_column(BigInteger, doc="rows received, re-sent ones included")
    executions_total: Mapped[int] = mapped_column(BigInteger, doc="one that came in two batches counts twice")
    missing_total: Mapped[int] = mapped_column(BigInteger, doc="counters skipped within an epoch: executions lost")
    restarts_total: Mapped[int] = mapped_column(BigInteger, doc="counter back at 0 in the same epoch: agent wiped")
    resyncs_total: Mapped[int] = mapped_column(BigInteger, doc="new epochs: full state sent again, as asked")


class QuarantinedLines(Table):
    """Lines of a batch that could not be understood, by reason. The lines themselves are in the batch."""

    __tablename__ = "quarantined_lines"
    __table_args__ = (BY_DAY,)

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    node_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    batch_id: Mapped[UUID] = mapped_column(PG_UUID, primary_key=True)
    reason: Mapped[str] = mapped_column(Text, primary_key=True)
    lines: Mapped[int] = mapped_column(Integer)
    first_line: Mapped[int] = mapped_column(Integer, doc="0-based among the lines of the batch")
    query: Mapped[str] = mapped_column(Text)


class Notice(Table):
    """What agents said of themselves in status lines that means lost or doubtful rows, counted by kind."""

    __tablename__ = "notices"

    node_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    kind: Mapped[str] = mapped_column(Text, primary_key=True)
    total: Mapped[int] = mapped_column(BigInteger)
    last_received_at: Mapped[datetime] = mapped_column(INSTANT)
    last_text: Mapped[str] = mapped_column(Text)
