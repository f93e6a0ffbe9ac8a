"""What the database itself refuses, whoever writes: one's own approval, a changed past.

The migration has the same text, and a test compares the two.
"""

BASELINES = """
CREATE FUNCTION baselines_are_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' THEN
    IF to_jsonb(OLD) - 'review_interval_days' = to_jsonb(NEW) - 'review_interval_days' THEN
      RETURN NEW;
    END IF;
  END IF;
  RAISE EXCEPTION 'a baseline stays with its role and platform: % refused', TG_OP
    USING ERRCODE = 'integrity_constraint_violation';
END $$
"""

VERSIONS = """
CREATE FUNCTION baseline_versions_are_kept() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  moved text := CASE TG_OP WHEN 'UPDATE' THEN OLD.state || ' > ' || NEW.state WHEN 'INSERT' THEN '> ' || NEW.state END;
  may text[] := CASE moved
    WHEN '> draft' THEN '{}'
    WHEN 'draft > draft' THEN '{content_sha256, editors, reason, reference}'
    WHEN 'draft > submitted' THEN '{state, submitted_by, submitted_at}'
    WHEN 'draft > abandoned' THEN '{state}'
    WHEN 'submitted > abandoned' THEN '{state}'
    WHEN 'submitted > rejected' THEN '{state, decided_by, decided_at, decision_reason}'
    WHEN 'submitted > approved'
      THEN '{state, decided_by, decided_at, decision_reason, override_reason, in_force_from, applied_at}'
    WHEN 'approved > approved' THEN '{superseded_at, applied_at}'
  END;
BEGIN
  IF may IS NULL THEN
    RAISE EXCEPTION 'versions of baselines are kept as they are: % refused', coalesce(moved, TG_OP)
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  IF TG_OP = 'INSERT' THEN
    RETURN NEW;
  END IF;
  IF to_jsonb(OLD) - may <> to_jsonb(NEW) - may OR NOT NEW.editors @> OLD.editors
     OR (OLD.superseded_at IS NOT NULL AND NEW.superseded_at IS DISTINCT FROM OLD.superseded_at)
     OR (OLD.superseded_at IS NULL AND NEW.superseded_at < now() - interval '5 minutes')
     OR (OLD.decided_at IS NULL AND NEW.decided_at < now() - interval '5 minutes')
     OR (OLD.applied_at IS NOT NULL AND NEW.applied_at IS DISTINCT FROM OLD.applied_at) THEN
    RAISE EXCEPTION 'versions of baselines are kept as they are: % refused', moved
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  IF moved = 'draft > submitted' AND EXISTS (
       SELECT FROM baseline_entries e WHERE e.baseline_id = NEW.baseline_id AND e.version = NEW.number
         AND NOT (e.justification ~ '\\S' AND e.owner ~ '\\S')) THEN
    RAISE EXCEPTION 'every entry needs a justification and an owner before its version is submitted'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  IF moved IN ('submitted > approved', 'submitted > rejected') THEN
    PERFORM FROM operators WHERE operator_id = NEW.decided_by AND disabled_at IS NULL AND 'approver' = ANY(duties)
      FOR SHARE;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'only an active operator with the duty approver decides on a version'
        USING ERRCODE = 'integrity_constraint_violation';
    END IF;
  END IF;
  IF moved = 'submitted > approved' AND NEW.override_reason IS NOT NULL AND EXISTS (
       SELECT FROM operators WHERE disabled_at IS NULL AND 'approver' = ANY(duties)
         AND operator_id <> NEW.decided_by) THEN
    RAISE EXCEPTION 'there is another approver: nobody decides on their own work'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$
"""

ENTRIES = """
CREATE FUNCTION baseline_entries_are_kept() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  held record;
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    RAISE EXCEPTION 'entries of baselines are kept as they are: TRUNCATE refused'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  IF TG_OP = 'INSERT' THEN held := NEW; ELSE held := OLD; END IF;
  PERFORM FROM baseline_versions
    WHERE baseline_id = held.baseline_id AND number = held.version AND state = 'draft' FOR SHARE;
  IF NOT FOUND OR TG_OP = 'UPDATE' THEN
    RAISE EXCEPTION 'only a draft takes or gives entries: % refused', TG_OP
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN held;
END $$
"""


def _triggers(table: str, rows: str) -> tuple[str, str]:
    return (
        (
            f"CREATE TRIGGER {table}_rows_are_kept BEFORE {rows} ON {table}\n"
            f"FOR EACH ROW EXECUTE FUNCTION {table}_are_kept()"
        ),
        (
            f"CREATE TRIGGER {table}_table_is_kept BEFORE TRUNCATE ON {table}\n"
            f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_are_kept()"
        ),
    )


STATEMENTS = (
    BASELINES,
    VERSIONS,
    ENTRIES,
    *_triggers("baselines", "UPDATE OR DELETE"),
    *_triggers("baseline_versions", "INSERT OR UPDATE OR DELETE"),
    *_triggers("baseline_entries", "INSERT OR UPDATE OR DELETE"),
)
