"""Webhooks: who wants to be told of what, what is to be sent, what became of it. Working notes: the log is what happened."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from infra.tables.base import Id, Time, metadata

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Id, primary_key=True),
    Column("owner", Id, nullable=False, index=True),
    Column("url", Text, nullable=False),
    Column("topics", Text, nullable=False),  # comma-separated
    Column("subject", Id, nullable=True),  # such as one product; none: all that its owner may know of
    Column("state", String(16), nullable=False),  # open, closed, gone
    Column("generation", Integer, nullable=False),  # of its secret
    Column("overlap_until", Time, nullable=True),  # until when the secret before signs too
    Column("opened_at", Time, nullable=False),
    Column("changed_at", Time, nullable=False),
)

webhook_messages = Table(
    "webhook_messages",
    metadata,
    Column("id", Id, primary_key=True),
    Column("webhook", Id, ForeignKey("webhooks.id"), nullable=False),
    Column("entry", BigInteger, nullable=True),  # of the log, that it tells of; none: a trial
    Column("type", String(64), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("state", String(16), nullable=False),  # waiting, delivered, given_up
    Column("attempts", Integer, nullable=False),
    Column("due_at", Time, nullable=False),
    Column("made_at", Time, nullable=False),
    UniqueConstraint("webhook", "entry"),
    Index("ix_webhook_messages_due", "state", "due_at"),
)

webhook_attempts = Table(
    "webhook_attempts",
    metadata,
    Column("message", Id, ForeignKey("webhook_messages.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", Time, nullable=False),
    Column("status", Integer, nullable=True),  # that it was answered with
    Column("error", String(64), nullable=True),  # why there was none
)

webhook_cursor = Table(  # one row: up to where the log was looked through
    "webhook_cursor",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1", name="one"), primary_key=True, autoincrement=False),
    Column("position", BigInteger, nullable=False),
)
