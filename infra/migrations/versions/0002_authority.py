"""Freezes, versions of the policy, the algorithm registry."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "freezes",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("scope", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.String(length=128), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("set_by", sa.String(length=128), nullable=False),
        sa.Column("set_at", sa.String(length=27), nullable=False),
        sa.Column("proposal", sa.BigInteger(), nullable=True),
        sa.Column("proposed_by", sa.String(length=128), nullable=True),
        sa.Column("thawed_by", sa.String(length=128), nullable=True),
        sa.Column("changed_at", sa.String(length=27), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_freezes")),
    )
    op.create_index(op.f("ix_freezes_state"), "freezes", ["state"], unique=False)
    op.create_table(
        "policy_versions",
        sa.Column("entry", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("policy", sa.String(length=64), nullable=False),
        sa.Column("before", sa.String(length=64), nullable=False),
        sa.Column("document", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("proposed_by", sa.String(length=128), nullable=False),
        sa.Column("proposed_at", sa.String(length=27), nullable=False),
        sa.Column("changed_by", sa.String(length=128), nullable=True),
        sa.Column("since", sa.BigInteger(), nullable=True),
        sa.Column("changed_at", sa.String(length=27), nullable=True),
        sa.PrimaryKeyConstraint("entry", name=op.f("pk_policy_versions")),
        sa.UniqueConstraint("since", name=op.f("uq_policy_versions_since")),
    )
    op.create_table(
        "programs",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("version", sa.String(length=128), nullable=False),
        sa.Column("author", sa.String(length=128), nullable=False),
        sa.Column("document", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("entry", sa.BigInteger(), nullable=False),
        sa.Column("submitted_at", sa.String(length=27), nullable=False),
        sa.Column("changed_at", sa.String(length=27), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_programs")),
        sa.UniqueConstraint("author", "name", "version", name=op.f("uq_programs_author")),
    )
    op.create_index(op.f("ix_programs_author"), "programs", ["author"], unique=False)
    op.create_index(op.f("ix_programs_state"), "programs", ["state"], unique=False)
    op.create_table(
        "program_reviews",
        sa.Column("program", sa.String(length=64), nullable=False),
        sa.Column("reviewer", sa.String(length=128), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("entry", sa.BigInteger(), nullable=False),
        sa.Column("reviewed_at", sa.String(length=27), nullable=False),
        sa.ForeignKeyConstraint(["program"], ["programs.digest"], name=op.f("fk_program_reviews_program")),
        sa.PrimaryKeyConstraint("program", "reviewer", name=op.f("pk_program_reviews")),
    )
