"""Baselines: versions with their entries, decided on by somebody else; and their reviews."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

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

REVIEWS = """
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
REVIEWS_ROWS = """
CREATE TRIGGER baseline_reviews_rows_are_kept BEFORE INSERT OR UPDATE OR DELETE ON baseline_reviews
FOR EACH ROW EXECUTE FUNCTION baseline_reviews_are_kept()
"""
REVIEWS_TABLE = """
CREATE TRIGGER baseline_reviews_table_is_kept BEFORE TRUNCATE ON baseline_reviews
FOR EACH STATEMENT EXECUTE FUNCTION baseline_reviews_are_kept()
"""


def upgrade() -> None:
    op.create_table(
        "baselines",
        sa.Column("baseline_id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("role_id", sa.SmallInteger(), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("review_interval_days", sa.SmallInteger(), server_default="90", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("platform IN ('windows', 'macos')", name=op.f("ck_baselines_platform")),
        sa.CheckConstraint("review_interval_days BETWEEN 1 AND 400", name=op.f("ck_baselines_review_interval_days")),
        sa.ForeignKeyConstraint(["role_id"], ["roles.role_id"], name=op.f("fk_baselines_role_id_roles")),
        sa.PrimaryKeyConstraint("baseline_id", name=op.f("pk_baselines")),
    )
    op.create_index("uq_baselines_role_id_platform", "baselines", ["role_id", "platform"], unique=True)
    op.create_table(
        "baseline_reviews",
        sa.Column("review_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("baseline_id", sa.Integer(), nullable=False),
        sa.Column("trigger", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("reference", sa.Text(), server_default="", nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("opened_by", sa.Text(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reviewed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reviewer_id", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("notes", sa.Text(), server_default="", nullable=False),
        sa.Column("confirmed", postgresql.ARRAY(sa.UUID()), server_default="{}", nullable=False),
        sa.Column("removed", postgresql.ARRAY(sa.UUID()), server_default="{}", nullable=False),
        sa.Column("added", postgresql.ARRAY(sa.UUID()), server_default="{}", nullable=False),
        sa.Column("draft", sa.Integer(), nullable=True),
        sa.Column("sod_ok", sa.Boolean(), nullable=True),
        sa.CheckConstraint(
            "(outcome = 'changes_proposed') = (draft IS NOT NULL)", name=op.f("ck_baseline_reviews_draft")
        ),
        sa.CheckConstraint("outcome IN ('confirmed', 'changes_proposed')", name=op.f("ck_baseline_reviews_outcome")),
        sa.CheckConstraint("trigger = 'scheduled' OR reason ~ '\\S'", name=op.f("ck_baseline_reviews_reason")),
        sa.CheckConstraint("trigger IN ('scheduled', 'change', 'incident')", name=op.f("ck_baseline_reviews_trigger")),
        sa.CheckConstraint(
            "num_nulls(reviewed_at, reviewer_id, version, outcome, sod_ok) IN (0, 5)",
            name=op.f("ck_baseline_reviews_done_or_not"),
        ),
        sa.ForeignKeyConstraint(
            ["baseline_id"], ["baselines.baseline_id"], name=op.f("fk_baseline_reviews_baseline_id_baselines")
        ),
        sa.ForeignKeyConstraint(
            ["reviewer_id"], ["operators.operator_id"], name=op.f("fk_baseline_reviews_reviewer_id_operators")
        ),
        sa.PrimaryKeyConstraint("review_id", name=op.f("pk_baseline_reviews")),
    )
    op.create_index("ix_baseline_reviews_due_at", "baseline_reviews", ["due_at", "review_id"], unique=False)
    op.create_index(
        "uq_baseline_reviews_scheduled",
        "baseline_reviews",
        ["baseline_id"],
        unique=True,
        postgresql_where="trigger = 'scheduled' AND reviewed_at IS NULL",
    )
    op.create_table(
        "baseline_versions",
        sa.Column("baseline_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", sa.Text(), server_default="draft", nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), server_default="", nullable=False),
        sa.Column("based_on", sa.Integer(), nullable=True),
        sa.Column("author_id", sa.BigInteger(), nullable=False),
        sa.Column("editors", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("content_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("submitted_by", sa.BigInteger(), nullable=True),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by", sa.BigInteger(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decision_reason", sa.Text(), nullable=True),
        sa.Column("override_reason", sa.Text(), nullable=True),
        sa.Column("in_force_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state = 'approved') = (in_force_from IS NOT NULL)", name=op.f("ck_baseline_versions_in_force")
        ),
        sa.CheckConstraint(
            "CASE WHEN state IN ('approved', 'rejected')"
            " THEN decided_by IS NOT NULL AND decided_at IS NOT NULL AND coalesce(decision_reason ~ '\\S', false)"
            " ELSE decided_by IS NULL AND decided_at IS NULL AND decision_reason IS NULL END",
            name=op.f("ck_baseline_versions_decision"),
        ),
        sa.CheckConstraint("applied_at IS NULL OR state = 'approved'", name=op.f("ck_baseline_versions_applied")),
        sa.CheckConstraint(
            "origin IN ('proposal', 'file', 'edit', 'review', 'incident')", name=op.f("ck_baseline_versions_origin")
        ),
        sa.CheckConstraint(
            "override_reason IS NULL OR (override_reason ~ '\\S' AND state = 'approved')",
            name=op.f("ck_baseline_versions_override"),
        ),
        sa.CheckConstraint("reason ~ '\\S'", name=op.f("ck_baseline_versions_reason")),
        sa.CheckConstraint(
            "state IN ('draft', 'submitted', 'approved', 'rejected', 'abandoned')",
            name=op.f("ck_baseline_versions_state"),
        ),
        sa.CheckConstraint(
            "state NOT IN ('submitted', 'approved', 'rejected') OR submitted_by IS NOT NULL",
            name=op.f("ck_baseline_versions_submitted_first"),
        ),
        sa.CheckConstraint("superseded_at IS NULL OR state = 'approved'", name=op.f("ck_baseline_versions_superseded")),
        sa.CheckConstraint(
            "(submitted_by IS NULL) = (submitted_at IS NULL)", name=op.f("ck_baseline_versions_submitted")
        ),
        sa.CheckConstraint("author_id = ANY(editors)", name=op.f("ck_baseline_versions_author_is_an_editor")),
        sa.CheckConstraint("in_force_from >= decided_at", name=op.f("ck_baseline_versions_in_force_from")),
        sa.CheckConstraint("length(content_sha256) = 32", name=op.f("ck_baseline_versions_content_sha256")),
        sa.CheckConstraint("number > 0", name=op.f("ck_baseline_versions_number")),
        sa.CheckConstraint(
            "override_reason IS NOT NULL OR decided_by IS NULL"
            " OR (decided_by <> ALL (editors) AND decided_by <> author_id AND decided_by <> submitted_by)",
            name=op.f("ck_baseline_versions_decided_by_somebody_else"),
        ),
        sa.CheckConstraint("superseded_at >= in_force_from", name=op.f("ck_baseline_versions_superseded_at")),
        sa.ForeignKeyConstraint(
            ["author_id"], ["operators.operator_id"], name=op.f("fk_baseline_versions_author_id_operators")
        ),
        sa.ForeignKeyConstraint(
            ["baseline_id"], ["baselines.baseline_id"], name=op.f("fk_baseline_versions_baseline_id_baselines")
        ),
        sa.ForeignKeyConstraint(
            ["decided_by"], ["operators.operator_id"], name=op.f("fk_baseline_versions_decided_by_operators")
        ),
        sa.ForeignKeyConstraint(
            ["submitted_by"], ["operators.operator_id"], name=op.f("fk_baseline_versions_submitted_by_operators")
        ),
        sa.PrimaryKeyConstraint("baseline_id", "number", name=op.f("pk_baseline_versions")),
    )
    op.create_index(
        "uq_baseline_versions_newest_approved",
        "baseline_versions",
        ["baseline_id"],
        unique=True,
        postgresql_where="state = 'approved' AND superseded_at IS NULL",
    )
    op.create_table(
        "baseline_entries",
        sa.Column("baseline_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("entry_id", sa.UUID(), nullable=False),
        sa.Column("program", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("signer", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=True),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("transport", sa.Text(), nullable=False),
        sa.Column("first_port", sa.Integer(), nullable=False),
        sa.Column("last_port", sa.Integer(), nullable=False),
        sa.Column("peer_scope", sa.Text(), nullable=True),
        sa.Column("justification", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "direction IN ('outbound', 'listening', 'loopback')", name=op.f("ck_baseline_entries_direction")
        ),
        sa.CheckConstraint(
            "peer_scope IS NULL OR (peer_scope IN ('public', 'private', 'link-local') AND direction = 'outbound')",
            name=op.f("ck_baseline_entries_peer_scope"),
        ),
        sa.CheckConstraint("program <> '' AND (path <> '' OR signer <> '')", name=op.f("ck_baseline_entries_program")),
        sa.CheckConstraint("transport IN ('tcp', 'udp')", name=op.f("ck_baseline_entries_transport")),
        sa.CheckConstraint(
            "first_port BETWEEN 1 AND 65535 AND last_port BETWEEN first_port AND 65535",
            name=op.f("ck_baseline_entries_ports"),
        ),
        sa.ForeignKeyConstraint(
            ["baseline_id", "version"],
            ["baseline_versions.baseline_id", "baseline_versions.number"],
            name="fk_baseline_entries_version_baseline_versions",
        ),
        sa.PrimaryKeyConstraint("baseline_id", "version", "entry_id", name=op.f("pk_baseline_entries")),
    )
    # ### end Alembic commands ###

    for statement in (*STATEMENTS, REVIEWS, REVIEWS_ROWS, REVIEWS_TABLE):
        op.execute(statement)


def downgrade() -> None:
    for table in ("baseline_reviews", "baseline_entries", "baseline_versions", "baselines"):
        op.drop_table(table)
        op.execute(f"DROP FUNCTION {table}_are_kept()")
