"""Reading what a steward brings: Parquet and CSV files as a stream of batches with the declared columns, in declared order.

Memory is flat: a batch at a time. CSV fields arrive as text, to be parsed by the rules, where an offending row can be located; an empty
field is NULL, a quoted empty one is empty text. Nothing read here is ever quoted in a message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq

from policies.catalogue import Column, ColumnType, Dataset
from policies.problem import declare

Kind = Literal["csv", "integer", "float", "decimal", "text", "boolean", "date", "timestamp"]
BATCH_ROWS = 65_536
_CSV_BLOCK_BYTES = 4 * 2**20
SUFFIXES = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".csv.gz": "csv"}

# What a Parquet column may be stored as, by declared type. Text is never parsed there: whoever wrote text meant text.
ACCEPTED: dict[ColumnType, frozenset[Kind]] = {
    "integer": frozenset({"integer", "float", "decimal"}),
    "decimal": frozenset({"integer", "float", "decimal"}),
    "number": frozenset({"integer", "float", "decimal"}),
    "text": frozenset({"text"}),
    "date": frozenset({"date", "timestamp"}),
    "timestamp": frozenset({"date", "timestamp"}),
    "boolean": frozenset({"boolean"}),
}

SOURCE_MISSING = declare(
    "data_source_missing",
    zh=("没有找到源文件", "文件 {file} 不存在或无权读取。", "请核对路径和权限。"),
    en=("A source file is missing", "File {file} does not exist or may not be read.", "Check the path and its permissions."),
)
SOURCE_KIND = declare(
    "data_source_kind",
    zh=("不支持的文件格式", "文件 {file} 的扩展名不在支持之列：{known}。", "请转换为 Parquet 或 CSV。"),
    en=("Unsupported file format", "The extension of file {file} is not one of: {known}.", "Convert it to Parquet or CSV."),
)
SOURCE_UNREADABLE = declare(
    "data_source_unreadable",
    zh=(
        "源文件无法解析",
        "文件 {file} 不是完好的 {format} 文件，或文字编码不是 {encoding}。",
        "请检查文件是否完整，编码是否相符（如 gb18030）。",
    ),
    en=(
        "A source file cannot be parsed",
        "File {file} is not a sound {format} file, or its text is not encoded in {encoding}.",
        "Check that the file is complete and that the stated encoding is right (such as gb18030).",
    ),
)
COLUMN_MISSING = declare(
    "data_column_missing",
    zh=("缺少已声明的列", "文件 {file} 中没有列 {column}。", "请补上该列，或从目录声明中删去。"),
    en=("A declared column is missing", "File {file} has no column {column}.", "Add the column, or take it out of the catalogue file."),
)
COLUMN_TWICE = declare(
    "data_column_twice",
    zh=("列名重复", "文件 {file} 中列 {column} 出现了不止一次（不分大小写）。", "请给重复的列改名。"),
    en=("A column occurs twice", "File {file} has column {column} more than once, ignoring case.", "Rename the duplicate columns."),
)
COLUMN_TYPE = declare(
    "data_column_type",
    zh=(
        "列的类型与声明不符",
        "文件 {file} 中列 {column} 存储为 {found}，目录声明为 {declared}。",
        "请修改声明，或在入库前转换该列；文本只在 CSV 中按声明解析。",
    ),
    en=(
        "A column's type is not the declared one",
        "In file {file} column {column} is stored as {found}; the catalogue declares {declared}.",
        "Change the declaration, or convert the column first; text is parsed in CSV only.",
    ),
)


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of one file. `first_row` is the number of the first one, counting data rows from 1; `kinds` says how each column came."""

    file: str
    first_row: int
    rows: pa.RecordBatch
    kinds: dict[str, Kind]


class Rows(Protocol):
    """Where rows come from: a file, or a database's answer, that was found to have the declared columns."""

    @property
    def ignored(self) -> tuple[str, ...]: ...

    @property
    def total_rows(self) -> int | None: ...

    @property
    def identity(self) -> str | None:
        """The same while the rows are: an interrupted ingest may then go on within them. None: they cannot be read twice."""
        ...

    def batches(self, dataset: Dataset, malformed: Callable[[str, int], None], skip: int = 0) -> Iterator[Batch]: ...

    def close(self) -> None: ...


