"""Upgrade and rollback of a register: every earlier state comes up with what it held, a later one is refused, a backup is the way back."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import text

from infra.database import _config, migrate, open_engine, reading, writing
from jobs.audit import audit
from jobs.backup import backup, restore
from jobs.register import Register
from policies.problem import Problem
from tests.bureau import Home, settings_in

LATER = "9999"


def revisions() -> list[str]:
    scripts = ScriptDirectory(str(Path(__file__).resolve().parents[3] / "infra" / "migrations"))
    return [script.revision for script in reversed(list(scripts.walk_revisions()))]


def worth(kind: str) -> object:
    """A value that a column of this type may hold; texts as long as a moment or an hour of the register are one."""
    if kind.startswith(("INT", "BIGINT", "SMALLINT", "BOOL")):
        return 0
    return b"x" if kind == "BLOB" else {"VARCHAR(27)": "2026-01-01T00:00:00.000000Z", "VARCHAR(13)": "2026-01-01T00"}.get(kind, "x")


def filled(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """One row in every table that is empty, whatever it means: what each table then holds, by its columns in the order of their names."""
    held = {}
    with sqlite3.connect(path) as connection:  # without foreign keys: the rows need not make sense
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name != 'alembic_version'").fetchall():
            columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
            if not connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]:
                values = [worth(column[2]) for column in columns]
                names = ", ".join(f'"{column[1]}"' for column in columns)
                connection.execute(f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(values))})", values)
            names = ", ".join(f'"{column[1]}"' for column in columns)
            held[f"{table}: {names}"] = connection.execute(f"SELECT {names} FROM {table}").fetchall()
    connection.close()
    return held


@pytest.mark.parametrize("revision", revisions()[:-1])
def test_every_earlier_state_comes_up_with_what_it_held(tmp_path: Path, revision: str) -> None:
    path = tmp_path / "register.db"
    engine = open_engine(f"sqlite:///{path}")
    with writing(engine) as connection:
        command.upgrade(_config(connection), revision)
    engine.dispose()
    held = filled(path)
    assert len(held) >= 5
    engine = open_engine(f"sqlite:///{path}")
    migrate(engine)
    with reading(engine) as connection:
        for what, rows in held.items():
            table, names = what.split(": ")
            present = {row[1] for row in connection.exec_driver_sql(f"PRAGMA table_info({table})").all()}
            kept = [name for name in names.split(", ") if name.strip('"') in present]
            now = connection.exec_driver_sql(f"SELECT {', '.join(kept)} FROM {table}").all()
            places = [names.split(", ").index(name) for name in kept]
            assert now == [tuple(row[place] for place in places) for row in rows], table
    engine.dispose()


def test_a_later_register_is_refused_untouched_and_a_backup_leads_back(bureau_home: Home, tmp_path: Path) -> None:
    bureau_home.copy_to(tmp_path / "home")
    settings = settings_in(tmp_path / "home")
    register = Register.open(settings)
    size = backup(register, tmp_path / "before.tar", keys=True).size
    register.close()
    engine = open_engine(settings.database_url)  # what a later version does to it
    with writing(engine) as connection:
        connection.execute(text(f"UPDATE alembic_version SET version_num = '{LATER}'"))
        connection.execute(text("CREATE TABLE of_later (id INTEGER)"))
    engine.dispose()
    before = (tmp_path / "home/register.db").read_bytes()
    with pytest.raises(Problem) as refused:
        Register.open(settings)
    assert refused.value.code == "server_register_newer"
    assert LATER in refused.value.words("en").detail
    assert (tmp_path / "home/register.db").read_bytes() == before
    back = settings_in(tmp_path / "back")
    assert restore(tmp_path / "before.tar", back, unwitnessed=True).entries == size
    register = Register.open(back)
    assert audit(back.log_dir, [register.vkey], register.engine).clean
    register.close()
