"""The register's database: one engine, transactions that say whether they write, migrations that run themselves.

SQLite in WAL mode with synchronous=FULL: a commit is on disk before it is answered. Writers begin IMMEDIATE, so two never discover at
commit that both meant to write. The code above is portable SQLAlchemy Core; what differs by database is in this file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text

WRITES = "yunei_writes"


def open_engine(url: str, *, timeout_s: int = 30, scratch: bool = False) -> Engine:
    """An engine on `url`. A SQLite file is made with mode 0600 if need be. `scratch`: a throw-away file that need not survive a crash."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(parsed, pool_pre_ping=True, pool_size=16, max_overflow=48, isolation_level="READ COMMITTED")
    if not parsed.database or parsed.database == ":memory:":
        raise ValueError("the register lives in a file: several connections must see the same tables")
    path = Path(parsed.database)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600, exist_ok=True)
    engine = create_engine(parsed, connect_args={"timeout": timeout_s}, pool_size=16, max_overflow=112, pool_timeout=timeout_s)

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # BEGIN is ours, below
        for pragma in (
            "journal_mode=WAL",
            f"synchronous={'OFF' if scratch else 'FULL'}",
            "foreign_keys=ON",
            "trusted_schema=OFF",
            "cell_size_check=ON",
        ):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get(WRITES) else "BEGIN")

    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One consistent view. Nothing written here lasts."""
    with engine.connect() as connection:
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One transaction, committed at the end, rolled back by any exception."""
    with engine.connect().execution_options(**{WRITES: True}) as connection, connection.begin():
        yield connection


def migrate(engine: Engine) -> None:
    """Bring the schema up to date: all tables on an empty database, the missing steps on an older one, nothing on a current one.
    Several processes may start at once: one migrates, the others wait and find it done."""
    with writing(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(8640)"))
        command.upgrade(_config(connection), "head")


def _config(connection: Connection) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.set_main_option("path_separator", "os")
    return config


def insert_ignoring(connection: Connection, table: Any, values: dict[str, object]) -> None:
    """Insert one row unless a row with its key is already there."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as postgresql_insert

        connection.execute(postgresql_insert(table).values(values).on_conflict_do_nothing())
    else:
        from sqlalchemy.dialects.sqlite import insert as sqlite_insert

        connection.execute(sqlite_insert(table).values(values).on_conflict_do_nothing())
