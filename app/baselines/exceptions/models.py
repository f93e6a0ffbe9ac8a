"""Tables of exceptions. Who may ask, decide and take back stands in constraints and a trigger, not only in code."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import DDL, BigInteger, CheckConstraint, Date, DateTime, ForeignKey, Index, Integer, Text, event
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Table
from app.detection.addresses import PeerScope
from app.detection.behaviour import Direction, Platform, Transport
from app.detection.expectations import Expectation

INSTANT = DateTime(timezone=True)
#: 180 days, whatever zone a session is in.
LONGEST_INTERVAL = "interval '4320 hours'"


class RequestedException(Table):
    """One request, with what became of it. What was asked for never changes, and a decision is made once."""

    __tablename__ = "exceptions"
    __table_args__ = (
        CheckConstraint("platform IN ('windows', 'macos')", name="platform"),
        CheckConstraint("direction IN ('outbound', 'listening', 'loopback')", name="direction"),
        CheckConstraint("transport IN ('tcp', 'udp')", name="transport"),
        CheckConstraint("1 <= first_port AND first_port <= last_port AND last_port <= 65535", name="ports"),
        CheckConstraint("program <> '' AND (path <> '' OR signer <> '')", name="program"),
        CheckConstraint("program <> '*' OR signer <> ''", name="every_program_of_a_signer"),
        CheckConstraint(
            "peer_scope IS NULL OR (direction = 'outbound' AND peer_scope IN ('public', 'private', 'link-local'))",
            name="peer_scope",
        ),
        CheckConstraint("(role_id IS NULL) <> (node_ids IS NULL)", name="role_or_nodes"),
        CheckConstraint("cardinality(node_ids) BETWEEN 1 AND 100", name="node_ids"),
        CheckConstraint("reason ~ '\\S' AND business_need ~ '\\S' AND compensating_control ~ '\\S'", name="why"),
        CheckConstraint("risk IN ('low', 'medium', 'high')", name="risk"),
        CheckConstraint(
            f"expires_at > requested_at AND expires_at <= requested_at + {LONGEST_INTERVAL}", name="expires_at"
        ),
        CheckConstraint("decision IN ('approved', 'rejected')", name="decision"),
        CheckConstraint(
            "num_nonnulls(decided_by, decided_at, decision, decision_reason) IN (0, 4)", name="decided_whole"
        ),
        CheckConstraint("decided_at >= requested_at AND decision_reason ~ '\\S'", name="decided"),
        CheckConstraint("decision = 'rejected' OR expires_at > decided_at", name="approved_before_its_end"),
        CheckConstraint("decided_by <> requested_by OR override_reason IS NOT NULL", name="decided_by_another"),
        CheckConstraint(
            "override_reason IS NULL OR (override_reason ~ '\\S' AND coalesce(decided_by = requested_by, false))",
            name="override",
        ),
        CheckConstraint("num_nonnulls(revoked_by, revoked_at, revoked_reason) IN (0, 3)", name="revoked_whole"),
        CheckConstraint(
            "revoked_at IS NULL OR (revoked_reason ~ '\\S' AND decision IS DISTINCT FROM 'rejected')", name="revoked"
        ),
        Index("ix_exceptions_requested_at_exception_id", "requested_at", "exception_id"),
        Index("ix_exceptions_expires_at_exception_id", "expires_at", "exception_id"),
    )

    exception_id: Mapped[UUID] = mapped_column(PG_UUID, primary_key=True)
    platform: Mapped[str] = mapped_column(Text)
    program: Mapped[str] = mapped_column(Text, doc="file name; * for every program of the signer")
    path: Mapped[str] = mapped_column(Text, doc="normalised; empty: any")
    signer: Mapped[str] = mapped_column(Text, doc="whose signature is demanded; empty: none")
    direction: Mapped[str] = mapped_column(Text)
    transport: Mapped[str] = mapped_column(Text)
    first_port: Mapped[int] = mapped_column(Integer)
    last_port: Mapped[int] = mapped_column(Integer)
    unit: Mapped[str | None] = mapped_column(Text, doc="service or launchd label; null: any")
    peer_scope: Mapped[str | None] = mapped_column(Text, doc="null: any")
    role_id: Mapped[int | None] = mapped_column(ForeignKey("roles.role_id"), doc="nodes that have it when they show it")
    node_ids: Mapped[list[int] | None] = mapped_column(ARRAY(BigInteger))
    reason: Mapped[str] = mapped_column(Text)
    business_need: Mapped[str] = mapped_column(Text)
    risk: Mapped[str] = mapped_column(Text)
    compensating_control: Mapped[str] = mapped_column(Text)
    ticket: Mapped[str] = mapped_column(Text, server_default="")
    wide: Mapped[list[str]] = mapped_column(ARRAY(Text), doc="what is wide about it, in sentences")
    finding_id: Mapped[UUID | None] = mapped_column(PG_UUID, doc="the finding that it was asked from")
    renewal_of: Mapped[UUID | None] = mapped_column(ForeignKey("exceptions.exception_id"), index=True)
    requested_by: Mapped[int] = mapped_column(ForeignKey("operators.operator_id"))
    requested_at: Mapped[datetime] = mapped_column(INSTANT)
    expires_at: Mapped[datetime] = mapped_column(INSTANT, doc="from this instant on it covers nothing")
    decided_by: Mapped[int | None] = mapped_column(ForeignKey("operators.operator_id"))
    decided_at: Mapped[datetime | None] = mapped_column(INSTANT)
    decision: Mapped[str | None] = mapped_column(Text)
    decision_reason: Mapped[str | None] = mapped_column(Text)
    override_reason: Mapped[str | None] = mapped_column(Text, doc="why the only approver decided on an own request")
    revoked_by: Mapped[int | None] = mapped_column(ForeignKey("operators.operator_id"))
    revoked_at: Mapped[datetime | None] = mapped_column(INSTANT)
    revoked_reason: Mapped[str | None] = mapped_column(Text)
    announced_at: Mapped[datetime | None] = mapped_column(INSTANT, doc="when its coming end was announced")
    expired_noted_at: Mapped[datetime | None] = mapped_column(
        INSTANT, doc="when its end was noted and what it covered was opened again"
    )

    @property
    def expectation(self) -> Expectation:
        return Expectation(
            Platform(self.platform),
            self.program,
            self.path,
            self.signer,
            Direction(self.direction),
            Transport(self.transport),
            self.first_port,
            self.last_port,
            self.unit,
            PeerScope(self.peer_scope) if self.peer_scope else None,
        )


class ExceptionDay(Table):
    """How often what an exception covered was seen on a day: covered is not unseen."""

    __tablename__ = "exception_days"

    exception_id: Mapped[UUID] = mapped_column(ForeignKey("exceptions.exception_id"), primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    sightings: Mapped[int] = mapped_column(Integer, doc="each a behaviour of a node on that day")
    last_seen_at: Mapped[datetime] = mapped_column(INSTANT)


#: The rows of operators are locked until the transaction ends, so that a duty cannot be lost meanwhile.
GUARD_FUNCTION = """
CREATE FUNCTION exceptions_are_kept() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  of_decision CONSTANT text[] := ARRAY['decided_by', 'decided_at', 'decision', 'decision_reason', 'override_reason'];
  of_revocation CONSTANT text[] := ARRAY['revoked_by', 'revoked_at', 'revoked_reason'];
  marks CONSTANT text[] := ARRAY['announced_at', 'expired_noted_at'];
  was jsonb := to_jsonb(OLD) - marks;
  becomes jsonb := to_jsonb(NEW) - marks;
  refused text;
