"""A small private dataset with awkward values, a public table beside it, and plans over them made by hand."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from infra.vault import Vault
from policies.catalogue import Bounds, Catalogue, Column, Dataset, Share, Snapshot, Title, Unit
from policies.loss import Loss
from sandbox.plan.model import Draw, Key, Part, Scan, Total
from sandbox.raw.ingest import IngestReport, ingest

WORDS = Title(zh="示例", en="example")
CITIES = ("晋中", "太原", "大同")


def column(name: str, type: str, **declared: Any) -> Column:
    return Column(name=name, type=type, title=WORDS, **declared)  # type: ignore[arg-type]  # a literal, spelt by tests


COLUMNS = (
    column("person_id", "integer", uses=("filter",)),
    column("city", "text", domain=CITIES),
    column("fee", "decimal", decimals=2, low=Decimal(0), high=Decimal(1000)),
    column("score", "number", low=Decimal(-1), high=Decimal(1)),
    column("days", "integer", low=Decimal(0), high=Decimal(400)),
    column("born", "date", low=date(1900, 1, 1), high=date(2026, 1, 1)),
    column("seen", "timestamp"),
    column("urgent", "boolean"),
    column("note", "text", max_length=12),
)


def dataset(
    columns: Sequence[Column] = COLUMNS, *, unit: str | None = "person_id", rows: int = 1, name: str = "visits", **unit_more: Any
) -> Dataset:
    return Dataset(
        name=name,
        title=WORDS,
        registration_no="140000-1",
        source_body=WORDS,
        acquired_on=date(2026, 1, 1),
        updated_on=date(2026, 1, 1),
        grade="general-2",
        share=Share(attribute="conditional", reason=WORDS, basis="art. 12"),
        unit=Unit(column=unit, space="person", title=WORDS, **unit_more) if unit else None,
        bounds=Bounds(groups_per_unit=2, rows_per_group=3) if unit else None,
        approximate_rows=rows,
        columns=tuple(columns),
    )


def rows(count: int = 200, persons: int = 60) -> pa.Table:
    """Deterministic rows within every declaration, NULLs included."""
    numbers = range(count)
    cents = [i * 7919 % 100_001 for i in numbers]
    return pa.table(
        {
            "person_id": pa.array([(i * 31 % persons) * 10**12 - 5 for i in numbers], pa.int64()),
            "city": [None if i % 11 == 0 else CITIES[i % 3] for i in numbers],
            "fee": pa.array([None if i % 13 == 0 else Decimal(cents[i]).scaleb(-2) for i in numbers], pa.decimal128(12, 2)),
            "score": [None if i % 17 == 0 else (i % 21 - 10) / 10 for i in numbers],
            "days": pa.array([i % 401 for i in numbers], pa.int16()),
            "born": [date(1950 + i % 70, 1 + i % 12, 1 + i % 28) for i in numbers],
            "seen": pa.array([1_735_689_600_123_456 + i * 86_399_000_000 for i in numbers], pa.timestamp("us")),
            "urgent": [None if i % 5 == 0 else i % 2 == 0 for i in numbers],
            "note": [None if i % 7 == 0 else f"n{i}" for i in numbers],
        }
    )


def parquet(path: Path, table: pa.Table) -> Path:
    pq.write_table(table, path)
    return path


def ingested(
    vault: Vault, tmp_path: Path, table: pa.Table | None = None, declared: Dataset | None = None, *, version: int = 1, shard_rows: int = 10**6
) -> IngestReport:
    source = parquet(tmp_path / f"source-{version}.parquet", rows() if table is None else table)
    return ingest(
        declared or dataset(), [source], vault, version=version, catalogue_public=Catalogue(()), random=os.urandom, shard_rows=shard_rows
    )


def scan(snapshot: Snapshot, columns: Sequence[str], alias: str = "v") -> Scan:
    return Scan(snapshot.dataset.name, snapshot.version, snapshot.digest, snapshot.dataset.private, alias, tuple(columns))


def plan(scans: Sequence[Scan], keys: Sequence[Key], totals: Sequence[Total], shard_sql: str) -> Part:
    draws = tuple(Draw(total.name, 1.0, Loss(1)) for total in totals)
    return Part("person", tuple(scans), tuple(keys), tuple(totals), draws, 2, 3, shard_sql)


BY_CITY = (
    "WITH part AS (SELECT person_id AS u, city AS k0, LEAST(COUNT(*), 3) AS t0, "
    "LEAST(GREATEST(COALESCE(SUM(CAST(fee * 100 AS BIGINT)), 0), -300000), 300000)::BIGINT AS t1 FROM v GROUP BY ALL), "
    "kept AS (SELECT * FROM part QUALIFY ROW_NUMBER() OVER (PARTITION BY u ORDER BY hash(k0, $seed, u), k0) <= 2) "
    "SELECT k0, SUM(t0) AS t0, SUM(t1) AS t1 FROM kept GROUP BY k0"
)


def by_city(snapshot: Snapshot, shard_sql: str = BY_CITY) -> Part:
    """Count and sum of fee by city: at most 2 cities a person, chosen by the seeded hash."""
    return plan(
        [scan(snapshot, ("person_id", "city", "fee"))],
        [Key("k0", "text", CITIES)],
        [Total("t0", "count", 0, 1, 3), Total("t1", "sum", 0, 100_000, 300_000, 2)],
        shard_sql,
    )
