"""The register's tables.

`entries` is the truth. Tables in PROJECTIONS follow from it alone: they are written only by the projections of `jobs/projections.py`, in
the transaction that appends the event, and can be rebuilt from the entries at any time. The others are the tree over the entries, content
that entries name by digest, and the working notes of the queue.

Losses are integers: pico-rho (1e-12) and atto-delta (1e-18). Times are RFC 3339 text in UTC with microseconds, as in the event: text
compares the same on every database, byte for byte.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

Id = String(128)
Digest = String(64)
Time = String(27)
CAP_LIMIT = 10**18  # spent + reserved + one more charge stays below 2**63 whatever is asked

# ── the log ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

entries = Table(
    "entries",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String(48), nullable=False, index=True),
    Column("body", LargeBinary, nullable=False),
    Column("leaf", LargeBinary(32), nullable=False),
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

# ── projections ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

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

datasets = Table(
    "datasets",
    metadata,
    Column("id", Id, primary_key=True),  # the name, case-folded
    Column("name", Id, nullable=False),
    Column("space", Id, nullable=True),
    Column("version", Integer, nullable=False),
    Column("registered_at", Time, nullable=False),
)

dataset_versions = Table(
    "dataset_versions",
    metadata,
    Column("dataset", Id, ForeignKey("datasets.id"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("digest", Digest, nullable=False),
    Column("document", Digest, nullable=False),
    Column("ingested_at", Time, nullable=False),
)

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

accounts = Table(
    "accounts",
    metadata,
    Column("id", String(300), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("subject", String(300), nullable=False),
    *(Column(f"{part}_{unit}", BigInteger, nullable=False) for part in ("cap", "reserved", "spent") for unit in ("pico_rho", "atto_delta")),
    Column("opened_at", Time, nullable=False),
    *(
        CheckConstraint(f"reserved_{unit} >= 0 AND spent_{unit} >= 0 AND spent_{unit} + reserved_{unit} <= cap_{unit}", name=f"room_{unit}")
        for unit in ("pico_rho", "atto_delta")
    ),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Id, primary_key=True),
    Column("operator", Id, nullable=False, index=True),
    Column("licence", Id, nullable=False),
    Column("scenario", Id, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("request", Digest, nullable=False),  # commitment to the request, SQL included
    Column("idempotency", Digest, nullable=True, unique=True),
    Column("plan_digest", Digest, nullable=True),
    Column("question", Digest, nullable=True),
    Column("charge", Id, nullable=True),
    Column("release", Id, nullable=True),
    Column("slot_ms", BigInteger, nullable=True),
    Column("problem", Text, nullable=True),  # codes, comma-separated, of a refusal
    Column("submitted_at", Time, nullable=False),
    Column("changed_at", Time, nullable=False),
)

charges = Table(
    "charges",
    metadata,
    Column("id", Id, primary_key=True),  # the idempotency key: a charge is made once
    Column("job", Id, nullable=False, index=True),
    Column("state", String(16), nullable=False),
    Column("pico_rho", BigInteger, nullable=False),
    Column("atto_delta", BigInteger, nullable=False),
    Column("changed_at", Time, nullable=False),
)

charge_accounts = Table(
    "charge_accounts",
    metadata,
    Column("charge", Id, ForeignKey("charges.id"), primary_key=True),
    Column("account", String(300), ForeignKey("accounts.id"), primary_key=True, index=True),
)

releases = Table(
    "releases",
    metadata,
    Column("id", Id, primary_key=True),
    Column("job", Id, ForeignKey("jobs.id"), nullable=False),
    Column("entry", BigInteger, nullable=False),
    Column("question", Digest, nullable=False),
    Column("record", Digest, nullable=False),  # commitment to the release record: columns, query, half-widths
    Column("table_sha256", Digest, nullable=False),
    Column("published_at", Time, nullable=False),
    Column("visible_at", Time, nullable=False),
    UniqueConstraint("job"),
)

answers = Table(  # same question, same answer: the first release of a question
    "answers",
    metadata,
    Column("question", Digest, primary_key=True),
    Column("release", Id, ForeignKey("releases.id"), nullable=False),
)

metering = Table(
    "metering",
    metadata,
    Column("release", Id, ForeignKey("releases.id"), primary_key=True),
    Column("operator", Id, nullable=False, index=True),
    Column("licence", Id, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("pico_rho", BigInteger, nullable=False),
    Column("atto_delta", BigInteger, nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("entry", BigInteger, primary_key=True, autoincrement=False),
    Column("release", Id, ForeignKey("releases.id"), nullable=False, index=True),
    Column("recipient", Id, nullable=False),
    Column("format", String(16), nullable=False),
    Column("sha256", Digest, nullable=False),
    Column("delivered_at", Time, nullable=False),
)

PROJECTIONS: tuple[Table, ...] = (
    principals,
    api_keys,
    datasets,
    dataset_versions,
    licences,
    accounts,
    jobs,
    charges,
    charge_accounts,
    releases,
    answers,
    metering,
    deliveries,
)

# ── the queue's working notes: no consequence outlives them ──────────────────────────────────────────────────────────────────────────

leases = Table(  # who works on a job, until when; the token grows with each holder, so a late one is told from the present one
    "leases",
    metadata,
    Column("job", Id, primary_key=True),
    Column("holder", String(64), nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("expires_at", Time, nullable=False),
    Index("ix_leases_expires_at", "expires_at"),
)
