"""Datasets and versions."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Integer,
    String,
    Table,
    Text,
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

destructions = Table(  # what is to be destroyed for good, and what was
    "destructions",
    metadata,
    Column("entry", BigInteger, primary_key=True, autoincrement=False),  # that proposed it
    Column("dataset", Id, ForeignKey("datasets.id"), nullable=False),
    Column("version", Integer, nullable=False),  # 0: the whole dataset
    Column("reason", Text, nullable=False),
    Column("proposed_by", Id, nullable=False),
    Column("proposed_at", Time, nullable=False),
    Column("confirmed_by", Id, nullable=True),
    Column("since", BigInteger, nullable=True, unique=True),  # the entry that confirmed it: its keys are gone, or going
    Column("confirmed_at", Time, nullable=True),
)
