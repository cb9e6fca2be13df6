"""Licences."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    ForeignKey,
    String,
    Table,
)

from infra.tables.base import Digest, Id, Time, metadata

licences = Table(
    "licences",
    metadata,
    Column("id", Id, primary_key=True),
    Column("operator", Id, ForeignKey("principals.id"), nullable=False, index=True),
    Column("state", String(16), nullable=False),
    Column("document", Digest, nullable=False),
    Column("granted_at", Time, nullable=False),
    Column("changed_at", Time, nullable=False),
)
