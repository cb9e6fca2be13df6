"""An answer as bytes. The same table gives the same bytes, however its memory happens to be laid out.

Nothing that changes from run to run is written: no time, no host, no random identifier. The library's version is written by Parquet itself;
the version is pinned, and published bytes are staged once and served from there, never made again.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Literal, get_args

import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

Format = Literal["arrow", "parquet", "csv", "json"]
FORMATS: tuple[Format, ...] = get_args(Format)
MEDIA_TYPES: dict[Format, str] = {
    "arrow": "application/vnd.apache.arrow.stream",
    "parquet": "application/vnd.apache.parquet",
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
}
BOM = b"\xef\xbb\xbf"


def encode(table: pa.Table, form: Format, *, metadata: Mapping[str, str] | None = None, bom: bool = False) -> bytes:
    """`table` in a format. `metadata` goes into the schema (Arrow, Parquet) or beside the rows (JSON); CSV has no place for it.

    `bom` puts a byte order mark before CSV, for spreadsheets that otherwise misread Chinese. CSV tells NULL (nothing) from empty text
    (`""`). JSON is `{"metadata", "columns": [{"name", "type"}], "rows": [{…}]}`: NaN and infinities are null, decimals are strings, integers
    are written whole.
    """
    if bom and form != "csv":
        raise ValueError("a byte order mark belongs to CSV only")
    return _encoded(canonical(table), form, dict(sorted((metadata or {}).items())), bom)


def encode_all(table: pa.Table, *, metadata: Mapping[str, str] | None = None) -> dict[Format, bytes]:
    """`encode` in every format."""
    laid_out, about = canonical(table), dict(sorted((metadata or {}).items()))
    return {form: _encoded(laid_out, form, about, bom=False) for form in FORMATS}


def _encoded(table: pa.Table, form: Format, about: dict[str, str], bom: bool) -> bytes:
    table = table.replace_schema_metadata(about or None)
    if form == "csv":
        return (BOM if bom else b"") + _csv(table)
    if form == "json":
        return _json(table, about)
    sink = io.BytesIO()
    if form == "parquet":
        pq.write_table(table, sink, compression="zstd", version="2.6", row_group_size=1 << 20)
    elif form == "arrow":
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=1 << 16)
    else:
        raise ValueError(f"no such format: {form}")
    return sink.getvalue()


def canonical(table: pa.Table) -> pa.Table:
    """The same values in one layout: one chunk a column, no offsets, nothing left under NULLs, no validity bitmap where nothing is NULL."""
    columns = [_rebuilt(column.combine_chunks()) for column in table.columns]
    return pa.table(columns, schema=pa.schema([pa.field(field.name, field.type) for field in table.schema]))


def _rebuilt(array: pa.Array) -> pa.Array:
    kind = array.type
    if pa.types.is_date32(kind):  # by way of integers: Python knows fewer dates than Arrow
        return pa.array(array.cast(pa.int32()).to_pylist(), pa.int32()).cast(kind)
    if pa.types.is_timestamp(kind):
        return pa.array(array.cast(pa.int64()).to_pylist(), pa.int64()).cast(kind)
    if pa.types.is_floating(kind):  # one NaN, not one of 2**52
        return pa.array([math.nan if value is not None and math.isnan(value) else value for value in array.to_pylist()], kind)
    return pa.array(array.to_pylist(), kind)


def _csv(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    arrow_csv.write_csv(table, sink)
    return sink.getvalue()


def _json(table: pa.Table, about: dict[str, str]) -> bytes:
    columns = [{"name": field.name, "type": str(field.type)} for field in table.schema]
    shown = [json_values(column.combine_chunks()) for column in table.columns]
    rows = [dict(zip(table.column_names, values, strict=True)) for values in zip(*shown, strict=True)]
    answer = {"metadata": about, "columns": columns, "rows": rows}
    return (json.dumps(answer, ensure_ascii=False, separators=(",", ":"), allow_nan=False) + "\n").encode()


def json_values(array: pa.Array) -> list[object]:
    if pa.types.is_date32(array.type) or pa.types.is_timestamp(array.type):
        values: list[object] = array.cast(pa.string()).to_pylist()
        return values
    return [_scalar(value) for value in array.to_pylist()]


def _scalar(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Decimal) else value
