"""Tables of investigations: what was asked, and what the nodes answered. Triggers keep answers as they came."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    DDL,
    BigInteger,
    CheckConstraint,
    Date,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    event,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Table
from app.findings.investigations.states import RUNNING, InvestigationState

INSTANT = DateTime(timezone=True)


def _listed(states: Iterable[InvestigationState]) -> str:
    chosen = frozenset(states)
    return ", ".join(f"'{each.value}'" for each in InvestigationState if each in chosen)


class Investigation(Table):
    """Questions to the node of a finding, asked at once. One that runs per finding. Never deleted."""

    __tablename__ = "investigations"
    __table_args__ = (
        CheckConstraint(f"state IN ({_listed(InvestigationState)})", name="state"),
        CheckConstraint(f"(ended_at IS NULL) = (state IN ({_listed(RUNNING)}))", name="ended_at"),
        CheckConstraint("expires_at > asked_at", name="expires_at"),
        CheckConstraint("actor_name ~ '\\S'", name="actor_name"),
        CheckConstraint("process_id BETWEEN 0 AND 4294967295", name="process_id"),
        Index("uq_investigations_running_finding_id", "finding_id", unique=True, postgresql_where="ended_at IS NULL"),
        Index("ix_investigations_running_node_id", "node_id", postgresql_where="ended_at IS NULL"),
        Index("ix_investigations_finding_id_asked_at", "finding_id", "asked_at"),
        Index("ix_investigations_own_asked_at", "asked_at", "node_id", postgresql_where="operator_id IS NULL"),
    )

    investigation_id: Mapped[UUID] = mapped_column(PG_UUID, primary_key=True)
    finding_id: Mapped[UUID] = mapped_column(PG_UUID)
    node_id: Mapped[int] = mapped_column(BigInteger)
    operator_id: Mapped[int | None] = mapped_column(ForeignKey("operators.operator_id"), doc="null: Portbook itself")
    actor_name: Mapped[str] = mapped_column(Text)
    asked_at: Mapped[datetime] = mapped_column(INSTANT)
    expires_at: Mapped[datetime] = mapped_column(INSTANT, doc="the node is not asked any more")
    ended_at: Mapped[datetime | None] = mapped_column(INSTANT, doc="null while the node is asked")
    state: Mapped[str] = mapped_column(Text, server_default="waiting")
    process_id: Mapped[int | None] = mapped_column(BigInteger, doc="what it asks about; null: not known")
    process_started: Mapped[int | None] = mapped_column(BigInteger, doc="unix seconds by the node's clock")
    path: Mapped[str | None] = mapped_column(Text, doc="of the program's file, as the node wrote it")
    unit: Mapped[str | None] = mapped_column(Text, doc="Windows service or launchd label")
    batch_day: Mapped[date] = mapped_column(Date, doc="of the row that said so")
    batch_id: Mapped[UUID] = mapped_column(PG_UUID)
    line_number: Mapped[int] = mapped_column(Integer)
    row_number: Mapped[int] = mapped_column(Integer)
    left_out: Mapped[dict[str, str]] = mapped_column(JSONB, doc="questions that could not be asked, and why")


class InvestigationAnswer(Table):
    """One question as it was sent, and its answer. Evidence: nothing changes it once it is there."""

    __tablename__ = "investigation_answers"
    __table_args__ = (
        CheckConstraint("statement_sha256 = sha256(convert_to(statement, 'UTF8'))", name="statement_sha256"),
        CheckConstraint("times_sent >= 0 AND (sent_at IS NULL) = (times_sent = 0)", name="sent_at"),
        CheckConstraint(
            "num_nulls(answered_at, status, message, rows, rows_total, stats) IN (0, 6)", name="answered_whole"
        ),
        CheckConstraint("jsonb_typeof(rows) = 'array' AND rows_total >= jsonb_array_length(rows)", name="rows"),
        Index("uq_investigation_answers_investigation_id_question", "investigation_id", "question", unique=True),
    )

    answer_id: Mapped[UUID] = mapped_column(PG_UUID, primary_key=True, doc="random; the node's query is named by it")
    investigation_id: Mapped[UUID] = mapped_column(ForeignKey("investigations.investigation_id"))
    node_id: Mapped[int] = mapped_column(BigInteger, doc="who alone may answer it")
    question: Mapped[str] = mapped_column(Text, doc="its name in packs/investigate")
    statement: Mapped[str] = mapped_column(Text, doc="as sent")
    statement_sha256: Mapped[bytes] = mapped_column(LargeBinary)
    sent_at: Mapped[datetime | None] = mapped_column(INSTANT, doc="when the node last fetched it")
    times_sent: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    answered_at: Mapped[datetime | None] = mapped_column(INSTANT)
    status: Mapped[int | None] = mapped_column(Integer, doc="osquery's: 0 is good")
    message: Mapped[str | None] = mapped_column(Text, doc="osquery's, with an error")
    rows: Mapped[list[dict[str, str]] | None] = mapped_column(JSONB, doc="the first of them, if there were too many")
    rows_total: Mapped[int | None] = mapped_column(Integer, doc="as many as the node sent")
    stats: Mapped[dict[str, Any] | None] = mapped_column(JSONB, doc="what it cost the node")


GUARD_FUNCTION = """
CREATE FUNCTION investigations_are_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' THEN
    IF to_jsonb(OLD) - 'state' - 'ended_at' = to_jsonb(NEW) - 'state' - 'ended_at' THEN
      RETURN NEW;
    END IF;
  END IF;
  RAISE EXCEPTION 'what was investigated is kept as it is: % refused', TG_OP
    USING ERRCODE = 'integrity_constraint_violation';
