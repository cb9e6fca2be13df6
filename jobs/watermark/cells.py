"""Which cells of a table may be moved, by how much, and what each row is called.

Only values that carry noise are moved, and by a tenth of what is published as their 95 % half-width; whole numbers by at least one, and only
where that is at most a fifth. Of a synthetic table, numbers are moved that stand anywhere within a bin: the half-width is that of the bin.
Keys, text, dates, half-widths, NULL, NaN and infinities are never moved, nor a value that would leave a synthetic column's range.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from jobs.watermark.code import Floats, Words

STRENGTH = 0.1  # of the half-width
LEAST_FOR_WHOLE = 5.0  # half-width from which a whole number may be moved by one
LEAST_CELLS = 400  # fewer could not name anybody: a table with fewer is not marked
_HALF_WIDTH = 1.959964  # of a standard normal


@dataclass(frozen=True, slots=True)
class Marked:
    """A column whose values are moved. `scale`: the standard deviation of its noise where no column says it row by row; `low` and `high`: the
    range that values stay within, of a synthetic column."""

    name: str
    place: int
    whole: bool
    half_width_column: str | None
    scale: float | None
    low: float | None
    high: float | None


def marked_columns(columns: Sequence[Mapping[str, Any]]) -> tuple[Marked, ...]:
    """Of a version's columns as its document describes them."""
    found = []
    for place, column in enumerate(columns):
        kind, synthetic = column["type"], column.get("mechanism") == "synthetic"
        number = kind in ("int64", "double") or kind.startswith("decimal")
        scaled = column.get("half_width_column") is not None or (synthetic and column.get("scale") is not None)
        if column.get("kind") != "value" or not number or not scaled:
            continue
        ends = (float(column[end]) if synthetic and column.get(end) is not None else None for end in ("low", "high"))
        scale = float(column["scale"]) if column.get("scale") is not None else None
        found.append(Marked(column["name"], place, kind == "int64", column.get("half_width_column"), scale, *ends))
    return tuple(found)


def numbers(column: pa.Array) -> Floats:
    """Values as floats, NaN where there is none. Decimals are far below 2**53 in their own grain, as the half-width's digits are."""
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    return np.asarray(pc.cast(column, pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)


def amplitudes(marked: Marked, batch: pa.RecordBatch) -> Floats:
    """By how much each value of the column may be moved, up or down; 0 where it may not."""
    values = numbers(batch.column(marked.place))
    if marked.half_width_column is not None and marked.half_width_column in batch.schema.names:
        half = numbers(batch.column(batch.schema.get_field_index(marked.half_width_column)))
    else:
        half = np.full(len(values), _HALF_WIDTH * (marked.scale or 0.0))
    half = np.where(np.isfinite(half) & (half > 0), half, 0.0)
    if marked.whole:
        size = np.where(half >= LEAST_FOR_WHOLE, np.maximum(1.0, np.rint(STRENGTH * half)), 0.0)
    else:
        size = STRENGTH * half
        if pa.types.is_decimal(batch.schema.types[marked.place]):
            grain = 10.0 ** -batch.schema.types[marked.place].scale
            size = np.where(half >= LEAST_FOR_WHOLE * grain, np.maximum(grain, np.rint(size / grain) * grain), 0.0)
    fits = np.isfinite(values) & (np.abs(values) < 2.0**53)
    if marked.low is not None and marked.high is not None:
        fits &= (values - size >= marked.low) & (values + size <= marked.high)
    return np.where(fits, size, 0.0)


def row_names(batch: pa.RecordBatch, secret: bytes) -> Words:
    """64 bits for each row, from everything it says: rows alike have one name. A row's place in the table has no part in it."""
    names = np.zeros(batch.num_rows, dtype=np.uint64)
    for place, column in enumerate(batch.columns):
        names = _mixed(names ^ _mixed(_words(column, secret) + np.uint64(place + 1)))
    return names


def _words(column: pa.Array, secret: bytes) -> Words:
    if isinstance(column, pa.DictionaryArray):
        column = column.dictionary_decode()
    kind = column.type
    if pa.types.is_floating(kind) or pa.types.is_integer(kind):
        plain = pc.fill_null(column, 0)
        wide = plain.cast(pa.float64() if pa.types.is_floating(kind) else pa.int64())
        words = np.asarray(wide.to_numpy(zero_copy_only=False)).view(np.uint64).copy()
    else:
        encoded = column.cast(pa.string()).dictionary_encode()
        texts = encoded.dictionary.to_pylist()
        digests = [int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8, key=secret).digest(), "big") for text in texts]
        words = np.array([*digests, 0], dtype=np.uint64)[pc.fill_null(encoded.indices, len(digests)).to_numpy(zero_copy_only=False)]
    missing = np.asarray(pc.is_null(column).to_numpy(zero_copy_only=False), dtype=bool)
    return np.where(missing, np.uint64(0x5BD1E995), words)


def _mixed(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele, Lea & Flood 2014). It spreads; what keeps marks secret is the AES after it."""
    with np.errstate(over="ignore"):
        x = x + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
