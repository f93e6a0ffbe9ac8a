"""Tables of process starts, partitioned by day and kept by dropping days."""

from datetime import date, datetime

from sqlalchemy import BigInteger, Date, DateTime, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Table

BY_DAY = {"postgresql_partition_by": "RANGE (day)"}


class StartedProcess(Table):
    """The start of a process on a node, as one event told it; two sources of one start make two rows."""

    __tablename__ = "process_starts"
    __table_args__ = (BY_DAY,)

    day: Mapped[date] = mapped_column(Date, primary_key=True, doc="UTC day of started_at")
    node_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    process_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    started_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True, doc="by the node's clock")
    source: Mapped[str] = mapped_column(Text)
    path: Mapped[str] = mapped_column(Text, doc="normalised")
    parent: Mapped[str] = mapped_column(Text, doc="path as reported; empty when not, like the columns below")
    command_line: Mapped[str] = mapped_column(Text)
    user: Mapped[str] = mapped_column("username", Text)
    guid: Mapped[str] = mapped_column(Text, doc="Sysmon's own name for the process")


class StartTally(Table):
    """What one kind of event told of a node on a day; of the empty source, the connections that no event explained."""

    __tablename__ = "start_tallies"
    __table_args__ = (BY_DAY,)

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    node_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    source: Mapped[str] = mapped_column(Text, primary_key=True)
    starts: Mapped[int] = mapped_column(BigInteger, doc="process starts told of")
    connections: Mapped[int] = mapped_column(BigInteger, doc="outbound sightings joined with one of them when judged")
