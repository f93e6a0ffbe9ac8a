"""The table of reviews: what is due, and what came of those that were done."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Text,
    event,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Table

INSTANT = DateTime(timezone=True)


class BaselineReview(Table):
    """That somebody has to look at a baseline in force, or did. A review that was done is never rewritten."""

    __tablename__ = "baseline_reviews"
    __table_args__ = (
        CheckConstraint("trigger IN ('scheduled', 'change', 'incident')", name="trigger"),
        CheckConstraint("trigger = 'scheduled' OR reason ~ '\\S'", name="reason"),
        CheckConstraint("outcome IN ('confirmed', 'changes_proposed')", name="outcome"),
        CheckConstraint("num_nulls(reviewed_at, reviewer_id, version, outcome, sod_ok) IN (0, 5)", name="done_or_not"),
        CheckConstraint("(outcome = 'changes_proposed') = (draft IS NOT NULL)", name="draft"),
        Index(
            "uq_baseline_reviews_scheduled",
            "baseline_id",
            unique=True,
            postgresql_where="trigger = 'scheduled' AND reviewed_at IS NULL",
        ),
        Index("ix_baseline_reviews_due_at", "due_at", "review_id"),
    )

    review_id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    baseline_id: Mapped[int] = mapped_column(ForeignKey("baselines.baseline_id"))
    trigger: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text, server_default="")
    reference: Mapped[str] = mapped_column(Text, server_default="", doc="a finding, an incident, a ticket")
    opened_at: Mapped[datetime] = mapped_column(INSTANT)
    opened_by: Mapped[str] = mapped_column(Text)
    due_at: Mapped[datetime] = mapped_column(INSTANT)
    reviewed_at: Mapped[datetime | None] = mapped_column(INSTANT)
    reviewer_id: Mapped[int | None] = mapped_column(ForeignKey("operators.operator_id"))
    version: Mapped[int | None] = mapped_column(Integer, doc="the version in force that was looked at")
    outcome: Mapped[str | None] = mapped_column(Text)
    notes: Mapped[str] = mapped_column(Text, server_default="")
    confirmed: Mapped[list[UUID]] = mapped_column(ARRAY(PG_UUID), server_default="{}", doc="entries")
    removed: Mapped[list[UUID]] = mapped_column(ARRAY(PG_UUID), server_default="{}", doc="entries that the draft lacks")
    added: Mapped[list[UUID]] = mapped_column(ARRAY(PG_UUID), server_default="{}", doc="entries that the draft adds")
    draft: Mapped[int | None] = mapped_column(Integer, doc="the version that its removals and additions became")
    sod_ok: Mapped[bool | None] = mapped_column(
        Boolean, doc="whether somebody beside the reviewer wrote in the version; set by the database"
    )


GUARD_FUNCTION = """
CREATE FUNCTION baseline_reviews_are_kept() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  written text[] := '{reviewed_at, reviewer_id, version, outcome, notes, confirmed, removed, added, draft, sod_ok}';
BEGIN
  IF TG_OP NOT IN ('INSERT', 'UPDATE') THEN
    RAISE EXCEPTION 'reviews are kept as they are: % refused', TG_OP USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  IF TG_OP = 'UPDATE' THEN
    IF OLD.reviewed_at IS NOT NULL OR to_jsonb(OLD) - written <> to_jsonb(NEW) - written THEN
      RAISE EXCEPTION 'reviews are kept as they are: % refused', TG_OP
        USING ERRCODE = 'integrity_constraint_violation';
    END IF;
  END IF;
  IF NEW.reviewed_at IS NULL THEN
    RETURN NEW;
  END IF;
  PERFORM FROM operators WHERE operator_id = NEW.reviewer_id AND disabled_at IS NULL AND 'reviewer' = ANY(duties)
    FOR SHARE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'only an active operator with the duty reviewer does a review'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  SELECT NOT editors <@ ARRAY[NEW.reviewer_id] INTO NEW.sod_ok FROM baseline_versions
    WHERE baseline_id = NEW.baseline_id AND number = NEW.version AND state = 'approved';
  IF NEW.sod_ok IS NULL THEN
    RAISE EXCEPTION 'only an approved version is reviewed' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$
"""
GUARD_ROWS = """
CREATE TRIGGER baseline_reviews_rows_are_kept BEFORE INSERT OR UPDATE OR DELETE ON baseline_reviews
FOR EACH ROW EXECUTE FUNCTION baseline_reviews_are_kept()
"""
GUARD_TABLE = """
CREATE TRIGGER baseline_reviews_table_is_kept BEFORE TRUNCATE ON baseline_reviews
FOR EACH STATEMENT EXECUTE FUNCTION baseline_reviews_are_kept()
"""

for _statement in (GUARD_FUNCTION, GUARD_ROWS, GUARD_TABLE):
    event.listen(BaselineReview.__table__, "after_create", DDL(_statement.replace("%", "%%")))  # type: ignore[no-untyped-call]
