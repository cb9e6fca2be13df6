"""A table of any length as a file, batch by batch: what is held in memory is one batch, whatever the table's size.

The same rows give the same bytes, however they came in batches. Short tables look as `sandbox.finish.formats.encode` makes them, but for
Parquet, whose row groups are fixed here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, get_args

import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

from infra.files import begun
from sandbox.finish.formats import BOM, json_values

Form = Literal["parquet", "arrow", "csv", "excel", "json"]
FORMS: tuple[Form, ...] = get_args(Form)
SUFFIXES: Mapping[Form, str] = {"parquet": "parquet", "arrow": "arrow", "csv": "csv", "excel": "excel.csv", "json": "json"}
FORM_TYPES: Mapping[Form, str] = {
    "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.stream",
    "csv": "text/csv; charset=utf-8",
    "excel": "text/csv; charset=utf-8",
    "json": "application/json",
}
BATCH_ROWS = 1 << 16
GROUP_ROWS = 1 << 17  # of Parquet
SHEET_ROWS = 2**20 - 1  # a worksheet has one row more, for the names


@dataclass(frozen=True, slots=True)
class Written:
    sha256: str
    bytes: int
    rows: int


def forms_for(rows: int) -> tuple[Form, ...]:
    """The forms a table of so many rows comes in: those read whole into memory only while they can be."""
    return tuple(form for form in FORMS if rows <= SHEET_ROWS or form not in ("excel", "json"))


def batches_of(paths: Iterable[Path]) -> Iterator[pa.RecordBatch]:
    """The batches of files in Arrow's stream format, one file after the other; nothing is read before it is wanted."""
    for path in paths:
        with pa.memory_map(str(path)) as source, pa.ipc.open_stream(source) as reader:
            yield from reader


def schema_of(path: Path) -> pa.Schema:
    with pa.memory_map(str(path)) as source, pa.ipc.open_stream(source) as reader:
        return reader.schema


def write(form: Form, schema: pa.Schema, batches: Iterable[pa.RecordBatch], path: Path) -> Written:
    """Write a new file, durably. The schema's metadata is kept where the form has a place for it."""
    with begun(path) as file:
        rows = {"parquet": _parquet, "arrow": _arrow, "csv": _csv, "excel": _excel, "json": _json}[form](schema, batches, file)
    return Written(digest_of(path), path.stat().st_size, rows)


def digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _even(schema: pa.Schema, batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.Table]:
    """The same rows in tables of `rows`, but the last."""
    held: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        while batch.num_rows:
            part = batch.slice(0, rows - count)
            batch = batch.slice(part.num_rows)
            held.append(part)
            count += part.num_rows
            if count == rows:
                yield _joined(schema, held)
                held, count = [], 0
    if held:
        yield _joined(schema, held)


def _joined(schema: pa.Schema, batches: list[pa.RecordBatch]) -> pa.Table:
    return pa.Table.from_batches([pa.record_batch(batch.columns, schema=schema) for batch in batches], schema=schema).combine_chunks()


def _parquet(schema: pa.Schema, batches: Iterable[pa.RecordBatch], file: IO[bytes]) -> int:
    rows = 0
    with pq.ParquetWriter(file, schema, compression="zstd", version="2.6") as writer:
        for table in _even(schema, batches, GROUP_ROWS):
            writer.write_table(table, row_group_size=GROUP_ROWS)
            rows += table.num_rows
    return rows


def _arrow(schema: pa.Schema, batches: Iterable[pa.RecordBatch], file: IO[bytes]) -> int:
    rows = 0
    with pa.ipc.new_stream(file, schema) as writer:
        for table in _even(schema, batches, BATCH_ROWS):
            writer.write_table(table, max_chunksize=BATCH_ROWS)
            rows += table.num_rows
    return rows


def _csv(schema: pa.Schema, batches: Iterable[pa.RecordBatch], file: IO[bytes]) -> int:
    rows = 0
    with arrow_csv.CSVWriter(file, schema) as writer:
        for table in _even(schema, batches, BATCH_ROWS):
            writer.write_table(table)
            rows += table.num_rows
    return rows


def _excel(schema: pa.Schema, batches: Iterable[pa.RecordBatch], file: IO[bytes]) -> int:
    file.write(BOM)
    return _csv(schema, batches, file)


def _json(schema: pa.Schema, batches: Iterable[pa.RecordBatch], file: IO[bytes]) -> int:
    about = {key.decode(): value.decode() for key, value in sorted((schema.metadata or {}).items())}
    columns = [{"name": field.name, "type": str(field.type)} for field in schema]
    file.write(_text({"metadata": about, "columns": columns})[:-1] + b',"rows":[')
    rows = 0
    for table in _even(schema, batches, BATCH_ROWS):
        shown = [json_values(column.combine_chunks()) for column in table.columns]
        for values in zip(*shown, strict=True):
            file.write((b"," if rows else b"") + _text(dict(zip(table.column_names, values, strict=True))))
            rows += 1
    file.write(b"]}\n")
    return rows


def _text(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
