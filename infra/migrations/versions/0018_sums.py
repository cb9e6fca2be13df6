"""What statements and reports add up, kept as it grows: fees by item, body and scenario, use by month."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

USE = ("licence", "month", "scenario", "kind")
SUMS = ("releases", "deliveries", "rows", "bytes", "compute_ms", "pico_rho", "atto_delta")


def upgrade() -> None:
    _fees("fee_items", [("item", 128), ("measure", 16)], True, ["quantity", "fen"])
    _fees("fee_bodies", [("body", 128)], False, ["fen"])
    _fees("fee_counts", [("scenario", 128)], True, ["fees", "fen"])
    op.create_table(
        "usage_months",
        *(sa.Column(name, sa.String(length=length), nullable=False) for name, length in zip(USE, (128, 7, 128, 16), strict=True)),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in SUMS),
        sa.PrimaryKeyConstraint(*USE, name=op.f("pk_usage_months")),
    )
    _fill()


def _fees(table: str, keys: list[tuple[str, int]], free: bool, sums: list[str]) -> None:
    key = ["licence", "period", *(name for name, _ in keys), *(["free"] if free else [])]
    op.create_table(
        table,
        sa.Column("licence", sa.String(length=128), nullable=False),
        sa.Column("period", sa.String(length=8), nullable=False),
        *(sa.Column(name, sa.String(length=length), nullable=False) for name, length in keys),
        *([sa.Column("free", sa.Boolean(create_constraint=False), nullable=False)] if free else []),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in sums),
        sa.PrimaryKeyConstraint(*key, name=op.f(f"pk_{table}")),
    )


def _fill() -> None:
    """From what stands, as replaying the log would have it."""
    op.execute(
        "INSERT INTO fee_items (licence, period, item, measure, free, quantity, fen) SELECT fees.licence, fees.period, fee_lines.item,"
        " fee_lines.measure, fees.free, SUM(fee_lines.quantity), SUM(fee_lines.fen) FROM fee_lines JOIN fees ON fees.entry = fee_lines.fee"
        " GROUP BY fees.licence, fees.period, fee_lines.item, fee_lines.measure, fees.free"
    )
    op.execute(
        "INSERT INTO fee_bodies (licence, period, body, fen) SELECT fees.licence, fees.period, fee_shares.body, SUM(fee_shares.fen)"
        " FROM fee_shares JOIN fees ON fees.entry = fee_shares.fee GROUP BY fees.licence, fees.period, fee_shares.body"
    )
    op.execute(
        "INSERT INTO fee_counts (licence, period, scenario, free, fees, fen) SELECT licence, period, COALESCE(scenario, ''), free,"
        " COUNT(*), SUM(fen) FROM fees GROUP BY licence, period, COALESCE(scenario, ''), free"
    )
    own = "metering.licence, COALESCE(metering.scenario, ''), jobs.kind"
    joined = "JOIN releases ON releases.id = metering.release JOIN jobs ON jobs.id = releases.job"
    released = (
        f"SELECT {own}, substr(releases.published_at, 1, 13), COUNT(*), 0, SUM(metering.rows), SUM(metering.bytes),"
        f" SUM(COALESCE(metering.compute_ms, 0)), SUM(metering.pico_rho), SUM(metering.atto_delta) FROM metering {joined} GROUP BY 1, 2, 3, 4"
    )
    delivered = (
        f"SELECT {own}, substr(deliveries.delivered_at, 1, 13), 0, COUNT(*), 0, 0, 0, 0, 0 FROM deliveries"
        f" JOIN metering ON metering.release = deliveries.release {joined} GROUP BY 1, 2, 3, 4"
    )
    found: dict[tuple[str, ...], Counter[str]] = {}
    for query in (released, delivered):
        for licence, scenario, kind, hour, *amounts in op.get_bind().execute(sa.text(query)).all():
            month = (datetime.fromisoformat(f"{hour}:00:00") + timedelta(hours=8)).strftime("%Y-%m")  # of China
            found.setdefault((licence, month, scenario, kind), Counter()).update(dict(zip(SUMS, map(int, amounts), strict=True)))
    if found:
        table = sa.table("usage_months", *(sa.column(name) for name in (*USE, *SUMS)))
        rows = ({**dict(zip(USE, key, strict=True)), **{name: found[key][name] for name in SUMS}} for key in sorted(found))
        op.bulk_insert(table, list(rows))
