"""Operators, tokens with scope and end, the audit log, and the states of findings that people give them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

CHAIN_FUNCTION = """
CREATE FUNCTION audit_events_are_chained() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  last audit_events;
  said jsonb := NEW.line::jsonb;
BEGIN
  PERFORM pg_advisory_xact_lock(4711204);
  SELECT * INTO last FROM audit_events ORDER BY seq DESC LIMIT 1;
  NEW.seq := coalesce(last.seq, 0) + 1;
  NEW.at := said->>'ts';
  NEW.actor_name := said->>'actor_name';
  NEW.action := said->>'action';
  NEW.object_type := said->>'object_type';
  NEW.object_id := said->>'object_id';
  NEW.outcome := said->>'outcome';
  NEW.line := '{"seq":' || NEW.seq || ',"prev":"' || coalesce(encode(last.sha256, 'hex'), repeat('0', 64)) || '",'
              || substr(NEW.line, 2);
  NEW.sha256 := sha256(convert_to(NEW.line, 'UTF8'));
  RETURN NEW;
END $$
"""
CHAIN = """
CREATE TRIGGER audit_events_rows_are_chained BEFORE INSERT ON audit_events
FOR EACH ROW EXECUTE FUNCTION audit_events_are_chained()
"""
GUARD_FUNCTION = """
CREATE FUNCTION audit_events_are_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the audit log is kept as it is: % refused', TG_OP USING ERRCODE = 'integrity_constraint_violation';
END $$
"""
GUARD_ROWS = """
CREATE TRIGGER audit_events_rows_are_kept BEFORE UPDATE OR DELETE ON audit_events
FOR EACH ROW EXECUTE FUNCTION audit_events_are_kept()
"""
GUARD_TABLE = """
CREATE TRIGGER audit_events_table_is_kept BEFORE TRUNCATE ON audit_events
FOR EACH STATEMENT EXECUTE FUNCTION audit_events_are_kept()
"""
STATES = (
    "state IN ('open', 'acknowledged', 'investigating', 'escalated', 'reopened', 'remediated', 'false_positive',"
    " 'excepted', 'withdrawn')"
)
IS_OPEN = "is_open = (state IN ('open', 'acknowledged', 'investigating', 'escalated', 'reopened'))"


def upgrade() -> None:
    _operators()
    _tokens()
    _audit_log()
    for table in ("findings", "fleet_findings"):
        op.add_column(table, sa.Column("is_open", sa.Boolean(), server_default=sa.true(), nullable=False))
        op.execute(f"UPDATE {table} SET is_open = (state = 'open')")  # noqa: S608 - a constant
        op.drop_constraint(op.f(f"ck_{table}_state"), table)
        op.create_check_constraint(op.f(f"ck_{table}_state"), table, STATES)
        op.create_check_constraint(op.f(f"ck_{table}_is_open"), table, IS_OPEN)
    for name in ("trust", "peer_scope"):
        op.add_column("findings", sa.Column(name, sa.Text(), server_default="unknown", nullable=False))
    op.add_column("findings", sa.Column("signer", sa.Text(), server_default="", nullable=False))
    op.create_check_constraint(
        op.f("ck_findings_trust"), "findings", "trust IN ('trusted', 'unsigned', 'broken', 'unknown')"
    )
    _indexes("is_open", "uq_findings_living_node_id_behaviour_id", "state <> 'withdrawn'")


def _operators() -> None:
    op.create_table(
        "operators",
        sa.Column("operator_id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("duties", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("role_ids", postgresql.ARRAY(sa.SmallInteger()), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("name ~ '^[a-z0-9][a-z0-9._@+-]{0,126}$'", name=op.f("ck_operators_name")),
        sa.CheckConstraint(
            "duties <@ ARRAY['viewer', 'analyst', 'approver', 'reviewer', 'auditor', 'admin'] AND duties <> '{}'",
            name=op.f("ck_operators_duties"),
        ),
        sa.CheckConstraint(
            "NOT duties @> ARRAY['admin', 'approver']", name=op.f("ck_operators_admin_approves_nothing")
        ),
        sa.PrimaryKeyConstraint("operator_id", name=op.f("pk_operators")),
        sa.UniqueConstraint("name", name=op.f("uq_operators_name")),
    )


def _tokens() -> None:
    """Tokens of before could read and import, and end in a year."""
    op.add_column("api_tokens", sa.Column("scope", postgresql.ARRAY(sa.Text()), nullable=True))
    op.add_column("api_tokens", sa.Column("operator_id", sa.BigInteger(), nullable=True))
    op.add_column("api_tokens", sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("api_tokens", sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE api_tokens SET scope = '{import,read}', expires_at = greatest(created_at, now()) + '1 year'")
    op.alter_column("api_tokens", "scope", nullable=False)
    op.alter_column("api_tokens", "expires_at", nullable=False)
    op.create_check_constraint(op.f("ck_api_tokens_scope"), "api_tokens", "scope <> '{}'")
    op.create_check_constraint(
        op.f("ck_api_tokens_programs_decide_nothing"),
        "api_tokens",
        "operator_id IS NOT NULL OR scope <@ ARRAY['read', 'import']",
    )
    op.create_check_constraint(op.f("ck_api_tokens_expires_at"), "api_tokens", "expires_at > created_at")
    op.create_foreign_key(
        op.f("fk_api_tokens_operator_id_operators"), "api_tokens", "operators", ["operator_id"], ["operator_id"]
    )


def _audit_log() -> None:
    op.create_table(
        "audit_events",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        *(
            sa.Column(name, sa.Text(), nullable=False)
            for name in ("actor_name", "action", "object_type", "object_id", "outcome", "line")
        ),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("outcome IN ('success', 'denied', 'error')", name=op.f("ck_audit_events_outcome")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit_events")),
    )
    for columns in (("action",), ("actor_name",), ("object_type", "object_id")):
        op.create_index(f"ix_audit_events_{'_'.join(columns)}_seq", "audit_events", [*columns, "seq"])
    for statement in (CHAIN_FUNCTION, CHAIN, GUARD_FUNCTION, GUARD_ROWS, GUARD_TABLE):
        op.execute(statement)


def _indexes(is_open: str, unique: str, living: str) -> None:
    """Those of findings that look at the state, anew."""
    for name in ("uq_findings_open_node_id_behaviour_id", "uq_findings_living_node_id_behaviour_id"):
        op.execute(f"DROP INDEX IF EXISTS {name}")
    for name in ("behaviour_id_severity", "loose", "members"):
        op.drop_index(f"ix_findings_{name}", "findings")
    op.drop_index("uq_fleet_findings_open_behaviour_id", "fleet_findings")
    member = "state" if is_open != "is_open" else is_open
    loose = f"{is_open} AND fleet_finding_id IS NULL"
    create = op.create_index
    create(unique, "findings", ["node_id", "behaviour_id"], unique=True, postgresql_where=sa.text(living))
    create(
        "ix_findings_behaviour_id_severity",
        "findings",
        ["behaviour_id", "severity"],
        postgresql_where=sa.text(is_open),
    )
    create(
        "ix_findings_loose",
        "findings",
        ["behaviour_id", "new_to_peers", "first_seen_at"],
        postgresql_where=sa.text(loose),
    )
    create(
        "ix_findings_members",
        "findings",
        ["fleet_finding_id", member, "spread", "severity", "score"],
        postgresql_where=sa.text("fleet_finding_id IS NOT NULL"),
    )
    create(
        "uq_fleet_findings_open_behaviour_id",
        "fleet_findings",
        ["behaviour_id"],
        unique=True,
        postgresql_where=sa.text(is_open),
    )


def downgrade() -> None:
    op.execute("UPDATE findings SET state = CASE WHEN is_open THEN 'open' ELSE 'withdrawn' END")
    op.execute("UPDATE fleet_findings SET state = CASE WHEN is_open THEN 'open' ELSE 'withdrawn' END")
    _indexes("state = 'open'", "uq_findings_open_node_id_behaviour_id", "state = 'open'")
    for table in ("findings", "fleet_findings"):
        op.drop_constraint(op.f(f"ck_{table}_is_open"), table)
        op.drop_constraint(op.f(f"ck_{table}_state"), table)
        op.create_check_constraint(op.f(f"ck_{table}_state"), table, "state IN ('open', 'withdrawn')")
        op.drop_column(table, "is_open")
    op.drop_constraint(op.f("ck_findings_trust"), "findings")
    for name in ("trust", "peer_scope", "signer"):
        op.drop_column("findings", name)
    op.drop_table("audit_events")
    op.execute("DROP FUNCTION audit_events_are_chained()")
    op.execute("DROP FUNCTION audit_events_are_kept()")
    for name in ("scope", "operator_id", "expires_at", "last_used_at"):
        op.drop_column("api_tokens", name)
    op.drop_table("operators")
