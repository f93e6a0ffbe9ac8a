"""joined flows."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "judged_connections",
        sa.Column("node_id", sa.BigInteger(), nullable=False),
        sa.Column("behaviour_id", sa.UUID(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("community_id", sa.Text(), nullable=False),
        sa.Column("transport", sa.Text(), nullable=False),
        sa.Column("local_address", sa.Text(), nullable=False),
        sa.Column("local_port", sa.Integer(), nullable=False),
        sa.Column("remote_address", sa.Text(), nullable=False),
        sa.Column("remote_port", sa.Integer(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("sensor_ids", postgresql.ARRAY(sa.Integer()), server_default="{}", nullable=False),
        sa.PrimaryKeyConstraint("node_id", "behaviour_id", "day", name=op.f("pk_judged_connections")),
    )
    op.create_index("ix_judged_connections_community_id", "judged_connections", ["community_id"], unique=False)
    op.create_index("ix_judged_connections_day", "judged_connections", ["day"], unique=False)
    op.create_table(
        "flow_skews",
        sa.Column("node_id", sa.BigInteger(), nullable=False),
        sa.Column("sensor_id", sa.Integer(), nullable=False),
        sa.Column("skews", postgresql.ARRAY(sa.Double()), nullable=False),
        sa.Column("joins", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("node_id", "sensor_id", name=op.f("pk_flow_skews")),
    )
    op.create_table(
        "flow_marks",
        sa.Column("mark_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("kept_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("mark_id = 1", name=op.f("ck_flow_marks_only_one")),
        sa.PrimaryKeyConstraint("mark_id", name=op.f("pk_flow_marks")),
    )
    op.execute("INSERT INTO flow_marks (mark_id, kept_at) VALUES (1, 'epoch')")
    kept_at = sa.Column("kept_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False)
    op.add_column("flows", kept_at)
    op.create_index("ix_flows_kept_at", "flows", ["kept_at"], unique=False, postgresql_using="brin")
    op.drop_index("ix_flows_responder", table_name="flows")
    op.create_index("ix_flows_responder", "flows", ["responder_address", "responder_port", "started_at"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_flows_responder", table_name="flows")
    op.create_index("ix_flows_responder", "flows", ["responder_address", "responder_port"], unique=False)
    op.drop_index("ix_flows_kept_at", table_name="flows", postgresql_using="brin")
    op.drop_column("flows", "kept_at")
    op.drop_table("flow_marks")
    op.drop_table("flow_skews")
    op.drop_table("judged_connections")
