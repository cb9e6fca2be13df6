"""What is metered besides rows and bytes; fees, their lines and shares, running totals, and periods closed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("metering", sa.Column("scenario", sa.String(length=128), nullable=True))
    op.add_column("metering", sa.Column("compute_ms", sa.BigInteger(), nullable=True))
    _meter()
    op.create_table(
        "fees",
        sa.Column("entry", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("cause", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.String(length=300), nullable=False),
        sa.Column("licence", sa.String(length=128), nullable=False),
        sa.Column("operator", sa.String(length=128), nullable=False),
        sa.Column("release", sa.String(length=128), nullable=True),
        sa.Column("scenario", sa.String(length=128), nullable=True),
        sa.Column("period", sa.String(length=8), nullable=False),
        sa.Column("tariff", sa.String(length=64), nullable=False),
        sa.Column("free", sa.Boolean(), nullable=False),
        sa.Column("fen", sa.BigInteger(), nullable=False),
        sa.Column("posted_at", sa.String(length=27), nullable=False),
        sa.Column("visible_at", sa.String(length=27), nullable=False),
        sa.CheckConstraint("fen >= 0", name=op.f("ck_fees_sign")),
        sa.ForeignKeyConstraint(["licence"], ["licences.id"], name=op.f("fk_fees_licence")),
        sa.ForeignKeyConstraint(["release"], ["releases.id"], name=op.f("fk_fees_release")),
        sa.PrimaryKeyConstraint("entry", name=op.f("pk_fees")),
        sa.UniqueConstraint("subject", name=op.f("uq_fees_subject")),
    )
    op.create_index(op.f("ix_fees_operator"), "fees", ["operator"], unique=False)
    op.create_index(op.f("ix_fees_release"), "fees", ["release"], unique=False)
    op.create_index("ix_fees_licence_period", "fees", ["licence", "period"], unique=False)
    op.create_table(
        "fee_lines",
        sa.Column("fee", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("item", sa.String(length=128), nullable=False),
        sa.Column("measure", sa.String(length=16), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("fen", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("quantity >= 0 AND fen >= 0", name=op.f("ck_fee_lines_sign")),
        sa.ForeignKeyConstraint(["fee"], ["fees.entry"], name=op.f("fk_fee_lines_fee")),
        sa.PrimaryKeyConstraint("fee", "item", name=op.f("pk_fee_lines")),
    )
    op.create_table(
        "fee_shares",
        sa.Column("fee", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("body", sa.String(length=128), nullable=False),
        sa.Column("fen", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["fee"], ["fees.entry"], name=op.f("fk_fee_shares_fee")),
        sa.PrimaryKeyConstraint("fee", "body", name=op.f("pk_fee_shares")),
    )
    op.create_table(
        "fee_totals",
        sa.Column("licence", sa.String(length=128), nullable=False),
        sa.Column("period", sa.String(length=8), nullable=False),
        sa.Column("tariff", sa.String(length=64), nullable=False),
        sa.Column("item", sa.String(length=128), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("fen", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("licence", "period", "tariff", "item", name=op.f("pk_fee_totals")),
    )
    op.create_table(
        "settlements",
        sa.Column("licence", sa.String(length=128), nullable=False),
        sa.Column("period", sa.String(length=8), nullable=False),
        sa.Column("entry", sa.BigInteger(), nullable=False),
        sa.Column("allowed_fen", sa.BigInteger(), nullable=True),
        sa.Column("posted_fen", sa.BigInteger(), nullable=False),
        sa.Column("brought_fen", sa.BigInteger(), nullable=False),
        sa.Column("payable_fen", sa.BigInteger(), nullable=False),
        sa.Column("carried_fen", sa.BigInteger(), nullable=False),
        sa.Column("closed_by", sa.String(length=128), nullable=False),
        sa.Column("closed_at", sa.String(length=27), nullable=False),
        sa.CheckConstraint(
            "payable_fen >= 0 AND carried_fen >= 0 AND payable_fen + carried_fen = posted_fen + brought_fen", name=op.f("ck_settlements_whole")
        ),
        sa.CheckConstraint("allowed_fen IS NULL OR payable_fen <= allowed_fen", name=op.f("ck_settlements_allowed")),
        sa.ForeignKeyConstraint(["licence"], ["licences.id"], name=op.f("fk_settlements_licence")),
        sa.PrimaryKeyConstraint("licence", "period", name=op.f("pk_settlements")),
        sa.UniqueConstraint("entry", name=op.f("uq_settlements_entry")),
    )
    op.create_table(
        "settlement_shares",
        sa.Column("licence", sa.String(length=128), nullable=False),
        sa.Column("period", sa.String(length=8), nullable=False),
        sa.Column("body", sa.String(length=128), nullable=False),
        sa.Column("payable_fen", sa.BigInteger(), nullable=False),
        sa.Column("carried_fen", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("payable_fen >= 0 AND carried_fen >= 0", name=op.f("ck_settlement_shares_sign")),
        sa.PrimaryKeyConstraint("licence", "period", "body", name=op.f("pk_settlement_shares")),
    )


def _meter() -> None:
    """Scenario and public slot of what was released before they were metered: as the job has them."""
    metering = sa.table("metering", sa.column("release"), sa.column("scenario"), sa.column("compute_ms"))
    jobs = sa.table("jobs", sa.column("id"), sa.column("release"), sa.column("scenario"), sa.column("slot_ms"))
    releases = sa.table("releases", sa.column("id"), sa.column("job"))
    own = (releases.c.id == metering.c.release) & (jobs.c.id == releases.c.job)
    op.execute(
        sa.update(metering).values(
            scenario=sa.select(jobs.c.scenario).where(own).scalar_subquery(), compute_ms=sa.select(jobs.c.slot_ms).where(own).scalar_subquery()
        )
    )
