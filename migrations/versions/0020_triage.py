"""What closes a finding is checked in full, and no state changes without the row that says so."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

CHECKS_FUNCTION = r"""
CREATE FUNCTION closing_checks_are_complete(checks jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT jsonb_typeof(checks) = 'object'
     AND checks - ARRAY['process', 'user', 'host', 'destination', 'justification'] = '{}'
     AND bool_and(coalesce(jsonb_typeof(said) = 'string' AND said #>> '{}' ~ '\S' AND each = whole, false))
  FROM (
    SELECT checks -> name AS each, coalesce(checks -> name -> 'note', checks -> name -> 'unknown') AS said,
           CASE WHEN checks -> name ? 'unknown' THEN jsonb_build_object('unknown', checks -> name -> 'unknown')
                ELSE jsonb_build_object('checked', true, 'note', checks -> name -> 'note') END AS whole
    FROM unnest(ARRAY['process', 'user', 'host', 'destination', 'justification']) AS name
  ) AS stated
$$
"""
CHANGES_FUNCTION = """
CREATE FUNCTION finding_states_have_their_changes() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  now_in text := (SELECT state FROM findings WHERE finding_id = NEW.finding_id);
  told text;
  whole boolean;
BEGIN
  SELECT (array_agg(to_state ORDER BY change_id DESC))[1], bool_and(from_state IS NOT DISTINCT FROM before)
  INTO told, whole
  FROM (SELECT change_id, from_state, to_state, lag(to_state, 1, 'open') OVER (ORDER BY change_id) AS before
        FROM finding_changes WHERE finding_id = NEW.finding_id AND kind = 'state') AS changes;
  IF now_in IS DISTINCT FROM coalesce(told, 'open') OR NOT coalesce(whole, true) THEN
    RAISE EXCEPTION 'finding %: its state (%) is not what its changes say (%)', NEW.finding_id, now_in, told
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NULL;
END $$
"""
STATES_CHANGED = """
CREATE CONSTRAINT TRIGGER findings_states_have_their_changes AFTER UPDATE OF state ON findings
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (OLD.state <> NEW.state)
EXECUTE FUNCTION finding_states_have_their_changes()
"""
KEPT_FUNCTION = """
CREATE FUNCTION findings_are_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a finding stays what it was found to be: % refused', TG_OP
    USING ERRCODE = 'integrity_constraint_violation';
END $$
"""
KEPT_ROWS = """
CREATE TRIGGER findings_rows_are_kept BEFORE DELETE OR UPDATE OF finding_id, node_id, behaviour_id ON findings
FOR EACH ROW EXECUTE FUNCTION findings_are_kept()
"""
STATES_BEGUN = """
CREATE CONSTRAINT TRIGGER findings_begin_open AFTER INSERT ON findings
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.state <> 'open')
EXECUTE FUNCTION finding_states_have_their_changes()
"""
STATES_TOLD = """
CREATE CONSTRAINT TRIGGER finding_changes_are_true AFTER INSERT ON finding_changes
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.kind = 'state')
EXECUTE FUNCTION finding_states_have_their_changes()
"""
CLOSING = "to_state NOT IN ('remediated', 'false_positive') OR "


def upgrade() -> None:
    states = (CHANGES_FUNCTION, STATES_CHANGED, STATES_BEGUN, STATES_TOLD)
    for statement in (CHECKS_FUNCTION, *states, KEPT_FUNCTION, KEPT_ROWS):
        op.execute(statement)
    _closing("(operator_id IS NOT NULL AND coalesce(closing_checks_are_complete(checks), false))")
    op.create_index(
        "ix_findings_assignee_id", "findings", ["assignee_id"], postgresql_where=sa.text("assignee_id IS NOT NULL")
    )
    op.create_index(
        "ix_findings_signer_peer_scope",
        "findings",
        ["signer", "peer_scope"],
        postgresql_where=sa.text("is_open AND signer <> ''"),
    )
    op.create_index("ix_finding_changes_at", "finding_changes", ["at"])


def _closing(condition: str) -> None:
    op.drop_constraint(op.f("ck_finding_changes_closing"), "finding_changes")
    op.create_check_constraint(op.f("ck_finding_changes_closing"), "finding_changes", CLOSING + condition)


def downgrade() -> None:
    op.drop_index("ix_finding_changes_at", "finding_changes")
    op.drop_index("ix_findings_signer_peer_scope", "findings")
    op.drop_index("ix_findings_assignee_id", "findings")
    _closing("(checks IS NOT NULL AND operator_id IS NOT NULL)")
    op.execute("DROP TRIGGER findings_rows_are_kept ON findings")
    op.execute("DROP FUNCTION findings_are_kept()")
    op.execute("DROP TRIGGER finding_changes_are_true ON finding_changes")
    op.execute("DROP TRIGGER findings_begin_open ON findings")
    op.execute("DROP TRIGGER findings_states_have_their_changes ON findings")
    op.execute("DROP FUNCTION finding_states_have_their_changes()")
    op.execute("DROP FUNCTION closing_checks_are_complete(jsonb)")
