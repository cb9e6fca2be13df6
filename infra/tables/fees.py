"""Fees, their lines and shares, running totals of a settlement period, and periods closed. Amounts are fen, quantities whole counts."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    String,
    Table,
)

from infra.tables.base import Digest, Id, Time, metadata

PeriodText = String(8)

fees = Table(
    "fees",
    metadata,
    Column("entry", BigInteger, primary_key=True, autoincrement=False),
    Column("cause", String(16), nullable=False),  # release, delivery, term
    Column("subject", String(300), nullable=False, unique=True),  # what is charged for, and is charged for once
    Column("licence", Id, ForeignKey("licences.id"), nullable=False),
    Column("operator", Id, nullable=False),
    Column("release", Id, ForeignKey("releases.id"), nullable=True, index=True),
    Column("scenario", Id, nullable=True),
    Column("period", PeriodText, nullable=False),
    Column("tariff", Digest, nullable=False),
    Column("free", Boolean(create_constraint=False), nullable=False),
    Column("fen", BigInteger, nullable=False),
    Column("posted_at", Time, nullable=False),
    Column("visible_at", Time, nullable=False),
    CheckConstraint("fen >= 0", name="sign"),
    Index("ix_fees_licence_period", "licence", "period"),
    Index("ix_fees_visible_at", "visible_at"),
    Index("ix_fees_operator_entry", "operator", "entry"),
)

fee_lines = Table(
    "fee_lines",
    metadata,
    Column("fee", BigInteger, ForeignKey("fees.entry"), primary_key=True, autoincrement=False),
    Column("item", Id, primary_key=True),
    Column("measure", String(16), nullable=False),
    Column("quantity", BigInteger, nullable=False),
    Column("fen", BigInteger, nullable=False),
    CheckConstraint("quantity >= 0 AND fen >= 0", name="sign"),
)

fee_shares = Table(
    "fee_shares",
    metadata,
    Column("fee", BigInteger, ForeignKey("fees.entry"), primary_key=True, autoincrement=False),
    Column("body", Id, primary_key=True),
    Column("fen", BigInteger, nullable=False),
)

fee_totals = Table(  # what of each item was used and paid for in a period under one tariff: what tiers and rounding go on from
    "fee_totals",
    metadata,
    Column("licence", Id, primary_key=True),
    Column("period", PeriodText, primary_key=True),
    Column("tariff", Digest, primary_key=True),
    Column("item", Id, primary_key=True),
    Column("quantity", BigInteger, nullable=False),
    Column("fen", BigInteger, nullable=False),
)

# what a statement adds up, kept as fees are posted: by item, by who shares in it, by what it was for

fee_items = Table(
    "fee_items",
    metadata,
    Column("licence", Id, primary_key=True),
    Column("period", PeriodText, primary_key=True),
    Column("item", Id, primary_key=True),
    Column("measure", String(16), primary_key=True),
    Column("free", Boolean(create_constraint=False), primary_key=True),
    Column("quantity", BigInteger, nullable=False),
    Column("fen", BigInteger, nullable=False),
)

fee_bodies = Table(
    "fee_bodies",
    metadata,
    Column("licence", Id, primary_key=True),
    Column("period", PeriodText, primary_key=True),
    Column("body", Id, primary_key=True),
    Column("fen", BigInteger, nullable=False),
)

fee_counts = Table(
    "fee_counts",
    metadata,
    Column("licence", Id, primary_key=True),
    Column("period", PeriodText, primary_key=True),
    Column("scenario", Id, primary_key=True),  # "": by the month, for none
    Column("free", Boolean(create_constraint=False), primary_key=True),
    Column("fees", BigInteger, nullable=False),
    Column("fen", BigInteger, nullable=False),
)

settlements = Table(
    "settlements",
    metadata,
    Column("licence", Id, ForeignKey("licences.id"), primary_key=True),
    Column("period", PeriodText, primary_key=True),
    Column("entry", BigInteger, nullable=False, unique=True),
    Column("allowed_fen", BigInteger, nullable=True),
    Column("posted_fen", BigInteger, nullable=False),
    Column("brought_fen", BigInteger, nullable=False),
    Column("payable_fen", BigInteger, nullable=False),
    Column("carried_fen", BigInteger, nullable=False),
    Column("closed_by", Id, nullable=False),
    Column("closed_at", Time, nullable=False),
    CheckConstraint("payable_fen >= 0 AND carried_fen >= 0 AND payable_fen + carried_fen = posted_fen + brought_fen", name="whole"),
    CheckConstraint("allowed_fen IS NULL OR payable_fen <= allowed_fen", name="allowed"),
)

settlement_shares = Table(
    "settlement_shares",
    metadata,
    Column("licence", Id, primary_key=True),
    Column("period", PeriodText, primary_key=True),
    Column("body", Id, primary_key=True),
    Column("payable_fen", BigInteger, nullable=False),
    Column("carried_fen", BigInteger, nullable=False),
    CheckConstraint("payable_fen >= 0 AND carried_fen >= 0", name="sign"),
)
