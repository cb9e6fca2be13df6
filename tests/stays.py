"""A dataset with budgets by period that grows by the month, the bureau that allows it, and what totals over it should come to."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from jobs import acts
from policies.catalogue import Block, Bounds, Catalogue, Dataset, Snapshot, Unit
from sandbox.raw.ingest import ingest
from tests import visits
from tests.bureau import Bureau, Home, licence, opened
from tests.periods import allow
from tests.products import drafted

LICENCE = "L-stays"
SQL = "SELECT city, COUNT(*) AS n, SUM(fee) AS fee FROM stays GROUP BY city"
FIRST = date(2026, 1, 1)

Row = tuple[int, str, date, int]


def declared(through: date, *, cities: Sequence[str] = visits.CITIES, **changes: Any) -> Dataset:
    columns = (
        visits.column("person", "integer", uses=()),
        visits.column("city", "text", domain=tuple(cities)),
        visits.column("day", "date", nullable=False, low=FIRST, high=date(2026, 12, 31)),
        visits.column("fee", "integer", low=Decimal(0), high=Decimal(9)),
    )
    made: dict[str, Any] = {
        **dict(visits.dataset(columns, unit="person", rows=100, name="stays")),
        "unit": Unit(column="person", space="guest", title=visits.WORDS, pseudonym=True),
        "bounds": Bounds(groups_per_unit=1, rows_per_group=1),
        "block": Block(column="day", period="month"),
        "updated_on": date(2027, 6, 1),
        "complete_through": through,
    }
    return Dataset.model_validate(made | changes)


def month(number: int, *, count: int = 12) -> list[Row]:
    return [
        (place, visits.CITIES[(place + number) % 3], date(2026, number, 1 + place * 5 % 27), (place * 7 + number) % 10)
        for place in range(count + number)
    ]


def last(number: int) -> date:
    return date.fromordinal(date(2026, number + 1, 1).toordinal() - 1)


@dataclass
class Stays:
    """A dataset that grows by the month, and what should come of it."""

    bureau: Bureau
    folder: Path
    versions: list[Snapshot]
    rows: list[Row]

    def put(self, rows: list[Row], through: date, *, append: bool = True, **changes: Any) -> None:
        services, number = self.bureau.services, len(self.versions) + 1
        table = pa.table(
            {
                "person": pa.array([row[0] for row in rows], pa.int64()),
                "city": [row[1] for row in rows],
                "day": pa.array([row[2] for row in rows], pa.date32()),
                "fee": pa.array([row[3] for row in rows], pa.int64()),
            }
        )
        source = visits.parquet(self.folder / f"stays-{number}.parquet", table)
        after = self.versions[-1] if self.versions and append else None
        report = ingest(
            declared(through, **changes),
            [source],
            services.vault,
            version=number,
            catalogue_public=Catalogue(()),
            random=os.urandom,
            after=after,
        )
        acts.register_dataset(services.register, report.snapshot)
        self.versions.append(report.snapshot)
        self.rows = [*(self.rows if append else []), *rows]

    def months(self, *numbers: int) -> None:
        for number in numbers:
            self.put(month(number), last(number))

    def totals(self, before: date) -> dict[str, tuple[int, int]]:
        """Rows and fees by city, of days before one, counted here."""
        counts, fees = Counter(dict.fromkeys(visits.CITIES, 0)), Counter(dict.fromkeys(visits.CITIES, 0))
        for _, city, day, fee in self.rows:
            if day < before:
                counts[city] += 1
                fees[city] += fee
        return {city: (counts[city], fees[city]) for city in visits.CITIES}


@contextmanager
def a_house(bureau_home: Home, folder: Path) -> Iterator[Stays]:
    """The dataset with its first month, a licence for it, and a product still without versions. Accounts have room for answers without noise
    to speak of."""
    keys = bureau_home.copy_to(folder / "home")
    wide: dict[str, Any] = dict.fromkeys((f"{name}_cap_pico_rho" for name in ("population", "dataset", "operator")), 10**18)
    services = opened(folder / "home", slots_ms=(50, 250, 500), **wide)
    try:
        allow(services.register)
        made = Stays(Bureau(services, keys), folder, [], [])
        made.months(1)
        degrees: dict[str, Any] = {"per_job": {"pico_rho": 10**17, "atto_delta": 10**11}, "total": {"pico_rho": 10**18, "atto_delta": 10**12}}
        acts.grant_licence(services.register, licence(LICENCE, datasets=({"dataset": "stays", "consent": "同意 2 号"},), **degrees))
        drafted(made.bureau)
        yield made
    finally:
        services.close()
