"""Tables of flows. They are partitioned by day and kept by dropping days, like sightings."""

from datetime import date, datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Date,
    DateTime,
    Double,
    Identity,
    Index,
    Integer,
    Text,
    func,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Table

INSTANT = DateTime(timezone=True)
BY_DAY = {"postgresql_partition_by": "RANGE (day)"}


class FlowSensor(Table):
    """A Zeek or Suricata whose logs came; what it never wrote cannot be missed in a flow."""

    __tablename__ = "flow_sensors"
    __table_args__ = (
        CheckConstraint("tool IN ('zeek', 'suricata')", name="tool"),
        Index("uq_flow_sensors_name_tool", "name", "tool", unique=True),
    )

    sensor_id: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(Text, doc="given by the operator")
    tool: Mapped[str] = mapped_column(Text)
    first_flow_at: Mapped[datetime] = mapped_column(INSTANT, doc="earliest start of a flow, by the sensor's clock")
    last_flow_at: Mapped[datetime] = mapped_column(INSTANT, doc="latest start of a flow, by the sensor's clock")
    received_at: Mapped[datetime] = mapped_column(INSTANT, doc="when lines of it came last, by our clock")
    logs: Mapped[list[str]] = mapped_column(ARRAY(Text), doc="logs or events that ever told something of a flow")
    services: Mapped[list[str]] = mapped_column(ARRAY(Text), doc="application protocols that it ever recognised")


class Flow(Table):
    """One flow with all that its sensor's logs have said of it so far. The key ends with the day: it may be unknown."""

    __tablename__ = "flows"
    __table_args__ = (
        Index("ix_flows_community_id", "community_id", "started_at"),
        Index("ix_flows_origin", "origin_address", "origin_port"),
        Index("ix_flows_responder", "responder_address", "responder_port", "started_at"),
        Index("ix_flows_started_at", "started_at"),
        Index("ix_flows_kept_at", "kept_at", postgresql_using="brin"),
        BY_DAY,
    )

    sensor_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    flow_id: Mapped[str] = mapped_column(Text, primary_key=True, doc="Zeek's uid, Suricata's flow_id")
    day: Mapped[date] = mapped_column(Date, primary_key=True, doc="UTC day of started_at")
    started_at: Mapped[datetime] = mapped_column(INSTANT, doc="by the sensor's clock")
    transport: Mapped[str] = mapped_column(Text, doc="empty until a line said it")
    origin_address: Mapped[str] = mapped_column(Text)
    origin_port: Mapped[int] = mapped_column(Integer)
    responder_address: Mapped[str] = mapped_column(Text)
    responder_port: Mapped[int] = mapped_column(Integer)
    community_id: Mapped[str] = mapped_column(Text)
    duration: Mapped[float | None] = mapped_column(Double, doc="seconds")
    services: Mapped[list[str]] = mapped_column(ARRAY(Text))
    failed_services: Mapped[list[str]] = mapped_column(ARRAY(Text))
    violations: Mapped[list[str]] = mapped_column(ARRAY(Text))
    tls_version: Mapped[str] = mapped_column(Text)
    server_name: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text, doc="empty until the line came that describes the flow itself")
    bytes_out: Mapped[int | None] = mapped_column(BigInteger)
    bytes_in: Mapped[int | None] = mapped_column(BigInteger)
    packets_out: Mapped[int | None] = mapped_column(BigInteger)
    packets_in: Mapped[int | None] = mapped_column(BigInteger)
    one_sided: Mapped[bool] = mapped_column(Boolean)
    kept_at: Mapped[datetime] = mapped_column(
        INSTANT, server_default=func.now(), doc="by our clock; again when more became known of it"
    )
