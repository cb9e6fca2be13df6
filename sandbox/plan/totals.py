"""The exact totals a query needs: each aggregate becomes one or two integer sums per key with a bound on what one unit can move.

COUNT and SUM are one total; AVG is a sum about the middle of the range and a count of values, shared with an equal COUNT; a variance adds a sum
of squares about the middle (docs/proofs/fixed-point.md has why values are integers before the first sum).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Literal as Either

from policies.problem import Problem
from sandbox.plan import problems as refusals
from sandbox.plan.emit import fixed_point
from sandbox.plan.model import MOST_EDGES, Bound, Total, TotalKind
from sandbox.plan.tree import best
from sandbox.sql.expr import Call, Column, Expr, Literal, columns, float_literal
from sandbox.sql.numbers import integer, whole
from sandbox.sql.types import MAX_DIGITS, Type, exact, floating

Origin = Either["catalogue", "job", "derived"]
LARGEST_CAP = 2**62
EXACT_FLOAT = 2**50  # fixed point of a float is exact at its bounds below this
ONE = exact(1, 1)


@dataclass
class Totals:
    """Totals by what they count: asked twice, kept once. `values[i]` is what a row contributes to `totals[i]` (None: every row)."""

    rows_per_group: int
    edges: int = MOST_EDGES
    totals: list[Total] = field(default_factory=list)
    values: list[Expr | None] = field(default_factory=list)
    bounds: dict[Bound, None] = field(default_factory=dict)
    never_null: Callable[[Column], bool] = field(default=lambda column: False)
    foreign: dict[str, Total] = field(default_factory=dict)  # of other frontiers, by the name they have here
    _known: dict[tuple[object, ...], str] = field(default_factory=dict)

    def units(self, condition: Expr | None = None) -> str:
        return self._add("units", _when(condition, None), 0, 1, 1)

    def count(self, value: Expr | None, condition: Expr | None) -> str:
        """Rows, or rows where `value` is present (not NULL and not NaN), a unit counting at most `rows_per_group` within a key."""
        if isinstance(value, Column) and self.never_null(value):
            value = None  # as many values as rows: COUNT(*), COUNT, AVG and variances share
        if isinstance(value, Column):
            value = replace(value, type=replace(value.type, low=None, high=None))  # its range does not matter: AVG and COUNT share
        return self._add("count", _when(condition, None if value is None else present(value)), 0, 1, self.rows_per_group)

    def sum(self, value: Expr, condition: Expr | None, piece: str, source: Origin) -> str:
        value = coarse(value)
        low, high, decimals = self._range(value, piece, source)
        if low == high == 0:
            raise refusals.CONSTANT_AGGREGATE(fragment=piece)
        return self._sum(value, condition, piece, low, high, decimals, 0)

    def average(self, value: Expr, condition: Expr | None, piece: str, source: Origin) -> tuple[str, str]:
        """The sum about the middle of the range, and the count of values."""
        value = coarse(value)
        low, high, decimals = self._range(value, piece, source)
        if low == high:
            raise refusals.CONSTANT_AGGREGATE(fragment=piece)
        centre = (low + high) // 2
        return self._sum(value, condition, piece, low - centre, high - centre, decimals, centre, kind="average"), self.count(value, condition)

    def spread(self, value: Expr, condition: Expr | None, piece: str, source: Origin) -> tuple[str, str, str]:
        """What a variance needs: the sum about the middle of the range, that of squared distances from it, and the count of values."""
        value = coarse(value)
        about, count = self.average(value, condition, piece, source)
        of = self.named(about)
        most = max(abs(of.low), abs(of.high))
        form = f"pow(CAST({fixed_point('{0}', value.type, of)} AS DOUBLE) / {float_literal(most)}, 2)"
        square = Call("squares", (value,), floating(Fraction(0), Fraction(1), MAX_DIGITS), form)
        centre = 10**MAX_DIGITS // 2
        squares = self._sum(square, condition, piece, -centre, centre, MAX_DIGITS, centre, kind="squares")
        return about, squares, count

    def distinct(self, value: Expr, condition: Expr | None) -> str:
        """Different values, a unit adding at most `rows_per_group` of them to a key."""
        return self._add("distinct", _when(condition, value), 0, 1, self.rows_per_group)

    def quantile(self, value: Expr, condition: Expr | None, piece: str, source: Origin, share: Fraction) -> str:
        """A histogram over candidates, from which the one at `share` of the rows is chosen."""
        value = coarse(value)
        low, high, decimals = self._range(value, piece, source)
        if low == high:
            raise refusals.CONSTANT_AGGREGATE(fragment=piece)
        if max(abs(low), abs(high)) > (EXACT_FLOAT if value.type.kind == "float" else LARGEST_CAP):
            raise refusals.BOUNDS_TOO_WIDE(fragment=piece)
        step = round_step(-(-(high - low) // (self.edges - 1)))
        named = (share.numerator, share.denominator)
        return self._add("quantile", _when(condition, value), low, high, self.rows_per_group, decimals, step=step, quantile=named)

    def _sum(
        self, value: Expr, condition: Expr | None, piece: str, low: int, high: int, decimals: int, centre: int, *, kind: TotalKind = "sum"
    ) -> str:
        cap = self.rows_per_group * max(abs(low), abs(high))
        if cap > LARGEST_CAP or (value.type.kind == "float" and max(abs(low + centre), abs(high + centre)) > EXACT_FLOAT):
            raise refusals.BOUNDS_TOO_WIDE(fragment=piece)
        return self._add(kind, _when(condition, value), low, high, cap, decimals, centre)

    def _add(
        self,
        kind: TotalKind,
        value: Expr | None,
        low: int,
        high: int,
        cap: int,
        decimals: int = 0,
        centre: int = 0,
        *,
        step: int = 0,
        quantile: tuple[int, int] = (0, 1),
    ) -> str:
        known = (kind, value, low, high, cap, decimals, centre, step, quantile)
        if known not in self._known:
            name = f"t{len(self._known)}"
            self.totals.append(Total(name, kind, low, high, cap, decimals, centre, step, quantile))
            self.values.append(value)
            self._known[known] = name
        return self._known[known]

    def named(self, name: str) -> Total:
        """The total shown in that column of the noisy table; of a tree, as a quantile by itself."""
        if name in self.foreign:
            return self.foreign[name]
        return next(one for total in self.totals for one in total.apart if one.name == name)

    def share(self, most_nodes: int) -> None:
        """Put quantiles of one column and condition on one noisy tree where that leaves their ranks less uncertain than a choice for each.
        Decided from the number of candidates and the shares alone."""
        alike: dict[object, list[Total]] = {}
        for total, value in zip(self.totals, self.values, strict=True):
            if total.kind == "quantile" and not total.extreme:
                alike.setdefault((value, total.low, total.high, total.cap, total.decimals, total.step), []).append(total)
        for group in alike.values():
            first, *rest = group
            branching = best(first.candidates, tuple(total.quantile for total in group), most_nodes) if rest else 0
            if not branching:
                continue
            also = tuple((total.name, total.quantile) for total in rest)
            kept = [(total, value) for total, value in zip(self.totals, self.values, strict=True) if total not in rest]
            self.totals = [replace(total, branching=branching, also=also) if total is first else total for total, _ in kept]
            self.values = [value for _, value in kept]

    def _range(self, value: Expr, piece: str, source: Origin) -> tuple[int, int, int]:
        """Bounds of one row's value in fixed point, and how many decimals that has. Raises `plan_no_bound`."""
        kind = value.type
        if kind.low is None or kind.high is None:
            raise no_bound(value, piece)
        decimals = kind.scale if kind.kind == "exact" else kind.digits if kind.digits is not None else _worth(kind)
        self.bounds[Bound("range", piece, shown(kind.low), shown(kind.high), source)] = None
        return math.floor(kind.low * 10**decimals), math.ceil(kind.high * 10**decimals), decimals


