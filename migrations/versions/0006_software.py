"""software."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "installed_software",
        sa.Column("node_id", sa.BigInteger(), nullable=False),
        sa.Column("item_id", sa.UUID(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("publisher", sa.Text(), nullable=False),
        sa.Column("identifier", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("anchor", sa.Text(), nullable=False),
        sa.Column("reported_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "source IN ('programs', 'apps', 'packages', 'homebrew')", name=op.f("ck_installed_software_source")
        ),
        sa.PrimaryKeyConstraint("node_id", "item_id", name=op.f("pk_installed_software")),
        postgresql_with={"fillfactor": 70},
    )
    op.create_index("ix_installed_software_node_id_anchor", "installed_software", ["node_id", "anchor"])
    op.create_index("ix_installed_software_name_publisher", "installed_software", ["name", "publisher", "node_id"])
    op.create_table(
        "inventories",
        sa.Column("node_id", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("reported_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("node_id", "source", name=op.f("pk_inventories")),
        postgresql_with={"fillfactor": 70},
    )
    op.create_table(
        "approved_imports",
        sa.Column("import_id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("imported_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("imported_by", sa.Text(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("encoding", sa.Text(), nullable=False),
        sa.Column("delimiter", sa.Text(), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("added", sa.Integer(), nullable=False),
        sa.Column("removed", sa.Integer(), nullable=False),
        sa.Column("heeded_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("length(sha256) = 32", name=op.f("ck_approved_imports_sha256_is_a_hash")),
        sa.PrimaryKeyConstraint("import_id", name=op.f("pk_approved_imports")),
    )
    op.create_table(
        "approved_software",
        sa.Column("import_id", sa.Integer(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("publisher", sa.Text(), nullable=False),
        sa.Column("team_id", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("until", sa.Date(), nullable=True),
        sa.Column("ports", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("import_id", "line", name=op.f("pk_approved_software")),
    )


def downgrade() -> None:
    op.drop_table("approved_software")
    op.drop_table("approved_imports")
    op.drop_table("inventories")
    op.drop_index("ix_installed_software_name_publisher", table_name="installed_software")
    op.drop_index("ix_installed_software_node_id_anchor", table_name="installed_software")
    op.drop_table("installed_software")
