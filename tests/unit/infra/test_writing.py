"""How columns are written changes their size and never their values."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infra.vault import Vault
from infra.vault.writing import near_columns, parquet_writer

ROWS = 20_000
chance = Random(10)
BIG = 2**63


def drawn(low: int, high: int) -> list[int | None]:
    return [None if row % 97 == 0 else chance.randrange(low, high) for row in range(ROWS)]


COLUMNS: dict[str, tuple[pa.DataType, Sequence[object], bool]] = {  # name → type, values, whether neighbours are near
    "unit": (pa.int64(), sorted(chance.randrange(ROWS // 3) for _ in range(ROWS)), True),
    "code": (pa.int64(), sorted(chance.randrange(-BIG, BIG) for _ in range(ROWS // 4)) * 4, False),
    "far": (pa.int64(), drawn(-BIG, BIG), False),
    "few": (pa.int32(), drawn(0, 40), False),
    "amount": (pa.decimal64(18, 2), [None if cents is None else Decimal(cents) / 100 for cents in drawn(-(10**6), 10**6)], True),
    "wide": (pa.decimal128(30, 2), [None if cents is None else Decimal(cents) / 100 for cents in drawn(0, 10**6)], False),
    "long": (pa.uint64(), drawn(2**64 - 10**6, 2**64), True),
    "day": (pa.date32(), [None if days is None else date(1970, 1, 1) + timedelta(days=days) for days in drawn(0, 40_000)], True),
    "at": (pa.timestamp("us", "UTC"), [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=row) for row in range(ROWS)], True),
    "share": (pa.float64(), [chance.random() for _ in range(ROWS)], False),
    "text": (pa.string(), [str(number) for number in range(ROWS)], False),
    "yes": (pa.bool_(), [bool(row % 3) for row in range(ROWS)], False),
    "nothing": (pa.int64(), [None] * ROWS, False),
}
TABLE = pa.table({name: pa.array(values, kind) for name, (kind, values, _) in COLUMNS.items()})
EDGES = pa.table(
    {
        "unit": pa.array([BIG - 1, -BIG, 0, None] * 5, pa.int64()),
        "amount": pa.array([Decimal("9999999999999999.99"), Decimal("-9999999999999999.99")] * 10, pa.decimal64(18, 2)),
        "day": pa.array([date(1, 1, 1), date(9999, 12, 31)] * 10, pa.date32()),
        "long": pa.array([0, 2**64 - 1] * 10, pa.uint64()),
    }
)


def test_columns_of_near_numbers_are_found() -> None:
    assert set(near_columns(TABLE)) == {name for name, (_, _, near) in COLUMNS.items() if near}
    assert list(near_columns(TABLE.schema.empty_table())) == []


def test_every_value_comes_back(tmp_path: Path) -> None:
    with parquet_writer(tmp_path / "part", TABLE, None) as writer:
        writer.write_table(TABLE)
        writer.write_table(TABLE.slice(0, 5))
        later = pa.table({name: EDGES.column(name) if name in EDGES.column_names else pa.nulls(20, COLUMNS[name][0]) for name in COLUMNS})
        writer.write_table(later)  # another row group, which is nothing like the first
    assert pq.read_table(tmp_path / "part").equals(pa.concat_tables([TABLE, TABLE.slice(0, 5), later]))


@pytest.mark.parametrize("rows", [0, 1, 31, 33])
def test_a_part_of_few_rows(vault: Vault, rows: int) -> None:
    with vault.begin("visits", 1, lambda size: bytes(size)) as draft:
        with draft.part(0, TABLE.schema) as writer:
            writer.write(TABLE.slice(0, rows))
        with draft.part(1, TABLE.schema):
            pass
        version = draft.commit("0" * 64)
    assert [part.read().num_rows for part in version.parts] == [rows, 0]
    assert version.parts[0].read().equals(TABLE.slice(0, rows))


def test_less_is_written_and_in_long_pages(tmp_path: Path) -> None:
    def written(name: str, table: pa.Table) -> int:
        with parquet_writer(tmp_path / name, table, None) as writer:
            writer.write_table(table)
        return (tmp_path / name).stat().st_size

    pq.write_table(TABLE.select(["unit"]), tmp_path / "usual", compression="lz4", write_statistics=False)
    assert written("unit", TABLE.select(["unit"])) < (tmp_path / "usual").stat().st_size / 2
    few = pa.concat_tables([TABLE.select(["few"])] * 40)
    written("few", few)
    pq.write_table(few, tmp_path / "usual", compression="lz4", write_statistics=False)
    with pq.ParquetFile(tmp_path / "few") as ours, pq.ParquetFile(tmp_path / "usual") as usual:
        pages = [found.metadata.row_group(0).column(0).total_compressed_size for found in (ours, usual)]
    assert pages[0] < pages[1], "800,000 rows are one page, not forty with a head each"
