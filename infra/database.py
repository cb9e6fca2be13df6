"""The register's database: one engine, transactions that say whether they write, migrations that run themselves.

A commit is on disk before it is answered: SQLite in WAL mode with synchronous=FULL, PostgreSQL as it comes. Writers take turns from their
first statement on (SQLite: BEGIN IMMEDIATE; PostgreSQL: one advisory lock), so two never discover at commit that both meant to write, and
no two can wait for each other. Readers see one state of the database and wait for nobody. The code above is portable SQLAlchemy Core;
what differs by database is in this file.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError, InternalError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).with_name("migrations")
WRITES = "yunei_writes"
IDLE_S = 1.0
UNAVAILABLE = (OperationalError, InternalError, InterfaceError, PoolTimeout)
"""What is raised when the database cannot do now what it could do before: gone, full, read-only, held by another for too long."""
TURN = 8640  # the advisory lock of whoever writes to PostgreSQL


def open_engine(url: str, *, timeout_s: int = 30, scratch: bool = False) -> Engine:
    """An engine on `url`. A SQLite file is made with mode 0600 if need be. `scratch`: a throw-away file that need not survive a crash."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return _postgresql(parsed, timeout_s)
    if not parsed.database or parsed.database == ":memory:":
        raise ValueError("the register lives in a file: several connections must see the same tables")
    path = Path(parsed.database)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600, exist_ok=True)
    engine = create_engine(
        parsed, connect_args={"timeout": timeout_s}, pool_size=16, max_overflow=112, pool_timeout=timeout_s, hide_parameters=True
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # BEGIN is ours, below
        if not scratch:
            _write_ahead(connection, timeout_s)
        for pragma in (
            f"synchronous={'OFF' if scratch else 'FULL'}",
            "foreign_keys=ON",
            "trusted_schema=OFF",
            "cell_size_check=ON",
            *(("journal_mode=MEMORY", "cache_size=-32768") if scratch else ()),
        ):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get(WRITES) else "BEGIN")

    return engine


def _write_ahead(connection: sqlite3.Connection, timeout_s: int) -> None:
    """WAL mode, which stays with the file. Several processes may meet here on a new file: SQLite answers "locked" at once, not in time."""
    until = time.monotonic() + timeout_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
            return
        except sqlite3.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.01)


def _postgresql(url: URL, timeout_s: int) -> Engine:
    """READ COMMITTED for writers: what they read after they got their turn is the newest there is."""
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    options = f"-c lock_timeout={timeout_s}s -c idle_in_transaction_session_timeout={4 * timeout_s}s -c synchronous_commit=on"
    engine = create_engine(
        url,
        pool_size=16,
        max_overflow=48,
        pool_timeout=timeout_s,
        isolation_level="READ COMMITTED",
        hide_parameters=True,
        # psycopg prepares nothing of its own: when it forgets its statements it forgets all of a connection's, `infra.pipeline`'s too
        connect_args={"connect_timeout": timeout_s, "options": options, "prepare_threshold": None},
    )

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if connection.get_execution_options().get(WRITES):
            driver: Any = connection.connection.driver_connection
            turn, base = f"SELECT pg_advisory_xact_lock({TURN})", connection.dialect.loaded_dbapi.Error
            try:
                with driver.pipeline():  # BEGIN and the wait for the turn in one round trip
                    driver.execute(turn)
            except base as error:
                raise DBAPIError.instance(turn, None, error, base, hide_parameters=True, dialect=connection.dialect) from error

    @event.listens_for(engine, "checkin")
    def _returned(_connection: Any, record: Any) -> None:
        record.info["used"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _still_there(connection: Any, record: Any, _proxy: Any) -> None:
        """A connection that lay unused may have died: ask. One that was just used is believed."""
        if time.monotonic() - record.info.get("used", 0.0) > IDLE_S:
            try:
                connection.execute("SELECT 1")
                connection.rollback()
            except Exception as error:
                raise DisconnectionError from error

    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One consistent view. Nothing written here lasts."""
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.execution_options(isolation_level="REPEATABLE READ")
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One transaction, committed at the end, rolled back by any exception."""
    with engine.connect().execution_options(**{WRITES: True}) as connection, connection.begin():
        yield connection


def alive(connection: Connection) -> bool:
    """Whether the transaction that was begun on the connection is still open. SQLite undoes all of it when the disk is full."""
    if connection.closed or connection.invalidated:
        return False
    driver: Any = connection.connection.driver_connection
    return bool(driver.in_transaction) if connection.dialect.name == "sqlite" else driver.info.transaction_status.name in ("INTRANS", "INERROR")


class NewerSchema(Exception):
    """The tables were made by a later version of this program. `found`: their revision; `known`: the newest that this version has."""

    def __init__(self, found: str, known: str) -> None:
        super().__init__(f"{found} > {known}")
        self.found = found
        self.known = known


def migrate(engine: Engine) -> None:
    """Bring the schema up to date: all tables on an empty database, the missing steps on an older one, nothing on a current one.
    Several processes may start at once: one migrates, the others wait and find it done. Raises NewerSchema, having changed nothing."""
    if _revisions(engine) == [newest()]:
        return
    from alembic import command  # an eighth of a second, which a server on a schema that is up to date starts without
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    with writing(engine) as connection:
        config = _config(connection)
        scripts = ScriptDirectory.from_config(config)
        known = {script.revision for script in scripts.walk_revisions()}
        for found in MigrationContext.configure(connection).get_current_heads():
            if found not in known:
                raise NewerSchema(found, str(scripts.get_current_head()))
        command.upgrade(config, "head")


def newest() -> str:
    """The newest revision that this version has: scripts are numbered in the order in which they follow each other."""
    return max(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def _revisions(engine: Engine) -> list[str]:
    """What the tables say they are; nothing when there are none."""
    with reading(engine) as connection:
        try:
            return list(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars())
        except (OperationalError, ProgrammingError):
            return []


def _config(connection: Connection) -> Config:
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    return config


def insert_ignoring(connection: Connection, table: Any, *rows: dict[str, object]) -> None:
    """Insert each row, all of the same columns, unless a row with its key is already there. Several are one statement, run for each."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as postgresql_insert

        connection.execute(postgresql_insert(table).on_conflict_do_nothing(), rows)
    else:
        from sqlalchemy.dialects.sqlite import insert as sqlite_insert

        connection.execute(sqlite_insert(table).on_conflict_do_nothing(), rows)
