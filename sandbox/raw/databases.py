"""A query of a database as a source: checked against the declaration before a row is read, then a stream of batches as a file is.

Fields come as text (floats excepted) and are parsed by the rules of CSV, which locate an offending row; whether a column may be declared so
is decided by its type in the database, as for Parquet. Rows are numbered as the query gives them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from infra.extract import Extract, ExtractFailed, Origin, extract
from policies.catalogue import Dataset
from policies.problem import declare
from sandbox.raw.sources import ACCEPTED, COLUMN_MISSING, COLUMN_TWICE, COLUMN_TYPE, Batch, Kind

DATABASE_REFUSED = declare(
    "data_database_refused",
    zh=("数据库不可读取", "{database} 拒绝连接或查询：{reason}；尚未读取任何行。", "请核对地址、账号、口令文件、证书和查询语句。"),
    en=(
        "The database cannot be read",
        "{database} refused the connection or the query: {reason}; no row was read.",
        "Check the address, account, password file, certificates and query.",
    ),
)
DATABASE_LOST = declare(
    "data_database_lost",
    zh=(
        "读取数据库时中断",
        "从 {database} 读取时中断（{reason}）；没有写入任何内容。",
        "请排除故障后重新入库：新的事务是新的快照，须从头读取。",
    ),
    en=(
        "Reading from the database was interrupted",
        "Reading from {database} broke off ({reason}); nothing was written.",
        "Remove the cause, then ingest again from the start: a new transaction sees a new snapshot.",
    ),
)


class DatabaseSource:
    """A query that has been asked; close it when done."""

    total_rows: int | None = None
    identity: str | None = None  # another transaction would see another snapshot: nothing to go on with

    def __init__(self, dataset: Dataset, origin: Origin, query: str) -> None:
        self.label = origin.label
        try:
            self._extract: Extract = extract(origin, query)
        except ExtractFailed as failure:
            reason = failure.reason
        else:
            reason = ""
        if reason:
            raise DATABASE_REFUSED(database=self.label, reason=reason)
        try:
            self._names = self._checked(dataset)
        except BaseException:
            self.close()
            raise
        self.ignored = tuple(field.name for field in self._extract.fields if field.name not in self._names.values())

    def _checked(self, dataset: Dataset) -> dict[str, str]:
        """Declared name → name in the answer. Raises data_column_*."""
        names = {}
        for column in dataset.columns:
            found = [field for field in self._extract.fields if field.name.casefold() == column.name.casefold()]
            if len(found) != 1:
                raise (COLUMN_TWICE if found else COLUMN_MISSING)(file=self.label, column=column.name)
            if not found[0].kinds & ACCEPTED[column.type]:
                raise COLUMN_TYPE(file=self.label, column=column.name, found=found[0].type, declared=column.type)
            names[column.name] = found[0].name
        return names

    def batches(self, dataset: Dataset, malformed: Callable[[str, int], None], skip: int = 0) -> Iterator[Batch]:
        """Every row, once. Raises data_database_lost."""
        first, reason = 1, ""
        kinds: dict[str, Kind] = {}
        for column in dataset.columns:
            (field,) = (field for field in self._extract.fields if field.name == self._names[column.name])
            kinds[column.name] = "float" if "float" in field.kinds else "csv"
        days = [column.name for column in dataset.columns if column.type == "date"]
        try:
            for raw in self._extract.batches([self._names[column.name] for column in dataset.columns]):
                columns = dict(zip(kinds, raw.columns, strict=True))
                columns |= {name: _day(columns[name]) for name in days}
                yield Batch(self.label, first, pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns)), kinds)
                first += raw.num_rows
        except ExtractFailed as failure:
            reason = failure.reason
        if reason:
            raise DATABASE_LOST(database=self.label, reason=reason)

    def close(self) -> None:
        self._extract.__exit__(None, None, None)


def _day(text: pa.Array) -> pa.Array:
    """A moment at midnight is a day."""
    return pc.replace_substring_regex(text, r" 00:00:00(\.0+)?$", "")
