"""Reports that were issued."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, String, Table

from infra.tables.base import Digest, Id, Time, metadata

reports = Table(
    "reports",
    metadata,
    Column("id", Id, primary_key=True),
    Column("entry", BigInteger, nullable=False, unique=True),
    Column("kind", String(32), nullable=False),
    Column("period", String(8), nullable=True),
    Column("subject", Id, nullable=True, index=True),
    Column("owner", Id, nullable=True, index=True),  # the operator whose it is: of the subject, or of the licence filed; none: the bureau's
    Column("size", BigInteger, nullable=False),  # of the register it was made from
    Column("root", Digest, nullable=False),
    Column("document", Digest, nullable=False),
    Column("issued_by", Id, nullable=False),
    Column("issued_at", Time, nullable=False),
    Index("ix_reports_kind", "kind", "period"),
)

report_files = Table(
    "report_files",
    metadata,
    Column("report", Id, primary_key=True),
    Column("form", String(16), primary_key=True),
    Column("language", String(4), primary_key=True),  # "": both
    Column("sha256", Digest, nullable=False),
)

report_orders = Table(
    "report_orders",
    metadata,
    Column("id", Id, primary_key=True),
    Column("entry", BigInteger, nullable=False, unique=True),
    Column("kind", String(32), nullable=False),
    Column("every", String(8), nullable=False),
    Column("subject", Id, nullable=True),
    Column("next", String(8), nullable=False),  # the first period not issued yet
    Column("ordered_by", Id, nullable=False),
    Column("ordered_at", Time, nullable=False),
    Column("state", String(8), nullable=False),  # open, ended
    Column("ended_by", Id, nullable=True),
    Column("reason", String(2000), nullable=True),
    Column("changed_at", Time, nullable=False),
)

kept_orders = Table(
    "kept_orders",
    metadata,
    Column("order", Id, primary_key=True),
    Column("period", String(8), primary_key=True),  # once
    Column("report", Id, nullable=False, unique=True),
)