@dataclass(slots=True)
class Source:
    """A file checked against the declaration: known kind, all declared columns there once, types that can be converted."""

    path: Path
    format: str
    encoding: str
    names: dict[str, str]  # declared name → name in the file
    ignored: tuple[str, ...]  # columns in the file that nobody declared: not read, not stored
    total_rows: int | None

    @property
    def identity(self) -> str | None:
        """The same for a file that was not touched: an interrupted ingest may go on within it."""
        said = self.path.stat()
        return f"{self.path.resolve()}|{said.st_size}|{said.st_mtime_ns}"

    def batches(self, dataset: Dataset, malformed: Callable[[str, int], None], skip: int = 0) -> Iterator[Batch]:
        """The file's rows but the first `skip`. `malformed(file, row)` is told of each CSV line with too few or too many fields; such lines are
        left out."""
        first = skip + 1
        try:
            for raw in _without(skip, _read_csv(self, malformed)) if self.format == "csv" else _read_parquet(self, skip):
                if self.format == "parquet":
                    raw.validate(full=True)  # a foreign writer's text may not be UTF-8
                columns = {column.name: raw.column(self.names[column.name]) for column in dataset.columns}
                kinds: dict[str, Kind] = {name: "csv" if self.format == "csv" else _kind(array.type) for name, array in columns.items()}
                arrays = [_plain(array) for array in columns.values()]
                yield Batch(self.path.name, first, pa.RecordBatch.from_arrays(arrays, names=list(columns)), kinds)
                first += raw.num_rows
        except (pa.ArrowException, UnicodeError, LookupError, OSError):
            failed = True
        else:
            failed = False
        if failed:
            raise SOURCE_UNREADABLE(file=self.path.name, format=self.format, encoding=self.encoding)

    def close(self) -> None:
        """Nothing is held between batches."""


def open_sources(dataset: Dataset, paths: Sequence[Path], encoding: str) -> list[Source]:
    """Look at the heads of all files before any row is read. Raises data_source_*, data_column_*."""
    return [_open(dataset, path, encoding) for path in paths]


def raw_batches(path: Path, encoding: str) -> Iterator[tuple[pa.RecordBatch, dict[str, Kind]]]:
    """Every row of a file that nobody has declared yet, of the columns that can be read, and how each came. Raises data_source_*."""
    form = _format(path)
    schema, rows = _head(path, form, encoding)
    names = {name: name for name in dict.fromkeys(schema.names) if form == "csv" or _readable(schema.field(name).type)}
    source = Source(path, form, encoding, names, (), rows)
    kinds: dict[str, Kind] = {name: "csv" if form == "csv" else _kind(schema.field(name).type) for name in names}
    failed = True
    try:
        for raw in _read_csv(source, lambda file, row: None) if form == "csv" else _read_parquet(source, 0):
            yield pa.RecordBatch.from_arrays([_plain(raw.column(name)) for name in names], names=list(names)), kinds
        failed = False
    except (pa.ArrowException, UnicodeError, LookupError, OSError):
        pass
    if failed:
        raise SOURCE_UNREADABLE(file=path.name, format=form, encoding=encoding)


def _readable(found: pa.DataType) -> bool:
    try:
        _kind(found)
    except TypeError:
        return False
    return True


def _format(path: Path) -> str:
    form = next((form for suffix, form in SUFFIXES.items() if path.name.lower().endswith(suffix)), None)
    if form is None:
        raise SOURCE_KIND(file=path.name, known=" ".join(SUFFIXES))
    if not path.is_file():
        raise SOURCE_MISSING(file=path.name)
    return form


def _open(dataset: Dataset, path: Path, encoding: str) -> Source:
    form = _format(path)
    schema, rows = _head(path, form, encoding)
    folded: dict[str, list[str]] = {}
    for name in schema.names:
        folded.setdefault(name.strip().casefold(), []).append(name)
    names = {}
    for column in dataset.columns:
        found = folded.get(column.name.casefold(), [])
        if len(found) != 1:
            raise (COLUMN_TWICE if found else COLUMN_MISSING)(file=path.name, column=column.name)
        names[column.name] = found[0]
        if form == "parquet":
            _check_type(column, schema.field(found[0]).type, path.name)
    ignored = tuple(name for name in schema.names if name not in names.values())
    return Source(path, form, encoding, names, ignored, rows)


