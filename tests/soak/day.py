"""`make soak-day`: a day's worth of jobs through one server, one after the other; what must not grow is sampled and fitted.

`python -m tests.soak.day --jobs 5000`. 5,000 jobs are a day at one every 17 seconds. Each asks something not asked before, but every tenth asks
what the one before it did (free), and every hundredth question is refused. Memory, threads and open files may rise while caches fill: growth is
the slope over the second half. The log and the database grow with every entry, that is what they are for: their bytes a job are reported. Ends
with an error when something grows.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import shutil
import statistics
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from api.services import Services
from infra import tables
from infra.database import reading
from jobs.states import OPEN
from policies.problem import Problem
from sandbox.plan.ask import Ask
from tests.bureau import opened, order, set_up

SAMPLES = 100
MEMORY_BYTES_A_JOB = 2_000  # SQLite's page cache and allocators wander by some MB; a leak of one answer or plan is more than this
SLOTS_MS = (5, 50, 500)


@dataclass(frozen=True, slots=True)
class Sample:
    jobs: int
    resident: int
    objects: int
    files: int
    threads: int
    home: int
    staging: int


def sample(jobs: int, home: Path) -> Sample:
    gc.collect()
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    sizes = [path.stat().st_size for path in home.rglob("*") if path.is_file()]
    staged = sum(1 for path in (home / "staging").rglob("*") if path.is_file())
    return Sample(jobs, resident, len(gc.get_objects()), len(os.listdir("/proc/self/fd")), threading.active_count(), sum(sizes), staged)


def slope(samples: list[Sample], name: str) -> float:
    """Growth a job, over the second half: the least-squares line."""
    half = samples[len(samples) // 2 :]
    return statistics.linear_regression([each.jobs for each in half], [getattr(each, name) for each in half]).slope


def ask(number: int) -> Ask:
    """Another price each time, so another question."""
    return Ask.model_validate({"privacy": {"epsilon": f"0.001{number:07d}", "delta": "0.00000000000001"}})


def state(services: Services, job: str) -> str:
    with reading(services.register.engine) as connection:
        return str(connection.execute(select(tables.jobs.c.state).where(tables.jobs.c.id == job)).scalar_one())


def day(jobs: int) -> dict[str, float]:
    folder = Path(tempfile.mkdtemp(prefix="yunei-day-"))
    home = folder / "home"
    set_up(home)
    services = opened(home, slots_ms=SLOTS_MS)
    services.ready.wait()
    samples, refused, began = [sample(0, home)], 0, time.monotonic()
    try:
        for number in range(1, jobs + 1):
            if number % 100 == 0:
                try:
                    services.submit(order("SELECT nothing FROM nowhere", ask=ask(number))).result(60)
                except Problem:
                    refused += 1
            job = services.submit(order(ask=ask(number - (number % 10 == 0)))).result(60)
            deadline = time.monotonic() + 60
            while (seen := state(services, job)) != "published":
                assert seen in {each.value for each in OPEN}, f"{job} ended as {seen}"
                assert time.monotonic() < deadline, f"{job} is {seen}"
                time.sleep(0.002)
            if number % max(1, jobs // SAMPLES) == 0:
                samples.append(sample(number, home))
    finally:
        services.close()
    shutil.rmtree(folder)
    result = {name: round(slope(samples, name), 3) for name in ("resident", "objects", "files", "threads", "home", "staging")}
    return {
        "jobs": jobs,
        "refused": refused,
        "seconds": round(time.monotonic() - began),
        "resident_mb_first": round(samples[1].resident / 2**20),
        "resident_mb_last": round(samples[-1].resident / 2**20),
        **{f"{name}_a_job": value for name, value in result.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=5_000)
    found = day(parser.parse_args().jobs)
    print(json.dumps(found, indent=2), flush=True)
    assert found["refused"] == found["jobs"] // 100
    assert found["resident_a_job"] < MEMORY_BYTES_A_JOB, "memory grows"
    assert found["files_a_job"] < 0.001, "open files grow"
    assert found["threads_a_job"] < 0.001, "threads grow"
    assert found["staging_a_job"] < 12, "more files are staged than answers have forms"


if __name__ == "__main__":
    main()
