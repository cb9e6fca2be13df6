"""Freezes, and the versions of the policy that have been in force."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    String,
    Table,
    Text,
)

from infra.tables.base import Digest, Id, Time, metadata

freezes = Table(
    "freezes",
    metadata,
    Column("id", Id, primary_key=True),
    Column("scope", String(16), nullable=False),
    Column("subject", Id, nullable=False),  # "" with scope "everything"; a dataset's name in lower case
    Column("state", String(16), nullable=False, index=True),
    Column("reason", Text, nullable=False),
    Column("set_by", Id, nullable=False),
    Column("set_at", Time, nullable=False),
    Column("proposal", BigInteger, nullable=True),  # the newest entry that proposes to thaw it
    Column("proposed_by", Id, nullable=True),
    Column("thawed_by", Id, nullable=True),
    Column("changed_at", Time, nullable=False),
)

policy_versions = Table(  # the row with the highest `since` is in force; none: the policy that the program comes with
    "policy_versions",
    metadata,
    Column("entry", BigInteger, primary_key=True, autoincrement=False),  # that proposed it
    Column("policy", Digest, nullable=False),
    Column("before", Digest, nullable=False),  # the document in force when it was proposed; "": the program's own
    Column("document", Digest, nullable=False),
    Column("reason", Text, nullable=False),
    Column("proposed_by", Id, nullable=False),
    Column("proposed_at", Time, nullable=False),
    Column("changed_by", Id, nullable=True),
    Column("since", BigInteger, nullable=True, unique=True),  # the entry that brought it into force
    Column("changed_at", Time, nullable=True),
)

rule_packs = Table(  # the row with the highest `since` is in force; none: no table was held yet
    "rule_packs",
    metadata,
    Column("entry", BigInteger, primary_key=True, autoincrement=False),  # that proposed it, or adopted it
    Column("pack", Digest, nullable=False),
    Column("name", Id, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("before", Digest, nullable=False),  # the document in force when it was proposed; "": none
    Column("document", Digest, nullable=False),
    Column("reason", Text, nullable=False),
    Column("proposed_by", Id, nullable=False),
    Column("proposed_at", Time, nullable=False),
    Column("changed_by", Id, nullable=True),
    Column("since", BigInteger, nullable=True, unique=True),  # the entry that brought it into force
    Column("changed_at", Time, nullable=True),
)
