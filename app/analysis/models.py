"""Tables of the statistics: counts kept up as sightings come, so that a judgement reads a handful of rows."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Date, DateTime, Index, Integer, SmallInteger, Text
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Table

#: role_id under which a tally speaks of every node of a platform.
EVERY_ROLE = 0


class Tally(Table):
    """Node-days and nodes of one subject in one peer group. What belongs to `day`, the newest, stands apart."""

    __tablename__ = "tallies"
    __table_args__ = (
        Index("ix_tallies_parent", "role_id", "parent", postgresql_where="parent IS NOT NULL"),
        Index("ix_tallies_first_day", "role_id", "first_day", postgresql_where="parent IS NOT NULL"),
        Index("ix_tallies_day", "role_id", "day", postgresql_where="parent IS NOT NULL"),
        {"postgresql_with": {"fillfactor": 70}},
    )

    role_id: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    subject: Mapped[UUID] = mapped_column(PG_UUID, primary_key=True)
    first_day: Mapped[date] = mapped_column(Date)
    day: Mapped[date] = mapped_column(Date)
    units: Mapped[int] = mapped_column(BigInteger, doc="node-days before `day`")
    nodes: Mapped[int] = mapped_column(BigInteger, doc="distinct nodes before `day`")
    day_units: Mapped[int] = mapped_column(BigInteger, doc="node-days on `day`")
    day_nodes: Mapped[int] = mapped_column(BigInteger, doc="nodes first seen on `day`")
    parent: Mapped[UUID | None] = mapped_column(PG_UUID, doc="program subject, on the tally of a behaviour")
    bucket: Mapped[str | None] = mapped_column(Text, doc="port bucket, on the tally of a behaviour")


class NodeTally(Table):
    """On how many days one node showed a subject."""

    __tablename__ = "node_tallies"
    __table_args__ = ({"postgresql_with": {"fillfactor": 70}},)

    node_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    subject: Mapped[UUID] = mapped_column(PG_UUID, primary_key=True)
    first_day: Mapped[date] = mapped_column(Date)
    day: Mapped[date] = mapped_column(Date)
    days: Mapped[int] = mapped_column(Integer)


class Image(Table):
    """Who signed a program's file on a node, as its signature query last said."""

    __tablename__ = "images"
    __table_args__ = (CheckConstraint("trust IN ('trusted', 'unsigned', 'broken')", name="trust"),)

    node_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    path: Mapped[str] = mapped_column(Text, primary_key=True, doc="normalised")
    trust: Mapped[str] = mapped_column(Text)
    signer: Mapped[str] = mapped_column(Text)
    observed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), doc="when it was first said so")
