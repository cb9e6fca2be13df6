"""Accounts and charges."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    String,
    Table,
)

from infra.tables.base import Id, Time, metadata


def _pace() -> Iterator[Column[Any]]:
    """NULL where nothing but the lifetime total bounds it. `used` is of `period`: of an earlier one nothing counts."""
    for window, length in (("day", 10), ("month", 7)):
        for unit in ("pico_rho", "atto_delta"):
            yield Column(f"{window}_cap_{unit}", BigInteger, nullable=True)
        yield Column(f"{window}_period", String(length), nullable=True)
        for unit in ("pico_rho", "atto_delta"):
            yield Column(f"{window}_used_{unit}", BigInteger, nullable=True)


accounts = Table(
    "accounts",
    metadata,
    Column("id", String(300), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("subject", String(300), nullable=False),
    *(Column(f"{part}_{unit}", BigInteger, nullable=False) for part in ("cap", "reserved", "spent") for unit in ("pico_rho", "atto_delta")),
    Column("opened_at", Time, nullable=False),
    *_pace(),
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
    Column("day", String(10), nullable=True),  # it was reserved on, in China: what a window is given back if no row was read
)

charge_accounts = Table(
    "charge_accounts",
    metadata,
    Column("charge", Id, ForeignKey("charges.id"), primary_key=True),
    Column("account", String(300), ForeignKey("accounts.id"), primary_key=True, index=True),
)

account_days = Table(  # what an account took on a day of China, less what was given back: so that no outlook adds up a life of charges
    "account_days",
    metadata,
    Column("account", String(300), ForeignKey("accounts.id"), primary_key=True),
    Column("day", String(10), primary_key=True),
    Column("pico_rho", BigInteger, nullable=False),
    Column("atto_delta", BigInteger, nullable=False),
)
