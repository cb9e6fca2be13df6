"""How many jobs each operator submitted, by month and kind, kept as they are submitted."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "job_months",
        sa.Column("operator", sa.String(length=128), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("jobs", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("operator", "month", "kind", name=op.f("pk_job_months")),
    )
    _fill()


def _fill() -> None:
    """From what stands, as replaying the log would have it."""
    query = "SELECT operator, kind, substr(submitted_at, 1, 13), COUNT(*) FROM jobs GROUP BY 1, 2, 3"
    found: Counter[tuple[str, str, str]] = Counter()
    for operator, kind, hour, jobs in op.get_bind().execute(sa.text(query)).all():
        month = (datetime.fromisoformat(f"{hour}:00:00") + timedelta(hours=8)).strftime("%Y-%m")  # of China
        found[operator, month, kind] += int(jobs)
    if found:
        table = sa.table("job_months", *(sa.column(name) for name in ("operator", "month", "kind", "jobs")))
        op.bulk_insert(table, [{"operator": key[0], "month": key[1], "kind": key[2], "jobs": found[key]} for key in sorted(found)])
