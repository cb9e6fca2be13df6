"""What a server takes hold of before it has read the rest of its program: the home, and the home's Ray, which comes up meanwhile."""

from __future__ import annotations

import fcntl
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from infra import keeper
from infra.memory import guard
from infra.settings import Settings
from policies.problem import declare

HOME_SERVED = declare(
    "server_home_in_use",
    zh=("该目录已有服务在运行", "{home} 正由另一个服务进程使用。", "请先停止该服务，或用 --home 指定另一目录。"),
    en=(
        "A server is already running on this home",
        "{home} is in use by another server process.",
        "Stop that server first, or choose another home with --home.",
    ),
)


@dataclass(frozen=True, slots=True)
class Held:
    """`lock`: the home's, one server at a time. `ray`: the home's own, there or on its way; None: workers are on a cluster."""

    lock: IO[bytes]
    ray: keeper.Begun | None


@contextmanager
def held(settings: Settings) -> Iterator[Held]:
    """HOME_SERVED when another server has the home. Ray takes seconds to come up, and so do the imports of a server: they take them at the same
    time, on two cores. However this ends, Ray is told to end as well, unless the process is killed."""
    guard()  # processes started from here on inherit it
    lock = home_lock(settings.home)
    try:
        with _stoppable():
            ray = None if settings.ray_address is not None else begun(settings)
            try:
                yield Held(lock, ray)
            finally:
                if ray is not None:
                    ray.leave()
    finally:
        lock.close()


def begun(settings: Settings) -> keeper.Begun:
    """The home's own Ray, or the start of it."""
    return keeper.begin(
        settings.ray_dir, workers=settings.workers, object_store_bytes=settings.object_store_bytes, linger_s=settings.ray_linger_s
    )


def home_lock(home: Path) -> IO[bytes]:
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = open(home / "serve.lock", "ab")  # noqa: SIM115  # held open as long as the server runs
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise HOME_SERVED(home=home) from None
    return file


@contextmanager
def _stoppable() -> Iterator[None]:
    """A server that is told to end before it can answer such signals itself ends as if interrupted, not killed: it leaves no Ray behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
