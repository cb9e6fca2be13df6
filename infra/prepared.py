"""Statements compiled once and run often: what every event costs is what the database does, not what it takes to say it.

A `Prepared` is a portable SQLAlchemy statement whose values are all given when it runs. `Writer` runs such statements on one open
transaction through the driver itself. Errors are SQLAlchemy's own, without the values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NoReturn

from sqlalchemy import CompoundSelect, Connection, Delete, Dialect, Executable, Insert, Row, Select, Table, Update
from sqlalchemy.exc import DBAPIError

if TYPE_CHECKING:
    from infra.pipeline import Outcome, Pipeline

Statement = Insert | Update | Delete | Select[*tuple[Any, ...]] | CompoundSelect[*tuple[Any, ...]]
Values = Mapping[str, Any]


class Prepared:
    """`names`: the columns an INSERT or UPDATE sets from values; bound parameters of the statement are named by themselves. Plain values in
    the statement stay what they are."""

    def __init__(self, statement: Statement | Callable[[str], Statement], names: Sequence[str] | None = None) -> None:
        """`statement`: or what says it to a dialect of that name, for one that each dialect has its own words for."""
        self._statement = statement
        self._names = None if names is None else list(names)
        self._compiled: dict[str, tuple[str, Callable[[Values], Any]]] = {}

    def on(self, dialect: Dialect) -> tuple[str, Callable[[Values], Any]]:
        """The SQL, and what makes of values by name that which the driver is handed: a mapping, or a tuple where it wants positions."""
        found = self._compiled.get(dialect.name)
        if found is None:
            statement = self._statement if isinstance(self._statement, Executable) else self._statement(dialect.name)
            assert isinstance(statement, Executable)
            compiled: Any = statement.compile(dialect=dialect, column_keys=self._names)
            constants = {name: bind.value for name, bind in compiled.binds.items() if bind.value is not None}
            order = tuple(compiled.positiontup) if compiled.positional else None
            found = self._compiled[dialect.name] = (str(compiled), _given(constants, order))
        return found


def _given(constants: Values, order: tuple[str, ...] | None) -> Callable[[Values], Any]:
    if order is None:
        return (lambda given: {**constants, **given}) if constants else (lambda given: given)
    if len(order) < 2:
        return lambda given: tuple(given[name] if name in given else constants[name] for name in order)
    picked = itemgetter(*order)
    return (lambda given: picked({**constants, **given})) if constants else picked


def adding(table: Table, rows: Select[*tuple[Any, ...]], sums: Sequence[str]) -> Prepared:
    """Put `rows` (the table's columns in its order) in; where a row with the key is there, add theirs to its `sums`. The query needs a WHERE
    clause of its own, without which SQLite would take ON CONFLICT for a join's."""
    names = [column.name for column in table.columns]
    key = [column.name for column in table.primary_key]

    def said(dialect: str) -> Statement:
        own = import_module(f"sqlalchemy.dialects.{dialect}")  # PostgreSQL's comes with all of its drivers: only where it is spoken
        insert: Any = own.insert(table).from_select(names, rows)
        adds: Statement = insert.on_conflict_do_update(index_elements=key, set_={name: table.c[name] + insert.excluded[name] for name in sums})
        return adds

    return Prepared(said)


def fetch(connection: Connection, statement: Prepared, values: Values) -> Sequence[Row[*tuple[Any, ...]]]:
    """All rows of a query, with what the driver makes of them, in the connection's transaction: for questions that every job asks, and none
    of which needs a statement made anew. Booleans are 0 and 1 on SQLite."""
    sql, given = statement.on(connection.dialect)
    return connection.exec_driver_sql(sql, given(values)).all()


Failure = Callable[[], Exception]


@dataclass(frozen=True, slots=True)
class _Later:
    """A statement that was said and not yet sent."""

    sql: Any
    values: Any
    count: int | None
    failure: Failure | None


class Writer:
    """The transaction open on `connection`. Valid as long as that is.

    On PostgreSQL each statement costs a round trip, so those whose outcome nobody needs at once (`later`) are kept back and sent together,
    in order, with the next one whose outcome is needed (libpq's pipeline mode). SQLite is told everything at once. Whoever reads by another
    way than this object calls `flush` first.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._dialect = connection.dialect
        self._refusal: Any = connection.dialect.loaded_dbapi.IntegrityError  # a constraint says no
        self._pipeline: Pipeline | None = None
        self._cursor: Any = None
        if connection.dialect.driver == "psycopg":
            from infra.pipeline import Pipeline  # its library where there is that database

            driver: Any = connection.connection.driver_connection
            self._pipeline = connection.connection.info.setdefault("pipeline", Pipeline(driver))
        else:
            self._cursor = connection.connection.cursor()
        self._waiting: list[_Later] = []
        self._spoiled = False

    def later(self, statement: Prepared, values: Values, count: int | None, failure: Failure) -> None:
        """Run it before anything that comes after. `failure` is raised, here or by a later call, when it changes another number of rows than
        `count` (None: any), or breaks a constraint."""
        sql, given = statement.on(self._dialect)
        if self._pipeline is not None:
            self._waiting.append(_Later(sql, given(values), count, failure))
            return
        try:
            self._cursor.execute(sql, given(values))
        except self._refusal as error:
            raise failure() from error
        except Exception as error:
            self._raise(sql, error)
        if count is not None and self._cursor.rowcount != count:
            raise failure()

    def mark(self, sql: str) -> None:
        """Begin a piece of work that can be undone alone: `sql` sets a savepoint."""
        self._spoiled = False
        if self._pipeline is None:
            try:
                self._cursor.execute(sql)
            except Exception as error:
                self._raise(sql, error)
        else:
            self._waiting.append(_Later(sql, None, None, None))

    def discard(self) -> None:
        """The piece of work failed and will be undone: forget what was not sent, but for the savepoint itself."""
        waiting, self._waiting = self._waiting, []
        self._spoiled = False
        for each in waiting:
            if each.values is None:
                with suppress(Exception):  # the connection is gone, and the work with it
                    self._send([each])

    def flush(self) -> None:
        """Send what was kept back, and look at what came of it."""
        if self._spoiled:
            raise RuntimeError("a statement of this piece of work failed; it cannot be committed")
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            self._send(waiting)

    def _send(self, statements: Sequence[_Later]) -> list[Outcome]:
        from infra.pipeline import Failed

        assert self._pipeline is not None
        try:
            outcomes = self._pipeline.run([(each.sql, each.values) for each in statements])
        except Failed as failed:
            self._spoiled = True
            at = statements[failed.at]
            if at.failure is not None and isinstance(failed.error, self._refusal):
                raise at.failure() from failed.error
            self._raise(at.sql, failed.error)
        except Exception as error:
            self._spoiled = True
            self._raise(statements[0].sql, error)
        for each, outcome in zip(statements, outcomes, strict=True):
            if each.count is not None and each.failure is not None and outcome.count != each.count:
                self._spoiled = True
                raise each.failure()
        return outcomes

    def _ask(self, statement: Prepared, values: Values) -> Outcome:
        """Run it, after all that waits, in one round trip."""
        if self._spoiled:
            self.flush()
        sql, given = statement.on(self._dialect)
        waiting, self._waiting = self._waiting, []
        return self._send([*waiting, _Later(sql, given(values), None, None)])[-1]

    def run(self, statement: Prepared, values: Values) -> int:
        """How many rows it changed."""
        if self._pipeline is not None:
            return self._ask(statement, values).count
        self._execute(statement, values)
        return int(self._cursor.rowcount)

    def later_many(self, statement: Prepared, rows: Sequence[Values]) -> None:
        """Run it for each row of values, before anything that comes after."""
        if self._pipeline is not None:
            sql, given = statement.on(self._dialect)
            self._waiting += [_Later(sql, given(row), None, None) for row in rows]
        elif len(rows) == 1:
            self._execute(statement, rows[0])
        else:
            sql, given = statement.on(self._dialect)
            try:
                self._cursor.executemany(sql, [given(row) for row in rows])
            except Exception as error:
                self._raise(sql, error)

    def rows(self, statement: Prepared, values: Values) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        if self._pipeline is not None:
            return self._ask(statement, values).rows
        self._execute(statement, values)
        try:
            return list(self._cursor.fetchall())
        except Exception as error:
            self._raise(statement.on(self._dialect)[0], error)

    def row(self, statement: Prepared, values: Values) -> tuple[Any, ...] | None:
        """The first row of a query, if any."""
        return next(iter(self.rows(statement, values)), None)

    def several(self, *questions: tuple[Prepared, Values]) -> list[list[tuple[Any, ...]]]:
        """The rows of each of several queries, none of which needs another's answer: one round trip."""
        if self._pipeline is None:
            return [self.rows(statement, values) for statement, values in questions]
        if self._spoiled:
            self.flush()
        waiting, self._waiting = self._waiting, []
        asked = [(statement.on(self._dialect), values) for statement, values in questions]
        outcomes = self._send([*waiting, *(_Later(sql, given(values), None, None) for (sql, given), values in asked)])
        return [outcome.rows for outcome in outcomes[len(waiting) :]]

    def _execute(self, statement: Prepared, values: Values) -> None:
        sql, given = statement.on(self._dialect)
        try:
            self._cursor.execute(sql, given(values))
        except Exception as error:
            self._raise(sql, error)

    def _raise(self, sql: str, error: Exception) -> NoReturn:
        base = self._dialect.loaded_dbapi.Error
        if isinstance(error, base):
            raise DBAPIError.instance(sql, None, error, base, hide_parameters=True, dialect=self._dialect) from error
        raise error
