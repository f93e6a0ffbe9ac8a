"""fleet findings, and indexes for drift."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

KINDS = "spread IN ('signed', 'novel', 'suspect', 'unsigned')"
LOOSE = "state = 'open' AND fleet_finding_id IS NULL"
MEMBERS = "fleet_finding_id IS NOT NULL"


def upgrade() -> None:
    instant = sa.DateTime(timezone=True)
    op.create_table(
        "fleet_findings",
        sa.Column("fleet_finding_id", sa.UUID(), nullable=False),
        sa.Column("behaviour_id", sa.UUID(), nullable=False),
        sa.Column("state", sa.Text(), server_default="open", nullable=False),
        sa.Column("spread", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("score", sa.SmallInteger(), nullable=False),
        sa.Column("analytic", sa.Text(), nullable=False),
        sa.Column("evidence", postgresql.JSONB(), nullable=False),
        sa.Column("nodes", sa.Integer(), nullable=False),
        sa.Column("opened_at", instant, nullable=False),
        sa.Column("judged_at", instant, nullable=False),
        sa.Column("first_seen_at", instant, nullable=False),
        sa.Column("last_seen_at", instant, nullable=False),
        sa.CheckConstraint("severity IN ('high', 'medium', 'low')", name=op.f("ck_fleet_findings_severity")),
        sa.CheckConstraint("score BETWEEN 0 AND 100", name=op.f("ck_fleet_findings_score")),
        sa.CheckConstraint("state IN ('open', 'withdrawn')", name=op.f("ck_fleet_findings_state")),
        sa.CheckConstraint(KINDS, name=op.f("ck_fleet_findings_spread")),
        sa.PrimaryKeyConstraint("fleet_finding_id", name=op.f("pk_fleet_findings")),
    )
    op.create_index(
        "uq_fleet_findings_open_behaviour_id",
        "fleet_findings",
        ["behaviour_id"],
        unique=True,
        postgresql_where="state = 'open'",
    )
    for column in ("score", "opened_at"):
        op.create_index(
            f"ix_fleet_findings_{column}_fleet_finding_id", "fleet_findings", [column, "fleet_finding_id"], unique=False
        )
    op.add_column("findings", sa.Column("new_to_peers", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("findings", sa.Column("spread", sa.Text(), server_default="novel", nullable=False))
    op.add_column("findings", sa.Column("fleet_finding_id", sa.UUID(), nullable=True))
    op.create_check_constraint(op.f("ck_findings_spread"), "findings", KINDS)
    for name, columns, where in _FINDINGS:
        op.create_index(name, "findings", columns, unique=False, postgresql_where=where)
    op.drop_index("ix_sightings_behaviour_id", table_name="sightings")
    op.create_index("ix_sightings_behaviour_id", "sightings", ["behaviour_id", "day", "role_id"], unique=False)
    for column in ("first_day", "day"):
        op.create_index(
            f"ix_tallies_{column}", "tallies", ["role_id", column], unique=False, postgresql_where="parent IS NOT NULL"
        )


_FINDINGS = (
    ("ix_findings_behaviour_id_severity", ["behaviour_id", "severity"], "state = 'open'"),
    ("ix_findings_loose", ["behaviour_id", "new_to_peers", "first_seen_at"], LOOSE),
    ("ix_findings_members", ["fleet_finding_id", "state", "spread", "severity", "score"], MEMBERS),
    ("ix_findings_members_first_seen_at", ["fleet_finding_id", "first_seen_at", "finding_id"], MEMBERS),
)


def downgrade() -> None:
    op.drop_index("ix_sightings_behaviour_id", table_name="sightings")
    op.create_index("ix_sightings_behaviour_id", "sightings", ["behaviour_id", "day"], unique=False)
    for column in ("first_day", "day"):
        op.drop_index(f"ix_tallies_{column}", table_name="tallies")
    for name, *_ in _FINDINGS:
        op.drop_index(name, table_name="findings")
    op.drop_constraint(op.f("ck_findings_spread"), "findings")
    for column in ("fleet_finding_id", "spread", "new_to_peers"):
        op.drop_column("findings", column)
    op.drop_table("fleet_findings")
