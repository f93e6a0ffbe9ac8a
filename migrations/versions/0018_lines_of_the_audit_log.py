"""The audit log takes no line but its own, and finds times."""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

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
BEFORE = """
CREATE OR REPLACE FUNCTION audit_events_are_chained() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  last audit_events;
  said jsonb := NEW.line::jsonb;
BEGIN
  PERFORM pg_advisory_xact_lock(4711204);
  SELECT * INTO last FROM audit_events ORDER BY seq DESC LIMIT 1;
  NEW.seq := coalesce(last.seq, 0) + 1;
  NEW.at := said->>'ts';
  NEW.actor_name := said->>'actor_name';
  NEW.action := said->>'action';
  NEW.object_type := said->>'object_type';
  NEW.object_id := said->>'object_id';
  NEW.outcome := said->>'outcome';
  NEW.line := '{"seq":' || NEW.seq || ',"prev":"' || coalesce(encode(last.sha256, 'hex'), repeat('0', 64)) || '",'
              || substr(NEW.line, 2);
  NEW.sha256 := sha256(convert_to(NEW.line, 'UTF8'));
  RETURN NEW;
END $$
"""


def upgrade() -> None:
    op.execute(CHAIN_FUNCTION)
    op.create_index("ix_audit_events_at", "audit_events", ["at"], postgresql_using="brin")


def downgrade() -> None:
    op.drop_index("ix_audit_events_at", "audit_events")
    op.execute(BEFORE)
