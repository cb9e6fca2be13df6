"""Accounts and charges."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    String,
    Table,
)

from infra.tables.base import Id, Time, metadata

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
