"""The algorithm registry: programs and what their reviewers said."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    String,
    Table,
    UniqueConstraint,
)

from infra.tables.base import Digest, Id, Time, metadata

programs = Table(
    "programs",
    metadata,
    Column("digest", Digest, primary_key=True),
    Column("name", Id, nullable=False),
    Column("version", Id, nullable=False),
    Column("author", Id, nullable=False, index=True),
    Column("document", Digest, nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("entry", BigInteger, nullable=False),
    Column("submitted_at", Time, nullable=False),
    Column("changed_at", Time, nullable=False),
    UniqueConstraint("author", "name", "version"),
)

program_reviews = Table(
    "program_reviews",
    metadata,
    Column("program", Digest, ForeignKey("programs.digest"), primary_key=True),
    Column("reviewer", Id, primary_key=True),
    Column("verdict", String(16), nullable=False),
    Column("entry", BigInteger, nullable=False),
    Column("reviewed_at", Time, nullable=False),
)
