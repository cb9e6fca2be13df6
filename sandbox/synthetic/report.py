"""How good a synthetic table is, said from what was paid for: its marginals beside the noisy measurements, never beside the data.

The distance to a measurement is total variation: half the summed differences of shares. A measurement is itself off by its noise, by `noise` on
average, so a distance near that is as good as the measurement can tell.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from sandbox.plan.synthetic import SyntheticPlan
from sandbox.synthetic.infer import Measured
from sandbox.synthetic.rows import shown_level

Ints = npt.NDArray[np.int64]
_MEAN_ABSOLUTE = math.sqrt(2 / math.pi)  # of a standard normal
_HALF_WIDTH = 1.959964


@dataclass(frozen=True, slots=True)
class MarginalQuality:
    """One measurement: its columns, the standard deviation of its noise in rows, and distances in total variation."""

    columns: tuple[str, ...]
    cells: int
    scale: float
    distance: float
    noise: float


@dataclass(frozen=True, slots=True)
class ColumnQuality:
    """One column by itself: rows by level as measured (half_width: 95 %, in rows), and in the synthetic table, brought to as many rows."""

    column: str
    levels: tuple[str, ...]
    measured: tuple[int, ...]
    synthetic: tuple[int, ...]
    half_width: float


@dataclass(frozen=True, slots=True)
class Quality:
    """`estimated_rows`: of the data, as measured; `rows`: of the synthetic table."""

    rows: int
    estimated_rows: int
    marginals: tuple[MarginalQuality, ...]
    columns: tuple[ColumnQuality, ...]

    @property
    def mean_distance(self) -> float:
        return sum(one.distance for one in self.marginals) / len(self.marginals)

    def as_json(self) -> bytes:
        whole = {**asdict(self), "mean_distance": self.mean_distance}
        return json.dumps(whole, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def quality(plan: SyntheticPlan, measured: Sequence[Measured], levels: Ints, total: float) -> Quality:
    """Of the rows' levels beside every measurement; measurements of the same columns are one."""
    marginals, columns = [], []
    for one in together(measured):
        found = counted(plan, levels, one.columns) * (total / len(levels))
        names = tuple(plan.attributes[place].column for place in one.columns)
        distance = float(np.abs(found - one.counts).sum()) / (2 * total)
        noise = _MEAN_ABSOLUTE * one.scale * one.counts.size / (2 * total)
        marginals.append(MarginalQuality(names, one.counts.size, one.scale, distance, noise))
        if len(one.columns) == 1:
            attribute = plan.attributes[one.columns[0]]
            shown = tuple(shown_level(attribute, level) for level in range(attribute.size))
            counts = tuple(np.rint(one.counts).astype(np.int64).tolist())
            columns.append(ColumnQuality(names[0], shown, counts, tuple(np.rint(found).astype(np.int64).tolist()), _HALF_WIDTH * one.scale))
    return Quality(len(levels), round(total), tuple(marginals), tuple(columns))


def together(measured: Sequence[Measured]) -> list[Measured]:
    """Each set of columns once: means of its measurements by inverse variance."""
    sums: dict[tuple[int, ...], tuple[npt.NDArray[np.float64], float]] = {}
    for one in measured:
        weight = 1 / one.scale**2
        before = sums.get(one.columns, (np.zeros(one.counts.size), 0.0))
        sums[one.columns] = (before[0] + weight * one.counts.reshape(-1), before[1] + weight)
    return [Measured(columns, summed / weight, weight**-0.5) for columns, (summed, weight) in sums.items()]


def counted(plan: SyntheticPlan, levels: Ints, columns: Sequence[int]) -> npt.NDArray[np.float64]:
    """Rows by the levels of some columns, last one fastest."""
    cell = np.zeros(len(levels), dtype=np.int64)
    for place in columns:
        cell = cell * plan.sizes[place] + levels[:, place]
    return np.bincount(cell, minlength=plan.cells(tuple(columns))).astype(np.float64)
