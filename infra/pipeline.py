"""Many statements in one round trip to PostgreSQL: libpq's pipeline mode, statements prepared once per connection.

psycopg's cursors cost more in Python than these statements cost the database; here a statement is its name and its values. It works on the
connection's open transaction. Values are int, str, bool, bytes or None; results come back as those (and Decimal for numeric).
"""

from __future__ import annotations

import re
import select
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import pq
from psycopg.errors import error_from_result

_PLACE = re.compile(r"%\((\w+)\)s|%%")
_TEXT, _BINARY = 0, 1
_INTEGERS, _BOOL, _BYTES, _NUMERIC = frozenset({20, 21, 23}), 16, 17, 1700  # type OIDs of PostgreSQL's catalogue


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one statement did: how many rows it changed or found, and those it found."""

    count: int
    rows: list[tuple[Any, ...]]


class Failed(Exception):
    """Statement number `at` failed; those after it were not run. `error` is psycopg's."""

    def __init__(self, at: int, error: psycopg.Error) -> None:
        super().__init__(str(at))
        self.at = at
        self.error = error


class Pipeline:
    """Of one connection of psycopg, for as long as that lives."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._prepared: dict[str, tuple[bytes, tuple[str, ...]]] = {}

    def run(self, statements: Sequence[tuple[str, Mapping[str, Any] | None]]) -> list[Outcome]:
        """Each SQL, with psycopg's named places, and its values; in order. Raises Failed, or psycopg's error when the connection is gone."""
        ready = [(*self._prepare(sql), values or {}) for sql, values in statements]
        pgconn = self._connection.pgconn
        try:
            pgconn.enter_pipeline_mode()
            for name, order, values in ready:
                given = [_spell(values[each]) for each in order]
                formats = [_BINARY if isinstance(values[each], bytes) else _TEXT for each in order]
                pgconn.send_query_prepared(name, given, formats)
            pgconn.pipeline_sync()
            found = self._collect(len(ready))
            pgconn.exit_pipeline_mode()
        except BaseException as error:
            if pgconn.pipeline_status != pq.PipelineStatus.OFF:
                self._connection.close()  # answers may still be under way: nobody can use it again
            if isinstance(error, psycopg.Error):
                raise _told(error) from error
            raise
        for at, result in enumerate(found):
            if result.status not in (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK):
                raise Failed(at, _told(error_from_result(result)))
        return [_outcome(result) for result in found]

    def _prepare(self, sql: str) -> tuple[bytes, tuple[str, ...]]:
        known = self._prepared.get(sql)
        if known is None:
            order: list[str] = []

            def place(found: re.Match[str]) -> str:
                if found.group() == "%%":
                    return "%"
                if found.group(1) not in order:
                    order.append(found.group(1))
                return f"${order.index(found.group(1)) + 1}"

            name = f"yunei_{len(self._prepared)}".encode()
            result = self._connection.pgconn.prepare(name, _PLACE.sub(place, sql).encode())
            if result.status != pq.ExecStatus.COMMAND_OK:
                raise _told(error_from_result(result))
            known = self._prepared[sql] = (name, tuple(order))
        return known

    def _collect(self, count: int) -> list[pq.abc.PGresult]:
        """The result of each statement, while the rest is still being sent."""
        pgconn = self._connection.pgconn
        found: list[pq.abc.PGresult] = []
        sending = pgconn.flush() != 0
        while len(found) < count + 1:
            while pgconn.is_busy():
                _, writable, _ = select.select([pgconn.socket], [pgconn.socket] if sending else [], [])
                if writable:
                    sending = pgconn.flush() != 0
                pgconn.consume_input()
            result = pgconn.get_result()
            if result is None:  # the end of one statement's results
                continue
            found.append(result)
        if found[-1].status != pq.ExecStatus.PIPELINE_SYNC:
            raise psycopg.OperationalError("the server's answers are out of step")
        return found[:count]


def _told(error: psycopg.Error) -> psycopg.Error:
    """A server's errors carry an SQLSTATE; one without is libpq's way to say that the connection is gone."""
    return error if error.sqlstate is not None else psycopg.OperationalError(str(error))


def _spell(value: Any) -> bytes | None:
    if value is None or isinstance(value, bytes):
        return value
    if isinstance(value, bool):
        return b"t" if value else b"f"
    if isinstance(value, int | str):
        return str(value).encode()
    raise TypeError(f"no value for a statement: {type(value).__name__}")


def _outcome(result: pq.abc.PGresult) -> Outcome:
    if result.status == pq.ExecStatus.COMMAND_OK:
        return Outcome(result.command_tuples or 0, [])
    types = [result.ftype(column) for column in range(result.nfields)]
    rows = [tuple(_read(result.get_value(row, column), kind) for column, kind in enumerate(types)) for row in range(result.ntuples)]
    return Outcome(len(rows), rows)


def _read(value: bytes | None, kind: int) -> Any:
    if value is None:
        return None
    if kind in _INTEGERS:
        return int(value)
    if kind == _BYTES:
        return bytes.fromhex(value[2:].decode())
    if kind == _BOOL:
        return value == b"t"
    return Decimal(value.decode()) if kind == _NUMERIC else value.decode()
