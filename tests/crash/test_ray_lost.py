"""Ray goes away under a server: what was under way is run again on another Ray, and nobody is told but by the time it takes.

The server is a process of its own: one process talks to one Ray, and the tests' own may be talking to the one that they share.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

from infra import keeper
from infra.workers import Workers
from tests.processes import command, descendants

PATIENCE_S = 300.0  # two Rays are started and one is ended by force: half a minute each on a machine with nothing else to do

SERVER = """
import sys
from pathlib import Path
from infra import keeper
from tests.crash.test_ray_lost import PATIENCE_S, lost_and_found, slowly
pool = keeper.workers(
    Path(sys.argv[1]), workers=1, memory_bytes=2**20, object_store_bytes=80 * 2**20, linger_s=5, patience_s=PATIENCE_S
)
try:
    print("= up", flush=True)
    print("=", *lost_and_found(pool), flush=True)
    print("=", *pool.map(slowly, [4]), flush=True)
finally:
    pool.close()
"""


def test_a_ray_whose_head_is_killed_is_replaced_and_work_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "ray"
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", SERVER, str(folder)], stdout=subprocess.PIPE, text=True, env=environment) as server:
        try:
            assert server.stdout is not None
            assert said(server.stdout) == "up"
            first = keeper._read(folder)
            assert first is not None
            time.sleep(0.5)
            for pid in [first.pid, *descendants(first.pid)]:
                if any(name in command(pid) for name in ("gcs_server", "raylet/raylet")):
                    os.kill(pid, signal.SIGKILL)
            assert said(server.stdout) == "True True 1 2 3"  # Ray was missed, and found again
            second = keeper._read(folder)
            assert second is not None
            assert second.pid != first.pid
            assert said(server.stdout) == "4"
            assert server.wait(PATIENCE_S) == 0
        finally:
            server.kill()
            keeper._end(folder)


def said(out: IO[str]) -> str:
    """The next answer, past what the server logs."""
    return next(line for line in out if line.startswith("= "))[2:].rstrip()


def lost_and_found(pool: Workers) -> list[object]:
    """Whether Ray was missed, whether it is there again, and what came of the calls under way."""
    heard: list[int] = []
    slow = threading.Thread(target=lambda: heard.extend(pool.map(slowly, [1, 2, 3])))
    slow.start()
    until = time.monotonic() + PATIENCE_S
    while pool.there and time.monotonic() < until:
        time.sleep(0.05)
    missed = not pool.there
    slow.join(PATIENCE_S)
    return [missed, pool.there, *heard]


def slowly(number: int) -> int:
    time.sleep(3)
    return number
