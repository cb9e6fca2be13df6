"""Linear and integer programs, solved by HiGHS; an answer is believed only after it is checked here.

HiGHS starts each solve from the last one's basis, which makes thousands of similar programs affordable; it has been seen to answer such a
solve wrongly (ERGO-Code/HiGHS issue 3294, open for 1.15.1). So every point is checked to satisfy its program, and every optimum to be met by
a bound from its duals (weak duality); what fails is solved again from scratch, and what fails again is an error, never an answer.
One thread and a fixed seed: the same program has the same answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import highspy
import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Places = NDArray[np.int32]
INFINITY = float("inf")
DUAL, PRIMAL = 1, 4  # HiGHS's numbers of the simplex methods
LAST = 200_000  # iterations of the last attempt
TOLERANCE = 1e-6  # of a point's residuals, and (relative) of the gap between an optimum and its bound


@dataclass(frozen=True, slots=True)
class Rows:
    """Constraints, row by row (compressed): lower <= sum of value*x over the entries <= upper."""

    start: Places
    index: Places
    value: Vector
    lower: Vector
    upper: Vector

    @staticmethod
    def of(rows: Sequence[tuple[Sequence[int], Sequence[float], float, float]]) -> Rows:
        """From (columns, coefficients, lower, upper) each."""
        sizes = [len(columns) for columns, _, _, _ in rows]
        return Rows(
            np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32),
            np.fromiter((column for columns, _, _, _ in rows for column in columns), np.int32),
            np.fromiter((value for _, values, _, _ in rows for value in values), np.float64),
            np.fromiter((lower for _, _, lower, _ in rows), np.float64, len(rows)),
            np.fromiter((upper for _, _, _, upper in rows), np.float64, len(rows)),
        )

    def times(self, point: Vector) -> Vector:
        """The left sides at a point."""
        if not len(self.lower):
            return np.zeros(0)
        owner = np.repeat(np.arange(len(self.lower)), np.diff(self.start))
        return np.bincount(owner, self.value * point[self.index], minlength=len(self.lower)).astype(np.float64)

    def transposed(self, multipliers: Vector, columns: int) -> Vector:
        owner = np.repeat(np.arange(len(self.lower)), np.diff(self.start))
        return np.bincount(self.index, self.value * multipliers[owner], minlength=columns).astype(np.float64)


@dataclass(frozen=True, slots=True)
class Optimum:
    """`point` attains `value`; no point of the program does better by more than the tolerance. `duals`: reduced costs of the columns."""

    value: float
    point: Vector
    duals: Vector


class Unsolved(Exception):
    """The solver gave no answer that holds: a bug or numbers out of proportion. Nothing may be concluded."""


class Program:
    """A linear program whose costs and bounds may change between solves."""

    def __init__(self, lower: Vector, upper: Vector, rows: Rows) -> None:
        self.lower, self.upper, self.rows = lower.astype(np.float64), upper.astype(np.float64), rows
        self.costs = np.zeros(len(lower))
        self._all = np.arange(len(lower), dtype=np.int32)
        self._highs = _loaded(self.costs, self.lower, self.upper, rows)
        self.iterations = 1_000 + 4 * (len(lower) + len(rows.lower))

    def bound(self, columns: Sequence[int] | Places, lower: Sequence[float] | Vector, upper: Sequence[float] | Vector) -> None:
        places = np.asarray(columns, np.int32)
        self.lower[places], self.upper[places] = lower, upper
        self._highs.changeColsBounds(len(places), places, self.lower[places], self.upper[places])

    def cost(self, costs: Vector) -> None:
        """All costs at once."""
        self.costs = costs.astype(np.float64)
        self._highs.changeColsCost(len(self._all), self._all, self.costs)

    def solve(self, sense: Literal["min", "max"] = "min") -> Optimum | None:
        """None: nothing satisfies the program. An unbounded program is `Unsolved`: give bounds."""
        kind = highspy.ObjSense.kMinimize if sense == "min" else highspy.ObjSense.kMaximize
        self._highs.changeObjectiveSense(kind)
        # the basis of the last program can set the simplex method turning in circles: it is given an end, then another start, then another way
        for attempt, (strategy, most) in enumerate(((DUAL, self.iterations), (DUAL, self.iterations), (PRIMAL, LAST))):
            if attempt:
                self._highs.clearSolver()
            self._highs.setOptionValue("simplex_strategy", strategy)
            self._highs.setOptionValue("simplex_iteration_limit", most)
            self._highs.run()
            status = self._highs.getModelStatus()
            if status == highspy.HighsModelStatus.kInfeasible and attempt:
                return None
            if status == highspy.HighsModelStatus.kOptimal:
                solution = self._highs.getSolution()
                found = self._checked(np.array(solution.col_value), np.array(solution.row_dual), sense)
                if found is not None:
                    return found
        raise Unsolved(str(self._highs.getModelStatus()))

    def _checked(self, point: Vector, multipliers: Vector, sense: Literal["min", "max"]) -> Optimum | None:
        if not holds(point, self.lower, self.upper, self.rows):
            return None
        sign = 1.0 if sense == "min" else -1.0
        value = float(self.costs @ point)
        reduced = self.costs - self.rows.transposed(multipliers, len(point))
        # weak duality: at least (at most) the bound that multipliers give with every column and row at its cheaper end
        bound = 0.0
        for slope, low, high in ((reduced, self.lower, self.upper), (multipliers, self.rows.lower, self.rows.upper)):
            slope = np.where(np.abs(slope) < 1e-9, 0.0, slope)
            end = np.where(sign * slope > 0, low, high)
            bound += float(np.sum(np.where(slope == 0.0, 0.0, slope * np.where(slope == 0.0, 0.0, end))))
        if not np.isfinite(bound) or abs(bound - value) > TOLERANCE * max(1.0, abs(value), float(np.abs(self.costs).max(initial=0.0))) * 10:
            return None
        return Optimum(value, point, reduced)


def holds(point: Vector, lower: Vector, upper: Vector, rows: Rows) -> bool:
    """Whether a point satisfies a program, computed here and not by the solver."""
    scale = max(1.0, float(np.abs(point).max(initial=0.0)))
    sides = rows.times(point)
    slack = TOLERANCE * scale
    return bool(
        np.all(point >= lower - slack)
        and np.all(point <= upper + slack)
        and np.all(sides >= rows.lower - slack)
        and np.all(sides <= rows.upper + slack)
    )


@dataclass(frozen=True, slots=True)
class Whole:
    """A solution in integers. `bound`: no solution is better than that; `point` None: the effort was not enough to find any."""

    point: Vector | None
    value: float
    bound: float


def integers(costs: Vector, lower: Vector, upper: Vector, rows: Rows, whole: NDArray[np.bool_], nodes: int) -> Whole | None:
    """Minimise in integers (where `whole`) with at most `nodes` nodes of branch and bound. None: nothing satisfies the program."""
    highs = _loaded(costs, lower.astype(np.float64), upper.astype(np.float64), rows, whole)
    highs.setOptionValue("mip_max_nodes", nodes)
    highs.setOptionValue("mip_rel_gap", 1e-6)
    highs.run()
    status, info = highs.getModelStatus(), highs.getInfo()
    if status == highspy.HighsModelStatus.kInfeasible:
        return None
    bound = float(info.mip_dual_bound)
    point = np.array(highs.getSolution().col_value)
    if info.primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible or not len(point):
        return Whole(None, INFINITY, bound)
    point = np.where(whole, np.round(point), point)
    if not holds(point, lower, upper, rows):
        return Whole(None, INFINITY, bound)
    return Whole(point, float(costs @ point), bound)


def _loaded(costs: Vector, lower: Vector, upper: Vector, rows: Rows, whole: NDArray[np.bool_] | None = None) -> highspy.Highs:
    model = highspy.HighsLp()
    model.num_col_, model.num_row_ = len(lower), len(rows.lower)
    model.col_cost_, model.col_lower_, model.col_upper_ = costs, lower, upper
    model.row_lower_, model.row_upper_ = rows.lower, rows.upper
    model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    model.a_matrix_.start_, model.a_matrix_.index_, model.a_matrix_.value_ = rows.start, rows.index, rows.value
    if whole is not None:
        kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
        model.integrality_ = [kinds[bool(one)] for one in whole]
    highs = highspy.Highs()  # type: ignore[no-untyped-call]
    for name, value in (("output_flag", False), ("threads", 1), ("random_seed", 0), ("solver", "simplex")):
        highs.setOptionValue(name, value)
    if whole is not None:
        highs.setOptionValue("solver", "choose")
    highs.passModel(model)
    return highs
