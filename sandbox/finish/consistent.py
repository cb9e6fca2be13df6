"""Noisy totals of grouping sets, made to add up: post-processing by least squares (`sandbox.plan.lattice` has the weights)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sandbox.plan.lattice import interactions
from sandbox.plan.view import Lattice

Cells = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]


def consistent(lattices: Sequence[Lattice], tables: Sequence[pa.Table]) -> list[pa.Table]:
    """The noisy tables of all parts drawn so far, with the totals of every lattice all of whose sets are among them made consistent.

    Totals are whole numbers after it too. Where each set contains the next one (ROLLUP), children add up to their parents exactly:
    parents are rounded first, then children so that they fill them, the largest remainders upwards. Otherwise (CUBE) every total is
    rounded to the nearest whole number, and sums agree to within half of one for each number added, and another half.
    """
    made = list(tables)
    for lattice in lattices:
        if max(lattice.parts) >= len(made) or not all(made[part].num_rows for part in lattice.parts):
            continue  # not drawn yet, or the trial over no rows
        for total, names in enumerate(lattice.totals):
            noisy = [_cells(lattice, number, made[part].column(names[number])) for number, part in enumerate(lattice.parts)]
            fitted = rounded(lattice, fit(lattice, total, noisy))
            for number, part in enumerate(lattice.parts):
                place = made[part].column_names.index(names[number])
                made[part] = made[part].set_column(place, names[number], pa.array(fitted[number].reshape(-1), pa.int64()))
    return made


def _cells(lattice: Lattice, number: int, column: pa.ChunkedArray) -> Cells:
    """One axis for each key of the lattice, of length 1 where the set leaves it out."""
    shape = [size if key in lattice.sets[number] else 1 for key, size in enumerate(lattice.sizes)]
    values: Cells = column.to_numpy().astype(np.float64)
    order = lattice.sets[number]
    if list(order) != sorted(order):
        raise ValueError("keys of a set are in the order of the lattice")
    return values.reshape(shape)


def fit(lattice: Lattice, total: int, noisy: Sequence[Cells]) -> list[Cells]:
    """The least-squares tables of one total, set by set, from the noisy ones."""
    fitted = [np.zeros_like(table) for table in noisy]
    for one in interactions(lattice, total):
        estimate: Any = 0.0
        for number, weight in one.weights.items():
            estimate = estimate + weight * _interaction(lattice, noisy[number], one.keys, lattice.sets[number])
        for number, of in enumerate(lattice.sets):
            if set(one.keys) <= set(of):
                fitted[number] += estimate / math.prod(lattice.sizes[key] for key in of if key not in one.keys)
    return fitted


def _interaction(lattice: Lattice, table: Cells, keys: Sequence[int], of: Sequence[int]) -> Cells:
    """Sums along the set's other keys, contrasts along these."""
    for key in of:
        table = table - table.mean(axis=key, keepdims=True) if key in keys else table.sum(axis=key, keepdims=True)
    return table


def rounded(lattice: Lattice, tables: Sequence[Cells]) -> list[Whole]:
    order = sorted(range(len(tables)), key=lambda number: len(lattice.sets[number]))
    chain = all(set(lattice.sets[a]) < set(lattice.sets[b]) for a, b in itertools.pairwise(order))
    made: dict[int, Whole] = {}
    above: Whole | None = None
    for number in order:
        made[number] = above = _nearest(tables[number]) if above is None or not chain else _filling(tables[number], above)
    return [made[number] for number in range(len(tables))]


def _nearest(values: Cells) -> Whole:
    whole: Whole = np.clip(np.rint(values), -(2.0**62), 2.0**62).astype(np.int64)
    return whole


def _filling(values: Cells, above: Whole) -> Whole:
    """Whole numbers near to the values whose sums along the keys that the parent lacks are the parent's."""
    down = [key for key, size in enumerate(values.shape) if above.shape[key] == 1]
    kept = [key for key in range(values.ndim) if key not in down]
    moved = np.transpose(values, (*kept, *down))
    rows = moved.reshape(math.prod(moved.shape[: len(kept)]), -1)
    low = np.clip(np.floor(rows), -(2.0**62), 2.0**62)
    whole: Whole = low.astype(np.int64)
    missing = above.reshape(-1) - whole.sum(axis=1)
    each, more = np.divmod(missing, rows.shape[1])
    whole += each[:, None]
    rank = np.argsort(np.argsort(-(rows - low), axis=1, kind="stable"), axis=1, kind="stable")
    whole += rank < more[:, None]
    filled: Whole = np.transpose(whole.reshape(moved.shape), np.argsort((*kept, *down)))
    return filled
