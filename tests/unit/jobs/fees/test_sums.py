"""Sums that are kept: what the migration that brought them made of older registers is what replaying makes."""

from __future__ import annotations

import importlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Connection, delete, select

from infra.database import writing
from infra.tables import fee_bodies, fee_counts, fee_items, job_months, usage_months
from jobs.acts.periods import close_period
from policies.period import Period
from tests.money import clean, deliver, licensed, publish, tariff, travel

KEPT = (fee_items, fee_bodies, fee_counts, usage_months, job_months)


def _rows(connection: Connection) -> dict[str, set[Any]]:
    return {table.name: {tuple(row) for row in connection.execute(select(table))} for table in KEPT}


def test_an_older_register_comes_up_with_the_sums_that_replaying_it_makes(tmp_path: Path) -> None:
    fillings = [importlib.import_module(f"infra.migrations.versions.{name}") for name in ("0018_sums", "0019_job_months")]
    with licensed(tmp_path, tariff()) as register:
        for number in range(3):
            publish(register, f"a{number}", rows=500)
        publish(register, "free", scenario="public-good", rows=5000)
        deliver(register, "r-a0")
        travel(register, datetime(2026, 11, 30, 15, 59, tzinfo=UTC))  # a minute before December in China
        publish(register, "last", scenario="industry", datasets=("visits", "hospitals"))
        travel(register, datetime(2026, 11, 30, 16, 30, tzinfo=UTC))
        publish(register, "first")
        deliver(register, "r-free")
        close_period(register, Period.parse("2026-11"), by="li")  # with fees by the month
        with writing(register.engine) as connection:
            kept = _rows(connection)
            for table in KEPT:
                connection.execute(delete(table))
            with Operations.context(MigrationContext.configure(connection)):
                for filling in fillings:
                    filling._fill()
            assert _rows(connection) == kept
        assert {row[1]: row[4] for row in kept["usage_months"] if row[2] == "city-health"} == {"2026-11": 3, "2026-12": 1}
        assert sorted(row[1:] for row in kept["job_months"]) == [("2026-11", "sql", 5), ("2026-12", "sql", 1)]
        assert clean(register)
