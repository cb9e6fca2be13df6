"""The register: log, projections, working notes of the queue."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.String(length=300), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.String(length=300), nullable=False),
        sa.Column("cap_pico_rho", sa.BigInteger(), nullable=False),
        sa.Column("cap_atto_delta", sa.BigInteger(), nullable=False),
        sa.Column("reserved_pico_rho", sa.BigInteger(), nullable=False),
        sa.Column("reserved_atto_delta", sa.BigInteger(), nullable=False),
        sa.Column("spent_pico_rho", sa.BigInteger(), nullable=False),
        sa.Column("spent_atto_delta", sa.BigInteger(), nullable=False),
        sa.Column("opened_at", sa.String(length=27), nullable=False),
        sa.CheckConstraint(
            "reserved_atto_delta >= 0 AND spent_atto_delta >= 0 AND spent_atto_delta + reserved_atto_delta <= cap_atto_delta",
            name=op.f("ck_accounts_room_atto_delta"),
        ),
        sa.CheckConstraint(
            "reserved_pico_rho >= 0 AND spent_pico_rho >= 0 AND spent_pico_rho + reserved_pico_rho <= cap_pico_rho",
            name=op.f("ck_accounts_room_pico_rho"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
    )
    op.create_table(
        "charges",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("job", sa.String(length=128), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("pico_rho", sa.BigInteger(), nullable=False),
        sa.Column("atto_delta", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.String(length=27), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_charges")),
    )
    op.create_index(op.f("ix_charges_job"), "charges", ["job"], unique=False)
    op.create_table(
        "datasets",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("space", sa.String(length=128), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("registered_at", sa.String(length=27), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_datasets")),
    )
    op.create_table(
        "documents",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("entry", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_documents")),
    )
    op.create_index(op.f("ix_documents_entry"), "documents", ["entry"], unique=False)
    op.create_table(
        "entries",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=48), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("leaf", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_entries")),
    )
    op.create_index(op.f("ix_entries_kind"), "entries", ["kind"], unique=False)
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("operator", sa.String(length=128), nullable=False),
        sa.Column("licence", sa.String(length=128), nullable=False),
        sa.Column("scenario", sa.String(length=128), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("request", sa.String(length=64), nullable=False),
        sa.Column("idempotency", sa.String(length=64), nullable=True),
        sa.Column("plan_digest", sa.String(length=64), nullable=True),
        sa.Column("question", sa.String(length=64), nullable=True),
        sa.Column("charge", sa.String(length=128), nullable=True),
        sa.Column("release", sa.String(length=128), nullable=True),
        sa.Column("slot_ms", sa.BigInteger(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("submitted_at", sa.String(length=27), nullable=False),
        sa.Column("changed_at", sa.String(length=27), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
        sa.UniqueConstraint("idempotency", name=op.f("uq_jobs_idempotency")),
    )
    op.create_index(op.f("ix_jobs_operator"), "jobs", ["operator"], unique=False)
    op.create_index(op.f("ix_jobs_state"), "jobs", ["state"], unique=False)
    op.create_table(
        "leases",
        sa.Column("job", sa.String(length=128), nullable=False),
        sa.Column("holder", sa.String(length=64), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.String(length=27), nullable=False),
        sa.PrimaryKeyConstraint("job", name=op.f("pk_leases")),
    )
    op.create_index("ix_leases_expires_at", "leases", ["expires_at"], unique=False)
    op.create_table(
        "log_hashes",
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("level", "position", name=op.f("pk_log_hashes")),
    )
    op.create_table(
        "log_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("edge", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.String(length=27), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_log_head")),
    )
    op.create_table(
        "openings",
        sa.Column("commitment", sa.String(length=64), nullable=False),
        sa.Column("salt", sa.LargeBinary(length=32), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("commitment", name=op.f("pk_openings")),
    )
    op.create_table(
        "principals",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("title_zh", sa.Text(), nullable=False),
        sa.Column("title_en", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("registered_at", sa.String(length=27), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_principals")),
    )
    op.create_table(
        "api_keys",
        sa.Column("prefix", sa.String(length=32), nullable=False),
        sa.Column("principal", sa.String(length=128), nullable=False),
        sa.Column("secret_sha256", sa.String(length=64), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("issued_at", sa.String(length=27), nullable=False),
        sa.ForeignKeyConstraint(["principal"], ["principals.id"], name=op.f("fk_api_keys_principal")),
        sa.PrimaryKeyConstraint("prefix", name=op.f("pk_api_keys")),
    )
    op.create_index(op.f("ix_api_keys_principal"), "api_keys", ["principal"], unique=False)
    op.create_table(
        "charge_accounts",
        sa.Column("charge", sa.String(length=128), nullable=False),
        sa.Column("account", sa.String(length=300), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_charge_accounts_account")),
        sa.ForeignKeyConstraint(["charge"], ["charges.id"], name=op.f("fk_charge_accounts_charge")),
        sa.PrimaryKeyConstraint("charge", "account", name=op.f("pk_charge_accounts")),
    )
    op.create_index(op.f("ix_charge_accounts_account"), "charge_accounts", ["account"], unique=False)
    op.create_table(
        "dataset_versions",
        sa.Column("dataset", sa.String(length=128), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("document", sa.String(length=64), nullable=False),
        sa.Column("ingested_at", sa.String(length=27), nullable=False),
        sa.ForeignKeyConstraint(["dataset"], ["datasets.id"], name=op.f("fk_dataset_versions_dataset")),
        sa.PrimaryKeyConstraint("dataset", "version", name=op.f("pk_dataset_versions")),
    )
    op.create_table(
        "licences",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("operator", sa.String(length=128), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("document", sa.String(length=64), nullable=False),
        sa.Column("granted_at", sa.String(length=27), nullable=False),
        sa.Column("changed_at", sa.String(length=27), nullable=False),
        sa.ForeignKeyConstraint(["operator"], ["principals.id"], name=op.f("fk_licences_operator")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_licences")),
    )
    op.create_index(op.f("ix_licences_operator"), "licences", ["operator"], unique=False)
    op.create_table(
        "releases",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("job", sa.String(length=128), nullable=False),
        sa.Column("entry", sa.BigInteger(), nullable=False),
        sa.Column("question", sa.String(length=64), nullable=False),
        sa.Column("record", sa.String(length=64), nullable=False),
        sa.Column("table_sha256", sa.String(length=64), nullable=False),
        sa.Column("published_at", sa.String(length=27), nullable=False),
        sa.Column("visible_at", sa.String(length=27), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["jobs.id"], name=op.f("fk_releases_job")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_releases")),
        sa.UniqueConstraint("job", name=op.f("uq_releases_job")),
    )
    op.create_table(
        "answers",
        sa.Column("question", sa.String(length=64), nullable=False),
        sa.Column("release", sa.String(length=128), nullable=False),
        sa.ForeignKeyConstraint(["release"], ["releases.id"], name=op.f("fk_answers_release")),
        sa.PrimaryKeyConstraint("question", name=op.f("pk_answers")),
    )
    op.create_table(
        "deliveries",
        sa.Column("entry", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("release", sa.String(length=128), nullable=False),
        sa.Column("recipient", sa.String(length=128), nullable=False),
        sa.Column("format", sa.String(length=16), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("delivered_at", sa.String(length=27), nullable=False),
        sa.ForeignKeyConstraint(["release"], ["releases.id"], name=op.f("fk_deliveries_release")),
        sa.PrimaryKeyConstraint("entry", name=op.f("pk_deliveries")),
    )
    op.create_index(op.f("ix_deliveries_release"), "deliveries", ["release"], unique=False)
    op.create_table(
        "metering",
        sa.Column("release", sa.String(length=128), nullable=False),
        sa.Column("operator", sa.String(length=128), nullable=False),
        sa.Column("licence", sa.String(length=128), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("pico_rho", sa.BigInteger(), nullable=False),
        sa.Column("atto_delta", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["release"], ["releases.id"], name=op.f("fk_metering_release")),
        sa.PrimaryKeyConstraint("release", name=op.f("pk_metering")),
    )
    op.create_index(op.f("ix_metering_operator"), "metering", ["operator"], unique=False)
    head = sa.table("log_head", sa.column("id"), sa.column("size"), sa.column("edge", sa.LargeBinary()), sa.column("at"))
    op.bulk_insert(head, [{"id": 1, "size": 0, "edge": b"", "at": "1970-01-01T00:00:00.000000Z"}])
