"""How a part's rows become the bytes of its file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe

from infra.files import sync
from infra.vault.release import plain

PAGE_BYTES = 2**19  # longer ones take memory that the kernel has to clear first
SAMPLE_ROWS = 2**16
FEW = 4096  # different values in a sample: a dictionary of them, and short numbers into it, is less than anything else
NEAR_BITS = 32  # of a difference between neighbours, on average
_BLOCK = 32  # values whose differences are written with as many bits as their largest needs (a miniblock, in Parquet's words)


class PartWriter:
    """Appends row groups to one encrypted part; leaving the context closes, syncs and digests it."""

    def __init__(self, path: Path, schema: pa.Schema, key: bytearray, bound: bytes, finished: Callable[[str, int], None]) -> None:
        self._path, self._schema, self._finished, self._rows = path, schema, finished, 0
        with plain(key) as footer_key:
            self._properties = pe.create_encryption_properties(footer_key, aad_prefix=bound, store_aad_prefix=False)
        self._writer: Any = None

    def write(self, table: pa.Table) -> None:
        """Add the rows as one row group. How columns are written follows from the first."""
        if self._writer is None:
            self._writer = parquet_writer(self._path, table, self._properties)
        self._writer.write_table(table, row_group_size=max(1, table.num_rows))
        self._rows += table.num_rows

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._writer is None:
            self._writer = parquet_writer(self._path, self._schema.empty_table(), self._properties)
        self._writer.close()
        if kind is None:
            sync(self._path)
            with open(self._path, "rb") as file:
                self._finished(hashlib.file_digest(file, "sha256").hexdigest(), self._rows)


def parquet_writer(path: Path, first: pa.Table, properties: Any) -> Any:
    """For tables like the first; in plaintext where `properties` is None."""
    # LZ4 reads four times faster than zstd here, at 1.2 times the size. Statistics serve no one: parts are read whole. Every page is opened by
    # itself, so pages are long: of columns with few values the usual 20,000 rows are a few kilobytes. What is not written need not be opened.
    near = list(near_columns(first))
    return pq.ParquetWriter(
        path,
        first.schema,
        encryption_properties=properties,
        compression="lz4",
        use_dictionary=[name for name in first.schema.names if name not in near],
        column_encoding=dict.fromkeys(near, "DELTA_BINARY_PACKED") or None,
        data_page_size=PAGE_BYTES,
        max_rows_per_page=2**31 - 1,
        write_statistics=False,
        store_decimal_as_integer=True,
    )


def near_columns(table: pa.Table) -> Iterator[str]:
    """Columns of numbers that are best written as differences of neighbours: too many to list, and not far from each other. Units in their
    order and amounts of money are; codes of 64 random bits are not."""
    for field in table.schema:
        numbers = _numbers(table.column(field.name).slice(0, SAMPLE_ROWS))
        if len(numbers) >= _BLOCK and len(np.unique(numbers)) > FEW and _bits(numbers) < NEAR_BITS:
            yield field.name


def _numbers(column: pa.ChunkedArray) -> np.ndarray[Any, np.dtype[np.int64]]:
    """As Parquet stores them; none where it stores no integers. NULLs are not stored."""
    kind = column.type
    whole = pa.types.is_integer(kind) or pa.types.is_date(kind) or pa.types.is_timestamp(kind) or pa.types.is_time(kind)
    stored = {8: pa.int8(), 16: pa.int16(), 32: pa.int32(), 64: pa.int64()}
    if not (whole or pa.types.is_decimal32(kind) or pa.types.is_decimal64(kind)):
        return np.empty(0, np.int64)
    values = [chunk.drop_null().view(stored[kind.bit_width]).to_numpy(zero_copy_only=False) for chunk in column.chunks]
    return np.concatenate([np.empty(0, np.int64), *values]).astype(np.int64)


def _bits(numbers: np.ndarray[Any, np.dtype[np.int64]]) -> float:
    """What the difference of neighbours takes, on average."""
    steps = np.diff(numbers.astype(np.float64))[: (len(numbers) - 1) // _BLOCK * _BLOCK].reshape(-1, _BLOCK)
    return float(np.mean(np.log2(np.ptp(steps, axis=1) + 1))) if len(steps) else 64.0
