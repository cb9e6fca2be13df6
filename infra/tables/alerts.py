"""Alerts, the rules they are raised by, and the working notes of whoever looks for them.

`alerts`, `alert_things` and `alert_rules` follow from the log. `watch_cursor` and `watch_notes` are working notes: what was read out of
entries, kept as long as a rule may look back.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from infra.tables.base import Digest, Id, Time, metadata

alerts = Table(
    "alerts",
    metadata,
    Column("id", Id, primary_key=True),
    Column("entry", BigInteger, nullable=False, unique=True),
    Column("rule", String(64), nullable=False, index=True),
    Column("severity", String(16), nullable=False),  # info, warning, serious
    Column("key", String(300), nullable=False, index=True),  # what is the same alert raised again
    Column("state", String(16), nullable=False),  # open, acknowledged, closed
    Column("raised_at", Time, nullable=False),
    Column("changed_at", Time, nullable=False),
    Column("changed_entry", BigInteger, nullable=False),  # the newest entry about it
    Column("acknowledged_by", Id, nullable=True),
    Column("acknowledged_at", Time, nullable=True),
    Column("words", Text, nullable=True),
    Column("closed_by", Id, nullable=True),
    Column("closed_at", Time, nullable=True),
    Column("outcome", String(16), nullable=True),  # handled, false_alarm, passed
    Column("outcome_words", Text, nullable=True),
    Index("ix_alerts_state", "state", "severity"),
)

alert_things = Table(  # what an alert is about, for looking up
    "alert_things",
    metadata,
    Column("alert", Id, ForeignKey("alerts.id"), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("thing", String(300), primary_key=True),
    Index("ix_alert_things_thing", "kind", "thing"),
)

alert_rules = Table(  # sets of rules that were proposed, and those that came into force
    "alert_rules",
    metadata,
    Column("entry", BigInteger, primary_key=True, autoincrement=False),
    Column("rules", Digest, nullable=False),
    Column("name", Id, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("before", String(64), nullable=False),
    Column("document", Digest, nullable=False),
    Column("reason", Text, nullable=False),
    Column("proposed_by", Id, nullable=False),
    Column("proposed_at", Time, nullable=False),
    Column("changed_by", Id, nullable=True),
    Column("since", BigInteger, nullable=True),
    Column("changed_at", Time, nullable=True),
    UniqueConstraint("since"),
)

watch_cursor = Table(  # one row: up to where the log was looked through
    "watch_cursor",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1", name="one"), primary_key=True, autoincrement=False),
    Column("position", BigInteger, nullable=False),
)

watch_notes = Table(  # `topic`: question, setback, refusal, delivery; `who` did it; `form` and `where_`: what questions are grouped by
    "watch_notes",
    metadata,
    Column("entry", BigInteger, primary_key=True, autoincrement=False),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("topic", String(16), nullable=False),
    Column("at", Time, nullable=False),
    Column("who", String(128), nullable=False),
    Column("subject", String(300), nullable=False),
    Column("form", String(64), nullable=False),
    Column("space", String(128), nullable=False),
    Column("body", Text, nullable=False),
    Index("ix_watch_notes_who", "topic", "who", "at"),
    Index("ix_watch_notes_form", "form", "at"),
    Index("ix_watch_notes_at", "at"),
)
