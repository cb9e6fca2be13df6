"""One recipient's copy, batch by batch: each value that may be moved goes up or down by its amplitude, as the recipient's letter there says.

A function of the row, the key and the recipient alone: batches and their order do not matter, and the copy is the same whenever it is made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.watermark.cells import Marked, amplitudes, numbers, row_names
from jobs.watermark.code import Code, named


def marking(columns: Sequence[Marked], code: Code, names_secret: bytes, recipient: str) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
    """The function from batch to batch that makes the recipient's copy."""

    def change(batch: pa.RecordBatch) -> pa.RecordBatch:
        names = row_names(batch, names_secret)
        arrays = list(batch.columns)
        for column in columns:
            size = amplitudes(column, batch)
            up = code.letters(recipient, named(names, column.place))
            arrays[column.place] = moved(arrays[column.place], np.where(up, size, -size))
        return pa.RecordBatch.from_arrays(arrays, schema=batch.schema)

    return change


def moved(column: pa.Array, by: np.ndarray) -> pa.Array:
    """The column with something added to each value, in its own type; NULL stays NULL."""
    kind = column.type
    if pa.types.is_integer(kind):
        return pc.add(column, pa.array(by.astype(np.int64), pa.int64()).cast(kind))
    if pa.types.is_decimal(kind):
        grain = 10.0**kind.scale
        steps = pa.array(np.rint(by * grain).astype(np.int64), pa.int64())
        wide = pa.decimal128(37, kind.scale)  # a sum of two has one digit more
        return pc.add(column.cast(wide), _scaled(steps, kind.scale).cast(wide)).cast(kind)
    added = np.where(by == 0, numbers(column), numbers(column) + by)
    return pa.array(added, kind, mask=np.asarray(pc.is_null(column).to_numpy(zero_copy_only=False), dtype=bool))


def _scaled(steps: pa.Array, scale: int) -> pa.Array:
    """Whole steps of 10**-scale as decimals."""
    plain = np.asarray(steps.to_numpy(), dtype=np.int64)
    words = np.stack([plain, plain >> 63], axis=1)
    return pa.Array.from_buffers(pa.decimal128(38, scale), len(plain), [None, pa.py_buffer(words.tobytes())])
