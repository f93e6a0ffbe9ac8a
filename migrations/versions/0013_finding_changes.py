"""What happens to a finding, a row each; and the times that triage is measured by."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

STATES = (
    "'open', 'acknowledged', 'investigating', 'escalated', 'reopened', 'remediated', 'false_positive', 'excepted',"
    " 'withdrawn'"
)
GUARD_FUNCTION = """
CREATE FUNCTION finding_changes_are_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'what happened to a finding is kept as it is: % refused', TG_OP
    USING ERRCODE = 'integrity_constraint_violation';
END $$
"""
GUARD_ROWS = """
CREATE TRIGGER finding_changes_rows_are_kept BEFORE UPDATE OR DELETE ON finding_changes
FOR EACH ROW EXECUTE FUNCTION finding_changes_are_kept()
"""
GUARD_TABLE = """
CREATE TRIGGER finding_changes_table_is_kept BEFORE TRUNCATE ON finding_changes
FOR EACH STATEMENT EXECUTE FUNCTION finding_changes_are_kept()
"""


def upgrade() -> None:
    op.add_column("findings", sa.Column("exception_id", sa.UUID(), nullable=True))
    op.add_column("findings", sa.Column("assignee_id", sa.BigInteger(), nullable=True))
    for name in ("due_since", "acknowledged_at", "closed_at"):
        op.add_column("findings", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "finding_changes",
        sa.Column("change_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("finding_id", sa.UUID(), nullable=False),
        sa.Column("node_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("operator_id", sa.BigInteger(), nullable=True),
        sa.Column("actor_name", sa.Text(), nullable=False),
        sa.Column("from_state", sa.Text(), nullable=True),
        sa.Column("to_state", sa.Text(), nullable=True),
        sa.Column("assignee_id", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("checks", postgresql.JSONB(), nullable=True),
        sa.Column("reference", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint("kind IN ('state', 'assignment', 'comment')", name=op.f("ck_finding_changes_kind")),
        sa.CheckConstraint("(kind = 'state') = (to_state IS NOT NULL)", name=op.f("ck_finding_changes_to_state")),
        sa.CheckConstraint(f"to_state IN ({STATES})", name=op.f("ck_finding_changes_state")),
        sa.CheckConstraint("actor_name ~ '\\S' AND reason ~ '\\S'", name=op.f("ck_finding_changes_who_and_why")),
        sa.CheckConstraint(
            "to_state NOT IN ('remediated', 'false_positive') OR (checks IS NOT NULL AND operator_id IS NOT NULL)",
            name=op.f("ck_finding_changes_closing"),
        ),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operators.operator_id"], name=op.f("fk_finding_changes_operator_id_operators")
        ),
        sa.ForeignKeyConstraint(
            ["assignee_id"], ["operators.operator_id"], name=op.f("fk_finding_changes_assignee_id_operators")
        ),
        sa.PrimaryKeyConstraint("change_id", name=op.f("pk_finding_changes")),
    )
    op.create_index("ix_finding_changes_finding_id", "finding_changes", ["finding_id", "change_id"])
    for statement in (GUARD_FUNCTION, GUARD_ROWS, GUARD_TABLE):
        op.execute(statement)


def downgrade() -> None:
    op.drop_table("finding_changes")
    op.execute("DROP FUNCTION finding_changes_are_kept()")
    for name in ("exception_id", "assignee_id", "due_since", "acknowledged_at", "closed_at"):
        op.drop_column("findings", name)
