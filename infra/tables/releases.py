"""Releases, metering, deliveries."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
)

from infra.tables.base import Digest, Id, Time, metadata

releases = Table(
    "releases",
    metadata,
    Column("id", Id, primary_key=True),
    Column("job", Id, ForeignKey("jobs.id"), nullable=False),
    Column("entry", BigInteger, nullable=False),
    Column("question", Digest, nullable=False),
    Column("record", Digest, nullable=False),  # commitment to the release record: columns, query, half-widths
    Column("table_sha256", Digest, nullable=False),
    Column("published_at", Time, nullable=False),
    Column("visible_at", Time, nullable=False),
    UniqueConstraint("job"),
)

answers = Table(  # same question, same answer: the first release of a question
    "answers",
    metadata,
    Column("question", Digest, primary_key=True),
    Column("release", Id, ForeignKey("releases.id"), nullable=False),
)

metering = Table(
    "metering",
    metadata,
    Column("release", Id, ForeignKey("releases.id"), primary_key=True),
    Column("operator", Id, nullable=False, index=True),
    Column("licence", Id, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("pico_rho", BigInteger, nullable=False),
    Column("atto_delta", BigInteger, nullable=False),
    Column("scenario", Id, nullable=True),
    Column("compute_ms", BigInteger, nullable=True),  # the public slot: how long the job really took says something of the data
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("entry", BigInteger, primary_key=True, autoincrement=False),
    Column("release", Id, ForeignKey("releases.id"), nullable=False, index=True),
    Column("recipient", Id, nullable=False),
    Column("format", String(16), nullable=False),
    Column("sha256", Digest, nullable=False),
    Column("delivered_at", Time, nullable=False),
    Column("product", Id, nullable=True),
    Column("version", Integer, nullable=True),
    Index("ix_deliveries_product", "product", "recipient", "delivered_at"),
)
