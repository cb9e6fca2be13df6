"""Keys as OpenDP sees them: one string per key, different for different keys, readable back without loss.

A key is written as a JSON array of its values in plan order: integers and dates (days since 1970-01-01) as JSON integers, booleans as
true/false, text as an ASCII-escaped string, NULL as null. The types come from the plan, so the writing is injective and depends on one
key's values alone, never on which other keys there are. Escaping keeps NUL out of C strings.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sandbox.plan.model import Key

Index = npt.NDArray[np.int64]
ARROW = {"integer": pa.int64(), "text": pa.string(), "date": pa.date32(), "boolean": pa.bool_()}
_WIRE = {"integer": pa.int64(), "text": pa.string(), "date": pa.int32(), "boolean": pa.bool_()}


_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode  # made once: json.dumps makes one a call
_NARROW: dict[str, tuple[pa.DataType, ...]] = {"integer": (pa.int8(), pa.int16(), pa.int32(), pa.uint8(), pa.uint16(), pa.uint32())}


def key_columns(keys: Sequence[Key], table: pa.Table) -> list[pa.ChunkedArray]:
    """The key columns in their canonical types. The only casts are widenings, chosen by schema: they cannot fail on a value."""
    columns = []
    for key in keys:
        column, wanted = table.column(key.name), ARROW[key.type]
        if column.type != wanted and column.type not in _NARROW.get(key.type, ()):
            raise TypeError(f"key {key.name} is not of the planned type")
        columns.append(column.cast(wanted))
    return columns


def write(keys: Sequence[Key], columns: Sequence[pa.ChunkedArray], rows: int) -> list[str]:
    """Each row's key, written. Without keys every row is the one empty key."""
    if not keys:
        return ["[]"] * rows
    values = [column.cast(_WIRE[key.type]).to_pylist() for key, column in zip(keys, columns, strict=True)]
    return [_encode(row) for row in zip(*values, strict=True)]


def read_sorted(keys: Sequence[Key], written: Sequence[str]) -> tuple[list[str], pa.Table]:
    """The written keys in ascending order of their values (NULL last), and the table they stand for."""
    parsed = [(text, json.loads(text)) for text in written]
    parsed.sort(key=lambda pair: tuple((value is None, 0 if value is None else value) for value in pair[1]))
    arrays = {
        key.name: pa.array([values[place] for _, values in parsed], _WIRE[key.type]).cast(ARROW[key.type]) for place, key in enumerate(keys)
    }
    return [text for text, _ in parsed], pa.table(arrays)


def product_size(keys: Sequence[Key]) -> int:
    return math.prod(len(key.domain or ()) for key in keys)


def product(keys: Sequence[Key]) -> pa.Table:
    """Every public key: the product of the domains in catalogue order, the last key fastest."""
    size = product_size(keys)
    arrays: dict[str, pa.Array] = {}
    inner = size
    for key in keys:
        domain = pa.array(list(key.domain or ()), ARROW[key.type])
        inner //= len(domain)
        arrays[key.name] = domain.take(pa.array((np.arange(size) // inner) % len(domain)))
    return pa.table(arrays)


def places(keys: Sequence[Key], columns: Sequence[pa.ChunkedArray], rows: int) -> tuple[Index, Index]:
    """Which rows are public keys, and where in the product each stands. Rows outside the domains are left out, whatever they hold."""
    inside = np.ones(rows, dtype=bool)
    place = np.zeros(rows, dtype=np.int64)
    for key, column in zip(keys, columns, strict=True):
        domain = pa.array(list(key.domain or ()), ARROW[key.type])
        found = pc.fill_null(pc.index_in(column, value_set=domain), -1).to_numpy().astype(np.int64)
        inside &= found >= 0
        place = place * len(domain) + found
    at = np.flatnonzero(inside).astype(np.int64)
    return at, place[at]
