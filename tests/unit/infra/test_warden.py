"""One worker's process, held to its limits: what breaches them fails in one way, and the next call finds a worker."""

from __future__ import annotations

import math
import operator
import os
import pickle
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from infra.workers.environment import without_ray
from infra.workers.warden import Warden
from sandbox.raw.engine import query
from tests.processes import ended

MB = 2**20


@pytest.fixture(scope="module")
def warden() -> Iterator[Warden]:
    made = Warden(without_ray())
    yield made
    made.close()


def run(warden: Warden, fn: Callable[[Any], Any], item: object, *, wall_s: float = 60, memory_mb: int = 512) -> object:
    outcome, result = warden.run(fn.__module__, pickle.dumps((fn, item), 5), wall_s=wall_s, memory_bytes=memory_mb * MB)
    assert outcome == "ok" or result == b""
    return pickle.loads(result) if outcome == "ok" else outcome


def rows_of(sql: str) -> int:
    return int(query(sql, {}).num_rows)


def spin(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


def abort(_: object) -> None:
    os.abort()


def hang_up(_: object) -> None:
    os._exit(0)


def kill(_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def grow(megabytes: int) -> int:
    _kept.append(bytearray(megabytes * MB))
    return os.getpid()


_kept: list[bytearray] = []


def test_calls_are_made_in_one_process_that_is_not_this_one(warden: Warden) -> None:
    assert run(warden, math.sqrt, 4.0) == 2.0
    assert run(warden, operator.call, os.getpid) == warden.pid != os.getpid()
    assert run(warden, resource.getrlimit, resource.RLIMIT_CORE) == (0, 0)
    assert run(warden, math.sqrt, -1.0) == "failed"
    assert run(warden, len, bytes(5 * MB)) == 5 * MB


# Each takes memory that DuckDB's own limit does not see, or time without end: 1 GiB is what the engine is allowed.
BREACHES = {
    "one long text": "SELECT length(repeat('x', 1500000000) || r::VARCHAR) FROM range(3) AS t(r)",
    "texts strung together": "SELECT length(string_agg(repeat('ab', 1000000), '')) FROM range(3000)",
    "one long list": "SELECT list_sum(list_transform(range(200000000), lambda x: x * 2))",
    "a cross join": "SELECT count(*) FROM range(100000000) AS a, range(100000) AS b WHERE a.range + b.range < 0",
    "a slow pattern": "SELECT count(*) FROM range(100000000) AS a WHERE regexp_matches(repeat('a', 400) || a.range, '(a*)*(a?){300}b')",
}


@pytest.mark.parametrize("sql", BREACHES.values(), ids=BREACHES.keys())
def test_a_query_past_its_limits_fails_and_the_next_is_answered(warden: Warden, sql: str) -> None:
    run(warden, rows_of, "SELECT 1")  # whatever is imported by now costs no wall time
    began = time.monotonic()
    assert run(warden, rows_of, sql, wall_s=1.5) == "failed"
    assert time.monotonic() - began < 20  # killed or refused; a busy machine is slow to give a gigabyte back
    assert run(warden, rows_of, "SELECT 1") == 1


def test_memory_is_refused_by_the_kernel_whatever_asks_for_it(warden: Warden) -> None:
    assert run(warden, bytearray, 4 * 2**30) == "failed"
    assert run(warden, bytearray, 64 * MB) == bytearray(64 * MB)
    # Asked in the process: one that has grown is replaced after its call, and the new one is held only when it is called. The hard limit
    # stays open, since a cell that it starts has limits of its own.
    assert run(warden, resource.getrlimit, resource.RLIMIT_DATA) == ((512 + 512) * MB, resource.RLIM_INFINITY)


def test_a_process_that_ends_itself_has_failed_and_is_replaced(warden: Warden) -> None:
    for end in (abort, hang_up):
        before = warden.pid
        assert run(warden, end, None) == "failed"
        assert run(warden, math.sqrt, 9.0) == 3.0
        assert warden.pid != before


def test_one_that_somebody_kills_is_replaced_and_its_call_made_again(warden: Warden, tmp_path: Any) -> None:
    os.kill(warden.pid, signal.SIGKILL)
    assert run(warden, math.sqrt, 9.0) == 3.0
    assert run(warden, kill, None) == "lost"
    assert run(warden, math.sqrt, 9.0) == 3.0


def test_what_one_call_leaves_behind_does_not_fail_the_next(warden: Warden) -> None:
    pids = {run(warden, grow, 100) for _ in range(12)}
    assert len(pids) >= 2
    assert all(isinstance(pid, int) for pid in pids)


def test_it_goes_when_its_keeper_is_killed() -> None:
    code = "from infra.workers.warden import Warden; from infra.workers.environment import without_ray; import time\n"
    code += "w = Warden(without_ray()); print(w.pid, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=without_ray()) as keeper:
        assert keeper.stdout is not None
        pid = int(keeper.stdout.readline())
        time.sleep(0.5)  # it has to have come as far as to say that it wants to go too
        keeper.kill()
    assert ended([pid], 10)
