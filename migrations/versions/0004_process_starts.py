"""process starts."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "process_starts",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("node_id", sa.BigInteger(), nullable=False),
        sa.Column("process_id", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("parent", sa.Text(), nullable=False),
        sa.Column("command_line", sa.Text(), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("guid", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("day", "node_id", "process_id", "started_at", name=op.f("pk_process_starts")),
        postgresql_partition_by="RANGE (day)",
    )
    op.create_table(
        "start_tallies",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("node_id", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("starts", sa.BigInteger(), nullable=False),
        sa.Column("connections", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", "node_id", "source", name=op.f("pk_start_tallies")),
        postgresql_partition_by="RANGE (day)",
    )
    op.add_column("fresh_sightings", sa.Column("again", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("findings", sa.Column("process_id", sa.BigInteger(), nullable=True))
    op.add_column("findings", sa.Column("start_source", sa.Text(), server_default="", nullable=False))


def downgrade() -> None:
    op.drop_column("findings", "start_source")
    op.drop_column("findings", "process_id")
    op.drop_column("fresh_sightings", "again")
    op.drop_table("start_tallies")
    op.drop_table("process_starts")
