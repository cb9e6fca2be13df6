"""The log: entries, the tree over them, and what they name by digest."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
)

from infra.tables.base import Digest, Time, metadata

entries = Table(
    "entries",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String(48), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("leaf", LargeBinary(32), nullable=False),
    Index("ix_entries_kind_position", "kind", "position"),
)

log_head = Table(  # one row: locking it orders all writers, on every database
    "log_head",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1", name="one"), primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
    Column("edge", LargeBinary, nullable=False),  # the compact range: roots of the maximal perfect subtrees, left to right, 32 B each
    Column("at", Time, nullable=False),  # of the newest entry: time in the log never runs backwards
)

log_hashes = Table(  # roots of full subtrees of 256**level entries, level >= 1: with the leaves, every tile and proof in a few reads
    "log_hashes",
    metadata,
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary(32), nullable=False),
)

documents = Table(  # content an entry names by its SHA-256; also written beside the log, where the audit reads it
    "documents",
    metadata,
    Column("digest", Digest, primary_key=True),
    Column("entry", BigInteger, nullable=False, index=True),
    Column("body", LargeBinary, nullable=False),
)

openings = Table(  # confidential content an entry names by a salted commitment; never written beside the log
    "openings",
    metadata,
    Column("commitment", Digest, primary_key=True),
    Column("salt", LargeBinary(32), nullable=False),
    Column("content", LargeBinary, nullable=False),
)
