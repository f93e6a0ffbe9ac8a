"""Tables of the statistics: counts kept up as sightings come, so that a judgement reads a handful of rows."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Date,
    DateTime,
    Double,
    Index,
    Integer,
    SmallInteger,
    Text,
    func,
)
from sqlalchemy.dialects.postgresql import ARRAY
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


class JudgedConnection(Table):
    """The connection that a judged row showed: by it a flow is found, whether it comes before or after."""

    __tablename__ = "judged_connections"
    __table_args__ = (
        Index("ix_judged_connections_community_id", "community_id"),
        Index("ix_judged_connections_day", "day"),
    )

    node_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    behaviour_id: Mapped[UUID] = mapped_column(PG_UUID, primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True, doc="of the sighting")
    community_id: Mapped[str] = mapped_column(Text)
    transport: Mapped[str] = mapped_column(Text)
    local_address: Mapped[str] = mapped_column(Text)
    local_port: Mapped[int] = mapped_column(Integer)
    remote_address: Mapped[str] = mapped_column(Text)
    remote_port: Mapped[int] = mapped_column(Integer)
    seen_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), doc="by the node's clock")
    asked_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now(), doc="when flows were last looked up for it"
    )
    sensor_ids: Mapped[list[int]] = mapped_column(ARRAY(Integer), server_default="{}", doc="whose flows it is")


class FlowSkew(Table):
    """How far a sensor's clock is from a node's, as joins show it that leave no doubt."""

    __tablename__ = "flow_skews"

    node_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    sensor_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    skews: Mapped[list[float]] = mapped_column(ARRAY(Double), doc="seconds, of the newest 31 joins, oldest first")
    joins: Mapped[int] = mapped_column(BigInteger)
    changed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class FlowMark(Table):
    """How far flows have been looked through for connections that were judged before they came. One row, for ever."""

    __tablename__ = "flow_marks"
    __table_args__ = (CheckConstraint("mark_id = 1", name="only_one"),)

    mark_id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    kept_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
