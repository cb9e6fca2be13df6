"""DuckDB behind the wall: one database in memory per process, able to reach nothing but the tables handed to it.

No file, network, extension, spill directory, secret or Python variable can be reached from SQL, and no setting can be changed any more.
Errors raised here quote data: whoever calls `query` on rows catches everything and says one constant thing.
"""

from __future__ import annotations

import atexit
import warnings
from collections.abc import Mapping
from functools import cache, lru_cache

import duckdb
import pyarrow as pa

AT_START = {
    "allow_community_extensions": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_persistent_secrets": "false",
    "python_enable_replacements": "false",  # else a table name in SQL could mean a Python variable
    "temp_directory": "",  # no spilling: nothing decrypted touches a disk
    "threads": "1",  # workers are one per core, and sums of one thread never race
}
THEN = (
    # A database in memory counts ":memory:" in the current folder as its own files and may read and write them, unless told not to.
    "SET allowed_paths=[]",
    "SET allowed_directories=[]",
    "SET enable_external_access=false",
    "SET disabled_filesystems='LocalFileSystem'",
    "SET lock_configuration=true",
)
warnings.filterwarnings("ignore", "Arrow output on a DB-API result", UserWarning)  # of a copy, which `select` puts up with
LONG = 8_192  # characters of a query that is not kept as parsed: long ones would fill a worker's memory, and take their time anyhow
MEMORY_BYTES = 2**30  # for hash tables, beside the tables handed over; past it a query fails instead of spilling


def locked_database(memory_bytes: int) -> duckdb.DuckDBPyConnection:
    """A new database in memory that reaches nothing; closed when the process ends."""
    database = duckdb.connect(":memory:", config=AT_START | {"memory_limit": f"{memory_bytes}B"})
    for setting in THEN:
        database.execute(setting)
    atexit.register(database.close)  # the binding complains on stderr about databases left open
    return database


@cache
def _database(memory_bytes: int) -> duckdb.DuckDBPyConnection:
    return locked_database(memory_bytes)  # opening costs 16-30 ms, a cursor on it half of one


def query(sql: str, tables: Mapping[str, pa.Table], parameters: Mapping[str, object] | None = None) -> pa.Table:
    """The answer of one SELECT over `tables`, which are visible by name for this call alone. Raises duckdb.Error, ValueError."""
    return select(_database(MEMORY_BYTES), sql, tables, parameters)


def select(
    database: duckdb.DuckDBPyConnection, sql: str, tables: Mapping[str, pa.Table], parameters: Mapping[str, object] | None = None
) -> pa.Table:
    """`query` in a database that `locked_database` made."""
    statement = _parsed(database, sql) if len(sql) > LONG else _parsed_once(database, sql)
    connection = database.cursor()
    try:
        for name, table in tables.items():
            connection.register(name, table)
        # A query may do without a parameter; DuckDB refuses one that it does not mention.
        used = {name: value for name, value in (parameters or {}).items() if name in statement.named_parameters}
        # A relation would be bound twice, and once more for parameters: half of the time that a small query takes.
        return connection.execute(statement, used or None).to_arrow_table()
    finally:
        connection.close()


def _parsed(database: duckdb.DuckDBPyConnection, sql: str) -> duckdb.Statement:
    """One SELECT, parsed. It is bound anew each time that it is run, to the tables of that time."""
    connection = database.cursor()
    try:
        statements = connection.extract_statements(sql)
    finally:
        connection.close()
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise ValueError("one SELECT at a time")
    return statements[0]


# A quarter of what a small query takes is its parsing, and a job's last query is run twice.
_parsed_once = lru_cache(maxsize=64)(_parsed)
