"""Find what connects out to a port without reading every behaviour.

Revision ID: 0011
Revises: 0010
"""

from collections.abc import Sequence

from alembic import op

revision: str = "0011"
down_revision: str | None = "0010"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_index(
        "ix_behaviours_outbound", "behaviours", ["bucket", "transport"], postgresql_where="direction = 'outbound'"
    )


def downgrade() -> None:
    op.drop_index("ix_behaviours_outbound", table_name="behaviours")
