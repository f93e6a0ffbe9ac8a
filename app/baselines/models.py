"""Tables of baselines: versions that a person drafts and another decides on, and their entries."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    DDL,
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    event,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import Mapped, mapped_column

from app.baselines.guards import STATEMENTS
from app.database import Table

INSTANT = DateTime(timezone=True)


class BaselineOfRole(Table):
    """What the versions of one role and platform belong to. Never deleted."""

    __tablename__ = "baselines"
    __table_args__ = (
        CheckConstraint("platform IN ('windows', 'macos')", name="platform"),
        CheckConstraint("review_interval_days BETWEEN 1 AND 400", name="review_interval_days"),
        Index("uq_baselines_role_id_platform", "role_id", "platform", unique=True),
    )

    baseline_id: Mapped[int] = mapped_column(Integer, Identity(always=True), primary_key=True)
    role_id: Mapped[int] = mapped_column(ForeignKey("roles.role_id"))
    platform: Mapped[str] = mapped_column(Text)
    review_interval_days: Mapped[int] = mapped_column(SmallInteger, server_default="90")
    created_at: Mapped[datetime] = mapped_column(INSTANT)


class BaselineVersion(Table):
    """One version: drafted, submitted, decided on by somebody else. What is no draft is never rewritten."""

    __tablename__ = "baseline_versions"
    __table_args__ = (
        CheckConstraint("number > 0", name="number"),
        CheckConstraint("state IN ('draft', 'submitted', 'approved', 'rejected', 'abandoned')", name="state"),
        CheckConstraint("origin IN ('proposal', 'file', 'edit', 'review', 'incident')", name="origin"),
        CheckConstraint("author_id = ANY(editors)", name="author_is_an_editor"),
        CheckConstraint("reason ~ '\\S'", name="reason"),
        CheckConstraint("(submitted_by IS NULL) = (submitted_at IS NULL)", name="submitted"),
        CheckConstraint(
            "state NOT IN ('submitted', 'approved', 'rejected') OR submitted_by IS NOT NULL", name="submitted_first"
        ),
        CheckConstraint(
            "CASE WHEN state IN ('approved', 'rejected')"
            " THEN decided_by IS NOT NULL AND decided_at IS NOT NULL AND coalesce(decision_reason ~ '\\S', false)"
            " ELSE decided_by IS NULL AND decided_at IS NULL AND decision_reason IS NULL END",
            name="decision",
        ),
        CheckConstraint(
            "override_reason IS NOT NULL OR decided_by IS NULL"
            " OR (decided_by <> ALL (editors) AND decided_by <> author_id AND decided_by <> submitted_by)",
            name="decided_by_somebody_else",
        ),
        CheckConstraint("override_reason IS NULL OR (override_reason ~ '\\S' AND state = 'approved')", name="override"),
        CheckConstraint("(state = 'approved') = (in_force_from IS NOT NULL)", name="in_force"),
        CheckConstraint("in_force_from >= decided_at", name="in_force_from"),
        CheckConstraint("superseded_at >= in_force_from", name="superseded_at"),
        CheckConstraint("superseded_at IS NULL OR state = 'approved'", name="superseded"),
        CheckConstraint("applied_at IS NULL OR state = 'approved'", name="applied"),
        CheckConstraint("length(content_sha256) = 32", name="content_sha256"),
        Index(
            "uq_baseline_versions_newest_approved",
            "baseline_id",
            unique=True,
            postgresql_where="state = 'approved' AND superseded_at IS NULL",
        ),
    )

    baseline_id: Mapped[int] = mapped_column(ForeignKey("baselines.baseline_id"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    state: Mapped[str] = mapped_column(Text, server_default="draft")
    origin: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text, doc="what the version is for, as its author says")
    reference: Mapped[str] = mapped_column(Text, server_default="", doc="a review, a finding, a ticket, a commit")
    based_on: Mapped[int | None] = mapped_column(Integer, doc="the newest approved version when it was drafted")
    author_id: Mapped[int] = mapped_column(ForeignKey("operators.operator_id"))
    editors: Mapped[list[int]] = mapped_column(ARRAY(BigInteger), doc="everyone who wrote in it, the author too")
    created_at: Mapped[datetime] = mapped_column(INSTANT)
    content_sha256: Mapped[bytes] = mapped_column(LargeBinary, doc="of the canonical JSON of its entries")
    submitted_by: Mapped[int | None] = mapped_column(ForeignKey("operators.operator_id"))
    submitted_at: Mapped[datetime | None] = mapped_column(INSTANT)
    decided_by: Mapped[int | None] = mapped_column(ForeignKey("operators.operator_id"))
    decided_at: Mapped[datetime | None] = mapped_column(INSTANT)
    decision_reason: Mapped[str | None] = mapped_column(Text)
    override_reason: Mapped[str | None] = mapped_column(
        Text, doc="why its only approver decided on their own work; null where somebody else decided"
    )
    in_force_from: Mapped[datetime | None] = mapped_column(INSTANT)
    superseded_at: Mapped[datetime | None] = mapped_column(INSTANT, doc="in force until then; null: no end is known")
    applied_at: Mapped[datetime | None] = mapped_column(INSTANT, doc="when open findings were held against it")


class BaselineEntry(Table):
    """One entry of one version."""

    __tablename__ = "baseline_entries"
    __table_args__ = (
        ForeignKeyConstraint(
            ["baseline_id", "version"],
            ["baseline_versions.baseline_id", "baseline_versions.number"],
            name="fk_baseline_entries_version_baseline_versions",
        ),
        CheckConstraint("direction IN ('outbound', 'listening', 'loopback')", name="direction"),
        CheckConstraint("transport IN ('tcp', 'udp')", name="transport"),
        CheckConstraint("first_port BETWEEN 1 AND 65535 AND last_port BETWEEN first_port AND 65535", name="ports"),
        CheckConstraint("program <> '' AND (path <> '' OR signer <> '')", name="program"),
        CheckConstraint(
            "peer_scope IS NULL OR (peer_scope IN ('public', 'private', 'link-local') AND direction = 'outbound')",
            name="peer_scope",
        ),
    )

    baseline_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    entry_id: Mapped[UUID] = mapped_column(PG_UUID, primary_key=True, doc="the same in every version that holds it")
    program: Mapped[str] = mapped_column(Text, doc="file name; * for every program of the signer")
    path: Mapped[str] = mapped_column(Text, doc="normalised; empty: any")
    signer: Mapped[str] = mapped_column(Text, doc="empty: whoever")
    unit: Mapped[str | None] = mapped_column(Text, doc="service or launchd label; null: any")
    direction: Mapped[str] = mapped_column(Text)
    transport: Mapped[str] = mapped_column(Text)
    first_port: Mapped[int] = mapped_column(Integer)
    last_port: Mapped[int] = mapped_column(Integer)
    peer_scope: Mapped[str | None] = mapped_column(Text, doc="null: peers anywhere")
    justification: Mapped[str] = mapped_column(Text, doc="business justification; a draft may wait for it")
    owner: Mapped[str] = mapped_column(Text)
    requested_by: Mapped[str] = mapped_column(Text)
    added_at: Mapped[datetime] = mapped_column(INSTANT, doc="when a draft first held it")
    why: Mapped[str] = mapped_column(Text, doc="what in the history spoke for it when it was proposed")


for _statement in STATEMENTS:
    event.listen(BaselineEntry.__table__, "after_create", DDL(_statement.replace("%", "%%")))  # type: ignore[no-untyped-call]
