"""What one unit adds to a step, in integers, and the sums over a shard's units.

A unit's contribution is a function of its own rows and of public numbers. More than `rows_per_unit` rows count with the weight of so many; then
the vector is brought within the draw's cap in L2, exactly (docs/proofs/model-steps.md). Products of doubles below are exact: every
factor is an integer and every sum of products stays below 2**53, so it does not matter how a library orders them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from sandbox.plan.fit.ask import ModelName
from sandbox.plan.fit.curves import POINTS, curve_table
from sandbox.plan.fit.plan import (
    CURVED_BITS,
    FEATURE_BITS,
    MAGNIFIED,
    MOST_MAGNIFIED,
    ONE,
    PARAMETER_BITS,
    RESIDUAL_BITS,
    SIZE_BITS,
    FitPlan,
    Step,
    VectorDraw,
)
from sandbox.plan.fit.price import count_weight
from sandbox.raw.fit_rows import Prepared

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
BLOCK_ROWS = 2**16  # exactness of products of doubles rests on it
_BLOCK_CELLS = 2**21  # keeps a block's contributions in some tens of megabytes
_MOST = 2**62
_ETA_BITS = FEATURE_BITS + PARAMETER_BITS
_BETWEEN = _ETA_BITS - POINTS.bit_length() + 1  # bits of the linear predictor between two points of a curve


def shard_sums(plan: FitPlan, step: Step, parameters: Sequence[int], rows: Prepared) -> list[int]:
    """The step's exact vector over one shard, draw after draw, as integers of any size."""
    sums = [0] * step.size
    width = max(draw.size for draw in step.draws)
    for low, high, starts in _blocks(rows, max(1, min(BLOCK_ROWS, _BLOCK_CELLS // width))):
        block = Block(plan, rows.features[low:high].astype(np.int64), rows.target[low:high].astype(np.int64), starts, parameters)
        added = np.concatenate([block.total(draw) for draw in step.draws])
        sums = [before + more for before, more in zip(sums, added.tolist(), strict=True)]
    return sums


def _blocks(rows: Prepared, aim: int) -> Iterator[tuple[int, int, Ints]]:
    """(first row, row after the last, starts of its units) of blocks of whole units, at most `aim` rows or one unit each."""
    count, starts, first = len(rows.target), rows.starts, 0
    while first < len(starts):
        low = int(starts[first])
        near = max(first + 1, int(np.searchsorted(starts, low + aim, side="right")) - 1)
        last = len(starts) if count - low <= aim else near
        high = int(starts[last]) if last < len(starts) else count
        yield low, high, starts[first:last] - low
        first = last


class Block:
    """Some units' rows at one step's parameters."""

    def __init__(self, plan: FitPlan, features: Ints, target: Ints, starts: Ints, parameters: Sequence[int]) -> None:
        self.plan, self.features, self.target, self.starts, self.parameters = plan, features, target, starts, parameters
        self.rows = len(target)
        self.counts = np.diff(starts, append=self.rows)
        # Public facts say that no unit has two rows, and none has: what is skipped then would change nothing.
        self.alone = plan.single and self.rows == len(starts) <= BLOCK_ROWS

    def total(self, draw: VectorDraw) -> Ints:
        """The sum of the units' contributions to a draw."""
        if self.alone and draw.name in _AT_ONCE and draw.shift == 0 and draw.cap >= draw.longest:
            return _AT_ONCE[draw.name](self)
        made: Ints = self.contributions(draw).sum(axis=0)
        return made

    def contributions(self, draw: VectorDraw) -> Ints:
        """One row per unit: its vector, at most `cap` long."""
        if draw.name == "meat":
            bits = draw.shift
            gradient = _cut(self.bounded(self.gradients(), self.plan.gradient_cap, self.plan.gradient_shift), bits)
            return products(gradient)
        return self.bounded(_PER_ROW[draw.name](self), draw.cap, draw.shift)

    def bounded(self, rows: Ints, cap: int, shift: int) -> Ints:
        """Rows' contributions put together by unit, weighed, cut and clipped."""
        added = rows if self.alone else np.add.reduceat(rows, self.starts, axis=0)
        most = self.plan.rows_per_unit
        if not self.alone:
            crowded = self.counts > most
            heavy = np.clip(added[crowded], -_MOST, _MOST)
            added[crowded] = np.sign(heavy) * (np.abs(heavy) // self.counts[crowded, None]) * most
        return clipped(_cut(np.clip(added, -_MOST, _MOST), shift), cap)

    # ── regressions ──

    @property
    def design(self) -> Ints:
        """Standardised features, a 1 before them with an intercept."""
        return with_one(self.features) if self.plan.intercept else self.features

    def eta(self) -> Ints:
        """The linear predictor, in 2**-36: below 2**49 in absolute value, as parameters are below 2**26."""
        made: Ints = (self.design.astype(np.float64) @ np.array(self.parameters[: self.design.shape[1]], dtype=np.float64)).astype(np.int64)
        return made

    def means(self) -> Ints:
        """Expected targets in 2**-20 (linear: of a half range; else of the target's largest value)."""
        eta = self.eta()
        if self.plan.model == "linear":
            return eta >> (_ETA_BITS - RESIDUAL_BITS)
        assert self.plan.target is not None
        return on_curve(*_curve(self.plan.model, self.plan.target.ends[1]), eta)

    def residuals(self) -> Ints:
        means = self.means()
        if self.plan.model != "linear":
            return means - self.target
        most = 2 ** (RESIDUAL_BITS + 1)
        residuals = np.clip(means - (self.target << (RESIDUAL_BITS - FEATURE_BITS)), -16 * most, 16 * most)
        magnified = min(max(self.parameters[-1], MAGNIFIED), MOST_MAGNIFIED)
        return np.clip(_cut(residuals * magnified, MAGNIFIED.bit_length() - 1), -most, most)

    def gradients(self) -> Ints:
        return self.residuals()[:, None] * self.design

    def curvature(self) -> tuple[Ints, Ints]:
        """Coarse features, and each row's weight in the matrix of second derivatives."""
        mean = self.means()
        weight = mean if self.plan.model == "poisson" else mean * (2**RESIDUAL_BITS - mean) >> RESIDUAL_BITS
        return _cut(self.design, FEATURE_BITS - CURVED_BITS[0]), weight >> (RESIDUAL_BITS - CURVED_BITS[1])

    def hessians(self) -> Ints:
        coarse, weight = self.curvature()
        return products(coarse) * weight[:, None]

    @property
    def moment(self) -> Ints:
        return np.concatenate([with_one(self.features), self.target[:, None]], axis=1)

    # ── k-means ──

    def nearest(self) -> tuple[Ints, Ints]:
        """The cluster whose centre is nearest to each row, the first of several, and the squared distance in 2**-32."""
        centres = np.array(self.parameters, dtype=np.int64).reshape(self.plan.clusters, -1)
        apart = (centres * centres).sum(axis=1)[None, :] - 2 * (self.features.astype(np.float64) @ centres.T.astype(np.float64)).astype(
            np.int64
        )
        chosen = np.argmin(apart, axis=1)
        own = (self.features * self.features).sum(axis=1)
        return chosen, own + np.take_along_axis(apart, chosen[:, None], axis=1)[:, 0]

    def clustered(self) -> Ints:
        chosen, _ = self.nearest()
        return self.placed(chosen, np.concatenate([np.full((self.rows, 1), count_weight(len(self.plan.features))), self.features], axis=1))

    def sized(self) -> Ints:
        """Of each cluster, rows and squared distances from its centre, as shares of the longest there is."""
        chosen, squared = self.nearest()
        return self.placed(chosen, np.stack([np.full(self.rows, 2**SIZE_BITS), self.spread(squared)], axis=1))

    def spread(self, squared: Ints) -> Ints:
        share = squared // (4 * len(self.plan.features)) >> (2 * FEATURE_BITS - SIZE_BITS)
        made: Ints = np.clip(share, 0, 2**SIZE_BITS)
        return made

    def placed(self, chosen: Ints, values: Ints) -> Ints:
        """Each row's values in the place of its cluster, zeros elsewhere."""
        made = np.zeros((self.rows, self.plan.clusters, values.shape[1]), dtype=np.int64)
        made[np.arange(self.rows), chosen] = values
        return made.reshape(self.rows, -1)

    def gathered(self, chosen: Ints, columns: Sequence[Ints]) -> Ints:
        """The sums over all rows of the same."""
        most = self.plan.clusters
        sums = [np.bincount(chosen, weights=column.astype(np.float64), minlength=most).astype(np.int64) for column in columns]
        return np.stack(sums, axis=1).reshape(-1)


def _gradient_at_once(block: Block) -> Ints:
    return whole(block.residuals().astype(np.float64) @ block.design.astype(np.float64))


def _hessian_at_once(block: Block) -> Ints:
    coarse, weight = block.curvature()
    return upper(whole((coarse * weight[:, None]).astype(np.float64).T @ coarse.astype(np.float64)))


def _moments_at_once(block: Block) -> Ints:
    moment = block.moment.astype(np.float64)
    return upper(whole(moment.T @ moment))


def _clusters_at_once(block: Block) -> Ints:
    chosen, _ = block.nearest()
    return block.gathered(chosen, [np.full(block.rows, count_weight(len(block.plan.features))), *block.features.T])


def _sizes_at_once(block: Block) -> Ints:
    chosen, squared = block.nearest()
    return block.gathered(chosen, [np.full(block.rows, 2**SIZE_BITS), block.spread(squared)])


_AT_ONCE = {
    "clusters": _clusters_at_once,
    "sizes": _sizes_at_once,
    "gradient": _gradient_at_once,
    "hessian": _hessian_at_once,
    "moments": _moments_at_once,
}
_PER_ROW = {
    "gradient": Block.gradients,
    "hessian": Block.hessians,
    "moments": lambda block: products(block.moment),
    "clusters": Block.clustered,
    "sizes": Block.sized,
}


@lru_cache(maxsize=64)
def _curve(model: ModelName, most: Fraction) -> tuple[int, Ints]:
    first, points = curve_table(model, most)
    return first, np.array(points, dtype=np.int64)


def on_curve(first: int, table: Ints, eta: Ints) -> Ints:
    """Straight lines between the table's points, flat beyond its ends."""
    inside = np.clip(eta, first << _BETWEEN, (first + len(table) - 1 << _BETWEEN) - 1)
    point = (inside >> _BETWEEN) - first
    part = (inside & ((1 << _BETWEEN) - 1)) >> (_BETWEEN - 16)
    made: Ints = table[point] + ((table[point + 1] - table[point]) * part >> 16)
    return made


def clipped(vectors: Ints, cap: int) -> Ints:
    """Each row brought within `cap` in L2 by scaling towards 0. One shorter by a part in 2**29 stays as it is.

    Lengths are sums of doubles column by column: each step is one IEEE operation on the row's own numbers, so the length does not depend on
    which other rows are there. It is off by less than a part in 2**40, and the bound of comparison is a part in 2**30 below the cap."""
    parts = vectors.astype(np.float64)
    squares = np.zeros(len(vectors))
    for column in range(vectors.shape[1]):
        squares += parts[:, column] * parts[:, column]
    length, bound = np.sqrt(squares), cap * (1 - 2.0**-30)
    over = length > bound
    if not over.any():
        return vectors
    made = vectors.copy()
    made[over] = np.trunc(parts[over] * (bound / length[over])[:, None]).astype(np.int64)
    return made


def _cut(values: Ints, bits: int) -> Ints:
    """Towards 0 by so many bits."""
    return values if bits == 0 else np.where(values >= 0, values >> bits, -(-values >> bits))


def with_one(features: Ints) -> Ints:
    return np.concatenate([np.full((len(features), 1), ONE, dtype=np.int64), features], axis=1)


def whole(values: Floats) -> Ints:
    return values.astype(np.int64)


@lru_cache(maxsize=64)
def _places(size: int) -> tuple[Ints, Ints]:
    first, second = np.triu_indices(size)
    return first.astype(np.int64), second.astype(np.int64)


def products(vectors: Ints) -> Ints:
    """Per row, products of pairs: the upper triangle of its square, row by row."""
    first, second = _places(vectors.shape[1])
    made: Ints = vectors[:, first] * vectors[:, second]
    return made


def upper(matrix: Ints) -> Ints:
    made: Ints = matrix[_places(len(matrix))]
    return made
