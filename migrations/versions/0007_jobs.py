"""jobs of each node."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

KINDS = "kind IN ('launchd', 'sockets', 'switch', 'startup_item', 'hidden_plist', 'service', 'running')"


def upgrade() -> None:
    op.create_table(
        "node_jobs",
        sa.Column("node_id", sa.BigInteger(), nullable=False),
        sa.Column("part_id", sa.UUID(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("known_by", sa.Text(), nullable=False),
        sa.Column("says", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("before", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("said_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(KINDS, name=op.f("ck_node_jobs_kind")),
        sa.PrimaryKeyConstraint("node_id", "part_id", name=op.f("pk_node_jobs")),
    )
    known = sa.text("known_by <> ''")
    op.create_index("ix_node_jobs_known_by", "node_jobs", ["node_id", "known_by"], postgresql_where=known)
    op.create_index("ix_node_jobs_label", "node_jobs", ["node_id", "label"])
    few = sa.text("kind IN ('sockets', 'hidden_plist')")
    op.create_index("ix_node_jobs_kind", "node_jobs", ["node_id", "kind"], postgresql_where=few)
    op.create_table(
        "job_inventories",
        sa.Column("node_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("parts", sa.Integer(), nullable=False),
        sa.CheckConstraint(KINDS, name=op.f("ck_job_inventories_kind")),
        sa.PrimaryKeyConstraint("node_id", "kind", name=op.f("pk_job_inventories")),
    )


def downgrade() -> None:
    op.drop_table("job_inventories")
    op.drop_table("node_jobs")
