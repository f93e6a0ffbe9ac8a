"""owners of ports."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_behaviours_bucket",
        "behaviours",
        ["bucket", "platform", "transport"],
        unique=False,
        postgresql_where="direction = 'listening'",
    )


def downgrade() -> None:
    op.drop_index("ix_behaviours_bucket", table_name="behaviours")
