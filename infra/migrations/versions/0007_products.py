"""Data products: their versions, the releases these are made of, who may have them; what was delivered of which."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "products",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("operator", sa.String(length=128), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("document", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("columns", sa.String(length=64), nullable=True),
        sa.Column("code", sa.String(length=32), nullable=True),
        sa.Column("registered_entry", sa.BigInteger(), nullable=True),
        sa.Column("successor", sa.String(length=128), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("drafted_at", sa.String(length=27), nullable=False),
        sa.Column("changed_at", sa.String(length=27), nullable=False),
        sa.ForeignKeyConstraint(["operator"], ["principals.id"], name=op.f("fk_products_operator")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_products")),
        sa.UniqueConstraint("code", name=op.f("uq_products_code")),
    )
    op.create_index(op.f("ix_products_operator"), "products", ["operator"], unique=False)
    op.create_index(op.f("ix_products_state"), "products", ["state"], unique=False)
    op.create_table(
        "product_versions",
        sa.Column("product", sa.String(length=128), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("entry", sa.BigInteger(), nullable=False),
        sa.Column("licence", sa.String(length=128), nullable=False),
        sa.Column("document", sa.String(length=64), nullable=False),
        sa.Column("table_sha256", sa.String(length=64), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("added_at", sa.String(length=27), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["product"], ["products.id"], name=op.f("fk_product_versions_product")),
        sa.PrimaryKeyConstraint("product", "version", name=op.f("pk_product_versions")),
    )
    op.create_index(op.f("ix_product_versions_licence"), "product_versions", ["licence"], unique=False)
    op.create_table(
        "product_releases",
        sa.Column("product", sa.String(length=128), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("release", sa.String(length=128), nullable=False),
        sa.ForeignKeyConstraint(["product"], ["products.id"], name=op.f("fk_product_releases_product")),
        sa.ForeignKeyConstraint(["release"], ["releases.id"], name=op.f("fk_product_releases_release")),
        sa.PrimaryKeyConstraint("product", "version", "position", name=op.f("pk_product_releases")),
    )
    op.create_index(op.f("ix_product_releases_release"), "product_releases", ["release"], unique=False)
    op.create_table(
        "entitlements",
        sa.Column("product", sa.String(length=128), nullable=False),
        sa.Column("builder", sa.String(length=128), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("until", sa.String(length=27), nullable=True),
        sa.Column("deliveries_a_month", sa.Integer(), nullable=True),
        sa.Column("entitled_by", sa.String(length=128), nullable=False),
        sa.Column("changed_at", sa.String(length=27), nullable=False),
        sa.ForeignKeyConstraint(["builder"], ["principals.id"], name=op.f("fk_entitlements_builder")),
        sa.ForeignKeyConstraint(["product"], ["products.id"], name=op.f("fk_entitlements_product")),
        sa.PrimaryKeyConstraint("product", "builder", name=op.f("pk_entitlements")),
    )
    op.add_column("deliveries", sa.Column("product", sa.String(length=128), nullable=True))
    op.add_column("deliveries", sa.Column("version", sa.Integer(), nullable=True))
    op.create_index("ix_deliveries_product", "deliveries", ["product", "recipient", "delivered_at"], unique=False)