BEGIN
  IF TG_OP = 'INSERT' THEN
    PERFORM FROM operators WHERE operator_id = NEW.requested_by AND disabled_at IS NULL FOR SHARE;
    IF NOT FOUND THEN
      refused := 'no active operator asks for it';
    ELSIF num_nonnulls(NEW.decision, NEW.revoked_at, NEW.announced_at, NEW.expired_noted_at) > 0 THEN
      refused := 'it begins as a request';
    ELSIF NEW.requested_at > now() + interval '5 minutes' THEN
      refused := 'who asks later could have it last longer';
    END IF;
  ELSIF TG_OP <> 'UPDATE' THEN
    refused := TG_OP;
  ELSIF was - of_decision - of_revocation <> becomes - of_decision - of_revocation THEN
    refused := 'what was asked for stays';
  ELSIF (OLD.decision IS NOT NULL AND was - of_revocation <> becomes - of_revocation)
     OR (OLD.revoked_at IS NOT NULL AND was <> becomes) THEN
    refused := 'a decision stays';
  ELSIF (OLD.announced_at IS NOT NULL AND OLD.announced_at IS DISTINCT FROM NEW.announced_at)
     OR (OLD.expired_noted_at IS NOT NULL AND OLD.expired_noted_at IS DISTINCT FROM NEW.expired_noted_at) THEN
    refused := 'what was noted stays';
  END IF;
  IF refused IS NULL AND TG_OP = 'UPDATE' AND OLD.decision IS NULL AND NEW.decision IS NOT NULL THEN
    PERFORM FROM operators
    WHERE operator_id = NEW.decided_by AND disabled_at IS NULL AND 'approver' = ANY(duties) FOR SHARE;
    IF NOT FOUND THEN
      refused := 'only an active approver decides';
    ELSIF NEW.override_reason IS NOT NULL AND EXISTS (
        SELECT FROM operators
        WHERE operator_id <> NEW.decided_by AND disabled_at IS NULL AND 'approver' = ANY(duties)) THEN
      refused := 'another approver can decide';
    ELSIF NEW.decision = 'approved' AND NEW.override_reason IS NULL AND EXISTS (
        SELECT FROM finding_changes
        WHERE finding_id = NEW.finding_id AND to_state = 'false_positive' AND operator_id = NEW.decided_by) THEN
      refused := 'who closed the finding as a false positive does not approve';
    END IF;
  END IF;
  IF refused IS NULL AND TG_OP = 'UPDATE' AND OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL THEN
    PERFORM FROM operators WHERE operator_id = NEW.revoked_by AND disabled_at IS NULL
      AND (operator_id = NEW.requested_by OR 'approver' = ANY(duties)) FOR SHARE;
    IF NOT FOUND THEN
      refused := 'only who asked for it or an active approver takes it back';
    END IF;
  END IF;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'exceptions are kept as they were decided: %', refused
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$
"""
GUARD_ROWS = """
CREATE TRIGGER exceptions_rows_are_kept BEFORE INSERT OR UPDATE OR DELETE ON exceptions
FOR EACH ROW EXECUTE FUNCTION exceptions_are_kept()
"""
GUARD_TABLE = """
CREATE TRIGGER exceptions_table_is_kept BEFORE TRUNCATE ON exceptions
FOR EACH STATEMENT EXECUTE FUNCTION exceptions_are_kept()
"""

for _statement in (GUARD_FUNCTION, GUARD_ROWS, GUARD_TABLE):
    event.listen(RequestedException.__table__, "after_create", DDL(_statement.replace("%", "%%")))  # type: ignore[no-untyped-call]
