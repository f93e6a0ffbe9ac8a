"""Versions of the knobs, the record of backtests, and which version judged a finding."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

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


def upgrade() -> None:
    op.create_table(
        "knob_versions",
        sa.Column("version", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("document", postgresql.JSONB(), nullable=False),
        sa.Column("document_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("backtest_id", sa.UUID(), nullable=True),
        sa.Column("forced_reason", sa.Text(), nullable=True),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "scope = 'every' OR scope ~ '^(platform|role\\..+)\\.(windows|macos)$'", name=op.f("ck_knob_versions_scope")
        ),
        sa.CheckConstraint("jsonb_typeof(document) = 'object'", name=op.f("ck_knob_versions_document")),
        sa.CheckConstraint("length(document_sha256) = 32", name=op.f("ck_knob_versions_document_sha256")),
        sa.CheckConstraint("created_by ~ '\\S' AND reason ~ '\\S'", name=op.f("ck_knob_versions_who_and_why")),
        sa.CheckConstraint(
            "(backtest_id IS NULL) <> (forced_reason IS NULL)", name=op.f("ck_knob_versions_backtest_or_forced")
        ),
        sa.CheckConstraint("forced_reason ~ '\\S'", name=op.f("ck_knob_versions_forced_reason")),
        sa.CheckConstraint("superseded_at >= created_at", name=op.f("ck_knob_versions_superseded_at")),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_knob_versions")),
    )
    op.create_index(
        "uq_knob_versions_in_force",
        "knob_versions",
        ["scope"],
        unique=True,
        postgresql_where=sa.text("superseded_at IS NULL"),
    )
    op.create_index("ix_knob_versions_scope_version", "knob_versions", ["scope", "version"], unique=False)
    for statement in (GUARD_FUNCTION, GUARD_ROWS, GUARD_TABLE):
        op.execute(statement)
    op.create_table(
        "backtests",
        sa.Column("backtest_id", sa.UUID(), nullable=False),
        sa.Column("candidate_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("candidate", postgresql.JSONB(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("progress", sa.Float(), server_default="0", nullable=False),
        sa.Column("state", sa.Text(), server_default="queued", nullable=False),
        sa.Column("result", postgresql.JSONB(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'finished', 'failed', 'cancelled')", name=op.f("ck_backtests_state")
        ),
        sa.CheckConstraint("length(candidate_sha256) = 32", name=op.f("ck_backtests_candidate_sha256")),
        sa.CheckConstraint("progress BETWEEN 0 AND 1", name=op.f("ck_backtests_progress")),
        sa.CheckConstraint("days > 0", name=op.f("ck_backtests_days")),
        sa.PrimaryKeyConstraint("backtest_id", name=op.f("pk_backtests")),
    )
    op.create_index(op.f("ix_backtests_candidate_sha256"), "backtests", ["candidate_sha256"], unique=False)
    op.create_index("ix_backtests_requested_at_backtest_id", "backtests", ["requested_at", "backtest_id"], unique=False)
    op.add_column("findings", sa.Column("knobs_version", sa.BigInteger(), server_default="0", nullable=False))


def downgrade() -> None:
    op.drop_column("findings", "knobs_version")
    op.drop_table("backtests")
    op.drop_table("knob_versions")
    op.execute("DROP FUNCTION knob_versions_are_kept()")
