"""Private answers against plain DuckDB on the same decrypted shards, in one run.

Ratio: time of the shard queries (bounding included), over the time of `GROUP BY` by the same DuckDB, same shards, same columns, same
thread, both from memory; best of several runs each, taken in turn. `end_to_end_s` is the walk's own work on warm Ray workers: shards,
combining, noise, finish.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from infra.vault import Vault
from infra.workers import Workers
from policies.catalogue import Catalogue
from sandbox.finish.finish import finish
from sandbox.noise.draw import draw
from sandbox.plan.ask import Ask, Privacy
from sandbox.plan.compile import compile_job
from sandbox.raw.engine import query
from sandbox.raw.ingest import ingest
from sandbox.raw.run import ShardTask, exact_totals, run_shard, shard_tasks, warm
from tests.bench import visits

MEMORY_BYTES = 6 * 2**30
SEED = 20261122


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    private: str
    plain: str  # what one would write without privacy; {visits} is the shard
    most: float | None  # the ratio the design allows
    ranges: dict[str, dict[str, str]]


CASES = (
    Case("Q1 count", "SELECT COUNT(*) AS n FROM visits", "SELECT COUNT(*) FROM visits", 4, {}),
    Case(
        "Q2 count and sum by city",
        "SELECT city, COUNT(*) AS n, SUM(fee) AS fees FROM visits GROUP BY city",
        "SELECT city, COUNT(*), SUM(fee) FROM visits GROUP BY city",
        4,
        {"fee": {"low": "0", "high": "10000"}},
    ),
    Case(
        "Q3 persons and mean fee by hospital, dept",
        "SELECT hospital, dept, COUNT(DISTINCT person_id) AS persons, AVG(fee) AS fee FROM visits GROUP BY hospital, dept",
        "SELECT hospital, dept, COUNT(DISTINCT person_id), AVG(fee) FROM visits GROUP BY hospital, dept",
        6,
        {"fee": {"low": "0", "high": "10000"}},
    ),
    Case(
        "Q4 median fee by city",
        "SELECT city, MEDIAN(fee) AS fee FROM visits GROUP BY city",
        "SELECT city, MEDIAN(fee) FROM visits GROUP BY city",
        2,
        {"fee": {"low": "0", "high": "10000"}},
    ),
    Case(
        "Q5 join to the public level of the hospital",
        "SELECT h.level, COUNT(*) AS n, SUM(v.fee) AS fees FROM visits v JOIN hospitals h ON v.hospital = h.hospital GROUP BY h.level",
        "SELECT h.level, COUNT(*), SUM(v.fee) FROM visits v JOIN hospitals h ON v.hospital = h.hospital GROUP BY h.level",
        4,
        {"fee": {"low": "0", "high": "10000"}},
    ),
)


def prepare(folder: Path, rows: int) -> tuple[Vault, Catalogue, float]:
    """Generate, ingest into a fresh vault, and say how many rows a second went in."""
    folder.mkdir(parents=True, exist_ok=True)
    source, levels = folder / f"visits-{rows}.parquet", folder / "hospitals.parquet"
    if not source.exists():
        part = source.with_suffix(".part")
        visits.write(part, rows)
        part.rename(source)
    visits.write_hospitals(levels)
    vault = Vault(folder / f"vault-{rows}-{time.time_ns()}", bytes(32))
    counter = iter(range(1, 2**31))

    def random(size: int) -> bytes:  # a bench must be repeatable; keys of generated data need no secrecy
        return next(counter).to_bytes(size, "big")

    hospitals = ingest(visits.hospitals(), [levels], vault, version=1, catalogue_public=Catalogue(()), random=random).snapshot
    started = time.perf_counter()
    report = ingest(visits.dataset(rows), [source], vault, version=1, catalogue_public=Catalogue((hospitals,)), random=random)
    return vault, Catalogue((report.snapshot, hospitals)), rows / (time.perf_counter() - started)


def fastest(runs: int, *sides: Callable[[], object]) -> list[float]:
    """Best CPU-free wall time of each side, the sides taken in turn so that a slow moment hits both."""
    best = [float("inf")] * len(sides)
    for _ in range(runs):
        for place, side in enumerate(sides):
            started = time.perf_counter()
            side()
            best[place] = min(best[place], time.perf_counter() - started)
    return best


def measure(folder: Path, rows: int, workers: Workers, runs: int = 5) -> dict[str, Any]:
    vault, catalogue, ingest_rows_per_s = prepare(folder, rows)
    result: dict[str, Any] = {"rows": rows, "ingest_rows_per_s": round(ingest_rows_per_s), "cases": {}}
    for case in CASES:
        ask = Ask.model_validate({"privacy": Privacy(epsilon=Decimal(1), delta=Decimal("1e-8")), "ranges": case.ranges})
        started = time.perf_counter()
        plan = compile_job(case.private, catalogue, ask)
        compile_s = time.perf_counter() - started
        tasks = shard_tasks(plan.only, vault, SEED, MEMORY_BYTES)
        names = {scan.alias: scan.dataset for scan in plan.scans}
        held = [loaded(task, names) for task in tasks]

        def private(tasks: list[ShardTask] = tasks) -> None:
            assert all(run_shard(task) is not None for task in tasks)

        def plain(held: list[dict[str, pa.Table]] = held, sql: str = case.plain) -> None:
            for tables in held:
                query(sql, tables)

        private()  # decrypts once: both sides then read from memory
        bounded_s, plain_s = fastest(runs, private, plain)
        exact_totals(plan.only, vault, workers, SEED)
        (whole_s,) = fastest(3, lambda plan=plan: finish(plan, [draw(plan.only, exact_totals(plan.only, vault, workers, SEED))]))
        result["cases"][case.name] = {
            "ratio": round(bounded_s / plain_s, 2),
            "at_most": case.most,
            "bounded_s": round(bounded_s, 4),
            "plain_s": round(plain_s, 4),
            "end_to_end_s": round(whole_s, 4),
            "compile_ms": round(compile_s * 1000, 1),
        }
    return result


def loaded(task: ShardTask, names: dict[str, str]) -> dict[str, pa.Table]:
    """The columns of a shard in memory under the tables' own names, as the plain query wants them."""
    return {
        names[source.alias]: pa.concat_tables([part.read(list(source.columns)) for part in source.parts]).combine_chunks()
        for source in task.sources
    }


def bench(folder: Path, sizes: tuple[int, ...]) -> list[dict[str, Any]]:
    workers = Workers.start(workers=2, memory_bytes=MEMORY_BYTES)
    try:
        warm(workers)
        return [measure(folder, rows, workers) for rows in sizes]
    finally:
        workers.close()
