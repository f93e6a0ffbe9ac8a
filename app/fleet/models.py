"""Tables of the fleet: roles, enroll secrets, nodes and their keys."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    SmallInteger,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Table

INSTANT = DateTime(timezone=True)


class Role(Table):
    __tablename__ = "roles"

    role_id: Mapped[int] = mapped_column(SmallInteger, Identity(start=1), primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)


class EnrollSecret(Table):
    __tablename__ = "enroll_secrets"
    __table_args__ = (
        CheckConstraint("quota IS NULL OR nodes_total <= quota", name="quota"),
        CheckConstraint("length(secret_sha256) = 32", name="secret_is_a_hash"),
    )

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    secret_sha256: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    role_id: Mapped[int] = mapped_column(ForeignKey("roles.role_id"))
    created_at: Mapped[datetime] = mapped_column(INSTANT)
    expires_at: Mapped[datetime | None] = mapped_column(INSTANT)
    revoked_at: Mapped[datetime | None] = mapped_column(INSTANT)
    quota: Mapped[int | None] = mapped_column(doc="most nodes this secret may add; re-enrolling is free")
    nodes_total: Mapped[int] = mapped_column(server_default=text("0"), doc="nodes it has added")
    last_used_at: Mapped[datetime | None] = mapped_column(INSTANT)


class Node(Table):
    __tablename__ = "nodes"
    __table_args__ = (
        CheckConstraint("platform IN ('windows', 'macos', 'other')", name="platform"),
        Index("uq_nodes_host_identifier_hardware", "host_identifier", "hardware", unique=True),
    )

    node_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    host_identifier: Mapped[str] = mapped_column(Text, doc="what the agent calls itself; cloned machines share it")
    hardware: Mapped[str] = mapped_column(Text, doc="serial, board and system UUID as enrolled; tells clones apart")
    hostname: Mapped[str] = mapped_column(Text)
    platform: Mapped[str] = mapped_column(Text)
    role_id: Mapped[int] = mapped_column(ForeignKey("roles.role_id"))
    osquery_version: Mapped[str] = mapped_column(Text)
    details: Mapped[dict[str, Any]] = mapped_column(JSONB, doc="host_details of the last enrollment")
    enrolled_at: Mapped[datetime] = mapped_column(INSTANT)
    revoked_at: Mapped[datetime | None] = mapped_column(INSTANT)
    reported_config_hash: Mapped[str | None] = mapped_column(Text, doc="from the last heartbeat row")
    instance_id: Mapped[str | None] = mapped_column(Text, doc="changes when the agent's database is wiped")
    heartbeat_at: Mapped[datetime | None] = mapped_column(INSTANT, doc="when we received the last heartbeat row")


class NodeKey(Table):
    __tablename__ = "node_keys"
    __table_args__ = (CheckConstraint("length(key_sha256) = 32", name="key_is_a_hash"),)

    key_sha256: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    node_id: Mapped[int] = mapped_column(ForeignKey("nodes.node_id"), index=True)
    created_at: Mapped[datetime] = mapped_column(INSTANT)
    retires_at: Mapped[datetime | None] = mapped_column(
        INSTANT, doc="set when a newer key was given: a second thread of the agent may still use this one"
    )
