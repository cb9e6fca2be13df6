"""Rows of a model, standardised: what one shard's steps are computed from, made once and kept by the worker for the next step.

Every number is a function of its row alone: an integer from SQL, standardised with IEEE operations that round one way everywhere.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sandbox.plan.fit.plan import ONE, RESIDUAL_BITS, FitPlan, Variable
from sandbox.raw.engine import query
from sandbox.raw.kernel import in_order, run_starts

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, repr=False)
class Prepared:
    """`features`: rows × features, int32 in 2**-16. `target`: in 2**-16, of logistic and Poisson in 2**-20 of the largest value; empty without
    one. `starts`: where each unit's run begins."""

    features: npt.NDArray[np.int32]
    target: npt.NDArray[np.int32]
    starts: Ints

    @property
    def nbytes(self) -> int:
        return self.features.nbytes + self.target.nbytes + self.starts.nbytes


def prepared(plan: FitPlan, tables: Mapping[str, pa.Table]) -> Prepared:
    """The rows of a shard over its tables by alias: those with every value there, sorted by unit."""
    rows = query(plan.rows_sql, tables)
    keep = np.ones(rows.num_rows, dtype=bool)
    columns = []
    for place, variable in enumerate(plan.variables):
        column = rows.column(f"f{place}").combine_chunks()
        if variable.fill is not None:
            column = pc.fill_null(column, variable.fill)
        elif column.null_count:
            keep &= np.asarray(pc.is_valid(column).to_numpy(zero_copy_only=False), dtype=bool)
        columns.append(column)
    kept = pa.table({"u": rows.column("u"), **{f"f{place}": column for place, column in enumerate(columns)}}).filter(pa.array(keep))
    kept, _ = in_order(kept, np.zeros(0, dtype=np.int64))
    scaled = [_standard(plan, variable, kept.column(f"f{place}").to_numpy().astype(np.int64)) for place, variable in enumerate(plan.variables)]
    count = len(plan.features)
    empty = np.zeros(kept.num_rows, dtype=np.int32)
    features = np.stack(scaled[:count], axis=1) if kept.num_rows else np.zeros((0, count), dtype=np.int32)
    return Prepared(features, scaled[count] if plan.target is not None else empty, run_starts(kept.column("u").combine_chunks()))


def _standard(plan: FitPlan, variable: Variable, values: Ints) -> npt.NDArray[np.int32]:
    """Integers below 2**51 in a double, less a public number, times a public number, rounded: each step exact or correctly rounded."""
    one = ONE
    if variable is plan.target and plan.model in ("logistic", "poisson"):
        one = 2**RESIDUAL_BITS
    middle = float(variable.middle * 10**variable.decimals)
    half = float(variable.half * 10**variable.decimals)
    standard = np.rint((values.astype(np.float64) - middle) * (one / half))
    made: npt.NDArray[np.int32] = np.clip(standard, -one, one).astype(np.int32)
    return made


class PreparedCache:
    """Prepared shards by what they were made from, least recently used out first. Threads may share it."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Prepared] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        return sum(one.nbytes for one in self._kept.values())

    def get(self, key: str) -> Prepared | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def keep(self, key: str, made: Prepared, memory_bytes: int) -> None:
        with self._lock:
            self._kept[key] = made
            while self._kept and self.nbytes > memory_bytes:
                self._kept.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()
