"""Tables of the launchd jobs and Windows services of each node."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, DateTime, Index, Integer, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Table

INSTANT = DateTime(timezone=True)
KINDS = "kind IN ('launchd', 'sockets', 'switch', 'startup_item', 'hidden_plist', 'service', 'running')"


class NodeJob(Table):
    """What one inventory of a node says of one job. Bounded per node."""

    __tablename__ = "node_jobs"
    __table_args__ = (
        CheckConstraint(KINDS, name="kind"),
        Index("ix_node_jobs_known_by", "node_id", "known_by", postgresql_where="known_by <> ''"),
        Index("ix_node_jobs_label", "node_id", "label"),
        Index("ix_node_jobs_kind", "node_id", "kind", postgresql_where="kind IN ('sockets', 'hidden_plist')"),
    )

    node_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    part_id: Mapped[UUID] = mapped_column(PG_UUID, primary_key=True, doc="of kind, label and source")
    kind: Mapped[str] = mapped_column(Text)
    label: Mapped[str] = mapped_column(Text, doc="launchd label or service name; empty on a hidden plist")
    source: Mapped[str] = mapped_column(Text, doc="the plist or file that says so")
    known_by: Mapped[str] = mapped_column(Text, doc="normalised program, path of or in a bundle, or `pid N`")
    says: Mapped[list[list[str]]] = mapped_column(JSONB, doc="[[field, value]], sorted")
    before: Mapped[list[list[str]]] = mapped_column(JSONB, doc="what it said before it changed")
    first_seen_at: Mapped[datetime] = mapped_column(INSTANT)
    said_at: Mapped[datetime] = mapped_column(INSTANT, doc="when the newest word came that changed something")
    changed_at: Mapped[datetime | None] = mapped_column(INSTANT)
    ended_at: Mapped[datetime | None] = mapped_column(INSTANT)


class JobInventory(Table):
    """Since when an inventory of a node is known, and how many parts of jobs it holds."""

    __tablename__ = "job_inventories"
    __table_args__ = (CheckConstraint(KINDS, name="kind"),)

    node_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    kind: Mapped[str] = mapped_column(Text, primary_key=True)
    since: Mapped[datetime] = mapped_column(INSTANT)
    parts: Mapped[int] = mapped_column(Integer)
