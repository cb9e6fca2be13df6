"""Calls to warm workers, and how much faster more of them are.

`dispatch_ms`: one call that does nothing, its result included: what Ray, the actor and the limited process add to a job's shard. `scaling`:
wall time of the shards of Q2 and Q3 on 1, 2 and 4 workers, from memory, over that on one; a machine with two cores cannot show more than 2.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from infra.workers import Workers
from sandbox.plan.ask import Ask
from sandbox.plan.compile import compile_job
from sandbox.raw.run import exact_totals, warm
from tests.bench.engine import CASES, MEMORY_BYTES, SEED, prepare

CALLS = 300
RUNS = 7


def bench(folder: Path, rows: int) -> dict[str, Any]:
    vault, catalogue, _ = prepare(folder, rows)
    plans = {
        case.name: compile_job(
            case.private, catalogue, Ask.model_validate({"privacy": {"epsilon": "1", "delta": "1e-8"}, "ranges": case.ranges})
        )
        for case in CASES[1:3]
    }
    result: dict[str, Any] = {"cores": os.cpu_count(), "rows": rows, "scaling": {}}
    walls: dict[str, dict[int, float]] = {name: {} for name in plans}
    for count in (1, 2, 4):
        workers = Workers.start(workers=count, memory_bytes=MEMORY_BYTES)
        try:
            warm(workers)
            if count == 2:
                calls = sorted(timed(lambda: workers.map(math.sqrt, [4.0])) for _ in range(CALLS))  # noqa: B023  # called at once
                result["dispatch_ms"] = {"p50": ms(calls[CALLS // 2]), "p95": ms(calls[CALLS * 95 // 100]), "least": ms(calls[0])}
            for name, plan in plans.items():
                part = plan.only
                exact_totals(part, vault, workers, SEED)  # decrypts once
                walls[name][count] = min(timed(lambda: exact_totals(part, vault, workers, SEED)) for _ in range(RUNS))  # noqa: B023
        finally:
            workers.close()
    for name, wall in walls.items():
        result["scaling"][name] = {f"{count} workers": round(wall[1] / wall[count], 2) for count in wall} | {"one_s": round(wall[1], 3)}
    return result


def timed(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def ms(seconds: float) -> float:
    return round(seconds * 1000, 2)
