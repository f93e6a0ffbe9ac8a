"""Investigations: what was asked of the nodes behind findings, and what they answered."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

GUARD_FUNCTION = """
CREATE FUNCTION investigations_are_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' THEN
    IF to_jsonb(OLD) - 'state' - 'ended_at' = to_jsonb(NEW) - 'state' - 'ended_at' THEN
      RETURN NEW;
    END IF;
  END IF;
  RAISE EXCEPTION 'what was investigated is kept as it is: % refused', TG_OP
    USING ERRCODE = 'integrity_constraint_violation';
END $$
"""
GUARD_ROWS = """
CREATE TRIGGER investigations_rows_are_kept BEFORE UPDATE OR DELETE ON investigations
FOR EACH ROW EXECUTE FUNCTION investigations_are_kept()
"""
GUARD_TABLE = """
CREATE TRIGGER investigations_table_is_kept BEFORE TRUNCATE ON investigations
FOR EACH STATEMENT EXECUTE FUNCTION investigations_are_kept()
"""
#: Until it is answered, only its sending may change; afterwards nothing.
ANSWERS_GUARD_FUNCTION = """
CREATE FUNCTION investigation_answers_are_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' THEN
    IF OLD.answered_at IS NULL
       AND (OLD.answer_id, OLD.investigation_id, OLD.node_id, OLD.question, OLD.statement, OLD.statement_sha256)
         = (NEW.answer_id, NEW.investigation_id, NEW.node_id, NEW.question, NEW.statement, NEW.statement_sha256) THEN
      RETURN NEW;
    END IF;
  END IF;
  RAISE EXCEPTION 'what a node answered is kept as it is: % refused', TG_OP
    USING ERRCODE = 'integrity_constraint_violation';
END $$
"""
ANSWERS_GUARD_ROWS = """
CREATE TRIGGER investigation_answers_rows_are_kept BEFORE UPDATE OR DELETE ON investigation_answers
FOR EACH ROW EXECUTE FUNCTION investigation_answers_are_kept()
"""
ANSWERS_GUARD_TABLE = """
CREATE TRIGGER investigation_answers_table_is_kept BEFORE TRUNCATE ON investigation_answers
FOR EACH STATEMENT EXECUTE FUNCTION investigation_answers_are_kept()
"""


def upgrade() -> None:
    _investigations()
    _answers()


def _investigations() -> None:
    op.create_table(
        "investigations",
        sa.Column("investigation_id", sa.UUID(), nullable=False),
        sa.Column("finding_id", sa.UUID(), nullable=False),
        sa.Column("node_id", sa.BigInteger(), nullable=False),
        sa.Column("operator_id", sa.BigInteger(), nullable=True),
        sa.Column("actor_name", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("process_id", sa.BigInteger(), nullable=True),
        sa.Column("process_started", sa.BigInteger(), nullable=True),
        sa.Column("path", sa.Text(), nullable=True),
        sa.Column("unit", sa.Text(), nullable=True),
        sa.Column("batch_day", sa.Date(), nullable=False),
        sa.Column("batch_id", sa.UUID(), nullable=False),
        sa.Column("line_number", sa.Integer(), nullable=False),
        sa.Column("row_number", sa.Integer(), nullable=False),
        sa.Column("left_out", postgresql.JSONB(), nullable=False),
        sa.CheckConstraint(
            "state IN ('waiting', 'sent', 'answered', 'partial', 'failed', 'expired')",
            name=op.f("ck_investigations_state"),
        ),
        sa.CheckConstraint(
            "(ended_at IS NULL) = (state IN ('waiting', 'sent'))", name=op.f("ck_investigations_ended_at")
        ),
        sa.CheckConstraint("expires_at > asked_at", name=op.f("ck_investigations_expires_at")),
        sa.CheckConstraint("actor_name ~ '\\S'", name=op.f("ck_investigations_actor_name")),
        sa.CheckConstraint("process_id BETWEEN 0 AND 4294967295", name=op.f("ck_investigations_process_id")),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operators.operator_id"], name=op.f("fk_investigations_operator_id_operators")
        ),
        sa.PrimaryKeyConstraint("investigation_id", name=op.f("pk_investigations")),
    )
    running, own = sa.text("ended_at IS NULL"), sa.text("operator_id IS NULL")
    op.create_index(
        "uq_investigations_running_finding_id", "investigations", ["finding_id"], unique=True, postgresql_where=running
    )
    op.create_index("ix_investigations_running_node_id", "investigations", ["node_id"], postgresql_where=running)
    op.create_index("ix_investigations_finding_id_asked_at", "investigations", ["finding_id", "asked_at"])
    op.create_index("ix_investigations_own_asked_at", "investigations", ["asked_at", "node_id"], postgresql_where=own)
    for statement in (GUARD_FUNCTION, GUARD_ROWS, GUARD_TABLE):
        op.execute(statement)


def _answers() -> None:
    op.create_table(
        "investigation_answers",
        sa.Column("answer_id", sa.UUID(), nullable=False),
        sa.Column("investigation_id", sa.UUID(), nullable=False),
        sa.Column("node_id", sa.BigInteger(), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("statement", sa.Text(), nullable=False),
        sa.Column("statement_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("times_sent", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("rows", postgresql.JSONB(), nullable=True),
        sa.Column("rows_total", sa.Integer(), nullable=True),
        sa.Column("stats", postgresql.JSONB(), nullable=True),
        sa.CheckConstraint(
            "statement_sha256 = sha256(convert_to(statement, 'UTF8'))",
            name=op.f("ck_investigation_answers_statement_sha256"),
        ),
        sa.CheckConstraint(
            "times_sent >= 0 AND (sent_at IS NULL) = (times_sent = 0)", name=op.f("ck_investigation_answers_sent_at")
        ),
        sa.CheckConstraint(
            "num_nulls(answered_at, status, message, rows, rows_total, stats) IN (0, 6)",
            name=op.f("ck_investigation_answers_answered_whole"),
        ),
        sa.CheckConstraint(
            "jsonb_typeof(rows) = 'array' AND rows_total >= jsonb_array_length(rows)",
            name=op.f("ck_investigation_answers_rows"),
        ),
        sa.ForeignKeyConstraint(
            ["investigation_id"],
            ["investigations.investigation_id"],
            name=op.f("fk_investigation_answers_investigation_id_investigations"),
        ),
        sa.PrimaryKeyConstraint("answer_id", name=op.f("pk_investigation_answers")),
    )
    op.create_index(
        "uq_investigation_answers_investigation_id_question",
        "investigation_answers",
        ["investigation_id", "question"],
        unique=True,
    )
    for statement in (ANSWERS_GUARD_FUNCTION, ANSWERS_GUARD_ROWS, ANSWERS_GUARD_TABLE):
        op.execute(statement)


def downgrade() -> None:
    for name in ("investigation_answers", "investigations"):
        op.drop_table(name)
        op.execute(f"DROP FUNCTION {name}_are_kept()")
