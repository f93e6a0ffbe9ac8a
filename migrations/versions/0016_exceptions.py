"""Exceptions: deviations that people accept for a time, and how often what they cover was seen."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
GUARD_FUNCTION = """
CREATE FUNCTION exceptions_are_kept() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  of_decision CONSTANT text[] := ARRAY['decided_by', 'decided_at', 'decision', 'decision_reason', 'override_reason'];
  of_revocation CONSTANT text[] := ARRAY['revoked_by', 'revoked_at', 'revoked_reason'];
  marks CONSTANT text[] := ARRAY['announced_at', 'expired_noted_at'];
  was jsonb := to_jsonb(OLD) - marks;
  becomes jsonb := to_jsonb(NEW) - marks;
  refused text;
BEGIN
  IF TG_OP = 'INSERT' THEN
    PERFORM FROM operators WHERE operator_id = NEW.requested_by AND disabled_at IS NULL FOR SHARE;
    IF NOT FOUND THEN
      refused := 'no active operator asks for it';
    ELSIF num_nonnulls(NEW.decision, NEW.revoked_at, NEW.announced_at, NEW.expired_noted_at) > 0 THEN
      refused := 'it begins as a request';
    ELSIF NEW.requested_at > now() + interval '5 minutes' THEN
      refused := 'who asks later could have it last longer';
    END IF;
  ELSIF TG_OP <> 'UPDATE' THEN
    refused := TG_OP;
  ELSIF was - of_decision - of_revocation <> becomes - of_decision - of_revocation THEN
    refused := 'what was asked for stays';
  ELSIF (OLD.decision IS NOT NULL AND was - of_revocation <> becomes - of_revocation)
     OR (OLD.revoked_at IS NOT NULL AND was <> becomes) THEN
    refused := 'a decision stays';
  ELSIF (OLD.announced_at IS NOT NULL AND OLD.announced_at IS DISTINCT FROM NEW.announced_at)
     OR (OLD.expired_noted_at IS NOT NULL AND OLD.expired_noted_at IS DISTINCT FROM NEW.expired_noted_at) THEN
    refused := 'what was noted stays';
  END IF;
  IF refused IS NULL AND TG_OP = 'UPDATE' AND OLD.decision IS NULL AND NEW.decision IS NOT NULL THEN
    PERFORM FROM operators
    WHERE operator_id = NEW.decided_by AND disabled_at IS NULL AND 'approver' = ANY(duties) FOR SHARE;
    IF NOT FOUND THEN
      refused := 'only an active approver decides';
    ELSIF NEW.override_reason IS NOT NULL AND EXISTS (
        SELECT FROM operators
        WHERE operator_id <> NEW.decided_by AND disabled_at IS NULL AND 'approver' = ANY(duties)) THEN
      refused := 'another approver can decide';
    ELSIF NEW.decision = 'approved' AND NEW.override_reason IS NULL AND EXISTS (
        SELECT FROM finding_changes
        WHERE finding_id = NEW.finding_id AND to_state = 'false_positive' AND operator_id = NEW.decided_by) THEN
      refused := 'who closed the finding as a false positive does not approve';
    END IF;
  END IF;
  IF refused IS NULL AND TG_OP = 'UPDATE' AND OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL THEN
    PERFORM FROM operators WHERE operator_id = NEW.revoked_by AND disabled_at IS NULL
      AND (operator_id = NEW.requested_by OR 'approver' = ANY(duties)) FOR SHARE;
    IF NOT FOUND THEN
      refused := 'only who asked for it or an active approver takes it back';
    END IF;
  END IF;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'exceptions are kept as they were decided: %', refused
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$
"""
GUARD_ROWS = """
CREATE TRIGGER exceptions_rows_are_kept BEFORE INSERT OR UPDATE OR DELETE ON exceptions
FOR EACH ROW EXECUTE FUNCTION exceptions_are_kept()
"""
GUARD_TABLE = """
CREATE TRIGGER exceptions_table_is_kept BEFORE TRUNCATE ON exceptions
FOR EACH STATEMENT EXECUTE FUNCTION exceptions_are_kept()
"""
#: Of the table of exceptions, by name.
CHECKS = {
    "platform": "platform IN ('windows', 'macos')",
    "direction": "direction IN ('outbound', 'listening', 'loopback')",
    "transport": "transport IN ('tcp', 'udp')",
    "ports": "1 <= first_port AND first_port <= last_port AND last_port <= 65535",
    "program": "program <> '' AND (path <> '' OR signer <> '')",
    "every_program_of_a_signer": "program <> '*' OR signer <> ''",
    "peer_scope": (
        "peer_scope IS NULL OR (direction = 'outbound' AND peer_scope IN ('public', 'private', 'link-local'))"
    ),
    "role_or_nodes": "(role_id IS NULL) <> (node_ids IS NULL)",
    "node_ids": "cardinality(node_ids) BETWEEN 1 AND 100",
    "why": "reason ~ '\\S' AND business_need ~ '\\S' AND compensating_control ~ '\\S'",
    "risk": "risk IN ('low', 'medium', 'high')",
    "expires_at": "expires_at > requested_at AND expires_at <= requested_at + interval '4320 hours'",
    "decision": "decision IN ('approved', 'rejected')",
    "decided_whole": "num_nonnulls(decided_by, decided_at, decision, decision_reason) IN (0, 4)",
    "decided": "decided_at >= requested_at AND decision_reason ~ '\\S'",
    "approved_before_its_end": "decision = 'rejected' OR expires_at > decided_at",
    "decided_by_another": "decided_by <> requested_by OR override_reason IS NOT NULL",
    "override": "override_reason IS NULL OR (override_reason ~ '\\S' AND coalesce(decided_by = requested_by, false))",
    "revoked_whole": "num_nonnulls(revoked_by, revoked_at, revoked_reason) IN (0, 3)",
    "revoked": "revoked_at IS NULL OR (revoked_reason ~ '\\S' AND decision IS DISTINCT FROM 'rejected')",
}


def upgrade() -> None:
    op.create_table(
        "exceptions",
        sa.Column("exception_id", sa.UUID(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("platform", "program", "path", "signer")),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("direction", "transport")),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("first_port", "last_port")),
        *(sa.Column(name, sa.Text(), nullable=True) for name in ("unit", "peer_scope")),
        sa.Column("role_id", sa.SmallInteger(), nullable=True),
        sa.Column("node_ids", postgresql.ARRAY(sa.BigInteger()), nullable=True),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("reason", "business_need", "risk")),
        sa.Column("compensating_control", sa.Text(), nullable=False),
        sa.Column("ticket", sa.Text(), server_default="", nullable=False),
        sa.Column("wide", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("finding_id", sa.UUID(), nullable=True),
        sa.Column("renewal_of", sa.UUID(), nullable=True),
        sa.Column("requested_by", sa.BigInteger(), nullable=False),
        *(sa.Column(name, INSTANT, nullable=False) for name in ("requested_at", "expires_at")),
        sa.Column("decided_by", sa.BigInteger(), nullable=True),
        sa.Column("decided_at", INSTANT, nullable=True),
        *(sa.Column(name, sa.Text(), nullable=True) for name in ("decision", "decision_reason", "override_reason")),
        sa.Column("revoked_by", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", INSTANT, nullable=True),
        sa.Column("revoked_reason", sa.Text(), nullable=True),
        *(sa.Column(name, INSTANT, nullable=True) for name in ("announced_at", "expired_noted_at")),
        *(sa.CheckConstraint(rule, name=op.f(f"ck_exceptions_{name}")) for name, rule in CHECKS.items()),
        sa.ForeignKeyConstraint(["role_id"], ["roles.role_id"], name=op.f("fk_exceptions_role_id_roles")),
        sa.ForeignKeyConstraint(
            ["renewal_of"], ["exceptions.exception_id"], name=op.f("fk_exceptions_renewal_of_exceptions")
        ),
        *(
            sa.ForeignKeyConstraint([name], ["operators.operator_id"], name=op.f(f"fk_exceptions_{name}_operators"))
            for name in ("requested_by", "decided_by", "revoked_by")
        ),
        sa.PrimaryKeyConstraint("exception_id", name=op.f("pk_exceptions")),
    )
    op.create_index(op.f("ix_exceptions_renewal_of"), "exceptions", ["renewal_of"])
    op.create_index("ix_exceptions_requested_at_exception_id", "exceptions", ["requested_at", "exception_id"])
    op.create_index("ix_exceptions_expires_at_exception_id", "exceptions", ["expires_at", "exception_id"])
    op.create_table(
        "exception_days",
        sa.Column("exception_id", sa.UUID(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("sightings", sa.Integer(), nullable=False),
        sa.Column("last_seen_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["exception_id"], ["exceptions.exception_id"], name=op.f("fk_exception_days_exception_id_exceptions")
        ),
        sa.PrimaryKeyConstraint("exception_id", "day", name=op.f("pk_exception_days")),
    )
    op.create_index(
        "ix_findings_exception_id",
        "findings",
        ["exception_id"],
        postgresql_where=sa.text("exception_id IS NOT NULL"),
    )
    for statement in (GUARD_FUNCTION, GUARD_ROWS, GUARD_TABLE):
        op.execute(statement)


def downgrade() -> None:
    op.drop_index("ix_findings_exception_id", table_name="findings")
    op.drop_table("exception_days")
    op.drop_table("exceptions")
    op.execute("DROP FUNCTION exceptions_are_kept()")
