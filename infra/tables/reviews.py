"""The human lane: who is on duty, tables held for review, requests and votes, standing approvals, who looked at what."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    String,
    Table,
)

from infra.tables.base import Digest, Id, Time, metadata

duties = Table(
    "duties",
    metadata,
    Column("id", Id, primary_key=True),
    Column("reviewer", Id, nullable=False, index=True),
    Column("since", String(10), nullable=False),  # days of China, both included
    Column("until", String(10), nullable=False),
    Column("ended_at", Time, nullable=True),
    Column("set_by", Id, nullable=False),
    Column("set_at", Time, nullable=False),
)

conflicts = Table(  # in force: rows of lifted ones are gone
    "conflicts",
    metadata,
    Column("reviewer", Id, primary_key=True),
    Column("operator", Id, primary_key=True),
    Column("declared_by", Id, nullable=False),
    Column("declared_at", Time, nullable=False),
)

holds = Table(
    "holds",
    metadata,
    Column("job", Id, ForeignKey("jobs.id"), primary_key=True),
    Column("entry", BigInteger, nullable=False),
    Column("shape", Digest, nullable=False, index=True),
    Column("pack", Digest, nullable=False),
    Column("sealed_sha256", Digest, nullable=False),
    Column("review", Id, nullable=True, index=True),  # the request it is in, or was in last
    Column("held_at", Time, nullable=False),
)

reviews = Table(
    "reviews",
    metadata,
    Column("id", Id, primary_key=True),
    Column("operator", Id, nullable=False, index=True),
    Column("licence", Id, nullable=False),
    Column("state", String(16), nullable=False, index=True),  # open, referred, release, return, reject, withdrawn
    Column("manifest", Digest, nullable=False),
    Column("entry", BigInteger, nullable=False, index=True),
    Column("requested_at", Time, nullable=False),
    Column("due_at", Time, nullable=False),
    Column("changed_at", Time, nullable=False),
)

review_jobs = Table(
    "review_jobs",
    metadata,
    Column("review", Id, ForeignKey("reviews.id"), primary_key=True),
    Column("job", Id, ForeignKey("jobs.id"), primary_key=True, index=True),
)

review_votes = Table(  # what a vote was is NULL until the review is decided
    "review_votes",
    metadata,
    Column("review", Id, ForeignKey("reviews.id"), primary_key=True),
    Column("reviewer", Id, primary_key=True),
    Column("entry", BigInteger, nullable=False),
    Column("verdict", Digest, nullable=False),
    Column("reasons", Digest, nullable=False),
    Column("cast_at", Time, nullable=False),
    Column("opened", String(16), nullable=True),
    Column("codes", String(500), nullable=True),
)

output_views = Table(
    "output_views",
    metadata,
    Column("entry", BigInteger, primary_key=True, autoincrement=False),
    Column("job", Id, ForeignKey("jobs.id"), nullable=False, index=True),
    Column("review", Id, nullable=True),
    Column("reader", Id, nullable=False),
    Column("evidence", Digest, nullable=False),
    Column("at", Time, nullable=False),
)

approvals = Table(  # what lets one held table out, once
    "approvals",
    metadata,
    Column("job", Id, ForeignKey("jobs.id"), primary_key=True),
    Column("review", Id, nullable=True),
    Column("standing", Id, nullable=True, index=True),
    Column("pack", Digest, nullable=False),
    Column("evidence", Digest, nullable=False),
    Column("table_sha256", Digest, nullable=False),
    Column("entry", BigInteger, nullable=False),
    Column("approved_at", Time, nullable=False),
)

standings = Table(
    "standings",
    metadata,
    Column("id", Id, primary_key=True),
    Column("licence", Id, nullable=False),
    Column("review", Id, nullable=False),
    Column("job", Id, nullable=False),
    Column("shape", Digest, nullable=False, index=True),
    Column("pack", Digest, nullable=False),
    Column("mends", Digest, nullable=False),
    Column("known", Digest, nullable=False),
    Column("until", String(10), nullable=False),
    Column("state", String(16), nullable=False),  # proposed, in_force, ended
    Column("entry", BigInteger, nullable=False),
    Column("proposed_by", Id, nullable=False),
    Column("confirmed_by", Id, nullable=True),
    Column("proposed_at", Time, nullable=False),
    Column("changed_at", Time, nullable=False),
)
