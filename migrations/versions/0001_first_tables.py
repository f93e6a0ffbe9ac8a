"""first tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "api_tokens",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("token_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("length(token_sha256) = 32", name=op.f("ck_api_tokens_token_is_a_hash")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_api_tokens")),
        sa.UniqueConstraint("token_sha256", name=op.f("uq_api_tokens_token_sha256")),
    )
    op.create_table(
        "batches",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("node_id", sa.BigInteger(), nullable=False),
        sa.Column("batch_id", sa.UUID(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("body_sha256", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("kind IN ('result', 'status')", name=op.f("ck_batches_kind")),
        sa.PrimaryKeyConstraint("day", "node_id", "batch_id", name=op.f("pk_batches")),
        postgresql_partition_by="RANGE (day)",
    )
    op.create_table(
        "behaviours",
        sa.Column("behaviour_id", sa.UUID(), nullable=False),
        sa.Column("program_id", sa.UUID(), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("transport", sa.Text(), nullable=False),
        sa.Column("bucket", sa.Text(), nullable=False),
        sa.Column("subjects", postgresql.ARRAY(sa.UUID()), nullable=False),
        sa.PrimaryKeyConstraint("behaviour_id", name=op.f("pk_behaviours")),
    )
    op.create_index("ix_behaviours_name", "behaviours", ["name", "direction"], unique=False)
    op.create_index(op.f("ix_behaviours_program_id"), "behaviours", ["program_id"], unique=False)
    op.create_table(
        "executions",
        sa.Column("node_id", sa.BigInteger(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("counter", sa.BigInteger(), nullable=False),
        sa.Column("observed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rows_total", sa.BigInteger(), nullable=False),
        sa.Column("executions_total", sa.BigInteger(), nullable=False),
        sa.Column("missing_total", sa.BigInteger(), nullable=False),
        sa.Column("restarts_total", sa.BigInteger(), nullable=False),
        sa.Column("resyncs_total", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("node_id", "query", name=op.f("pk_executions")),
        postgresql_with={"fillfactor": 70},
    )
    op.create_table(
        "findings",
        sa.Column("finding_id", sa.UUID(), nullable=False),
        sa.Column("node_id", sa.BigInteger(), nullable=False),
        sa.Column("behaviour_id", sa.UUID(), nullable=False),
        sa.Column("role_id", sa.SmallInteger(), nullable=False),
        sa.Column("state", sa.Text(), server_default="open", nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("score", sa.SmallInteger(), nullable=False),
        sa.Column("analytic", sa.Text(), nullable=False),
        sa.Column("evidence", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("judged_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("days_seen", sa.Integer(), server_default="1", nullable=False),
        sa.Column("batch_day", sa.Date(), nullable=False),
        sa.Column("batch_id", sa.UUID(), nullable=False),
        sa.Column("line_number", sa.Integer(), nullable=False),
        sa.Column("row_number", sa.Integer(), nullable=False),
        sa.CheckConstraint("severity IN ('high', 'medium', 'low')", name=op.f("ck_findings_severity")),
        sa.CheckConstraint("state IN ('open', 'withdrawn')", name=op.f("ck_findings_state")),
        sa.CheckConstraint("score BETWEEN 0 AND 100", name=op.f("ck_findings_score")),
        sa.PrimaryKeyConstraint("finding_id", name=op.f("pk_findings")),
    )
    op.create_index("ix_findings_opened_at_finding_id", "findings", ["opened_at", "finding_id"], unique=False)
    op.create_index("ix_findings_score_finding_id", "findings", ["score", "finding_id"], unique=False)
    op.create_index(
        "uq_findings_open_node_id_behaviour_id",
        "findings",
        ["node_id", "behaviour_id"],
        unique=True,
        postgresql_where="state = 'open'",
    )
    op.create_table(
        "fresh_sightings",
        sa.Column("node_id", sa.BigInteger(), nullable=False),
        sa.Column("batch_id", sa.UUID(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("batch_day", sa.Date(), nullable=False),
        sa.Column("fresh_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("role_id", sa.SmallInteger(), nullable=False),
        sa.Column("behaviour_ids", postgresql.ARRAY(sa.UUID()), nullable=False),
        sa.Column("line_numbers", postgresql.ARRAY(sa.Integer()), nullable=False),
        sa.Column("row_numbers", postgresql.ARRAY(sa.Integer()), nullable=False),
        sa.Column("seen_at", postgresql.ARRAY(sa.DateTime(timezone=True)), nullable=False),
        sa.Column("failures", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("node_id", "batch_id", "day", name=op.f("pk_fresh_sightings")),
    )
    op.create_index(op.f("ix_fresh_sightings_fresh_id"), "fresh_sightings", ["fresh_id"], unique=False)
    op.create_table(
        "images",
        sa.Column("node_id", sa.BigInteger(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("trust", sa.Text(), nullable=False),
        sa.Column("signer", sa.Text(), nullable=False),
        sa.Column("observed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("trust IN ('trusted', 'unsigned', 'broken')", name=op.f("ck_images_trust")),
        sa.PrimaryKeyConstraint("node_id", "path", name=op.f("pk_images")),
    )
    op.create_table(
        "node_tallies",
        sa.Column("node_id", sa.BigInteger(), nullable=False),
        sa.Column("subject", sa.UUID(), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("node_id", "subject", name=op.f("pk_node_tallies")),
        postgresql_with={"fillfactor": 70},
    )
    op.create_table(
        "notices",
        sa.Column("node_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("last_received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("node_id", "kind", name=op.f("pk_notices")),
    )
    op.create_table(
        "quarantined_lines",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("node_id", sa.BigInteger(), nullable=False),
        sa.Column("batch_id", sa.UUID(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("first_line", sa.Integer(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("day", "node_id", "batch_id", "reason", name=op.f("pk_quarantined_lines")),
        postgresql_partition_by="RANGE (day)",
    )
    op.create_table(
        "roles",
        sa.Column("role_id", sa.SmallInteger(), sa.Identity(always=False, start=1), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("role_id", name=op.f("pk_roles")),
        sa.UniqueConstraint("name", name=op.f("uq_roles_name")),
    )
    op.create_table(
        "sightings",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("node_id", sa.BigInteger(), nullable=False),
        sa.Column("behaviour_id", sa.UUID(), nullable=False),
        sa.Column("role_id", sa.SmallInteger(), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("batch_day", sa.Date(), nullable=False),
        sa.Column("batch_id", sa.UUID(), nullable=False),
        sa.Column("line_number", sa.Integer(), nullable=False),
        sa.Column("row_number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("day", "node_id", "behaviour_id", name=op.f("pk_sightings")),
        postgresql_partition_by="RANGE (day)",
    )
    op.create_index("ix_sightings_behaviour_id", "sightings", ["behaviour_id", "day"], unique=False)
    op.create_table(
        "tallies",
        sa.Column("role_id", sa.SmallInteger(), nullable=False),
        sa.Column("subject", sa.UUID(), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("units", sa.BigInteger(), nullable=False),
        sa.Column("nodes", sa.BigInteger(), nullable=False),
        sa.Column("day_units", sa.BigInteger(), nullable=False),
        sa.Column("day_nodes", sa.BigInteger(), nullable=False),
        sa.Column("parent", sa.UUID(), nullable=True),
        sa.Column("bucket", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("role_id", "subject", name=op.f("pk_tallies")),
        postgresql_with={"fillfactor": 70},
    )
    op.create_index(
        "ix_tallies_parent", "tallies", ["role_id", "parent"], unique=False, postgresql_where="parent IS NOT NULL"
    )
    op.create_table(
        "enroll_secrets",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("secret_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("role_id", sa.SmallInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("quota", sa.Integer(), nullable=True),
        sa.Column("nodes_total", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("length(secret_sha256) = 32", name=op.f("ck_enroll_secrets_secret_is_a_hash")),
        sa.CheckConstraint("quota IS NULL OR nodes_total <= quota", name=op.f("ck_enroll_secrets_quota")),
        sa.ForeignKeyConstraint(["role_id"], ["roles.role_id"], name=op.f("fk_enroll_secrets_role_id_roles")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_enroll_secrets")),
        sa.UniqueConstraint("secret_sha256", name=op.f("uq_enroll_secrets_secret_sha256")),
    )
    op.create_table(
        "nodes",
        sa.Column("node_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("host_identifier", sa.Text(), nullable=False),
        sa.Column("hardware", sa.Text(), nullable=False),
        sa.Column("hostname", sa.Text(), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("role_id", sa.SmallInteger(), nullable=False),
        sa.Column("osquery_version", sa.Text(), nullable=False),
        sa.Column("details", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("enrolled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reported_config_hash", sa.Text(), nullable=True),
        sa.Column("instance_id", sa.Text(), nullable=True),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("platform IN ('windows', 'macos', 'other')", name=op.f("ck_nodes_platform")),
        sa.ForeignKeyConstraint(["role_id"], ["roles.role_id"], name=op.f("fk_nodes_role_id_roles")),
        sa.PrimaryKeyConstraint("node_id", name=op.f("pk_nodes")),
    )
    op.create_index("uq_nodes_host_identifier_hardware", "nodes", ["host_identifier", "hardware"], unique=True)
    op.create_table(
        "node_keys",
        sa.Column("key_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("node_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retires_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("length(key_sha256) = 32", name=op.f("ck_node_keys_key_is_a_hash")),
        sa.ForeignKeyConstraint(["node_id"], ["nodes.node_id"], name=op.f("fk_node_keys_node_id_nodes")),
        sa.PrimaryKeyConstraint("key_sha256", name=op.f("pk_node_keys")),
    )
    op.create_index(op.f("ix_node_keys_node_id"), "node_keys", ["node_id"], unique=False)
    # Bodies are gzip already.
    op.execute("ALTER TABLE batches ALTER COLUMN body SET STORAGE EXTERNAL")


def downgrade() -> None:
    op.drop_index(op.f("ix_node_keys_node_id"), table_name="node_keys")
    op.drop_table("node_keys")
    op.drop_index("uq_nodes_host_identifier_hardware", table_name="nodes")
    op.drop_table("nodes")
    op.drop_table("enroll_secrets")
    op.drop_index("ix_tallies_parent", table_name="tallies", postgresql_where="parent IS NOT NULL")
    op.drop_table("tallies")
    op.drop_index("ix_sightings_behaviour_id", table_name="sightings")
    op.drop_table("sightings")
    op.drop_table("roles")
    op.drop_table("quarantined_lines")
    op.drop_table("notices")
    op.drop_table("node_tallies")
    op.drop_table("images")
    op.drop_index(op.f("ix_fresh_sightings_fresh_id"), table_name="fresh_sightings")
    op.drop_table("fresh_sightings")
    op.drop_index("uq_findings_open_node_id_behaviour_id", table_name="findings", postgresql_where="state = 'open'")
    op.drop_index("ix_findings_score_finding_id", table_name="findings")
    op.drop_index("ix_findings_opened_at_finding_id", table_name="findings")
    op.drop_table("findings")
    op.drop_table("executions")
    op.drop_index(op.f("ix_behaviours_program_id"), table_name="behaviours")
    op.drop_index("ix_behaviours_name", table_name="behaviours")
    op.drop_table("behaviours")
    op.drop_table("batches")
    op.drop_table("api_tokens")
