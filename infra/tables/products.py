"""Data products: what they are, their versions, who may have them."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from infra.tables.base import Digest, Id, Time, metadata

products = Table(
    "products",
    metadata,
    Column("id", Id, primary_key=True),
    Column("operator", Id, ForeignKey("principals.id"), nullable=False, index=True),
    Column("state", String(16), nullable=False, index=True),
    Column("document", Digest, nullable=False),
    Column("version", Integer, nullable=False),  # the newest, 0 without any
    Column("columns", Digest, nullable=True),  # of every version
    Column("code", String(32), nullable=True),
    Column("registered_entry", BigInteger, nullable=True),
    Column("successor", Id, nullable=True),
    Column("reason", Text, nullable=True),  # why it was deprecated or recalled
    Column("drafted_at", Time, nullable=False),
    Column("changed_at", Time, nullable=False),
    UniqueConstraint("code"),
)

product_versions = Table(
    "product_versions",
    metadata,
    Column("product", Id, ForeignKey("products.id"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("state", String(16), nullable=False),  # current, recalled
    Column("entry", BigInteger, nullable=False),
    Column("licence", Id, nullable=False, index=True),
    Column("document", Digest, nullable=False),
    Column("table_sha256", Digest, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("added_at", Time, nullable=False),
    Column("reason", Text, nullable=True),
)

product_releases = Table(  # which releases a version is made of
    "product_releases",
    metadata,
    Column("product", Id, ForeignKey("products.id"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("release", Id, ForeignKey("releases.id"), nullable=False, index=True),
)

entitlements = Table(
    "entitlements",
    metadata,
    Column("product", Id, ForeignKey("products.id"), primary_key=True),
    Column("builder", Id, ForeignKey("principals.id"), primary_key=True),
    Column("state", String(16), nullable=False),  # open, ended
    Column("until", Time, nullable=True),
    Column("deliveries_a_month", Integer, nullable=True),
    Column("entitled_by", Id, nullable=False),
    Column("changed_at", Time, nullable=False),
)

schedules = Table(  # a release on each new snapshot, until the plan is used up
    "schedules",
    metadata,
    Column("id", Id, primary_key=True),
    Column("product", Id, ForeignKey("products.id"), nullable=False, index=True),
    Column("operator", Id, nullable=False),
    Column("licence", Id, ForeignKey("licences.id"), nullable=False),
    Column("state", String(16), nullable=False, index=True),  # active, stopped
    Column("reason", String(64), nullable=True),
    Column("request", Digest, nullable=False),  # commitment to the order
    Column("releases_at_most", Integer, nullable=False),
    Column("runs", Integer, nullable=False),
    Column("set_at", Time, nullable=False),
    Column("changed_at", Time, nullable=False),
)

running_schedules = Table(  # those that release running totals, one release a period
    "running_schedules",
    metadata,
    Column("schedule", Id, ForeignKey("schedules.id"), primary_key=True),
    Column("dataset", Id, nullable=False),
    Column("step", String(8), nullable=False),
    Column("first", String(10), nullable=False),  # a day
    Column("periods", Integer, nullable=False),
    Column("way", String(8), nullable=False),  # tree, anew
    Column("after", Id, nullable=True),  # the schedule whose first `done` releases serve this one too
    Column("done", Integer, nullable=False),
)

schedule_runs = Table(  # one job for a schedule and what it reads: never two
    "schedule_runs",
    metadata,
    Column("schedule", Id, ForeignKey("schedules.id"), primary_key=True),
    Column("snapshots", Digest, primary_key=True),
    Column("job", Id, ForeignKey("jobs.id"), nullable=False),
    Column("entry", BigInteger, nullable=False),
    UniqueConstraint("job"),
)
