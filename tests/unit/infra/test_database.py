"""The register's database: settings that make a commit last, migrations that agree with the tables."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, insert, select
from sqlalchemy.exc import IntegrityError, OperationalError

from infra.database import migrate, newest, open_engine, reading, writing
from infra.tables import accounts, log_head, metadata, principals
from tests.postgres import Postgres

PERSON = {"id": "p", "role": "operator", "title_zh": "甲", "title_en": "a", "status": "active", "registered_at": "2026-01-01T00:00:00.000000Z"}


def engine_in(folder: Path) -> Engine:
    return open_engine(f"sqlite:///{folder}/register.db")


def test_a_commit_is_on_disk_when_it_returns(tmp_path: Path) -> None:
    with reading(engine_in(tmp_path)) as connection:
        pragmas = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in ("journal_mode", "synchronous", "foreign_keys")}
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    assert (tmp_path / "register.db").stat().st_mode & 0o777 == 0o600


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind: without a table."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'register.db'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.database()


@pytest.fixture
def engine(empty_url: str) -> Iterator[Engine]:
    engine = open_engine(empty_url, timeout_s=1)
    yield engine
    engine.dispose()


def test_migrations_lead_to_the_tables_of_the_code(engine: Engine) -> None:
    migrate(engine)
    with reading(engine) as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_a_schema_that_is_up_to_date_is_the_one_all_scripts_lead_to(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is known by the number of the newest script alone."""
    migrate(engine)
    with reading(engine) as connection:
        assert MigrationContext.configure(connection).get_current_heads() == (newest(),)
    monkeypatch.setattr("infra.database._config", lambda _connection: pytest.fail("scripts are read again"))
    migrate(engine)


def test_a_commit_to_postgresql_waits_for_its_log(postgres: Postgres) -> None:
    engine = open_engine(postgres.database())
    with writing(engine) as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar_one() == "on"
    engine.dispose()


def test_a_reader_sees_one_state_of_the_database(engine: Engine) -> None:
    migrate(engine)
    with reading(engine) as connection:
        assert connection.execute(select(principals.c.id)).all() == []
        with writing(engine) as writer:
            writer.execute(insert(principals).values(PERSON))
        assert connection.execute(select(principals.c.id)).all() == []
    with reading(engine) as connection:
        assert connection.execute(select(principals.c.id)).all() == [("p",)]


def test_migrating_again_keeps_what_is_there(engine: Engine) -> None:
    migrate(engine)
    with writing(engine) as connection:
        connection.execute(insert(principals).values(PERSON))
    migrate(engine)
    with reading(engine) as connection:
        assert connection.execute(select(principals.c.id)).all() == [("p",)]
        assert connection.execute(select(log_head.c.size)).scalar_one() == 0


def test_servers_that_start_together_migrate_once(empty_url: str) -> None:
    barrier, errors = threading.Barrier(4), []

    def start() -> None:
        engine = open_engine(empty_url)
        barrier.wait()
        try:
            migrate(engine)
        except Exception as error:
            errors.append(error)
        engine.dispose()

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_an_exception_undoes_the_whole_transaction(engine: Engine) -> None:
    migrate(engine)

    def fail() -> None:
        with writing(engine) as connection:
            connection.execute(insert(principals).values(PERSON))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with reading(engine) as connection:
        assert connection.execute(select(principals)).all() == []


def test_reading_leaves_nothing_behind(engine: Engine) -> None:
    migrate(engine)
    with reading(engine) as connection:
        connection.execute(insert(principals).values(PERSON))
    with reading(engine) as connection:
        assert connection.execute(select(principals)).all() == []


def test_a_second_writer_waits_its_turn_and_gives_up_in_time(engine: Engine) -> None:
    migrate(engine)
    with writing(engine), pytest.raises(OperationalError, match="lock"), writing(engine):
        pass


@pytest.mark.parametrize("column", ["spent_pico_rho", "reserved_pico_rho", "spent_atto_delta", "reserved_atto_delta"])
@pytest.mark.parametrize("value", [-1, 11])
def test_the_table_itself_refuses_an_account_beyond_its_cap(engine: Engine, column: str, value: int) -> None:
    migrate(engine)
    amounts = {f"{part}_{unit}": 10 if part == "cap" else 0 for part in ("cap", "reserved", "spent") for unit in ("pico_rho", "atto_delta")}
    row = {"id": "dataset:x", "kind": "dataset", "subject": "x", "opened_at": "t", **amounts}
    with writing(engine) as connection:
        connection.execute(insert(accounts).values(row))
    with pytest.raises(IntegrityError), writing(engine) as connection:
        connection.execute(accounts.update().values({column: value}))


def test_a_database_in_memory_is_refused() -> None:
    with pytest.raises(ValueError, match="file"):
        open_engine("sqlite://")
