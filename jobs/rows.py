"""Rows of the projected tables: adding one, moving one from state to state, and the error when the tables do not admit it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache, partial
from typing import Any

from sqlalchemy import Table, bindparam, insert, literal_column, or_, update

from infra.prepared import Prepared, Writer


class DoesNotFit(Exception):
    """The tables do not admit this event. `table` and `key` say where."""

    def __init__(self, table: str, key: str) -> None:
        super().__init__(f"{table} {key}")
        self.table = table
        self.key = key


@cache
def insertion(table: Table) -> Prepared:
    return Prepared(insert(table))


@cache
def _blank(table: Table) -> dict[str, None]:
    return {column.name: None for column in table.columns}


def add(writer: Writer, table: Table, **row: object) -> None:
    """Insert one row; columns not named are NULL."""
    writer.later(insertion(table), {**_blank(table), **row}, None, partial(DoesNotFit, table.name, "constraint"))


@cache
def _motion(table: Table, states: tuple[str, ...], names: tuple[str, ...]) -> Prepared:
    state = table.c.status if "status" in table.c else table.c.state
    stamped: dict[Any, Any] = {table.c.changed_at: bindparam("at_")} if "changed_at" in table.c else {}
    return Prepared(
        update(table)
        .where(next(iter(table.primary_key)) == bindparam("key_"), or_(*(state == literal_column(f"'{each}'") for each in states)))
        .values({state: bindparam("to_"), **stamped, **{table.c[name]: bindparam(f"new_{name}") for name in names}})
    )


def move(writer: Writer, table: Table, key: str, states: Iterable[str], to: str, at: str, **values: object) -> None:
    """Move a row from one of `states` to another; DoesNotFit, at the latest when the transaction ends, when it is in none of them."""
    moved: dict[str, object] = {"key_": key, "to_": to, "at_": at}
    for name, value in values.items():
        moved[f"new_{name}"] = value
    writer.later(_motion(table, tuple(states), tuple(values)), moved, 1, partial(DoesNotFit, table.name, key))