END $$
"""
GUARD_ROWS = """
CREATE TRIGGER investigations_rows_are_kept BEFORE UPDATE OR DELETE ON investigations
FOR EACH ROW EXECUTE FUNCTION investigations_are_kept()
"""
GUARD_TABLE = """
CREATE TRIGGER investigations_table_is_kept BEFORE TRUNCATE ON investigations
FOR EACH STATEMENT EXECUTE FUNCTION investigations_are_kept()
"""
#: Until it is answered, only its sending may change; afterwards nothing.
ANSWERS_GUARD_FUNCTION = """
CREATE FUNCTION investigation_answers_are_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' THEN
    IF OLD.answered_at IS NULL
       AND (OLD.answer_id, OLD.investigation_id, OLD.node_id, OLD.question, OLD.statement, OLD.statement_sha256)
         = (NEW.answer_id, NEW.investigation_id, NEW.node_id, NEW.question, NEW.statement, NEW.statement_sha256) THEN
      RETURN NEW;
    END IF;
  END IF;
  RAISE EXCEPTION 'what a node answered is kept as it is: % refused', TG_OP
    USING ERRCODE = 'integrity_constraint_violation';
END $$
"""
ANSWERS_GUARD_ROWS = """
CREATE TRIGGER investigation_answers_rows_are_kept BEFORE UPDATE OR DELETE ON investigation_answers
FOR EACH ROW EXECUTE FUNCTION investigation_answers_are_kept()
"""
ANSWERS_GUARD_TABLE = """
CREATE TRIGGER investigation_answers_table_is_kept BEFORE TRUNCATE ON investigation_answers
FOR EACH STATEMENT EXECUTE FUNCTION investigation_answers_are_kept()
"""

for _table, _statements in (
    (Investigation.__table__, (GUARD_FUNCTION, GUARD_ROWS, GUARD_TABLE)),
    (InvestigationAnswer.__table__, (ANSWERS_GUARD_FUNCTION, ANSWERS_GUARD_ROWS, ANSWERS_GUARD_TABLE)),
):
    for _statement in _statements:
        event.listen(_table, "after_create", DDL(_statement.replace("%", "%%")))  # type: ignore[no-untyped-call]
