"""A found file, in whatever form, as a table. It comes from outside: whatever is wrong with it is one refusal."""

from __future__ import annotations

import io
import json

import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

from policies.problem import declare

MOST_ROWS = 200_000  # of a file: more say no more

FILE_UNREADABLE = declare(
    "product_trace_file",
    zh=("文件无法读取", "文件不是 Parquet、Arrow、CSV 或 JSON 表格，或已损坏。", "请把文件另存为其中一种格式，首行为列名，再追溯。"),
    en=(
        "The file cannot be read",
        "The file is not a table in Parquet, Arrow, CSV or JSON, or it is damaged.",
        "Save it in one of these formats, with column names in the first row, and trace again.",
    ),
)


def read(data: bytes) -> pa.Table:
    """The first rows of a file, at most MOST_ROWS taken evenly. Raises `product_trace_file`."""
    try:
        table = _read(data)
        if table.num_columns == 0 or table.num_rows == 0:
            raise FILE_UNREADABLE()
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, AttributeError):
        raise FILE_UNREADABLE() from None
    if table.num_rows > MOST_ROWS:
        step = table.num_rows / MOST_ROWS
        table = table.take(pa.array([int(place * step) for place in range(MOST_ROWS)], pa.int64()))
    return table


def _read(data: bytes) -> pa.Table:
    if data[:4] == b"PAR1":
        return pq.read_table(io.BytesIO(data))
    if data[:6] == b"ARROW1":
        return pa.ipc.open_file(pa.BufferReader(data)).read_all()
    if data[:4] == b"\xff\xff\xff\xff":
        return pa.ipc.open_stream(pa.BufferReader(data)).read_all()
    text = data.removeprefix(b"\xef\xbb\xbf")
    head = text.lstrip()[:1]
    if head in (b"{", b"["):
        content = json.loads(text)
        return pa.Table.from_pylist(content["rows"] if isinstance(content, dict) else content)
    delimiter = max(b",;\t", key=text.partition(b"\n")[0].count)
    return arrow_csv.read_csv(io.BytesIO(text), parse_options=arrow_csv.ParseOptions(delimiter=chr(delimiter)))
