"""Rows of a model: levels drawn column by column along the junction tree, counts rounded in a controlled way, and values within levels.

Given the levels of the columns before it in its clique, a column's levels are shared out among the rows that agree on those: each gets the
number of rows that the model expects, rounded up or down and never further (systematic sampling: Madow 1949). The noise of drawing rows is
thereby smaller than that of drawing them independently. Whatever is drawn here is a function of noisy numbers and of chance.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sandbox.plan.synthetic import MOST_ROWS, Attribute, SyntheticPlan
from sandbox.raw.rules import arrow_type
from sandbox.synthetic.graph import Clique, Tree
from sandbox.synthetic.infer import Floats, Model

Ints = npt.NDArray[np.int64]
_EPOCH = date(1970, 1, 1)
_MICROSECONDS = 86_400_000_000


def synthetic_rows(plan: SyntheticPlan, model: Model, chance: np.random.Generator) -> tuple[pa.Table, Ints]:
    """The table, its columns in their declared types, and the rows' levels. As many rows as asked, or as the model has, at most 1,000,000."""
    rows = plan.rows or min(MOST_ROWS, max(1, round(model.total)))
    levels = drawn_levels(model, rows, chance)
    arrays = {one.column: values_of(one, levels[:, place], chance) for place, one in enumerate(plan.attributes)}
    return pa.table(arrays), levels


def drawn_levels(model: Model, rows: int, chance: np.random.Generator) -> Ints:
    """One row of levels for each row, columns in order, rows in no order."""
    levels = np.zeros((rows, len(model.sizes)), dtype=np.int64)
    for column, given in drawing_order(model.tree):
        table = model.marginal((*given, column)).reshape(-1, model.sizes[column])
        group = np.zeros(rows, dtype=np.int64)
        for other in given:
            group = group * model.sizes[other] + levels[:, other]
        levels[:, column] = shared_out(table, group, chance)
    return levels[chance.permutation(rows)]


def drawing_order(tree: Tree) -> list[tuple[int, Clique]]:
    """Each column with those drawn before it that it depends on: the ones in the first clique that has it."""
    order: list[tuple[int, Clique]] = []
    known: set[int] = set()
    for clique, shared in zip(tree.cliques, tree.shared, strict=True):
        given = tuple(column for column in clique if column in shared)
        for column in clique:
            if column not in known:
                order.append((column, given))
                known.add(column)
                given = (*given, column)
    return order


def shared_out(table: Floats, group: Ints, chance: np.random.Generator) -> Ints:
    """A level for each row: in a group of n rows, each level n times its share of the group's row of the table, rounded up or down."""
    order = np.lexsort((chance.random(len(group)), group))
    found, first, sizes = np.unique(group[order], return_index=True, return_counts=True)
    shares = np.maximum(table[found], 0.0)
    empty = shares.sum(axis=1) <= 0  # a group the model thinks impossible, reached by rounding: any level will do
    shares[empty] = 1.0
    ends = np.cumsum(shares, axis=1)
    ends /= ends[:, -1:]
    ends[:, -1] = 1.0
    rank = np.arange(len(group)) - np.repeat(first, sizes)
    at = (rank + np.repeat(chance.random(len(found)), sizes)) / np.repeat(sizes, sizes)
    number = np.repeat(np.arange(len(found)), sizes)
    steps = (ends + np.arange(len(found)).reshape(-1, 1)).reshape(-1)
    level = np.searchsorted(steps, number + np.minimum(at, 1 - 1e-12), side="right") - number * table.shape[1]
    levels = np.empty(len(group), dtype=np.int64)
    levels[order] = np.clip(level, 0, table.shape[1] - 1)
    return levels


def values_of(attribute: Attribute, levels: Ints, chance: np.random.Generator) -> pa.Array:
    """Levels as values of the column's type, decimals in 128 bits: a domain's own, or one anywhere in the bin with equal chance."""
    empty = levels == attribute.filled
    kind = arrow_type(attribute.type, attribute.decimals)
    if attribute.values:
        indices = pa.array(np.where(empty, 0, levels), mask=empty)
        return pa.array(list(attribute.values), kind).take(indices)
    starts = np.array(attribute.starts, dtype=np.int64)
    within = np.where(empty, 0, levels)
    steps = chance.integers(starts[within], starts[within + 1])
    return in_type(attribute, kind, steps, empty, chance)


def in_type(attribute: Attribute, kind: pa.DataType, steps: Ints, empty: npt.NDArray[np.bool_], chance: np.random.Generator) -> pa.Array:
    if attribute.type == "number":
        return pa.array(steps / 10**attribute.decimals, kind, mask=empty)
    if attribute.type == "date":
        return pa.array(steps.astype(np.int32), pa.int32(), mask=empty).cast(kind)
    if attribute.type == "timestamp":
        seconds = chance.integers(0, 86_400, len(steps))
        return pa.array(steps * _MICROSECONDS + seconds * 1_000_000, pa.int64(), mask=empty).cast(kind)
    if attribute.type == "decimal":
        words = np.stack([steps, steps >> 63], axis=1)  # 128 bits, little end first, sign extended: readers know these better than 64
        masked = pa.array(steps, pa.int64(), mask=empty)
        return pa.Array.from_buffers(pa.decimal128(18, attribute.decimals), len(steps), [masked.buffers()[0], pa.py_buffer(words.tobytes())])
    return pa.array(steps, kind, mask=empty)


def shown_level(attribute: Attribute, level: int) -> str:
    """A level in a few characters, for reports."""
    if level == attribute.filled:
        return "NULL"
    if attribute.values:
        return str(attribute.values[level])
    low, high = attribute.starts[level], attribute.starts[level + 1] - 1
    if attribute.type in ("date", "timestamp"):
        return f"{_EPOCH + timedelta(days=low)} … {_EPOCH + timedelta(days=high)}"
    grain = 10**attribute.decimals
    first, last = (f"{end / grain:g}" if attribute.decimals else str(end) for end in (low, high))
    return first if low == high else f"{first} … {last}"
