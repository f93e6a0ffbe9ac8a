"""fresh facts."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "fresh_facts",
        sa.Column("node_id", sa.BigInteger(), nullable=False),
        sa.Column("batch_id", sa.UUID(), nullable=False),
        sa.Column("batch_day", sa.Date(), nullable=False),
        sa.Column("fresh_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("line_numbers", postgresql.ARRAY(sa.Integer()), nullable=False),
        sa.Column("failures", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("node_id", "batch_id", name=op.f("pk_fresh_facts")),
    )
    op.create_index(op.f("ix_fresh_facts_fresh_id"), "fresh_facts", ["fresh_id"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_fresh_facts_fresh_id"), table_name="fresh_facts")
    op.drop_table("fresh_facts")
