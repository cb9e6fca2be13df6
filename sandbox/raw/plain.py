"""Columns rebuilt so that their bytes are a function of their values and nothing else.

A slice of an Arrow column shares its buffers with the rows around it: bits of their validity beside one's own, text before and after, values
under nulls, whether there is a bitmap at all. A program reads its block's bytes, so all of that would be a way from one block to another.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

_WIDTHS = {pa.int64(): "<i8", pa.float64(): "<f8", pa.date32(): "<i4", pa.timestamp("us"): "<i8"}


def plain(column: pa.ChunkedArray) -> pa.Array:
    """Integers, float64, dates, timestamps, booleans and text as they are, decimals as float64 (few programs expect anything else), in fresh
    buffers: zeros under nulls and in spare bits, no bitmap where nothing is null. TypeError for any other type."""
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    whole = column.combine_chunks()
    whole = whole if isinstance(whole, pa.Array) else pa.concat_arrays(whole.chunks)
    missing = whole.is_null().to_numpy(zero_copy_only=False)
    there = _bits(~missing) if missing.any() else None
    kind = whole.type
    if pa.types.is_string(kind):
        return _text(whole, there)
    if pa.types.is_boolean(kind):
        values = whole.fill_null(False).to_numpy(zero_copy_only=False)
        return pa.Array.from_buffers(kind, len(whole), [there, _bits(values)])
    if kind not in _WIDTHS:
        raise TypeError("programs are not given such columns")
    width = _WIDTHS[kind]
    values = np.frombuffer(whole.buffers()[1], width)[whole.offset : whole.offset + len(whole)] if len(whole) else np.zeros(0, width)
    return pa.Array.from_buffers(kind, len(whole), [there, pa.py_buffer(np.where(missing, np.zeros(1, width), values).astype(width).tobytes())])


def _bits(values: npt.NDArray[Any]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(values.astype(bool), bitorder="little").tobytes())


def _text(whole: pa.Array, there: pa.Buffer | None) -> pa.Array:
    filled = whole.fill_null("")
    lengths = np.asarray(pc.binary_length(filled).to_numpy(zero_copy_only=False), np.int64)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]).astype("<i4")
    start = np.frombuffer(filled.buffers()[1], "<i4")[filled.offset] if len(filled) else 0
    data = memoryview(filled.buffers()[2])[start : start + int(offsets[-1])] if offsets[-1] else b""
    return pa.Array.from_buffers(pa.string(), len(whole), [there, pa.py_buffer(offsets.tobytes()), pa.py_buffer(bytes(data))])
