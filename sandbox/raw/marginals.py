"""Exact marginals of a synthetic job: rows to levels, each unit held to so many rows, and counts by the levels of a few columns.

A row with a value outside the declared domain of one of the columns is left out; a number or day outside its range counts as the nearest.
Of a unit with more rows than it may have, those first in an order keyed by the seed stay; rows alike in every level are interchangeable, so
what stays is a function of the unit's own rows and nothing else (docs/proofs/synthetic.md).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from infra.vault import Vault
from sandbox.plan.synthetic import Attribute, SyntheticPlan
from sandbox.raw.kernel import increasing, mixed, places, run_starts, whole_numbers
from sandbox.raw.released import streamed
from sandbox.raw.run import Pool, Source, constant_failure, decrypted, open_version
from sandbox.redacted import Redacted

Ints = npt.NDArray[np.int64]
_MICROSECONDS = 86_400_000_000


class ExactMarginals(Redacted):
    """Exact marginals of a plan: `marginal` (place in `plan.candidates`), `cell` (last column fastest), `n`; cells without rows are absent.

    Neither repr, str nor format says anything about them, and they cannot be pickled: they live in the process that draws the noise.
    """

    __slots__ = ("_table",)

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    @property
    def table(self) -> pa.Table:
        """For `sandbox.noise` alone."""
        return self._table


@dataclass(frozen=True, slots=True)
class MarginalTask:
    plan: SyntheticPlan
    seed: int = field(repr=False)
    source: Source
    memory_bytes: int


def run_marginals(task: MarginalTask) -> pa.Table | None:
    """Partial counts of one shard; a pure function of its task and the files. None for every failure."""
    try:
        return shard_marginals(task.plan, decrypted(task.source, task.memory_bytes), task.seed)
    except Exception:
        return None


def exact_marginals(plan: SyntheticPlan, vault: Vault, workers: Pool, seed: int) -> ExactMarginals:
    """Count on every shard and add up. The same plan, snapshot and seed give the same counts, however many workers there are.

    `seed` keys the choice of rows: 0 ≤ seed < 2**64, secret, one per release. Raises `data_snapshot_refused` before any row is read,
    `job_failed` from then on."""
    version = open_version(plan.scan, vault)
    tasks = [
        MarginalTask(plan, seed, Source(plan.scan.alias, files, plan.scan.columns, plan.scan.window), workers.memory_bytes)
        for files in version.shards
    ]
    return constant_failure(lambda: _combined(plan, streamed(workers, run_marginals, tasks)))


def marginals_of_table(plan: SyntheticPlan, table: pa.Table, seed: int) -> ExactMarginals:
    """The same over one table: dummy rows, tests. Raises `job_failed`."""
    return constant_failure(lambda: _combined(plan, [shard_marginals(plan, table, seed)]))


def check_snapshot(plan: SyntheticPlan, vault: Vault) -> None:
    """Raises `data_snapshot_refused` when the version cannot be opened as it was ingested. Reads a manifest, no row."""
    open_version(plan.scan, vault)


def shard_marginals(plan: SyntheticPlan, table: pa.Table, seed: int) -> pa.Table:
    """Counts of one shard's rows, after bounding."""
    unit = table.column(plan.scan.unit)
    if unit.null_count:
        table = table.filter(pc.is_valid(unit))
    levels = np.stack([levels_of(one, table.column(one.column).combine_chunks()) for one in plan.attributes], axis=1)
    inside = np.all(levels >= 0, axis=1)
    units, levels = table.column(plan.scan.unit).combine_chunks().filter(pa.array(inside)), levels[inside]
    if not plan.single:
        levels = levels[kept_rows(units, levels, plan.rows_per_unit, seed)]
    return _counted(plan, levels)


def levels_of(attribute: Attribute, column: pa.Array) -> Ints:
    """Each value's level; -1 outside the domain, or NULL where none may be."""
    empty = attribute.filled if attribute.nullable else -1
    if attribute.values:
        found = places(column, attribute.values) if attribute.type != "boolean" else _truth(column)
        missing = np.asarray(pc.is_null(column).to_numpy(zero_copy_only=False), dtype=bool)
        return np.where(missing, empty, found)
    steps, there = _steps(attribute, column)
    starts = np.array(attribute.starts, dtype=np.int64)
    level = np.searchsorted(starts, np.clip(steps, starts[0], starts[-1] - 1), side="right") - 1
    return np.where(there, level, empty).astype(np.int64)


