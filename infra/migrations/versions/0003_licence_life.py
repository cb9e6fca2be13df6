"""The life of licences and of datasets: terms, versions, consents, withdrawals, lineage."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("licences") as licences:
        licences.alter_column("granted_at", existing_type=sa.String(length=27), nullable=True)
        licences.add_column(sa.Column("version", sa.Integer(), nullable=False, server_default="1"))
        licences.add_column(sa.Column("signed", sa.String(length=64), nullable=True))
        licences.add_column(sa.Column("valid_from", sa.String(length=27), nullable=True))
        licences.add_column(sa.Column("valid_until", sa.String(length=27), nullable=True))
        licences.add_column(sa.Column("access", sa.String(length=16), nullable=False, server_default="open"))
    op.create_index(op.f("ix_licences_state"), "licences", ["state"], unique=False)
    op.create_table(
        "licence_versions",
        sa.Column("licence", sa.String(length=128), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("document", sa.String(length=64), nullable=False),
        sa.Column("signed", sa.String(length=64), nullable=False),
        sa.Column("by", sa.String(length=128), nullable=False),
        sa.Column("at", sa.String(length=27), nullable=False),
        sa.ForeignKeyConstraint(["licence"], ["licences.id"], name=op.f("fk_licence_versions_licence")),
        sa.PrimaryKeyConstraint("licence", "version", name=op.f("pk_licence_versions")),
    )
    op.create_table(
        "licence_consents",
        sa.Column("licence", sa.String(length=128), nullable=False),
        sa.Column("dataset", sa.String(length=128), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("by", sa.String(length=128), nullable=False),
        sa.Column("at", sa.String(length=27), nullable=False),
        sa.ForeignKeyConstraint(["licence"], ["licences.id"], name=op.f("fk_licence_consents_licence")),
        sa.PrimaryKeyConstraint("licence", "dataset", name=op.f("pk_licence_consents")),
    )
    with op.batch_alter_table("datasets") as datasets:
        datasets.add_column(sa.Column("registration", sa.String(length=16), nullable=False, server_default="coded"))
        datasets.add_column(sa.Column("state", sa.String(length=16), nullable=False, server_default="current"))
    with op.batch_alter_table("dataset_versions") as versions:
        versions.add_column(sa.Column("state", sa.String(length=16), nullable=False, server_default="current"))
        versions.add_column(sa.Column("lineage", sa.String(length=64), nullable=True))
        versions.add_column(sa.Column("ingested_by", sa.String(length=128), nullable=False, server_default="system"))
