"""Statements compiled once and run often: what every event costs is what the database does, not what it takes to say it.

A `Prepared` is a portable SQLAlchemy statement whose values are all given when it runs. `Writer` runs such statements on one open
transaction through the driver itself. Errors are SQLAlchemy's own, without the values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from sqlalchemy import Connection, Delete, Dialect, Executable, Insert, Select, Update
from sqlalchemy.exc import DBAPIError

Statement = Insert | Update | Delete | Select[Any]
Values = Mapping[str, Any]


class Prepared:
    """`names`: the columns an INSERT or UPDATE sets from values; bound parameters of the statement are named by themselves. Plain values in
    the statement stay what they are."""

    def __init__(self, statement: Statement, names: Sequence[str] | None = None) -> None:
        self._statement = statement
        self._names = None if names is None else list(names)
        self._compiled: dict[str, tuple[str, tuple[str, ...] | None]] = {}
        self._constants: dict[str, Any] = {}

    def on(self, dialect: Dialect) -> tuple[str, tuple[str, ...] | None]:
        """The SQL, and for a driver that wants positions the order of the values."""
        found = self._compiled.get(dialect.name)
        if found is None:
            assert isinstance(self._statement, Executable)
            compiled: Any = self._statement.compile(dialect=dialect, column_keys=self._names)
            self._constants |= {name: bind.value for name, bind in compiled.binds.items() if bind.value is not None}
            found = self._compiled[dialect.name] = (str(compiled), tuple(compiled.positiontup) if compiled.positional else None)
        return found

    def values(self, order: tuple[str, ...] | None, given: Values) -> Any:
        """What the driver is handed for the SQL that `on` gave."""
        whole = {**self._constants, **given} if self._constants else given
        return whole if order is None else [whole[name] for name in order]


class Writer:
    """The transaction open on `connection`. Valid as long as that is."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._dialect = connection.dialect
        self._cursor: Any = connection.connection.cursor()

    def run(self, statement: Prepared, values: Values) -> int:
        """How many rows it changed."""
        sql, order = statement.on(self._dialect)
        try:
            self._cursor.execute(sql, statement.values(order, values))
        except Exception as error:
            self._raise(sql, error)
        return int(self._cursor.rowcount)

    def run_many(self, statement: Prepared, rows: Sequence[Values]) -> int:
        """How many rows all of them changed together."""
        if len(rows) == 1:
            return self.run(statement, rows[0])
        sql, order = statement.on(self._dialect)
        try:
            self._cursor.executemany(sql, [statement.values(order, row) for row in rows])
        except Exception as error:
            self._raise(sql, error)
        return int(self._cursor.rowcount)

    def rows(self, statement: Prepared, values: Values) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        sql, order = statement.on(self._dialect)
        try:
            self._cursor.execute(sql, statement.values(order, values))
            return list(self._cursor.fetchall())
        except Exception as error:
            self._raise(sql, error)

    def row(self, statement: Prepared, values: Values) -> tuple[Any, ...] | None:
        """The first row of a query, if any."""
        return next(iter(self.rows(statement, values)), None)

    def _raise(self, sql: str, error: Exception) -> NoReturn:
        base = self._dialect.loaded_dbapi.Error
        if isinstance(error, base):
            raise DBAPIError.instance(sql, None, error, base, hide_parameters=True, dialect=self._dialect) from error
        raise error
