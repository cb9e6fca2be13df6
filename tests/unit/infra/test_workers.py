"""Workers call functions, in order, on warm processes; a dead one is replaced and its item run again."""

from __future__ import annotations

import json
import math
import operator
import os
import signal
import stat
import time
from pathlib import Path
from statistics import median

import pytest

from infra.workers import InlineWorkers, Workers, WorkersError
from tests.processes import command, descendants, listening, proportional_bytes

Pool = Workers | InlineWorkers


@pytest.fixture(params=["ray", "inline"])
def pool(request: pytest.FixtureRequest) -> Pool:
    name = "workers" if request.param == "ray" else "inline_workers"
    found: Pool = request.getfixturevalue(name)
    return found


def folder_of(workers: Workers) -> Path:
    folder = workers.folders[0]
    assert folder is not None
    return folder


def test_results_come_in_the_order_of_the_items(pool: Pool) -> None:
    assert pool.map(operator.neg, range(50)) == [-n for n in range(50)]
    assert pool.map(operator.neg, []) == []
    assert list(pool.stream(math.sqrt, [4.0, 9.0])) == [2.0, 3.0]


def test_a_failure_says_nothing_but_that_it_failed(pool: Pool) -> None:
    with pytest.raises(WorkersError) as caught:
        pool.map(json.loads, ["1", "PRIVATE-VALUE"])
    assert caught.value.code == "task_failed"
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert "PRIVATE" not in repr(caught.value)
    assert pool.map(json.loads, ["1"]) == [1]


def test_what_failed_is_not_in_any_log(workers: Workers) -> None:
    with pytest.raises(WorkersError):
        workers.map(json.loads, ["PRIVATE-VALUE"] * 4)
    logs = [path for path in folder_of(workers).rglob("*") if path.is_file()]
    assert logs
    assert not [path for path in logs if b"PRIVATE-VALUE" in path.read_bytes()]


def test_ray_comes_without_what_nobody_asked_for(workers: Workers) -> None:
    lines = [command(pid) for pid in descendants(os.getpid())]
    assert any("dashboard/dashboard.py" in line for line in lines)  # these are Ray's processes
    assert not [line for line in lines if "log_monitor" in line or "autoscaler" in line]


def test_an_item_meets_the_same_worker_again(workers: Workers) -> None:
    first = [worker for worker, _ in zip(workers.map(_pid, range(6)), range(6), strict=True)]
    assert first == workers.pids() * 3
    assert workers.map(_pid, range(6)) == first
    assert os.getpid() not in first


def _pid(_: object) -> int:
    return os.getpid()


def test_a_killed_worker_is_replaced_and_its_item_run_again(workers: Workers) -> None:
    before = workers.pids()
    os.kill(before[0], signal.SIGKILL)
    assert workers.map(math.sqrt, [4.0, 9.0, 16.0]) == [2.0, 3.0, 4.0]
    after = workers.pids()
    assert after[0] != before[0]
    assert after[1] == before[1]


def test_a_worker_that_dies_under_its_item_runs_it_again(workers: Workers, tmp_path: Path) -> None:
    once = tmp_path / "died"
    assert workers.map(_die_once, [str(once), str(once)]) == ["lived", "lived"]
    assert once.exists()


def _die_once(marker: str) -> str:
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return "lived"
    os.kill(os.getpid(), signal.SIGKILL)
    return "never"


def test_an_item_that_always_kills_its_worker_is_given_up(workers: Workers) -> None:
    with pytest.raises(WorkersError) as caught:
        workers.map(_die, [None])
    assert caught.value.code == "worker_lost"
    assert workers.map(math.sqrt, [4.0, 9.0]) == [2.0, 3.0]


def _die(_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_workers_leave_no_core_file(workers: Workers) -> None:
    import resource

    assert set(workers.map(resource.getrlimit, [resource.RLIMIT_CORE] * 2)) == {(0, 0)}


def test_ray_listens_on_loopback_only(workers: Workers) -> None:
    assert workers.size == 2
    found = listening([os.getpid(), *descendants(os.getpid())])  # other tests' listeners in this process may be on ::1
    assert "127.0.0.1" in found
    assert found <= {"127.0.0.1", "::1"}


def test_only_this_user_can_reach_ray(workers: Workers) -> None:
    for folder in workers.folders:
        assert folder is not None
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder_of(workers) / "token").stat().st_mode) == 0o600
    assert len((folder_of(workers) / "token").read_text()) == 64


def test_calls_on_warm_workers_are_quick(workers: Workers) -> None:
    """The reach is 5 ms for two trivial calls; the machine may be busy, so the test allows ten times that."""
    workers.map(math.sqrt, [1.0, 4.0])
    taken = []
    for _ in range(30):
        start = time.perf_counter()
        workers.map(math.sqrt, [1.0, 4.0])
        taken.append(time.perf_counter() - start)
    assert median(taken) < 0.05


def test_everything_together_fits_in_the_memory_promised(workers: Workers) -> None:
    """Ray's processes and workers, shared pages counted once: the reach is 1.2 GB with an idle server. New processes for the functions, since
    those there are hold what other tests ran; and no others of this process's family, which browsers and databases of other tests belong to."""
    for pid in workers.pids():
        os.kill(pid, signal.SIGKILL)
    workers.map(math.sqrt, [1.0, 4.0])
    family = [pid for pid in descendants(os.getpid()) if any(name in command(pid) for name in ("/ray/", "ray::", "infra.workers.child"))]
    assert len(family) >= 6
    assert set(workers.pids()) <= set(family)
    assert proportional_bytes(family) < 900 * 2**20
