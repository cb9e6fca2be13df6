"""A whole register from one database into another, whichever kind each is: for backups of PostgreSQL, and for moving house."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Engine, Table, delete, exists, insert, inspect, select

from infra.database import migrate, reading, writing
from infra.tables import entries, metadata

ROWS_AT_ONCE = 2_000


def occupied(engine: Engine) -> bool:
    """Whether a register lives in the database already: one entry, or more. An empty schema is not one."""
    if not inspect(engine).has_table("entries"):
        return False
    with reading(engine) as connection:
        return bool(connection.execute(select(exists(select(entries.c.position)))).scalar_one())


def transfer(source: Engine, target: Engine) -> int:
    """Copy every table as of one moment, in one transaction of the target, whose schema is made first. Returns the number of rows.

    The source is at the newest schema (`migrate`); writers there are not held up. ValueError when the target holds a register.
    """
    migrate(target)
    if occupied(target):
        raise ValueError("the target database holds a register")
    copied = 0
    with reading(source) as origin, writing(target) as into:
        for table in reversed(metadata.sorted_tables):  # what the schema was made with, such as the head of an empty log
            into.execute(delete(table))
        for table in metadata.sorted_tables:  # referenced tables first
            for rows in _chunks(origin, table):
                into.execute(insert(table), rows)
                copied += len(rows)
    return copied


def _chunks(connection: Any, table: Table) -> Iterator[list[dict[str, Any]]]:
    found = connection.execution_options(stream_results=True).execute(select(table).order_by(*table.primary_key.columns))
    for rows in found.mappings().partitions(ROWS_AT_ONCE):
        yield [dict(row) for row in rows]
