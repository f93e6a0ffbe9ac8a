"""The table of the audit log, which triggers chain and guard."""

from datetime import datetime

from sqlalchemy import DDL, BigInteger, CheckConstraint, DateTime, Index, LargeBinary, Text, event
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Table


class AuditEvent(Table):
    """One deed. `line` is what counts; the columns beside it are read out of it by the database, to search by."""

    __tablename__ = "audit_events"
    __table_args__ = (
        CheckConstraint("outcome IN ('success', 'denied', 'error')", name="outcome"),
        Index("ix_audit_events_action_seq", "action", "seq"),
        Index("ix_audit_events_actor_name_seq", "actor_name", "seq"),
        Index("ix_audit_events_object_type_object_id_seq", "object_type", "object_id", "seq"),
        Index("ix_audit_events_at", "at", postgresql_using="brin"),
    )

    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False, doc="without gaps, from 1")
    at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), doc="by the clock of who wrote it; the order is `seq`"
    )
    actor_name: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(Text)
    object_type: Mapped[str] = mapped_column(Text)
    object_id: Mapped[str] = mapped_column(Text)
    outcome: Mapped[str] = mapped_column(Text)
    line: Mapped[str] = mapped_column(Text, doc="exact bytes, all ASCII: sequence, hash of the line before, the event")
    sha256: Mapped[bytes] = mapped_column(LargeBinary, doc="of `line`")


#: Under a lock that ends with the transaction, so that the chain has one order, no gap and no fork. A transaction that
#: cannot see who came before it is refused, and so is a line that tells anything but the fields, each once, in order.
CHAIN_FUNCTION = """
CREATE OR REPLACE FUNCTION audit_events_are_chained() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  said jsonb;
  fields text;
  before record;
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'the audit log is written in READ COMMITTED' USING ERRCODE = 'invalid_transaction_state';
  END IF;
  SELECT string_agg(CASE WHEN json_typeof(value) IN ('string', 'number', 'null') THEN key ELSE '?' END, ' ' ORDER BY n)
  INTO fields FROM json_each(NEW.line::json) WITH ORDINALITY AS told(key, value, n);
  IF NEW.line ~ '[^ -~]' OR NOT starts_with(NEW.line, '{"ts":')
     OR fields IS DISTINCT FROM 'ts actor_id actor_name actor_role auth_method source_ip action object_type object_id '
        'object_version before_sha256 after_sha256 outcome reason request_id' THEN
    RAISE EXCEPTION 'no line of the audit log' USING ERRCODE = 'check_violation';
  END IF;
  said := NEW.line;
  PERFORM pg_advisory_xact_lock(4711204);
  SELECT seq, sha256 INTO before FROM audit_events ORDER BY seq DESC LIMIT 1;
  NEW.seq := coalesce(before.seq, 0) + 1;
  NEW.at := said->>'ts';
  NEW.actor_name := said->>'actor_name';
  NEW.action := said->>'action';
  NEW.object_type := said->>'object_type';
  NEW.object_id := said->>'object_id';
  NEW.outcome := said->>'outcome';
  NEW.line := concat('{"seq":', NEW.seq, ',"prev":"', coalesce(encode(before.sha256, 'hex'), repeat('0', 64)), '",',
                     substr(NEW.line, 2));
  NEW.sha256 := sha256(convert_to(NEW.line, 'UTF8'));
  RETURN NEW;
END $$
"""
CHAIN = """
CREATE TRIGGER audit_events_rows_are_chained BEFORE INSERT ON audit_events
FOR EACH ROW EXECUTE FUNCTION audit_events_are_chained()
"""
GUARD_FUNCTION = """
CREATE FUNCTION audit_events_are_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the audit log is kept as it is: % refused', TG_OP USING ERRCODE = 'integrity_constraint_violation';
END $$
"""
GUARD_ROWS = """
CREATE TRIGGER audit_events_rows_are_kept BEFORE UPDATE OR DELETE ON audit_events
FOR EACH ROW EXECUTE FUNCTION audit_events_are_kept()
"""
GUARD_TABLE = """
CREATE TRIGGER audit_events_table_is_kept BEFORE TRUNCATE ON audit_events
FOR EACH STATEMENT EXECUTE FUNCTION audit_events_are_kept()
"""

for _statement in (CHAIN_FUNCTION, CHAIN, GUARD_FUNCTION, GUARD_ROWS, GUARD_TABLE):
    event.listen(AuditEvent.__table__, "after_create", DDL(_statement.replace("%", "%%")))  # type: ignore[no-untyped-call]
