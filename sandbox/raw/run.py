"""From a plan to its exact totals: shards read and aggregated where the data lies, partials added up.

The caller has charged the budget before it comes here. What a worker gets is the emitted SQL, the seed and, sealed for it, the keys of the
files it has to read; what it gives back is one small table of integers, or nothing at all when anything went wrong.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from infra.vault import Part as File
from infra.vault import Vault, VaultError, Version
from policies.catalogue import Window
from sandbox.plan.model import Part, Plan, Scan
from sandbox.raw.cache import ColumnCache
from sandbox.raw.custody import refusal
from sandbox.raw.engine import query
from sandbox.raw.failure import JOB_FAILED, SNAPSHOT_REFUSED
from sandbox.raw.kept import beside, clearing
from sandbox.raw.released import Pool as Pool
from sandbox.raw.released import met, streamed
from sandbox.raw.totals import ExactTotals, combine, shard_totals
from sandbox.raw.verify import check_plan as check_plan

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Source:
    """A table of the shard query: which files make it up in this shard, and the only columns to decrypt."""

    alias: str
    parts: tuple[File, ...]
    columns: tuple[str, ...]
    window: Window | None  # of which periods rows are read, where budgets are by period


@dataclass(frozen=True, slots=True)
class ShardTask:
    part: Part
    seed: int = field(repr=False)
    sources: tuple[Source, ...]
    memory_bytes: int  # of decrypted columns to keep for next time
    released: Mapping[str, pa.Table] = field(default_factory=dict)  # by name: public by now, whole for every shard


_cache = ColumnCache()
clearing.append(_cache.clear)
atexit.register(_cache.clear)


def run_shard(task: ShardTask) -> pa.Table | None:
    """Partial totals of one shard; a pure function of its task and the files. None for every failure: no text, no type, no traceback."""
    try:
        tables = {source.alias: decrypted(source, task.memory_bytes) for source in task.sources}
        return shard_totals(task.part, {**task.released, **tables}, task.seed)
    except Exception:
        return None


def decrypted(source: Source, memory_bytes: int) -> pa.Table:
    """A source's rows, in a worker: those of the periods of its window and no others, whatever is then asked of them. Raises VaultError."""
    room = max(0, memory_bytes - sum(held() for held in beside))
    window = source.window
    wanted = source.columns if window is None else tuple(dict.fromkeys((*source.columns, window.column)))
    table = pa.concat_tables([_cache.table(part, wanted, room) for part in source.parts])
    return table if window is None else inside(table, window).select(source.columns)


def inside(table: pa.Table, window: Window) -> pa.Table:
    """The rows of these periods, in their order."""
    column = table.column(window.column)
    days = pa.array([window.low, window.high + timedelta(days=1)], pa.date32()).cast(column.type)
    kept = pc.fill_null(pc.and_(pc.greater_equal(column, days[0]), pc.less(column, days[1])), False)
    return table if pc.all(kept, min_count=0).as_py() else table.filter(kept)


def exact_totals(part: Part, vault: Vault, workers: Pool, seed: int, released: Mapping[str, pa.Table] | None = None) -> ExactTotals:
    """Run the part on every shard and add the partials up. `released`: the tables by name that earlier parts released and this one reads.
    `seed` keys the choice of groups: 0 ≤ seed < 2**64, secret, one per release.

    The same part, snapshots, seed and released tables give the same totals, whatever the number of workers, the order in which they finish,
    and which of them died on the way. Raises `data_snapshot_refused` before any row is read, `job_failed` from then on.
    """
    tasks = shard_tasks(part, vault, seed, workers.memory_bytes, released)
    return constant_failure(lambda: combine(part, _all(streamed(workers, run_shard, tasks))))


def public_tables(plan: Plan, vault: Vault) -> dict[str, pa.Table]:
    """The public tables that the plan's views and last query read, by alias. Raises `data_snapshot_refused`, `job_failed`."""
    found = [(scan, open_version(scan, vault)) for scan in plan.tables]
    return constant_failure(
        lambda: {scan.alias: pa.concat_tables([part.read(list(scan.columns)) for part in version.parts]) for scan, version in found}
    )


def check_snapshots(plan: Plan, vault: Vault) -> None:
    """What has to hold before rows are read. Raises `data_snapshot_refused` when a version the plan scans cannot be opened as it was
    ingested, `plan_doubted` when DuckDB reads the plan's SQL otherwise than the plan says. Reads manifests, no row."""
    check_plan(plan)
    for scan in plan.scans:
        open_version(scan, vault)


def totals_of_tables(part: Part, tables: Mapping[str, pa.Table], seed: int) -> ExactTotals:
    """The same over tables given by alias, as one shard: dummy rows, tests. Raises `job_failed`."""
    return constant_failure(lambda: combine(part, [shard_totals(part, tables, seed)]))


def shard_tasks(part: Part, vault: Vault, seed: int, memory_bytes: int, released: Mapping[str, pa.Table] | None = None) -> list[ShardTask]:
    """One task for each shard."""
    return [ShardTask(part, seed, sources, memory_bytes, dict(released or {})) for sources in sources_of(part.scans, vault)]


def sources_of(scans: Sequence[Scan], vault: Vault) -> list[tuple[Source, ...]]:
    """Which files are read together, shard by shard: a private table shard by shard, a public one whole with each.

    Private tables of one unit space are partitioned by the same keyed hash into powers of two, so of two tables with unlike numbers of shards
    the finer one's shards i, i + n, i + 2n … hold the units of the coarser one's shard i of n. A shard of a version that others were appended
    to is several files: all of them, so that a unit's rows are met in one task. Raises `data_snapshot_refused`.
    """
    versions = [open_version(scan, vault) for scan in scans]
    shards = min((len(version.shards) for scan, version in zip(scans, versions, strict=True) if scan.private), default=1)
    return [
        tuple(
            Source(scan.alias, files_of(version.shards[shard::shards]) if scan.private else version.parts, scan.columns, scan.window)
            for scan, version in zip(scans, versions, strict=True)
        )
        for shard in range(shards)
    ]


def files_of(shards: Sequence[tuple[File, ...]]) -> tuple[File, ...]:
    """Every file of these shards."""
    return tuple(file for shard in shards for file in shard)


def warm(workers: Pool) -> None:
    """Make every worker import, open and try what its first shard will need, so that the first job is not slower than the second."""
    met(workers)
    for _ in workers.stream(_exercise, range(workers.size)):
        pass


def _exercise(number: int) -> int:
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    query("SELECT k, SUM(v)::HUGEINT AS v FROM t GROUP BY k", {"t": pa.table({"k": ["a"], "v": [number]})})
    return number


def open_version(scan: Scan, vault: Vault) -> Version:
    """Raises `data_snapshot_refused`. Reads the manifest, no row."""
    try:
        version = vault.open(scan.dataset, scan.version)
    except VaultError as error:
        raise refusal(error) from None
    if version.digest != scan.digest:
        raise SNAPSHOT_REFUSED(dataset=scan.dataset, version=scan.version, reason="digest_differs")
    return version


def _all(partials: Iterator[pa.Table | None]) -> Iterator[pa.Table]:
    for partial in partials:
        if partial is None:
            raise ValueError("a shard failed")
        yield partial


def constant_failure(compute: Callable[[], Result]) -> Result:
    """What `compute` gives; `job_failed`, without cause or context, for whatever it raises."""
    with suppress(Exception):
        return compute()
    raise JOB_FAILED()
