"""Standing orders for reports, and the periods they were kept for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "report_orders",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("entry", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("every", sa.String(length=8), nullable=False),
        sa.Column("subject", sa.String(length=128), nullable=True),
        sa.Column("next", sa.String(length=8), nullable=False),
        sa.Column("ordered_by", sa.String(length=128), nullable=False),
        sa.Column("ordered_at", sa.String(length=27), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("ended_by", sa.String(length=128), nullable=True),
        sa.Column("reason", sa.String(length=2000), nullable=True),
        sa.Column("changed_at", sa.String(length=27), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report_orders")),
        sa.UniqueConstraint("entry", name=op.f("uq_report_orders_entry")),
    )
    op.create_table(
        "kept_orders",
        sa.Column("order", sa.String(length=128), nullable=False),
        sa.Column("period", sa.String(length=8), nullable=False),
        sa.Column("report", sa.String(length=128), nullable=False),
        sa.PrimaryKeyConstraint("order", "period", name=op.f("pk_kept_orders")),
        sa.UniqueConstraint("report", name=op.f("uq_kept_orders_report")),
    )
