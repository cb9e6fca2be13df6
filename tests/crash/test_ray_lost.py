"""Ray goes away under a server: what was under way is run again on another Ray, and nobody is told but by the time it takes."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

from infra import keeper
from tests.processes import command, descendants


def test_a_ray_whose_head_is_killed_is_replaced_and_work_goes_on(tmp_path: Path) -> None:
    pool = keeper.workers(tmp_path / "ray", workers=1, memory_bytes=2**20, object_store_bytes=80 * 2**20, linger_s=5)
    try:
        first = keeper._read(tmp_path / "ray")
        assert first is not None
        slow = threading.Thread(target=lambda: heard.extend(pool.map(slowly, [1, 2, 3])))
        heard: list[int] = []
        slow.start()
        time.sleep(0.5)
        for pid in [first.pid, *descendants(first.pid)]:
            if any(name in command(pid) for name in ("gcs_server", "raylet/raylet")):
                os.kill(pid, signal.SIGKILL)
        until = time.monotonic() + 90
        while pool.there and time.monotonic() < until:
            time.sleep(0.05)
        assert not pool.there
        slow.join(90)
        assert heard == [1, 2, 3]
        assert pool.there
        second = keeper._read(tmp_path / "ray")
        assert second is not None
        assert second.pid != first.pid
        assert pool.map(slowly, [4]) == [4]
    finally:
        pool.close()


def slowly(number: int) -> int:
    time.sleep(3)
    return number
