"""Databases of registers in which nothing has happened yet. The migrations make one of each kind in a process; the others are copies of it:
to migrate an empty database anew takes 0.15 s in SQLite, 0.4 s in PostgreSQL, and a thousand tests want one. That migrations lead from an
empty database to the tables of the code is tests/unit/infra/test_database.py's to see."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from infra.database import migrate, open_engine


def prepare(file: Path) -> None:
    """The SQLite file of an empty register, unless the file is there already."""
    if file.exists():
        return
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.copy(_made(), file)  # with its mode, 0600


@cache
def _made() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="yunei-register-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    engine = open_engine(f"sqlite:///{folder / 'register.db'}")
    migrate(engine)
    engine.dispose()  # the last connection writes the log of the file into it
    assert [path.name for path in folder.iterdir()] == ["register.db"]
    return folder / "register.db"
