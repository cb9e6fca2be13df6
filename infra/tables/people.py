"""People and keys."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    ForeignKey,
    String,
    Table,
    Text,
)

from infra.tables.base import Digest, Id, Time, metadata

principals = Table(
    "principals",
    metadata,
    Column("id", Id, primary_key=True),
    Column("role", String(32), nullable=False),
    Column("title_zh", Text, nullable=False),
    Column("title_en", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("registered_at", Time, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("prefix", String(32), primary_key=True),
    Column("principal", Id, ForeignKey("principals.id"), nullable=False, index=True),
    Column("secret_sha256", Digest, nullable=False),
    Column("status", String(16), nullable=False),
    Column("issued_at", Time, nullable=False),
)
