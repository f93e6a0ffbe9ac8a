"""Whom an OpenID Connect provider vouches for as which operator, and sign-ins that are on their way through it."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("operators", sa.Column("openid_subject", sa.Text(), nullable=True))
    op.create_check_constraint(op.f("ck_operators_openid_subject"), "operators", "openid_subject ~ '^https?://[^ ]+ .'")
    op.create_unique_constraint(op.f("uq_operators_openid_subject"), "operators", ["openid_subject"])
    op.create_table(
        "openid_attempts",
        sa.Column("state_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("nonce", sa.Text(), nullable=False),
        sa.Column("verifier", sa.Text(), nullable=False),
        sa.Column("next_path", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("length(state_sha256) = 32", name=op.f("ck_openid_attempts_state_is_a_hash")),
        sa.PrimaryKeyConstraint("state_sha256", name=op.f("pk_openid_attempts")),
    )
    op.create_index("ix_openid_attempts_created_at", "openid_attempts", ["created_at"])


def downgrade() -> None:
    op.drop_table("openid_attempts")
    op.drop_constraint(op.f("uq_operators_openid_subject"), "operators")
    op.drop_constraint(op.f("ck_operators_openid_subject"), "operators")
    op.drop_column("operators", "openid_subject")
