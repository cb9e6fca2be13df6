"""Private answers against plain DuckDB on the same decrypted shards, in one run.

Ratio: CPU time of the shards' bounded totals, over that of `GROUP BY` by the same DuckDB, same shards, same columns, one thread, both from
memory; best of several runs each, taken in turn. `end_to_end_s` is the wall time of the walk's own work on warm Ray workers: shards,
combining, noise, finish. `large` is another size, from encrypted shards that no worker holds in memory.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
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
from sandbox.plan.model import Plan
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
    Case(
        "Q6 count and sum by hospital, dept (20,000 private keys)",
        "SELECT hospital, dept, COUNT(*) AS n, SUM(fee) AS fees FROM visits GROUP BY hospital, dept",
        "SELECT hospital, dept, COUNT(*), SUM(fee) FROM visits GROUP BY hospital, dept",
        8,
        {"fee": {"low": "0", "high": "10000"}},
    ),
    Case(
        "Q7 count by hospital (500 private keys)",
        "SELECT hospital, COUNT(*) AS n FROM visits GROUP BY hospital",
        "SELECT hospital, COUNT(*) FROM visits GROUP BY hospital",
        8,
        {},
    ),
    Case(
        "Q8 median fee by hospital",
        "SELECT hospital, MEDIAN(fee) AS fee FROM visits GROUP BY hospital",
        "SELECT hospital, MEDIAN(fee) FROM visits GROUP BY hospital",
        4,
        {"fee": {"low": "0", "high": "10000"}},
    ),
    Case(
        "Q9 different departments by city",
        "SELECT city, COUNT(DISTINCT dept) AS depts FROM visits GROUP BY city",
        "SELECT city, COUNT(DISTINCT dept) FROM visits GROUP BY city",
        8,
        {},
    ),
    Case(
        "U1 count and sum by sex, one row a person",
        "SELECT sex, COUNT(*) AS n, SUM(income) AS income FROM people GROUP BY sex",
        "SELECT sex, COUNT(*), SUM(income) FROM people GROUP BY sex",
        1.6,
        {},
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
    took = time.perf_counter() - started
    register = folder / "people.parquet"
    visits.write_people(register, rows // 5)
    people = ingest(visits.people(rows // 5), [register], vault, version=1, catalogue_public=Catalogue(()), random=random).snapshot
    return vault, Catalogue((report.snapshot, hospitals, people)), rows / took


def fastest(runs: int, *sides: Callable[[], object]) -> list[float]:
    """Best CPU time of each side, the sides taken in turn so that a slow moment hits both."""
    best = [float("inf")] * len(sides)
    for _ in range(runs):
        for place, side in enumerate(sides):
            started = time.process_time()
            side()
            best[place] = min(best[place], time.process_time() - started)
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
        whole_s = min(walked(plan, vault, workers) for _ in range(3))
        result["cases"][case.name] = {
            "ratio": round(bounded_s / plain_s, 2),
            "at_most": case.most,
            "bounded_s": round(bounded_s, 4),
            "plain_s": round(plain_s, 4),
            "end_to_end_s": round(whole_s, 4),
            "compile_ms": round(compile_s * 1000, 1),
        }
    return result


def walked(plan: Plan, vault: Vault, workers: Workers) -> float:
    """Wall time from shards to answer."""
    started = time.perf_counter()
    finish(plan, [draw(plan.only, exact_totals(plan.only, vault, workers, SEED))])
    return time.perf_counter() - started


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


def large(folder: Path, rows: int) -> dict[str, Any]:
    """Q2 over that many rows, read and decrypted from disk: no worker keeps columns. Memory is the most that any worker has resident."""
    vault, catalogue, ingest_rows_per_s = prepare(folder, rows)
    case = CASES[1]
    plan = compile_job(case.private, catalogue, Ask.model_validate({"privacy": {"epsilon": "1"}, "ranges": case.ranges}))
    workers = Workers.start(workers=2, memory_bytes=0)
    try:
        warm(workers)
        with Watched() as memory:
            seconds = walked(plan, vault, workers)
    finally:
        workers.close()
    return {
        "rows": rows,
        "shards": len(vault.open("visits", 1).parts),
        "ingest_rows_per_s": round(ingest_rows_per_s),
        "cold_s": round(seconds, 1),
        "resident_mb_per_worker": round(memory.most / 2**20),
    }


class Watched:
    """The largest resident set of any Ray worker of ours while the block runs, sampled every tenth of a second."""

    def __init__(self) -> None:
        self.most = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Watched:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            self.most = max([self.most, *resident()])


def resident() -> Iterator[int]:
    """Bytes resident of every process that runs shards and descends from this one."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    ours = {os.getpid()}
    while more := {child for child, parent in parents.items() if parent in ours} - ours:
        ours |= more
    for process in ours:
        with suppress(OSError):
            if (Path("/proc") / str(process) / "comm").read_text().startswith("yunei-shard"):
                yield int((Path("/proc") / str(process) / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
