"""Datasets and versions."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    ForeignKey,
    Integer,
    String,
    Table,
)

from infra.tables.base import Digest, Id, Time, metadata

datasets = Table(
    "datasets",
    metadata,
    Column("id", Id, primary_key=True),  # the name, case-folded
    Column("name", Id, nullable=False),
    Column("space", Id, nullable=True),
    Column("version", Integer, nullable=False),
    Column("registered_at", Time, nullable=False),
    Column("registration", String(16), nullable=False, server_default="coded"),  # applied, accepted, checked, published, coded
    Column("state", String(16), nullable=False, server_default="current"),  # current, withdrawn
)

dataset_versions = Table(
    "dataset_versions",
    metadata,
    Column("dataset", Id, ForeignKey("datasets.id"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("digest", Digest, nullable=False),
    Column("document", Digest, nullable=False),
    Column("ingested_at", Time, nullable=False),
    Column("state", String(16), nullable=False, server_default="current"),  # current, withdrawn
    Column("lineage", Digest, nullable=True),
    Column("ingested_by", Id, nullable=False, server_default="system"),
)
