"""The bench workload: `visits`, generated, seeded, the same rows for the same (rows, seed).

visits(person_id, hospital 1..500 zipf, city 1..11, dept 1..40, year 2020..2025, fee 0..50000.00 lognormal, days): about 5 rows a person with
a heavy tail (5 % above 12, at most 400), four rows in five in the person's home city.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from policies.catalogue import Dataset, dataset_from_toml

CITIES, HOSPITALS, DEPARTMENTS, MOST_ROWS = 11, 500, 40, 400
CHUNK_PERSONS = 200_000

SCHEMA = pa.schema(
    [
        ("person_id", pa.int64()),
        ("hospital", pa.int64()),
        ("city", pa.int64()),
        ("dept", pa.int64()),
        ("year", pa.int64()),
        ("fee", pa.decimal128(12, 2)),
        ("days", pa.int64()),
    ]
)


def rows_per_person(random: np.random.Generator, persons: int) -> np.ndarray:
    """Integers >= 1: nineteen in twenty small (mean 4), one in twenty from a Pareto tail above 12."""
    usual = 1 + random.poisson(3, persons)
    heavy = np.floor(13 * (1 + random.pareto(2.2, persons)))
    return np.minimum(np.where(random.random(persons) < 0.05, heavy, np.minimum(usual, 12)), MOST_ROWS).astype(np.int64)


def chunks(rows: int, seed: int = 1) -> Iterator[pa.Table]:
    """Exactly `rows` rows in chunks; persons are numbered from 1 and never split over chunks (the last one may be cut short)."""
    random = np.random.default_rng(seed)
    hospital_weight = 1 / np.arange(1, HOSPITALS + 1)
    city_weight = 1 / np.arange(1, CITIES + 1) ** 0.5
    made, next_person = 0, 1
    while made < rows:
        counts = rows_per_person(random, CHUNK_PERSONS)
        person = np.repeat(np.arange(next_person, next_person + CHUNK_PERSONS), counts)[: rows - made]
        n = len(person)
        home = random.choice(CITIES, CHUNK_PERSONS, p=city_weight / city_weight.sum())[person - next_person] + 1
        away = random.integers(1, CITIES + 1, n)
        fee_cents = np.minimum(np.exp(random.normal(6, 1.2, n)) * 100, 5_000_000).astype(np.int64)
        columns = [
            pa.array(person),
            pa.array(random.choice(HOSPITALS, n, p=hospital_weight / hospital_weight.sum()) + 1),
            pa.array(np.where(random.random(n) < 0.8, home, away)),
            pa.array(random.integers(1, DEPARTMENTS + 1, n)),
            pa.array(random.integers(2020, 2026, n)),
            cents(fee_cents),
            pa.array(random.geometric(0.3, n) - 1),
        ]
        yield pa.Table.from_arrays(columns, schema=SCHEMA)
        made, next_person = made + n, next_person + CHUNK_PERSONS


def cents(values: np.ndarray) -> pa.Array:
    """DECIMAL(12, 2) from whole cents, without going through floats: the 16-byte little-endian two's complement Arrow stores."""
    wide = np.empty((len(values), 2), dtype=np.int64)
    wide[:, 0] = values
    wide[:, 1] = values >> 63
    return pa.Array.from_buffers(pa.decimal128(12, 2), len(values), [None, pa.py_buffer(wide.tobytes())])


def write(path: Path, rows: int, seed: int = 1) -> None:
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        for chunk in chunks(rows, seed):
            writer.write_table(chunk)


def write_hospitals(path: Path) -> None:
    """The public table hospital → level 1..3."""
    ids = np.arange(1, HOSPITALS + 1)
    pq.write_table(pa.table({"hospital": pa.array(ids), "level": pa.array(ids % 3 + 1)}), path)


_COMMON = """
registration_no = "BENCH-1"
source_body = { zh = "生成数据", en = "generated" }
acquired_on = 2026-01-01
updated_on = 2026-01-01
grade = "general-2"
[share]
attribute = "unconditional"
reason = { zh = "生成数据", en = "generated" }
basis = "-"
"""


def _column(name: str, kind: str, extra: str = "") -> str:
    return f'[[columns]]\nname = "{name}"\ntype = "{kind}"\ntitle = {{ zh = "{name}", en = "{name}" }}\nnullable = false\n{extra}\n'


def dataset(rows: int, *, groups_per_unit: int = 4, rows_per_group: int = 3) -> Dataset:
    def domain(top: int) -> str:
        return f"low = 1\nhigh = {top}\ndomain = {list(range(1, top + 1))}"

    return dataset_from_toml(
        f"name = 'visits'\ntitle = {{ zh = '就诊', en = 'visits' }}\napproximate_rows = {rows}\n{_COMMON}"
        '[unit]\ncolumn = "person_id"\nspace = "person"\ntitle = { zh = "个人", en = "person" }\n'
        f"[bounds]\ngroups_per_unit = {groups_per_unit}\nrows_per_group = {rows_per_group}\n"
        + _column("person_id", "integer", 'uses = ["filter", "join"]')
        + _column("hospital", "integer", 'low = 1\nhigh = 500\nuses = ["filter", "key", "join"]')
        + _column("city", "integer", domain(CITIES))
        + _column("dept", "integer", "low = 1\nhigh = 40")
        + _column("year", "integer", "low = 2020\nhigh = 2025\ndomain = [2020, 2021, 2022, 2023, 2024, 2025]")
        + _column("fee", "decimal", "low = 0\nhigh = 50000\ndecimals = 2")
        + _column("days", "integer", "low = 0\nhigh = 400\nout_of_range = 'clamp'")
    )


def hospitals() -> Dataset:
    return dataset_from_toml(
        f"name = 'hospitals'\ntitle = {{ zh = '医院', en = 'hospitals' }}\napproximate_rows = {HOSPITALS}\n{_COMMON}"
        + _column("hospital", "integer", 'uses = ["filter", "key", "join"]')
        + _column("level", "integer", "low = 1\nhigh = 3\ndomain = [1, 2, 3]")
    )


def write_people(path: Path, rows: int, seed: int = 2) -> None:
    """A register with one row a person."""
    random = np.random.default_rng(seed)
    with pq.ParquetWriter(
        path, pa.schema([("person_id", pa.int64()), ("sex", pa.int64()), ("income", pa.int64())]), compression="zstd"
    ) as writer:
        for low in range(0, rows, 1_000_000):
            n = min(1_000_000, rows - low)
            columns = [np.arange(low, low + n), random.integers(0, 2, n), np.minimum(random.lognormal(8, 1, n), 100_000).astype(np.int64)]
            writer.write_table(pa.table(dict(zip(("person_id", "sex", "income"), columns, strict=True))))


def people(rows: int) -> Dataset:
    return dataset_from_toml(
        f"name = 'people'\ntitle = {{ zh = '人口', en = 'people' }}\napproximate_rows = {rows}\n{_COMMON}"
        '[unit]\ncolumn = "person_id"\nspace = "person"\ntitle = { zh = "个人", en = "person" }\n'
        "[bounds]\ngroups_per_unit = 1\nrows_per_group = 1\nrows_per_unit = 1\n"
        + _column("person_id", "integer", 'uses = ["filter", "join"]')
        + _column("sex", "integer", "low = 0\nhigh = 1\ndomain = [0, 1]")
        + _column("income", "integer", "low = 0\nhigh = 100000")
    )