def _head(path: Path, form: str, encoding: str) -> tuple[pa.Schema, int | None]:
    try:
        if form == "parquet":
            with pq.ParquetFile(path) as file:
                return file.schema_arrow, file.metadata.num_rows
        with _open_csv(path, encoding, None, lambda _: "skip") as reader:
            return reader.schema, None
    except (pa.ArrowException, UnicodeError, LookupError, OSError):
        pass
    raise SOURCE_UNREADABLE(file=path.name, format=form, encoding=encoding)


def _check_type(column: Column, found: pa.DataType, file: str) -> None:
    try:
        accepted = pa.types.is_null(found) or _kind(found) in ACCEPTED[column.type]
    except TypeError:
        accepted = False
    if not accepted:
        raise COLUMN_TYPE(file=file, column=column.name, found=str(found), declared=column.type)


def _kind(found: pa.DataType) -> Kind:
    if pa.types.is_dictionary(found):
        found = found.value_type
    tests: tuple[tuple[Callable[[pa.DataType], bool], Kind], ...] = (
        (pa.types.is_integer, "integer"),
        (pa.types.is_floating, "float"),
        (pa.types.is_decimal, "decimal"),
        (pa.types.is_string, "text"),
        (pa.types.is_large_string, "text"),
        (pa.types.is_string_view, "text"),
        (pa.types.is_boolean, "boolean"),
        (pa.types.is_date, "date"),
        (pa.types.is_timestamp, "timestamp"),
        (pa.types.is_null, "csv"),  # a column of nothing but NULL fits every type
    )
    for test, kind in tests:
        if test(found):
            return kind
    raise TypeError("a type that is not read")


def _plain(array: pa.Array) -> pa.Array:
    """Without dictionaries, views, time zones (UTC is kept) and resolutions DuckDB and the rules would have to know about."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_null(array.type) or pa.types.is_string_view(array.type) or pa.types.is_large_string(array.type):
        return array.cast(pa.string())
    if pa.types.is_timestamp(array.type):
        return array.cast(pa.timestamp("us", array.type.tz), safe=False).cast(pa.timestamp("us"))
    if pa.types.is_date64(array.type):
        return array.cast(pa.date32())
    if pa.types.is_float16(array.type):
        return array.cast(pa.float32())
    if pa.types.is_decimal(array.type):
        return array.cast(pa.decimal128(min(38, array.type.precision), array.type.scale))
    return array


def _read_parquet(source: Source, skip: int) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(source.path) as file:
        group = 0
        while group < file.num_row_groups and skip >= file.metadata.row_group(group).num_rows:
            skip -= file.metadata.row_group(group).num_rows
            group += 1
        columns, groups = list(source.names.values()), list(range(group, file.num_row_groups))
        yield from _without(skip, file.iter_batches(BATCH_ROWS, columns=columns, row_groups=groups, use_threads=False))


def _without(skip: int, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        if skip < batch.num_rows:
            yield batch.slice(skip)
        skip = max(0, skip - batch.num_rows)


def _read_csv(source: Source, malformed: Callable[[str, int], None]) -> Iterator[pa.RecordBatch]:
    def skip(row: Any) -> str:
        malformed(source.path.name, row.number - 1 if row.number else 0)  # the header is line 1
        return "skip"

    with _open_csv(source.path, source.encoding, list(source.names.values()), skip) as reader:
        yield from reader


def _open_csv(path: Path, encoding: str, columns: list[str] | None, invalid: Callable[[Any], str]) -> Any:
    return csv.open_csv(
        pa.input_stream(str(path), compression="detect"),
        read_options=csv.ReadOptions(use_threads=False, block_size=_CSV_BLOCK_BYTES, encoding=encoding),
        parse_options=csv.ParseOptions(newlines_in_values=True, invalid_row_handler=invalid),
        convert_options=csv.ConvertOptions(
            column_types={name: pa.string() for name in columns or ()},
            include_columns=columns,
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
