"""The human lane: duties, held tables, reviews and votes, views, approvals, standing approvals."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:

    op.create_table(
        "duties",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("reviewer", sa.String(length=128), nullable=False),
        sa.Column("since", sa.String(length=10), nullable=False),
        sa.Column("until", sa.String(length=10), nullable=False),
        sa.Column("ended_at", sa.String(length=27), nullable=True),
        sa.Column("set_by", sa.String(length=128), nullable=False),
        sa.Column("set_at", sa.String(length=27), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_duties")),
    )
    op.create_index(op.f("ix_duties_reviewer"), "duties", ["reviewer"], unique=False)
    op.create_table(
        "conflicts",
        sa.Column("reviewer", sa.String(length=128), nullable=False),
        sa.Column("operator", sa.String(length=128), nullable=False),
        sa.Column("declared_by", sa.String(length=128), nullable=False),
        sa.Column("declared_at", sa.String(length=27), nullable=False),
        sa.PrimaryKeyConstraint("reviewer", "operator", name=op.f("pk_conflicts")),
    )
    op.create_table(
        "holds",
        sa.Column("job", sa.String(length=128), nullable=False),
        sa.Column("entry", sa.BigInteger(), nullable=False),
        sa.Column("shape", sa.String(length=64), nullable=False),
        sa.Column("pack", sa.String(length=64), nullable=False),
        sa.Column("sealed_sha256", sa.String(length=64), nullable=False),
        sa.Column("review", sa.String(length=128), nullable=True),
        sa.Column("held_at", sa.String(length=27), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["jobs.id"], name=op.f("fk_holds_job")),
        sa.PrimaryKeyConstraint("job", name=op.f("pk_holds")),
    )
    op.create_index(op.f("ix_holds_review"), "holds", ["review"], unique=False)
    op.create_index(op.f("ix_holds_shape"), "holds", ["shape"], unique=False)
    op.create_table(
        "reviews",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("operator", sa.String(length=128), nullable=False),
        sa.Column("licence", sa.String(length=128), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("manifest", sa.String(length=64), nullable=False),
        sa.Column("entry", sa.BigInteger(), nullable=False),
        sa.Column("requested_at", sa.String(length=27), nullable=False),
        sa.Column("due_at", sa.String(length=27), nullable=False),
        sa.Column("changed_at", sa.String(length=27), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reviews")),
    )
    op.create_index(op.f("ix_reviews_operator"), "reviews", ["operator"], unique=False)
    op.create_index(op.f("ix_reviews_state"), "reviews", ["state"], unique=False)
    op.create_table(
        "review_jobs",
        sa.Column("review", sa.String(length=128), nullable=False),
        sa.Column("job", sa.String(length=128), nullable=False),
        sa.ForeignKeyConstraint(["review"], ["reviews.id"], name=op.f("fk_review_jobs_review")),
        sa.ForeignKeyConstraint(["job"], ["jobs.id"], name=op.f("fk_review_jobs_job")),
        sa.PrimaryKeyConstraint("review", "job", name=op.f("pk_review_jobs")),
    )
    op.create_index(op.f("ix_review_jobs_job"), "review_jobs", ["job"], unique=False)
    op.create_table(
        "review_votes",
        sa.Column("review", sa.String(length=128), nullable=False),
        sa.Column("reviewer", sa.String(length=128), nullable=False),
        sa.Column("entry", sa.BigInteger(), nullable=False),
        sa.Column("verdict", sa.String(length=64), nullable=False),
        sa.Column("reasons", sa.String(length=64), nullable=False),
        sa.Column("cast_at", sa.String(length=27), nullable=False),
        sa.Column("opened", sa.String(length=16), nullable=True),
        sa.Column("codes", sa.String(length=500), nullable=True),
        sa.ForeignKeyConstraint(["review"], ["reviews.id"], name=op.f("fk_review_votes_review")),
        sa.PrimaryKeyConstraint("review", "reviewer", name=op.f("pk_review_votes")),
    )
    op.create_table(
        "output_views",
        sa.Column("entry", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("job", sa.String(length=128), nullable=False),
        sa.Column("review", sa.String(length=128), nullable=True),
        sa.Column("reader", sa.String(length=128), nullable=False),
        sa.Column("evidence", sa.String(length=64), nullable=False),
        sa.Column("at", sa.String(length=27), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["jobs.id"], name=op.f("fk_output_views_job")),
        sa.PrimaryKeyConstraint("entry", name=op.f("pk_output_views")),
    )
    op.create_index(op.f("ix_output_views_job"), "output_views", ["job"], unique=False)
    op.create_table(
        "approvals",
        sa.Column("job", sa.String(length=128), nullable=False),
        sa.Column("review", sa.String(length=128), nullable=True),
        sa.Column("standing", sa.String(length=128), nullable=True),
        sa.Column("pack", sa.String(length=64), nullable=False),
        sa.Column("evidence", sa.String(length=64), nullable=False),
        sa.Column("table_sha256", sa.String(length=64), nullable=False),
        sa.Column("entry", sa.BigInteger(), nullable=False),
        sa.Column("approved_at", sa.String(length=27), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["jobs.id"], name=op.f("fk_approvals_job")),
        sa.PrimaryKeyConstraint("job", name=op.f("pk_approvals")),
    )
    op.create_index(op.f("ix_approvals_standing"), "approvals", ["standing"], unique=False)
    op.create_table(
        "standings",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("licence", sa.String(length=128), nullable=False),
        sa.Column("review", sa.String(length=128), nullable=False),
        sa.Column("job", sa.String(length=128), nullable=False),
        sa.Column("shape", sa.String(length=64), nullable=False),
        sa.Column("pack", sa.String(length=64), nullable=False),
        sa.Column("mends", sa.String(length=64), nullable=False),
        sa.Column("known", sa.String(length=64), nullable=False),
        sa.Column("until", sa.String(length=10), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("entry", sa.BigInteger(), nullable=False),
        sa.Column("proposed_by", sa.String(length=128), nullable=False),
        sa.Column("confirmed_by", sa.String(length=128), nullable=True),
        sa.Column("proposed_at", sa.String(length=27), nullable=False),
        sa.Column("changed_at", sa.String(length=27), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_standings")),
    )
    op.create_index(op.f("ix_standings_shape"), "standings", ["shape"], unique=False)
