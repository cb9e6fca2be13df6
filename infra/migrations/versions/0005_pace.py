"""Pace windows on accounts, the day a charge was reserved on, and jobs that wait for another one's answer."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

UNITS = ("pico_rho", "atto_delta")


def upgrade() -> None:
    for window, length in (("day", 10), ("month", 7)):
        for unit in UNITS:
            op.add_column("accounts", sa.Column(f"{window}_cap_{unit}", sa.BigInteger(), nullable=True))
        op.add_column("accounts", sa.Column(f"{window}_period", sa.String(length=length), nullable=True))
        for unit in UNITS:
            op.add_column("accounts", sa.Column(f"{window}_used_{unit}", sa.BigInteger(), nullable=True))
    op.add_column("charges", sa.Column("day", sa.String(length=10), nullable=True))
    op.add_column("jobs", sa.Column("follows", sa.String(length=128), nullable=True))
    op.create_index(op.f("ix_jobs_question"), "jobs", ["question"], unique=False)
    op.create_index(op.f("ix_jobs_licence"), "jobs", ["licence", "submitted_at"], unique=False)
    _days()


def _days() -> None:
    """The day of charges made before there were windows, from the entries that made them: days of China, UTC+8."""
    connection = op.get_bind()
    entries = sa.table("entries", sa.column("position"), sa.column("kind"), sa.column("body"))
    charges = sa.table("charges", sa.column("id"), sa.column("day"))
    made = connection.execute(sa.select(entries.c.body).where(entries.c.kind == "charge_reserved")).all()
    for (body,) in made:
        event = json.loads(bytes(body))
        day = datetime.fromisoformat(event["at"]).astimezone(timezone(timedelta(hours=8))).date().isoformat()
        connection.execute(sa.update(charges).where(charges.c.id == event["charge"]).values(day=day))
