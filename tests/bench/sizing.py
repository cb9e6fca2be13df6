"""What the sizing model is calibrated on, and how near it comes to whole runs: Q2 over generated visits, CPU times of one thread.

CPU time stands up to a busy machine; wall time does not, so a point is the least of several runs, and the model is asked what it says of it.
"""

from __future__ import annotations

import os
import pickle
import platform
import time
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any

from infra.deploy.sizing.model import Calibration, Store
from infra.deploy.sizing.table import Point, save
from infra.vault import Vault
from infra.workers import InlineWorkers, Workers
from sandbox.finish.finish import finish
from sandbox.noise.draw import draw
from sandbox.plan.ask import Ask, Privacy
from sandbox.plan.compile import compile_job
from sandbox.plan.model import Plan
from sandbox.raw.run import exact_totals, run_shard, shard_tasks, warm
from sandbox.raw.totals import combine
from tests.bench import visits
from tests.bench.engine import CASES, MEMORY_BYTES, SEED, prepare
from tests.timing import least

SMALL, FITTED, UNSEEN = 20_000, 4_000_000, (1_000_000, 10_000_000)  # rows: what a shard costs by itself, a row; what the model has to foretell


def planned(folder: Path, rows: int) -> tuple[Plan, Vault]:
    vault, catalogue, _ = prepare(folder, rows)
    case = CASES[1]
    ask = Ask.model_validate({"privacy": Privacy(epsilon=Decimal(1), delta=Decimal("1e-8")), "ranges": case.ranges})
    return compile_job(case.private, catalogue, ask), vault


def newest(folder: Path, rows: int) -> Path:
    """The vault that `prepare` made last."""
    return max(folder.glob(f"vault-{rows}-*"), key=lambda path: path.stat().st_mtime) / "visits"


def hot_cpu_s(plan: Plan, vault: Vault) -> float:
    """Of all shards, their columns in memory."""
    tasks = shard_tasks(plan.only, vault, SEED, MEMORY_BYTES)
    for task in tasks:
        assert run_shard(task) is not None
    return least(9, lambda: [run_shard(task) for task in tasks], time.process_time)


def calibrated(plan: Plan, vault: Vault, folder: Path, rows: int, dispatch_s: float, small: tuple[Plan, Vault]) -> Calibration:
    cold = shard_tasks(plan.only, vault, SEED, 0)
    cold_s = least(5, lambda: [run_shard(task) for task in cold], time.process_time)  # first: what is kept from then on would be found
    hot = shard_tasks(plan.only, vault, SEED, MEMORY_BYTES)
    held = [partial for partial in map(run_shard, hot) if partial is not None]
    assert len(held) == len(hot)
    shard_s = hot_cpu_s(*small)  # a shard of next to no rows
    hot_s = hot_cpu_s(plan, vault)
    totals = exact_totals(plan.only, vault, InlineWorkers(MEMORY_BYTES), SEED)
    groups = max(partial.num_rows for partial in held)
    scan = plan.scans[0]
    version = vault.open(scan.dataset, 1)
    columns = [part.read(list(scan.columns)) for part in version.parts]
    whole = [part.read([column.name for column in visits.dataset(rows).columns]) for part in version.parts]
    columns_share = sum(table.nbytes for table in columns) / sum(table.nbytes for table in whole)  # of a file; its columns lie apart
    stored = sum(path.stat().st_size for path in folder.rglob("part-*"))
    merge_s = least(5, lambda: combine(plan.only, iter(held)), time.process_time)
    row_s = (hot_s / len(hot) - shard_s) / (rows / len(hot) - SMALL)
    shard_s = max(0.0, shard_s - SMALL * row_s)
    return Calibration(
        machine=f"{_processor()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        question=CASES[1].name,
        hot_cpu_s_per_row=row_s,
        cold_cpu_s_per_row=(cold_s - shard_s * len(cold)) / rows,
        stored_bytes_per_row=stored * columns_share / rows,
        memory_bytes_per_row=sum(table.nbytes for table in columns) / rows,
        shard_cpu_s=shard_s,
        dispatch_s=dispatch_s,
        merge_s_per_group=merge_s / len(held) / groups,
        partial_bytes_per_group=len(pickle.dumps(held[0])) / groups,
        groups=groups,
        finish_s=least(3, lambda: finish(plan, [draw(plan.only, totals)]), time.process_time),
    )


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def bench(folder: Path, into: Path | None = None) -> dict[str, Any]:
    """`into`: where to store the calibration."""
    workers = Workers.start(workers=2, memory_bytes=MEMORY_BYTES)
    points: list[Point] = []
    try:
        warm(workers)
        hundred_s = least(20, lambda: workers.map(abs, list(range(100))), time.process_time)  # of this process: one after the other
        dispatch_s = hundred_s / 100
        plans = {rows: planned(folder, rows) for rows in (FITTED, *UNSEEN)}
        measured = calibrated(*plans[FITTED], newest(folder, FITTED), FITTED, dispatch_s, planned(folder, SMALL))
        for rows, (plan, vault) in plans.items():
            shards = len(vault.open("visits", 1).parts)
            exact_totals(plan.only, vault, workers, SEED)
            pools: tuple[tuple[Store, Any], ...] = (("memory", workers), ("disk", _Cold(workers)))
            for store, pool in pools:
                whole_s = least(5, lambda plan=plan, vault=vault, pool=pool: walked(plan, vault, pool), time.perf_counter)  # type: ignore[misc]
                points.append(Point(rows, shards, store, workers.size, round(whole_s, 3), beside=f"{os.getloadavg()[0]:.0f}"))
    finally:
        workers.close()
    if into is not None:
        save(measured, points, into)
    return {"calibration": asdict(measured), "points": [asdict(point) | {"model_s": point.foretold_s(measured)} for point in points]}


class _Cold:
    """The same workers, told to keep nothing."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self.memory_bytes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._workers, name)


def walked(plan: Plan, vault: Vault, workers: Any) -> float:
    finish(plan, [draw(plan.only, exact_totals(plan.only, vault, workers, SEED))])
    return 0.0
