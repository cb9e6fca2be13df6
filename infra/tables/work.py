"""Jobs, and who works on them."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    String,
    Table,
    Text,
)

from infra.tables.base import Digest, Id, Time, metadata

jobs = Table(
    "jobs",
    metadata,
    Column("id", Id, primary_key=True),
    Column("operator", Id, nullable=False),
    Column("licence", Id, nullable=False),
    Column("scenario", Id, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("request", Digest, nullable=False),  # commitment to the request, SQL included
    Column("idempotency", Digest, nullable=True, unique=True),
    Column("plan_digest", Digest, nullable=True),
    Column("question", Digest, nullable=True, index=True),
    Column("follows", Id, nullable=True),  # the job whose answer to the same question this one waits for
    Column("charge", Id, nullable=True),
    Column("release", Id, nullable=True),
    Column("slot_ms", BigInteger, nullable=True),
    Column("problem", Text, nullable=True),  # codes, comma-separated, of a refusal
    Column("submitted_at", Time, nullable=False),
    Column("changed_at", Time, nullable=False),
    Index("ix_jobs_licence", "licence", "submitted_at"),
    Index("ix_jobs_submitted_at", "submitted_at", "id"),
    Index("ix_jobs_operator_submitted_at", "operator", "submitted_at", "id"),
)

job_months = Table(  # how many jobs were submitted in a month of China, whatever became of them
    "job_months",
    metadata,
    Column("operator", Id, primary_key=True),
    Column("month", String(7), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("jobs", BigInteger, nullable=False),
)

leases = Table(  # who works on a job, until when; the token grows with each holder, so a late one is told from the present one
    "leases",
    metadata,
    Column("job", Id, primary_key=True),
    Column("holder", String(64), nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("expires_at", Time, nullable=False),
    Index("ix_leases_expires_at", "expires_at"),
)
