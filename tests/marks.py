"""A table with keys and noisy columns, its description as a version's document has it, and copies of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from jobs.watermark.cells import Marked, marked_columns
from jobs.watermark.code import Code
from jobs.watermark.embed import marking

SECRET, NAMES = b"k" * 32, b"n" * 32
COLUMNS: list[dict[str, Any]] = [
    {"name": "district", "type": "string", "kind": "key"},
    {"name": "age", "type": "int64", "kind": "key"},
    {"name": "n", "type": "int64", "kind": "value", "mechanism": "discrete Gaussian", "scale": "8.4", "half_width_column": "n__half_width"},
    {"name": "n__half_width", "type": "double", "kind": "half_width"},
    {"name": "fee", "type": "double", "kind": "value", "half_width_column": "fee__half_width"},
    {"name": "fee__half_width", "type": "double", "kind": "half_width"},
]
MARKED: tuple[Marked, ...] = marked_columns(COLUMNS)


def table(rows: int, seed: int = 0) -> pa.Table:
    chance = np.random.default_rng(seed)
    return pa.table(
        {
            "district": [f"区{row // 250}" for row in range(rows)],
            "age": np.arange(rows) % 250,
            "n": chance.integers(0, 4000, rows),
            "n__half_width": np.full(rows, 16.5),
            "fee": chance.normal(5000, 3000, rows),
            "fee__half_width": np.full(rows, 120.0),
        }
    )


def copy(released: pa.Table, recipient: str, columns: tuple[Marked, ...] = MARKED, secret: bytes = SECRET) -> pa.Table:
    change = marking(columns, Code(secret), NAMES, recipient)
    return pa.Table.from_batches([change(batch) for batch in released.to_batches()])


def mean(one: pa.Table, other: pa.Table, *columns: str) -> pa.Table:
    """Two copies put together: the mean of what is marked."""
    for name in columns:
        values = (one.column(name).to_numpy() + other.column(name).to_numpy()) / 2
        one = one.set_column(one.schema.get_field_index(name), name, pa.array(values))
    return one


def three_digits(found: pa.Table, *columns: str) -> pa.Table:
    for name in columns:
        values = [float(f"{value:.3g}") for value in found.column(name).to_pylist()]
        found = found.set_column(found.schema.get_field_index(name), name, pa.array(values))
    return found


def some(found: pa.Table, rows: int, seed: int = 1) -> pa.Table:
    """So many rows, in no order."""
    places: npt.NDArray[np.int64] = np.random.default_rng(seed).permutation(found.num_rows)[:rows]
    return found.take(pa.array(places))
