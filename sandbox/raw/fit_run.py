"""From a step of a model to its exact vector: every shard where it lies, integers added up.

A worker gets the plan, the step's public parameters and the keys of its files; it gives back a list of integers, or nothing at all when
anything went wrong. Rows it has standardised stay with it for the next step.
"""

from __future__ import annotations

import atexit
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from infra.vault import Vault
from sandbox.plan.fit.plan import FitPlan
from sandbox.plan.model import INT64_MAX
from sandbox.raw.bound_values import Doubt
from sandbox.raw.fit_rows import PreparedCache, prepared
from sandbox.raw.fit_units import shard_sums
from sandbox.raw.kept import beside, clearing
from sandbox.raw.released import streamed
from sandbox.raw.run import Pool, Source, constant_failure, decrypted, open_version, sources_of
from sandbox.raw.totals import INT64_MIN, ExactTotals
from sandbox.raw.verify import PLAN_DOUBTED, bound

VALUE = "value"
_LOG = logging.getLogger(__name__)
_prepared = PreparedCache()
atexit.register(_prepared.clear)
beside.append(lambda: _prepared.nbytes)
clearing.append(_prepared.clear)


@dataclass(frozen=True, slots=True)
class StepTask:
    """One shard's work for one step. `memory_bytes`: of decrypted and standardised rows to keep for next time."""

    plan: FitPlan
    place: int
    parameters: tuple[int, ...]
    sources: tuple[Source, ...]
    memory_bytes: int


def run_step(task: StepTask) -> list[int] | None:
    """A pure function of its task and the files. None for every failure: no text, no type, no traceback."""
    try:
        key = json.dumps([task.plan.digest, [[part.sha256 for part in source.parts] for source in task.sources]])
        rows = _prepared.get(key)
        if rows is None:
            rows = prepared(task.plan, {source.alias: decrypted(source, task.memory_bytes) for source in task.sources})
            _prepared.keep(key, rows, task.memory_bytes // 2)
        return shard_sums(task.plan, task.plan.steps[task.place], task.parameters, rows)
    except Exception:
        return None


def exact_step(plan: FitPlan, place: int, parameters: Sequence[int], vault: Vault, workers: Pool) -> ExactTotals:
    """The exact vector of a step over all shards. The same plan, snapshots and parameters give the same vector, whatever the number of workers
    and shards. Raises `data_snapshot_refused` before any row is read, `job_failed` from then on."""
    sources = sources_of(plan.scans, vault)
    tasks = [StepTask(plan, place, tuple(parameters), of_shard, workers.memory_bytes) for of_shard in sources]
    return constant_failure(lambda: added(plan, place, streamed(workers, run_step, tasks)))


def step_of_tables(plan: FitPlan, place: int, parameters: Sequence[int], tables: Mapping[str, pa.Table]) -> ExactTotals:
    """The same over tables given by alias, as one shard: dummy rows, tests. Raises `job_failed`."""
    return constant_failure(lambda: added(plan, place, iter([shard_sums(plan, plan.steps[place], parameters, prepared(plan, tables))])))


def added(plan: FitPlan, place: int, partials: Iterator[list[int] | None]) -> ExactTotals:
    """Partial vectors added up and cut to 64 bits, which moves no two vectors apart."""
    sums = [0] * plan.steps[place].size
    for partial in partials:
        if partial is None:
            raise ValueError("a shard failed")
        sums = [before + more for before, more in zip(sums, partial, strict=True)]
    return ExactTotals(pa.table({VALUE: pa.array([min(max(one, INT64_MIN), INT64_MAX) for one in sums], pa.int64())}))


def check_fit_readable(plan: FitPlan, vault: Vault) -> None:
    """What has to hold before rows are read. Raises `data_snapshot_refused`, `plan_doubted`. Reads manifests, no row."""
    check_fit_plan(plan)
    for scan in plan.scans:
        open_version(scan, vault)


def check_fit_plan(plan: FitPlan) -> None:
    """Hold the plan to DuckDB's own reading of its SQL: rows of one unit each, the unit first. Raises `plan_doubted`."""
    failed = True
    try:
        rows = bound(plan.rows_sql, plan.scans)
        if rows.released or not rows.space or not rows.columns[0].unit or len(rows.columns) != 1 + len(plan.variables):
            raise Doubt("rows without their unit")
        failed = False
    except Doubt as doubt:
        _LOG.error("model plan %s is doubted: %s", plan.digest, doubt)  # public: it comes from the plan, and no row was read
    except (duckdb.Error, LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        _LOG.error("model plan %s cannot be read: %s", plan.digest, type(error).__name__)
    if failed:
        raise PLAN_DOUBTED()
