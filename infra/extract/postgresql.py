"""PostgreSQL by COPY: its CSV streams through Arrow's parser, no Python object for any value.

COPY writes NULL as an empty field and empty text as a quoted one (PostgreSQL's documentation, COPY, "CSV Format"), which is how the rules of
ingest read CSV files too. The transaction is REPEATABLE READ, READ ONLY: one snapshot, from its first query to its end (chapter 13.2.2).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.csv as csv
from psycopg import sql

from infra.extract.base import ExtractFailed, Field, Origin

_BLOCK_BYTES = 4 * 2**20
_CONNECT_S = 20
KINDS = {
    **dict.fromkeys(("int2", "int4", "int8", "oid"), frozenset({"integer"})),
    **dict.fromkeys(("float4", "float8"), frozenset({"float"})),
    **dict.fromkeys(("text", "varchar", "bpchar", "name", "uuid"), frozenset({"text"})),
    "numeric": frozenset({"decimal"}),
    "bool": frozenset({"boolean"}),
    "date": frozenset({"date"}),
    **dict.fromkeys(("timestamp", "timestamptz"), frozenset({"timestamp"})),
}
_SETTINGS = ("SET LOCAL datestyle = 'ISO, YMD'", "SET LOCAL timezone = 'UTC'", "SET LOCAL extra_float_digits = 1")


class PostgresExtract:
    def __init__(self, origin: Origin, query: str) -> None:
        self._held = ExitStack()
        self._asked = sql.SQL("({}) AS asked").format(sql.SQL(query.strip().rstrip(";")))  # the steward's own
        try:
            self._connection = self._held.enter_context(psycopg.connect(**_options(origin)))
            self._connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            self._connection.read_only = True
            with self._connection.cursor() as cursor:
                for setting in _SETTINGS:
                    cursor.execute(setting)
                # Sent with parameters to be bound, so as one statement: a query cannot close the parenthesis and say something else.
                cursor.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(self._asked), prepare=True)
                self.fields = tuple(self._field(column) for column in cursor.description or ())
        except psycopg.Error as error:
            self._held.close()
            raise ExtractFailed(_said(error)) from None

    def _field(self, column: Any) -> Field:
        known = self._connection.adapters.types.get(column.type_code)
        name = known.name if known is not None else f"type {column.type_code}"
        return Field(column.name, KINDS.get(name, frozenset()), name)

    def batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        by_name = {field.name: field for field in self.fields}
        chosen = [_as_text(by_name[name]) for name in columns]
        command = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT (FORMAT csv, HEADER false, ENCODING 'UTF8')").format(
            sql.SQL(", ").join(chosen), self._asked
        )
        kinds = {name: pa.float64() if "float" in by_name[name].kinds else pa.string() for name in columns}
        code = ""
        try:
            with self._connection.cursor() as cursor, cursor.copy(command) as copy:
                blocks = _Blocks(iter(copy))
                if blocks.any():
                    with csv.open_csv(
                        pa.PythonFile(io.BufferedReader(blocks, _BLOCK_BYTES), mode="r"),
                        read_options=csv.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES, column_names=columns),
                        parse_options=csv.ParseOptions(newlines_in_values=True),
                        convert_options=csv.ConvertOptions(
                            column_types=kinds, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False
                        ),
                    ) as reader:
                        yield from reader
            return
        except psycopg.Error as error:
            code = error.sqlstate or "connection lost"
        except pa.ArrowException:
            code = "unreadable"
        raise ExtractFailed(code)  # outside: what was caught may quote rows

    def __enter__(self) -> PostgresExtract:
        return self

    def __exit__(self, *error: object) -> None:
        with suppress(psycopg.Error):
            self._connection.rollback()
        self._held.close()


class _Blocks(io.RawIOBase):
    """What COPY sends, as a file."""

    def __init__(self, blocks: Iterator[Any]) -> None:
        self._blocks, self._left = blocks, memoryview(b"")

    def any(self) -> bool:
        """Whether there is anything to read at all."""
        while not self._left:
            block = next(self._blocks, None)
            if block is None:
                return False
            self._left = memoryview(block)
        return True

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self.any():
            return 0
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


def _as_text(field: Field) -> sql.Composable:
    """Moments without their zone, which is UTC by then."""
    name = sql.Identifier(field.name)
    return sql.SQL("{} AT TIME ZONE 'UTC'").format(name) if field.type == "timestamptz" else name


def _options(origin: Origin) -> dict[str, Any]:
    tls = origin.tls
    verified = {"sslmode": "verify-full", "sslrootcert": str(tls.ca) if tls.ca else "system"}
    options: dict[str, Any] = {"sslmode": "disable"} if tls.mode == "off" or origin.local else verified
    if tls.certificate is not None and tls.key is not None and tls.mode != "off":
        options |= {"sslcert": str(tls.certificate), "sslkey": str(tls.key)}
    return options | {
        "host": origin.host,
        "port": origin.port,
        "dbname": origin.database,
        "user": origin.user,
        "password": origin.password or None,
        "connect_timeout": _CONNECT_S,
        "application_name": "yunei ingest",
        "client_encoding": "UTF8",
    }


def _said(error: psycopg.Error) -> str:
    """Of a connection or a query that no row was read for."""
    text = error.diag.message_primary or str(error)
    return " ".join(text.split())[:300]
