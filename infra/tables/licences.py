"""Licences, their versions, and the consents of source bodies."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    ForeignKey,
    Integer,
    String,
    Table,
    Text,
)

from infra.tables.base import Digest, Id, Time, metadata

licences = Table(
    "licences",
    metadata,
    Column("id", Id, primary_key=True),
    Column("operator", Id, ForeignKey("principals.id"), nullable=False, index=True),
    Column("state", String(16), nullable=False, index=True),
    Column("document", Digest, nullable=False),
    Column("granted_at", Time, nullable=True),  # none while it is an application
    Column("changed_at", Time, nullable=False),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("signed", Digest, nullable=True),
    Column("valid_from", Time, nullable=True),
    Column("valid_until", Time, nullable=True),
    Column("access", String(16), nullable=False, server_default="open"),  # to its results: open, withdrawn
)

licence_versions = Table(
    "licence_versions",
    metadata,
    Column("licence", Id, ForeignKey("licences.id"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("document", Digest, nullable=False),
    Column("signed", Digest, nullable=False),
    Column("by", Id, nullable=False),
    Column("at", Time, nullable=False),
)

licence_consents = Table(
    "licence_consents",
    metadata,
    Column("licence", Id, ForeignKey("licences.id"), primary_key=True),
    Column("dataset", Id, primary_key=True),  # the name, case-folded
    Column("reference", Text, nullable=False),
    Column("by", Id, nullable=False),
    Column("at", Time, nullable=False),
)
