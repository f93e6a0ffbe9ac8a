"""flows."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "flow_sensors",
        sa.Column("sensor_id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("tool", sa.Text(), nullable=False),
        sa.Column("first_flow_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_flow_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("logs", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("services", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.CheckConstraint("tool IN ('zeek', 'suricata')", name=op.f("ck_flow_sensors_tool")),
        sa.PrimaryKeyConstraint("sensor_id", name=op.f("pk_flow_sensors")),
    )
    op.create_index("uq_flow_sensors_name_tool", "flow_sensors", ["name", "tool"], unique=True)
    op.create_table(
        "flows",
        sa.Column("sensor_id", sa.Integer(), nullable=False),
        sa.Column("flow_id", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("transport", sa.Text(), nullable=False),
        sa.Column("origin_address", sa.Text(), nullable=False),
        sa.Column("origin_port", sa.Integer(), nullable=False),
        sa.Column("responder_address", sa.Text(), nullable=False),
        sa.Column("responder_port", sa.Integer(), nullable=False),
        sa.Column("community_id", sa.Text(), nullable=False),
        sa.Column("duration", sa.Double(), nullable=True),
        sa.Column("services", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("failed_services", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("violations", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("tls_version", sa.Text(), nullable=False),
        sa.Column("server_name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("bytes_out", sa.BigInteger(), nullable=True),
        sa.Column("bytes_in", sa.BigInteger(), nullable=True),
        sa.Column("packets_out", sa.BigInteger(), nullable=True),
        sa.Column("packets_in", sa.BigInteger(), nullable=True),
        sa.Column("one_sided", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("sensor_id", "flow_id", "day", name=op.f("pk_flows")),
        postgresql_partition_by="RANGE (day)",
    )
    op.create_index("ix_flows_community_id", "flows", ["community_id", "started_at"], unique=False)
    op.create_index("ix_flows_origin", "flows", ["origin_address", "origin_port"], unique=False)
    op.create_index("ix_flows_responder", "flows", ["responder_address", "responder_port"], unique=False)
    op.create_index("ix_flows_started_at", "flows", ["started_at"], unique=False)


def downgrade() -> None:
    op.drop_table("flows")
    op.drop_index("uq_flow_sensors_name_tool", table_name="flow_sensors")
    op.drop_table("flow_sensors")
