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
    Index("ix_releases_entry", "entry"),
    Index("ix_releases_visible_at", "visible_at"),
)

release_days = Table(  # how many were published on a day of China
    "release_days",
    metadata,
    Column("day", String(10), primary_key=True),
    Column("releases", BigInteger, nullable=False),
)

answered = Table(  # whose jobs a release answered, the first or one that asked the same later; `entry` is the release's
    "answered",
    metadata,
    Column("operator", Id, primary_key=True),
    Column("entry", BigInteger, primary_key=True, autoincrement=False),
    Column("release", Id, ForeignKey("releases.id"), nullable=False),
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
    Column("entry", BigInteger, nullable=False),  # the release's: lists go by it
    Column("operator", Id, nullable=False),
    Column("licence", Id, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("pico_rho", BigInteger, nullable=False),
    Column("atto_delta", BigInteger, nullable=False),
    Column("scenario", Id, nullable=True),
    Column("compute_ms", BigInteger, nullable=True),  # the public slot: how long the job really took says something of the data
    *(Index(f"ix_metering_{name}_entry", name, "entry") for name in ("operator", "licence", "scenario")),
)

usage_months = Table(  # what left under a licence in a month of China; deliveries by what was delivered
    "usage_months",
    metadata,
    Column("licence", Id, primary_key=True),
    Column("month", String(7), primary_key=True),
    Column("scenario", Id, primary_key=True),  # "": not metered, in registers made before it was
    Column("kind", String(16), primary_key=True),  # of job
    *(Column(name, BigInteger, nullable=False) for name in ("releases", "deliveries", "rows", "bytes", "compute_ms", "pico_rho", "atto_delta")),
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
