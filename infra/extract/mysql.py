"""MySQL and MariaDB by an unbuffered cursor: the server's text, a batch of rows at a time.

START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY under REPEATABLE READ: one snapshot of all InnoDB tables (MySQL reference manual,
15.3.1 and 17.7.2.3). Tables of engines without transactions have no snapshot: that is theirs to change.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pyarrow as pa
import pymysql
from pymysql.constants import FIELD_TYPE
from pymysql.converters import encoders
from pymysql.cursors import SSCursor

from infra.extract.base import BATCH_ROWS, ExtractFailed, Field, Origin

_CONNECT_S = 20
_BINARY = 63  # the character set of bytes that are no text
KINDS: dict[int, tuple[str, frozenset[str]]] = {
    FIELD_TYPE.TINY: ("tinyint", frozenset({"integer", "boolean"})),  # BOOLEAN is TINYINT(1) there
    FIELD_TYPE.SHORT: ("smallint", frozenset({"integer"})),
    FIELD_TYPE.INT24: ("mediumint", frozenset({"integer"})),
    FIELD_TYPE.LONG: ("int", frozenset({"integer"})),
    FIELD_TYPE.LONGLONG: ("bigint", frozenset({"integer"})),
    FIELD_TYPE.YEAR: ("year", frozenset({"integer"})),
    FIELD_TYPE.FLOAT: ("float", frozenset({"float"})),
    FIELD_TYPE.DOUBLE: ("double", frozenset({"float"})),
    FIELD_TYPE.DECIMAL: ("decimal", frozenset({"decimal"})),
    FIELD_TYPE.NEWDECIMAL: ("decimal", frozenset({"decimal"})),
    FIELD_TYPE.VARCHAR: ("varchar", frozenset({"text"})),
    FIELD_TYPE.VAR_STRING: ("varchar", frozenset({"text"})),
    FIELD_TYPE.STRING: ("char", frozenset({"text"})),
    FIELD_TYPE.BLOB: ("text", frozenset({"text"})),  # TEXT and BLOB are one on the wire, told apart by their character set
    FIELD_TYPE.DATE: ("date", frozenset({"date"})),
    FIELD_TYPE.DATETIME: ("datetime", frozenset({"timestamp"})),
    FIELD_TYPE.TIMESTAMP: ("timestamp", frozenset({"timestamp"})),
}
_START = (
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "SET SESSION time_zone = '+00:00'",
    "SET SESSION net_write_timeout = 3600",  # the server waits while we encrypt
    "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
)


class MySqlExtract:
    def __init__(self, origin: Origin, query: str) -> None:
        self._asked = f"({query.strip().rstrip(';')}\n) AS asked"
        reason = ""
        try:
            self._connection = pymysql.connect(**_options(origin))
        except (pymysql.Error, OSError, RuntimeError) as error:
            reason = _said(error)
        if reason:
            raise ExtractFailed(reason)
        try:
            with self._connection.cursor() as cursor:
                for statement in _START:
                    cursor.execute(statement)
            with self._connection.cursor() as cursor:
                cursor.execute(f"SELECT * FROM {self._asked} LIMIT 0")
                found = cursor._result.fields if cursor._result is not None else []  # the description leaves the character set out
                self.fields = tuple(_field(column) for column in found)
        except (pymysql.Error, OSError) as error:
            self._connection.close()
            reason = _said(error)
        if reason:
            raise ExtractFailed(reason)

    def batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        by_name = {field.name: field for field in self.fields}
        floats = [name for name in columns if "float" in by_name[name].kinds]
        chosen = ", ".join(_quoted(name) for name in columns)
        code, cursor = "", self._connection.cursor(SSCursor)
        try:
            cursor.execute(f"SELECT {chosen} FROM {self._asked}")
            while rows := cursor.fetchmany(BATCH_ROWS):
                arrays = [pa.array(values, pa.string()) for values in zip(*rows, strict=True)]
                yield pa.RecordBatch.from_arrays(
                    [array.cast(pa.float64()) if name in floats else array for name, array in zip(columns, arrays, strict=True)],
                    names=columns,
                )
            return
        except pymysql.Error as error:
            code = str(error.args[0]) if error.args and isinstance(error.args[0], int) else "connection lost"
        except OSError:
            code = "connection lost"
        except (pa.ArrowException, UnicodeError):
            code = "unreadable"
        finally:
            cursor.connection = None  # closing it would read all rows that are left
        raise ExtractFailed(code)  # outside: what was caught may quote rows

    def __enter__(self) -> MySqlExtract:
        return self

    def __exit__(self, *error: object) -> None:
        with suppress(pymysql.Error, OSError):
            if self._connection._rfile is not None:
                self._connection._rfile.close()  # it holds the socket open otherwise
            self._connection._force_close()  # an orderly goodbye would read what is left of the rows first


def _field(column: Any) -> Field:
    name, kinds = KINDS.get(column.type_code, (f"type {column.type_code}", frozenset()))
    if kinds == {"text"} and column.charsetnr == _BINARY:
        name, kinds = "binary", frozenset()
    return Field(column.name, kinds, name)


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _options(origin: Origin) -> dict[str, Any]:
    context = None if origin.local else _context(origin)
    where = {"unix_socket": origin.host} if origin.local else {"host": origin.host, "port": origin.port}
    guard = {"ssl_disabled": True} if context is None else {"ssl": context}  # without either it would take TLS from whoever offers it
    return (
        where
        | guard
        | {
            "user": origin.user,
            "password": origin.password,
            "database": origin.database,
            "charset": "utf8mb4",
            "connect_timeout": _CONNECT_S,
            "local_infile": False,
            "conv": encoders,  # no decoder: every value as the server's text
            "program_name": "yunei ingest",
        }
    )


def _context(origin: Origin) -> ssl.SSLContext | None:
    """A context that checks chain and name. PyMySQL refuses to go on when the server offers no TLS but a context was given."""
    tls = origin.tls
    if tls.mode == "off":
        return None
    context = ssl.create_default_context(cafile=None if tls.ca is None else str(tls.ca))
    if tls.certificate is not None:
        context.load_cert_chain(tls.certificate, tls.key)
    return context


def _said(error: BaseException) -> str:
    """Of a connection or a query that no row was read for."""
    return " ".join(str(error.args[-1] if error.args else type(error).__name__).split())[:300]
