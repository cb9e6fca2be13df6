"""What pages read of a long past without reading all of it: losses and releases by day, who was answered by what, indices for lists."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

INDICES = (
    ("ix_entries_kind_position", "entries", ["kind", "position"]),
    ("ix_releases_entry", "releases", ["entry"]),
    ("ix_releases_visible_at", "releases", ["visible_at"]),
    *((f"ix_metering_{name}_entry", "metering", [name, "entry"]) for name in ("operator", "licence", "scenario")),
    ("ix_jobs_submitted_at", "jobs", ["submitted_at", "id"]),
    ("ix_jobs_operator_submitted_at", "jobs", ["operator", "submitted_at", "id"]),
    ("ix_fees_visible_at", "fees", ["visible_at"]),
    ("ix_fees_operator_entry", "fees", ["operator", "entry"]),
    ("ix_reviews_entry", "reviews", ["entry"]),
)
BEFORE = tuple((f"ix_{table}_{name}", table, [name]) for table, name in (
    ("entries", "kind"), ("jobs", "operator"), ("fees", "operator"), ("metering", "operator")
))  # fmt: skip


def upgrade() -> None:
    op.create_table(
        "account_days",
        sa.Column("account", sa.String(length=300), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("pico_rho", sa.BigInteger(), nullable=False),
        sa.Column("atto_delta", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_account_days_account")),
        sa.PrimaryKeyConstraint("account", "day", name=op.f("pk_account_days")),
    )
    op.create_table(
        "release_days",
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("releases", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_release_days")),
    )
    op.create_table(
        "answered",
        sa.Column("operator", sa.String(length=128), nullable=False),
        sa.Column("entry", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("release", sa.String(length=128), nullable=False),
        sa.ForeignKeyConstraint(["release"], ["releases.id"], name=op.f("fk_answered_release")),
        sa.PrimaryKeyConstraint("operator", "entry", name=op.f("pk_answered")),
    )
    op.add_column("metering", sa.Column("entry", sa.BigInteger(), nullable=True))
    op.execute("UPDATE metering SET entry = (SELECT entry FROM releases WHERE releases.id = metering.release)")
    with op.batch_alter_table("metering") as table:
        table.alter_column("entry", existing_type=sa.BigInteger(), nullable=False)
    for name, table_name, columns in INDICES:
        op.create_index(name, table_name, columns, unique=False)
    for name, table_name, _ in BEFORE:
        op.drop_index(name, table_name=table_name)  # the new one begins with the same column
    _fill()


def _fill() -> None:
    """From what stands, as replaying the log would have it."""
    op.execute(
        "INSERT INTO account_days (account, day, pico_rho, atto_delta) SELECT account, day,"
        " SUM(CASE WHEN state = 'released' THEN 0 ELSE pico_rho END), SUM(CASE WHEN state = 'released' THEN 0 ELSE atto_delta END)"
        " FROM charge_accounts JOIN charges ON charges.id = charge_accounts.charge WHERE day IS NOT NULL GROUP BY account, day"
    )
    op.execute(
        "INSERT INTO answered (operator, entry, release) SELECT DISTINCT jobs.operator, releases.entry, releases.id"
        " FROM jobs JOIN releases ON releases.id = jobs.release"
    )
    hours = op.get_bind().execute(sa.text("SELECT substr(published_at, 1, 13) AS hour, COUNT(*) AS n FROM releases GROUP BY 1")).all()
    days: Counter[str] = Counter()
    for hour, count in hours:
        days[(datetime.fromisoformat(f"{hour}:00:00") + timedelta(hours=8)).date().isoformat()] += count  # a day of China
    if days:
        table = sa.table("release_days", sa.column("day"), sa.column("releases"))
        op.bulk_insert(table, [{"day": day, "releases": count} for day, count in sorted(days.items())])


def downgrade() -> None:
    for name, table_name, columns in BEFORE:
        op.create_index(name, table_name, columns, unique=False)
    for name, table_name, _ in INDICES:
        op.drop_index(name, table_name=table_name)
    with op.batch_alter_table("metering") as table:
        table.drop_column("entry")
    for table_name in ("answered", "release_days", "account_days"):
        op.drop_table(table_name)
