"""One worker's process, held to its limits from outside.

DuckDB counts what its hash tables take and not what long texts and lists do, and nothing in a query can be trusted to end. So what runs
on rows is a process of its own. The kernel refuses it memory past a limit (RLIMIT_DATA, setrlimit(2)), and it is killed when its time is
over. Whichever limit it was, the outcome is one: failed. A process killed by somebody else is replaced and its call made again.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Literal

from infra.workers.child import receive, send

Outcome = Literal["ok", "failed", "lost"]
PROGRAM_BYTES = 512 * 2**20  # what the interpreter and its libraries map for themselves, writable and private
RUNS = 3  # of one call, when the process is killed under it
_OUTSIDE = frozenset({-signal.SIGKILL, -signal.SIGTERM, -signal.SIGHUP, -signal.SIGINT})  # how others end a process; it ends itself otherwise


class Warden:
    """Keeps one process. `environment` is the process's. Used by one thread, the one that made it: the kernel ends the process with that
    thread. `close` at the end."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self._modules: dict[str, None] = {}
        self._limit = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._start()

    @property
    def pid(self) -> int:
        self._living()
        assert self._process is not None
        return self._process.pid

    def run(self, module: str, call: bytes, *, wall_s: float, memory_bytes: int) -> tuple[Outcome, bytes]:
        """Make a call, `pickle.dumps((function, item))` with the function in `module`, within `memory_bytes` beside what the program itself
        takes: its pickled result; failed, whatever the reason; or lost, when the process was killed RUNS times under it."""
        self._modules[module] = None
        for _ in range(RUNS):
            self._living()
            self._hold_to(PROGRAM_BYTES + memory_bytes)
            answered = self._ask(call, wall_s)
            if answered is not None:
                if self._grown(memory_bytes):
                    self._start()  # what one call has left behind is not to fail the next
                return answered
        return "lost", b""

    def _ask(self, call: bytes, wall_s: float) -> tuple[Outcome, bytes] | None:
        """None: the process was killed by somebody else."""
        assert self._process is not None
        until = monotonic() + wall_s
        try:
            send(self._channel, True, call)
            self._channel.settimeout(max(0.001, until - monotonic()))
            ok, result = receive(self._channel)
            self._channel.settimeout(None)
        except TimeoutError:
            self._start()
            return "failed", b""
        except (EOFError, ConnectionError):
            status = self._process.wait()
            self._start()
            return None if status in _OUTSIDE else ("failed", b"")
        return ("ok", result) if ok else ("failed", b"")

    def _living(self) -> None:
        if self._process is None or self._process.poll() is not None:
            self._start()

    def _start(self) -> None:
        self._end()
        self._channel, theirs = socket.socketpair()
        self._limit = 0
        command = [sys.executable, "-m", "infra.workers.child", str(theirs.fileno()), str(os.getpid()), *self._modules]
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603  # ourselves
                command, env=self._environment, pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )  # fmt: skip

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            self._channel.close()

    def _hold_to(self, limit: int) -> None:
        """Soft limit only: cells that the process starts have limits of their own, and may raise it."""
        assert self._process is not None
        if limit != self._limit:
            with suppress(ProcessLookupError):
                resource.prlimit(self._process.pid, resource.RLIMIT_DATA, (limit, resource.RLIM_INFINITY))
            self._limit = limit

    def _grown(self, memory_bytes: int) -> bool:
        """Whether less than a quarter of the memory is left to a call that comes now."""
        assert self._process is not None
        with suppress(OSError, IndexError):
            pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[5])  # data and stack, as RLIMIT_DATA counts
            return self._limit - pages * os.sysconf("SC_PAGE_SIZE") < memory_bytes // 4
        return False

    def close(self) -> None:
        """Twice is once."""
        self._end()
