"""Alerts, the rules they are raised by, and the notes of whoever looks for them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "alerts",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("entry", sa.BigInteger(), nullable=False),
        sa.Column("rule", sa.String(length=64), nullable=False),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("key", sa.String(length=300), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("raised_at", sa.String(length=27), nullable=False),
        sa.Column("changed_at", sa.String(length=27), nullable=False),
        sa.Column("changed_entry", sa.BigInteger(), nullable=False),
        sa.Column("acknowledged_by", sa.String(length=128), nullable=True),
        sa.Column("acknowledged_at", sa.String(length=27), nullable=True),
        sa.Column("words", sa.Text(), nullable=True),
        sa.Column("closed_by", sa.String(length=128), nullable=True),
        sa.Column("closed_at", sa.String(length=27), nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=True),
        sa.Column("outcome_words", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
        sa.UniqueConstraint("entry", name=op.f("uq_alerts_entry")),
    )
    op.create_index(op.f("ix_alerts_rule"), "alerts", ["rule"], unique=False)
    op.create_index(op.f("ix_alerts_key"), "alerts", ["key"], unique=False)
    op.create_index("ix_alerts_state", "alerts", ["state", "severity"], unique=False)
    op.create_table(
        "alert_things",
        sa.Column("alert", sa.String(length=128), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("thing", sa.String(length=300), nullable=False),
        sa.ForeignKeyConstraint(["alert"], ["alerts.id"], name=op.f("fk_alert_things_alert")),
        sa.PrimaryKeyConstraint("alert", "kind", "thing", name=op.f("pk_alert_things")),
    )
    op.create_index("ix_alert_things_thing", "alert_things", ["kind", "thing"], unique=False)
    op.create_table(
        "alert_rules",
        sa.Column("entry", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("rules", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("before", sa.String(length=64), nullable=False),
        sa.Column("document", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("proposed_by", sa.String(length=128), nullable=False),
        sa.Column("proposed_at", sa.String(length=27), nullable=False),
        sa.Column("changed_by", sa.String(length=128), nullable=True),
        sa.Column("since", sa.BigInteger(), nullable=True),
        sa.Column("changed_at", sa.String(length=27), nullable=True),
        sa.PrimaryKeyConstraint("entry", name=op.f("pk_alert_rules")),
        sa.UniqueConstraint("since", name=op.f("uq_alert_rules_since")),
    )
    op.create_table(
        "watch_cursor",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_watch_cursor_one")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_watch_cursor")),
    )
    op.create_table(
        "watch_notes",
        sa.Column("entry", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("topic", sa.String(length=16), nullable=False),
        sa.Column("at", sa.String(length=27), nullable=False),
        sa.Column("who", sa.String(length=128), nullable=False),
        sa.Column("subject", sa.String(length=300), nullable=False),
        sa.Column("form", sa.String(length=64), nullable=False),
        sa.Column("space", sa.String(length=128), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("entry", "place", name=op.f("pk_watch_notes")),
    )
    op.create_index("ix_watch_notes_who", "watch_notes", ["topic", "who", "at"], unique=False)
    op.create_index("ix_watch_notes_form", "watch_notes", ["form", "at"], unique=False)
    op.create_index("ix_watch_notes_at", "watch_notes", ["at"], unique=False)
    cursor = sa.table("watch_cursor", sa.column("id"), sa.column("position"))
    op.bulk_insert(cursor, [{"id": 1, "position": -1}])
