"""Tables that were released, added up key by key: post-processing, which costs nothing and may be shown.

What is added are answers to one question (`sandbox.plan.additive`) over times that share no row, so the sum is that question's answer over
all of them, with the sum of their noise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from sandbox.finish.formats import canonical
from sandbox.finish.streams import batches_of, schema_of


class TablesDiffer(Exception):
    """The tables do not answer one question over the same keys, so adding them up would leave some rows short."""


def summed(tables: Sequence[pa.Table], keys: Sequence[str], half_widths: Mapping[str, float]) -> pa.Table:
    """One table of the same columns, its rows in the order of the keys: `keys` as they are, the columns that `half_widths` names set to that
    number in every row, all others added up, in the order given. TablesDiffer unless all have the same columns and the same keys, each once,
    and no value is missing or beyond 64 bits."""
    first = tables[0].schema.remove_metadata()
    if any(not table.schema.remove_metadata().equals(first) for table in tables):
        raise TablesDiffer("columns")
    ordered = [_ordered(table, keys) for table in tables]
    columns: list[pa.ChunkedArray | pa.Array] = []
    for name in first.names:
        parts = [table.column(name) for table in ordered]
        if name in keys:
            if any(not part.equals(parts[0]) for part in parts):
                raise TablesDiffer("keys")
            columns.append(parts[0])
        elif name in half_widths:
            columns.append(pa.array([half_widths[name]] * len(parts[0]), pa.float64()))
        else:
            columns.append(_added(parts))
    return canonical(pa.table(columns, schema=pa.schema([pa.field(each.name, each.type) for each in first])))


def table_of(path: Path) -> pa.Table:
    """A staged table, whole: one that is added up has public keys, so its length is declared."""
    return pa.Table.from_batches(list(batches_of([path])), schema=schema_of(path)).replace_schema_metadata(None)


def _ordered(table: pa.Table, keys: Sequence[str]) -> pa.Table:
    """By key, NULL last, each key once."""
    if not keys:
        if table.num_rows != 1:
            raise TablesDiffer("keys")
        return table.combine_chunks()
    if table.group_by(list(keys)).aggregate([]).num_rows != table.num_rows:
        raise TablesDiffer("keys")
    plain = pa.table([_sortable(table.column(name)) for name in keys], names=[f"k{place}" for place in range(len(keys))])
    order = pc.sort_indices(plain, sort_keys=[(name, "ascending") for name in plain.column_names])
    return table.take(order).combine_chunks()


def _sortable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.int8()) if pa.types.is_boolean(column.type) else column


def _added(parts: Sequence[pa.ChunkedArray]) -> pa.ChunkedArray:
    if any(part.null_count for part in parts):
        raise TablesDiffer("values")
    total = parts[0]
    try:
        for part in parts[1:]:
            total = pc.add_checked(total, part)
    except pa.ArrowInvalid:
        raise TablesDiffer("values") from None
    return total
