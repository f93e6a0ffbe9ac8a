"""Passwords of operators, their sign-ins, and counted attempts."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("operators", sa.Column("password_hash", sa.Text(), nullable=True))
    op.add_column("operators", sa.Column("password_changed_at", INSTANT, nullable=True))
    op.create_check_constraint(
        op.f("ck_operators_password_is_a_hash"), "operators", "password_hash ~ '^\\$argon2id\\$'"
    )
    op.create_check_constraint(
        op.f("ck_operators_password_changed_at"),
        "operators",
        "(password_hash IS NULL) = (password_changed_at IS NULL)",
    )
    op.create_table(
        "sign_ins",
        sa.Column("sign_in_id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("token_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("operator_id", sa.BigInteger(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("source_ip", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("last_seen_at", INSTANT, nullable=False),
        sa.CheckConstraint("length(token_sha256) = 32", name=op.f("ck_sign_ins_token_is_a_hash")),
        sa.CheckConstraint("method IN ('password', 'openid')", name=op.f("ck_sign_ins_method")),
        sa.CheckConstraint("last_seen_at >= created_at", name=op.f("ck_sign_ins_last_seen_at")),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operators.operator_id"], name=op.f("fk_sign_ins_operator_id_operators")
        ),
        sa.PrimaryKeyConstraint("sign_in_id", name=op.f("pk_sign_ins")),
        sa.UniqueConstraint("token_sha256", name=op.f("uq_sign_ins_token_sha256")),
    )
    op.create_index("ix_sign_ins_operator_id", "sign_ins", ["operator_id"])
    op.create_index("ix_sign_ins_created_at", "sign_ins", ["created_at"])
    op.create_table(
        "attempts",
        sa.Column("whose_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("forgotten_at", INSTANT, nullable=False),
        sa.Column("blocked_until", INSTANT, nullable=True),
        sa.CheckConstraint("length(whose_sha256) = 32", name=op.f("ck_attempts_whose_is_a_hash")),
        sa.CheckConstraint("count >= 0", name=op.f("ck_attempts_count")),
        sa.PrimaryKeyConstraint("whose_sha256", name=op.f("pk_attempts")),
    )
    op.create_index("ix_attempts_forgotten_at", "attempts", ["forgotten_at"])


def downgrade() -> None:
    op.drop_table("attempts")
    op.drop_table("sign_ins")
    for name in ("password_is_a_hash", "password_changed_at"):
        op.drop_constraint(op.f(f"ck_operators_{name}"), "operators")
    for name in ("password_hash", "password_changed_at"):
        op.drop_column("operators", name)