def _truth(column: pa.Array) -> Ints:
    return np.asarray(pc.fill_null(column, False).to_numpy(zero_copy_only=False), dtype=np.int64)


def _steps(attribute: Attribute, column: pa.Array) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Values in whole steps, and where there is one. Total: NaN is no value, infinities are the ends of the range."""
    there = np.asarray(pc.is_valid(column).to_numpy(zero_copy_only=False), dtype=bool)
    if attribute.type == "date":
        return np.asarray(pc.fill_null(column.cast(pa.int32()), 0).to_numpy(zero_copy_only=False), dtype=np.int64), there
    if attribute.type == "timestamp":
        return np.asarray(pc.fill_null(column.cast(pa.int64()), 0).to_numpy(zero_copy_only=False), dtype=np.int64) // _MICROSECONDS, there
    if attribute.type != "number":
        return whole_numbers(column, attribute.decimals), there
    plain = np.asarray(pc.fill_null(column, 0.0).to_numpy(zero_copy_only=False), dtype=np.float64)
    there = there & ~np.isnan(plain)
    with np.errstate(over="ignore"):
        scaled = np.rint(np.where(there, plain, 0.0) * 10**attribute.decimals)
    return np.clip(scaled, attribute.starts[0], attribute.starts[-1] - 1).astype(np.int64), there


def kept_rows(units: pa.Array, levels: Ints, most: int, seed: int) -> Ints:
    """Which rows count: all of a unit that has at most `most`, of another that many, first in a keyed order of what the rows say."""
    if len(units) == 0:
        return np.zeros(0, dtype=np.int64)
    starts = run_starts(units)
    order = np.arange(len(units), dtype=np.int64)
    if not increasing(units.take(pa.array(starts))):
        order = pc.sort_indices(units).to_numpy().astype(np.int64)
        starts = run_starts(units.take(pa.array(order)))
    lengths = np.diff(starts, append=len(units))
    crowded = np.repeat(lengths > most, lengths)
    kept = [order[~crowded]]
    rows = order[crowded]
    if len(rows):
        own = np.repeat(np.arange(len(starts), dtype=np.int64), lengths)[crowded]
        keyed = np.full(len(rows), np.uint64(seed))
        with np.errstate(over="ignore"):
            for column in levels[rows].T:
                keyed = mixed(keyed + column.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15))
        ties = tuple(levels[rows].T)  # two unlike rows of one hash: told apart by their levels
        ranked = np.lexsort((*ties, keyed, own))
        sorted_own = own[ranked]
        first = np.flatnonzero(np.concatenate([[True], sorted_own[1:] != sorted_own[:-1]]))
        place = np.arange(len(ranked)) - np.repeat(first, np.diff(first, append=len(ranked)))
        kept.append(rows[ranked[place < most]])
    return np.concatenate(kept)


def _counted(plan: SyntheticPlan, levels: Ints) -> pa.Table:
    marginals, cells, counts = [], [], []
    for number, columns in enumerate(plan.candidates):
        cell = np.zeros(len(levels), dtype=np.int64)
        for place in columns:
            cell = cell * plan.sizes[place] + levels[:, place]
        found = np.bincount(cell, minlength=plan.cells(columns))
        filled = np.flatnonzero(found)
        marginals.append(np.full(len(filled), number, dtype=np.int64))
        cells.append(filled.astype(np.int64))
        counts.append(found[filled].astype(np.int64))
    named = {"marginal": marginals, "cell": cells, "n": counts}
    return pa.table({name: pa.array(np.concatenate(arrays)) for name, arrays in named.items()})


def _combined(plan: SyntheticPlan, partials: Iterable[pa.Table | None]) -> ExactMarginals:
    """Added up cell by cell: integers, so in any order."""
    sizes = [plan.cells(columns) for columns in plan.candidates]
    first = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    whole = np.zeros(int(first[-1]), dtype=np.int64)
    for partial in partials:
        if partial is None:
            raise ValueError("a shard failed")
        at = first[partial.column("marginal").to_numpy()] + partial.column("cell").to_numpy()
        whole[at] += partial.column("n").to_numpy()
    filled = np.flatnonzero(whole)
    marginal = np.searchsorted(first, filled, side="right") - 1
    return ExactMarginals(pa.table({"marginal": pa.array(marginal), "cell": pa.array(filled - first[marginal]), "n": pa.array(whole[filled])}))