def round_step(least: int) -> int:
    """The least of 1, 2, 5, 10, 20, 50 … that is not below: candidates are numbers that people would choose."""
    power: int = 10 ** (len(str(least)) - 1)
    return next(digit * power for digit in (1, 2, 5, 10) if digit * power >= least)


def coarse(value: Expr) -> Expr:
    """Exact values finer than nine decimals, which only products have, rounded to nine."""
    if value.type.kind != "exact" or value.type.scale <= MAX_DIGITS:
        return value
    return whole("round", digits=True)([value, integer(MAX_DIGITS)])


def no_bound(value: Expr, piece: str) -> Problem:
    name = next((column.shown for column in columns(value) if column.type.numeric and not column.type.bounded), "x")
    return refusals.NO_BOUND(fragment=piece, argument=name, example=f'{{"{name}": {{"low": 0, "high": 100}}}}')


def shown(bound: Fraction) -> str:
    return str(int(bound)) if bound.denominator == 1 else f"{float(bound):.9g}"


def _worth(kind: Type) -> int:
    """Decimals for a float whose grain nobody declared: about nine significant digits of its range."""
    assert kind.low is not None
    assert kind.high is not None
    most = max(abs(kind.low), abs(kind.high), Fraction(1, 10**9))
    return max(0, min(MAX_DIGITS, 8 - math.floor(math.log10(most))))


def present(value: Expr) -> Expr | None:
    """1 where there is a value; NaN is none. None when there always is one."""
    if isinstance(value, Literal) and value.value is not None:
        return None
    form = "CASE WHEN {0} <= 'infinity'::DOUBLE THEN 1 END" if value.type.kind == "float" else "CASE WHEN {0} IS NOT NULL THEN 1 END"
    return Call("present", (value,), ONE, form)


def _when(condition: Expr | None, value: Expr | None) -> Expr | None:
    """The value where the FILTER condition holds."""
    if condition is None:
        return value
    if value is None:
        return Call("present", (condition,), ONE, "CASE WHEN {0} THEN 1 END")
    return Call("filtered", (condition, value), value.type, "CASE WHEN {0} THEN {1} END")
