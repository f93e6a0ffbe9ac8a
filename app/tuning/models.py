"""Tables of tuning: versions of the knobs, whose past a trigger guards, and the record of backtests."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    DDL,
    BigInteger,
    CheckConstraint,
    DateTime,
    Float,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Text,
    event,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Table

INSTANT = DateTime(timezone=True)


class KnobVersion(Table):
    """What one scope sets, from its creation until another version takes its place. Never rewritten, never deleted."""

    __tablename__ = "knob_versions"
    __table_args__ = (
        CheckConstraint("scope = 'every' OR scope ~ '^(platform|role\\..+)\\.(windows|macos)$'", name="scope"),
        CheckConstraint("jsonb_typeof(document) = 'object'", name="document"),
        CheckConstraint("length(document_sha256) = 32", name="document_sha256"),
        CheckConstraint("created_by ~ '\\S' AND reason ~ '\\S'", name="who_and_why"),
        CheckConstraint("(backtest_id IS NULL) <> (forced_reason IS NULL)", name="backtest_or_forced"),
        CheckConstraint("forced_reason ~ '\\S'", name="forced_reason"),
        CheckConstraint("superseded_at >= created_at", name="superseded_at"),
        Index("uq_knob_versions_in_force", "scope", unique=True, postgresql_where="superseded_at IS NULL"),
        Index("ix_knob_versions_scope_version", "scope", "version"),
    )

    version: Mapped[int] = mapped_column(
        BigInteger, Identity(always=True), primary_key=True, doc="rises over all scopes in the order of the changes"
    )
    scope: Mapped[str] = mapped_column(Text, doc="every, platform.PLATFORM, role.ROLE.PLATFORM")
    document: Mapped[dict[str, Any]] = mapped_column(JSONB, doc="only what differs from the wider scopes")
    document_sha256: Mapped[bytes] = mapped_column(LargeBinary, doc="of the canonical JSON")
    created_at: Mapped[datetime] = mapped_column(INSTANT, doc="in force from then on")
    created_by: Mapped[str] = mapped_column(Text, doc="API token, or OS account at the command line")
    reason: Mapped[str] = mapped_column(Text)
    backtest_id: Mapped[UUID | None] = mapped_column(PG_UUID, doc="the run that showed what would change")
    forced_reason: Mapped[str | None] = mapped_column(Text, doc="why it was applied without such a run")
    superseded_at: Mapped[datetime | None] = mapped_column(INSTANT, doc="null while it is in force")


class Backtest(Table):
    """A run of candidate settings over past sightings: what was asked, how far it is, what came of it."""

    __tablename__ = "backtests"
    __table_args__ = (
        CheckConstraint("state IN ('queued', 'running', 'finished', 'failed', 'cancelled')", name="state"),
        CheckConstraint("length(candidate_sha256) = 32", name="candidate_sha256"),
        CheckConstraint("progress BETWEEN 0 AND 1", name="progress"),
        CheckConstraint("days > 0", name="days"),
        Index("ix_backtests_candidate_sha256", "candidate_sha256"),
        Index("ix_backtests_requested_at_backtest_id", "requested_at", "backtest_id"),
    )

    backtest_id: Mapped[UUID] = mapped_column(PG_UUID, primary_key=True)
    candidate_sha256: Mapped[bytes] = mapped_column(LargeBinary, doc="of the candidate's canonical JSON")
    candidate: Mapped[dict[str, Any]] = mapped_column(JSONB, doc="the document that would be in force in the scope")
    scope: Mapped[str] = mapped_column(Text, doc="as in knob_versions")
    days: Mapped[int] = mapped_column(Integer, doc="days of sightings that it covers")
    requested_at: Mapped[datetime] = mapped_column(INSTANT)
    requested_by: Mapped[str] = mapped_column(Text)
    started_at: Mapped[datetime | None] = mapped_column(INSTANT)
    finished_at: Mapped[datetime | None] = mapped_column(INSTANT, doc="when it finished, failed or was cancelled")
    progress: Mapped[float] = mapped_column(Float, server_default="0", doc="0 to 1")
    state: Mapped[str] = mapped_column(Text, server_default="queued")
    result: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    error: Mapped[str | None] = mapped_column(Text)


#: A version may be superseded, once, and nothing else may ever happen to it.
GUARD_FUNCTION = """
CREATE FUNCTION knob_versions_are_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' THEN
    IF OLD.superseded_at IS NULL AND NEW.superseded_at IS NOT NULL
       AND to_jsonb(OLD) - 'superseded_at' = to_jsonb(NEW) - 'superseded_at' THEN
      RETURN NEW;
    END IF;
  END IF;
  RAISE EXCEPTION 'versions of the knobs are kept as they are: % refused', TG_OP
    USING ERRCODE = 'integrity_constraint_violation';
END $$
"""
GUARD_ROWS = """
CREATE TRIGGER knob_versions_rows_are_kept BEFORE UPDATE OR DELETE ON knob_versions
FOR EACH ROW EXECUTE FUNCTION knob_versions_are_kept()
"""
GUARD_TABLE = """
CREATE TRIGGER knob_versions_table_is_kept BEFORE TRUNCATE ON knob_versions
FOR EACH STATEMENT EXECUTE FUNCTION knob_versions_are_kept()
"""

for _statement in (GUARD_FUNCTION, GUARD_ROWS, GUARD_TABLE):
    event.listen(KnobVersion.__table__, "after_create", DDL(_statement.replace("%", "%%")))  # type: ignore[no-untyped-call]
