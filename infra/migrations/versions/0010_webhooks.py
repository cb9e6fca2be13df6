"""Webhooks with what is sent and what became of it; products renewed on each new snapshot."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "webhook_cursor",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_webhook_cursor_one")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_cursor")),
    )
    op.create_table(
        "webhooks",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("owner", sa.String(length=128), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("topics", sa.Text(), nullable=False),
        sa.Column("subject", sa.String(length=128), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("overlap_until", sa.String(length=27), nullable=True),
        sa.Column("opened_at", sa.String(length=27), nullable=False),
        sa.Column("changed_at", sa.String(length=27), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks")),
    )
    op.create_index(op.f("ix_webhooks_owner"), "webhooks", ["owner"], unique=False)
    op.create_table(
        "webhook_messages",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("webhook", sa.String(length=128), nullable=False),
        sa.Column("entry", sa.BigInteger(), nullable=True),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.String(length=27), nullable=False),
        sa.Column("made_at", sa.String(length=27), nullable=False),
        sa.ForeignKeyConstraint(["webhook"], ["webhooks.id"], name=op.f("fk_webhook_messages_webhook")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_messages")),
        sa.UniqueConstraint("webhook", "entry", name=op.f("uq_webhook_messages_webhook")),
    )
    op.create_index("ix_webhook_messages_due", "webhook_messages", ["state", "due_at"], unique=False)
    op.create_table(
        "schedules",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("product", sa.String(length=128), nullable=False),
        sa.Column("operator", sa.String(length=128), nullable=False),
        sa.Column("licence", sa.String(length=128), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.Column("request", sa.String(length=64), nullable=False),
        sa.Column("releases_at_most", sa.Integer(), nullable=False),
        sa.Column("runs", sa.Integer(), nullable=False),
        sa.Column("set_at", sa.String(length=27), nullable=False),
        sa.Column("changed_at", sa.String(length=27), nullable=False),
        sa.ForeignKeyConstraint(["licence"], ["licences.id"], name=op.f("fk_schedules_licence")),
        sa.ForeignKeyConstraint(["product"], ["products.id"], name=op.f("fk_schedules_product")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedules")),
    )
    op.create_index(op.f("ix_schedules_product"), "schedules", ["product"], unique=False)
    op.create_index(op.f("ix_schedules_state"), "schedules", ["state"], unique=False)
    op.create_table(
        "webhook_attempts",
        sa.Column("message", sa.String(length=128), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.String(length=27), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(["message"], ["webhook_messages.id"], name=op.f("fk_webhook_attempts_message")),
        sa.PrimaryKeyConstraint("message", "number", name=op.f("pk_webhook_attempts")),
    )
    op.create_table(
        "schedule_runs",
        sa.Column("schedule", sa.String(length=128), nullable=False),
        sa.Column("snapshots", sa.String(length=64), nullable=False),
        sa.Column("job", sa.String(length=128), nullable=False),
        sa.Column("entry", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["jobs.id"], name=op.f("fk_schedule_runs_job")),
        sa.ForeignKeyConstraint(["schedule"], ["schedules.id"], name=op.f("fk_schedule_runs_schedule")),
        sa.PrimaryKeyConstraint("schedule", "snapshots", name=op.f("pk_schedule_runs")),
        sa.UniqueConstraint("job", name=op.f("uq_schedule_runs_job")),
    )
    cursor = sa.table("webhook_cursor", sa.column("id"), sa.column("position"))
    op.bulk_insert(cursor, [{"id": 1, "position": -1}])
