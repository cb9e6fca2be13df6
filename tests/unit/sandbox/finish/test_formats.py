"""The same table is the same bytes, and every format gives the values back."""

from __future__ import annotations

import datetime
import io
import json
import math
from decimal import Decimal

import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.finish.formats import BOM, FORMATS, MEDIA_TYPES, Format, encode, encode_all

SCHEMA = pa.schema(
    [("区", pa.string()), ("n", pa.int64()), ("x", pa.float64()), ("日", pa.date32()), ("b", pa.bool_()), ("c", pa.decimal128(12, 2))]
)
ROW = st.tuples(
    st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.floats(),
    st.none() | st.dates(),
    st.none() | st.booleans(),
    st.none() | st.decimals(-9999, 9999, places=2),
)


def table_of(rows: list[tuple[object, ...]]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(SCHEMA)
    return pa.table([pa.array(list(column), field.type) for column, field in zip(columns, SCHEMA, strict=True)], schema=SCHEMA)


def otherwise_laid_out(table: pa.Table) -> pa.Table:
    """The same values: more chunks, offsets, rubbish under NULLs and bitmaps where nothing is NULL."""
    doubled = pa.concat_tables([table, table])
    middle = table.num_rows // 2
    columns = []
    for column in doubled.columns:
        chunks = [column.combine_chunks().slice(table.num_rows, middle), column.combine_chunks().slice(middle, table.num_rows - middle)]
        dirty = [_with_rubbish(chunk) if pa.types.is_int64(chunk.type) else chunk for chunk in chunks]
        columns.append(pa.chunked_array(dirty, column.type))
    return pa.table(columns, schema=table.schema.with_metadata({"made": "elsewhere"}))


def _with_rubbish(chunk: pa.Array) -> pa.Array:
    values = pa.array([123456 if value is None else value for value in chunk.to_pylist()], pa.int64())
    bitmap = pa.array([value is not None for value in chunk.to_pylist()], pa.bool_()).buffers()[1]
    return pa.Array.from_buffers(pa.int64(), len(chunk), [bitmap, values.buffers()[1]])


@given(st.lists(ROW, max_size=20))
@settings(deadline=None, max_examples=40)
def test_bytes_depend_on_the_values_alone(rows: list[tuple[object, ...]]) -> None:
    table = table_of(rows)
    other = otherwise_laid_out(table)
    for form in FORMATS:
        assert encode(table, form) == encode(other, form) == encode(table, form)
        assert encode(table, form, metadata={"a": "1", "b": "2"}) == encode(table, form, metadata={"b": "2", "a": "1"})


@given(st.lists(ROW, min_size=1, max_size=20))
@settings(deadline=None, max_examples=40)
def test_arrow_and_parquet_give_the_values_back(rows: list[tuple[object, ...]]) -> None:
    table = table_of(rows)
    about = {"release": "r-1", "价格": "ρ 0.01"}
    from_arrow = pa.ipc.open_stream(encode(table, "arrow", metadata=about)).read_all()
    from_parquet = pq.read_table(io.BytesIO(encode(table, "parquet", metadata=about)))
    for read in (from_arrow, from_parquet):
        assert read.schema.remove_metadata() == SCHEMA
        assert repr(read.to_pylist()) == repr(table.to_pylist())  # repr: NaN is NaN
        assert {key.decode(): value.decode() for key, value in read.schema.metadata.items()} == about


ROWS: list[tuple[object, ...]] = [
    ("东", 2**53 + 1, 0.1, datetime.date(2024, 2, 29), True, Decimal("1.50")),
    (None, None, None, None, None, None),
    ("", -1, math.nan, datetime.date(1, 1, 1), False, Decimal("-0.01")),
    ('q",\n', 0, math.inf, None, None, None),
]


def test_csv_is_what_a_spreadsheet_and_a_program_expect() -> None:
    table = table_of(ROWS)
    text = encode(table, "csv").decode()
    assert text.startswith('"区","n","x","日","b","c"\n"东",9007199254740993,0.1,2024-02-29,true,1.50\n,,,,,\n"",-1,')
    assert encode(table, "csv", bom=True) == BOM + text.encode()
    options = arrow_csv.ConvertOptions(column_types=SCHEMA, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False)
    parsing = arrow_csv.ParseOptions(newlines_in_values=True)
    read = arrow_csv.read_csv(io.BytesIO(text.encode()), convert_options=options, parse_options=parsing)
    assert repr(read.to_pylist()) == repr(table.to_pylist())


def test_json_says_its_columns() -> None:
    answer = json.loads(encode(table_of(ROWS), "json", metadata={"release": "r-1"}))
    assert answer["metadata"] == {"release": "r-1"}
    assert answer["columns"][:2] == [{"name": "区", "type": "string"}, {"name": "n", "type": "int64"}]
    assert answer["rows"][0] == {"区": "东", "n": 2**53 + 1, "x": 0.1, "日": "2024-02-29", "b": True, "c": "1.50"}
    assert answer["rows"][1] == dict.fromkeys(SCHEMA.names)
    assert [row["x"] for row in answer["rows"][2:]] == [None, None]
    assert json.loads(encode(table_of([]), "json"))["rows"] == []


def test_dates_beyond_pythons_are_still_written() -> None:
    table = pa.table({"d": pa.array([2**31 - 1, -(2**31), 0], pa.int32()).cast(pa.date32())})
    for form in FORMATS:
        assert encode(table, form) == encode(table, form)
    assert pa.ipc.open_stream(encode(table, "arrow")).read_all().equals(table)


def test_every_format_has_a_media_type() -> None:
    assert set(MEDIA_TYPES) == set(FORMATS)


@pytest.mark.parametrize("form", ["arrow", "parquet", "json"])
def test_a_byte_order_mark_is_for_csv(form: Format) -> None:
    with pytest.raises(ValueError, match="CSV only"):
        encode(table_of([]), form, bom=True)


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(ValueError, match="no such format"):
        encode(table_of([]), "xlsx")  # type: ignore[arg-type]  # that is the point


def test_all_formats_at_once_are_each_by_itself() -> None:
    table = table_of([("甲", 1, 0.5, datetime.date(2026, 1, 2), True, Decimal("1.50")), (None, None, math.nan, None, None, None)])
    assert encode_all(table, metadata={"b": "2", "a": "1"}) == {form: encode(table, form, metadata={"a": "1", "b": "2"}) for form in FORMATS}
