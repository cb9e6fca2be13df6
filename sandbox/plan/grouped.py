"""Aggregates inside a subquery: exact functions of the multiset of one unit's rows (or of public rows), whatever their order.

Sums add integers; values of a declared range are clamped to it and made fixed point first, as at the frontier. A mean is an exact sum over a
count. min and max compare. Nothing that depends on the order of rows, or adds up DOUBLEs, is here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from sqlglot import exp

from policies.problem import Problem
from sandbox.plan import problems as refusals
from sandbox.plan.bind import Binder, Rows
from sandbox.plan.outer import GroupKey
from sandbox.plan.scope import Scope
from sandbox.plan.totals import coarse, no_bound
from sandbox.sql import problems
from sandbox.sql.expr import Call, Expr, columns, float_literal, integer_literal
from sandbox.sql.numbers import CLAMP, FLOAT_CLAMP, to_float
from sandbox.sql.types import BOOLEAN, MAX_DIGITS, STORED, Type, exact, floating

LARGEST = 2**61  # of one row's value, clamped
EXACT_FLOAT = 2**50
FINITE = "CASE WHEN {0} <= 1e150 THEN greatest({0}, -1e150) WHEN {0} IS NOT NULL THEN 1e150 END"  # sums and squares of it do not overflow
AFTERWARDS: Mapping[type[exp.Expr], str] = {
    exp.Median: "median",
    exp.VariancePop: "var_pop",
    exp.Variance: "var_samp",
    exp.StddevPop: "stddev_pop",
    exp.Stddev: "stddev_samp",
    exp.StddevSamp: "stddev_samp",
}
_INTEGER = exact(None, None)


def settled(expr: Expr) -> Expr:
    """A value to group by: of the two zeros of DOUBLE, which are equal, always the same one."""
    return Call("settled", (expr,), expr.type, "({0} + 0e0)") if expr.type.kind == "float" else expr


class Grouped(Binder):
    """The select list and HAVING of a GROUP BY. `narrowed`: types as the job's ranges and the contribution bounds say."""

    def __init__(self, scope: Scope, keys: Sequence[GroupKey], aliases: Mapping[str, exp.Expr], *, narrowed: bool = False) -> None:
        super().__init__(scope)
        self.keys = keys
        self.aliases = aliases
        self.narrowed = narrowed
        self.expanding: set[str] = set()

    def known(self, node: exp.Expr) -> Expr | None:
        node = node.unnest()
        if isinstance(node, (exp.Min, exp.Max)):
            return self.aggregate(node)
        for key in self.keys:
            if type(node) is type(key.node) and self._rows(node) == key.expr:
                return self._narrow(key)
        return None

    def _rows(self, node: exp.Expr) -> Expr | None:
        try:
            return settled(Rows(self.scope, None, aliases=self.aliases).bind(node))
        except Problem:
            return None

    def _narrow(self, key: GroupKey) -> Expr:
        if not self.narrowed:
            return key.expr
        kind = Rows(self.scope, None, aliases=self.aliases, narrowed=True).bind(key.node).type
        return replace(key.expr, type=replace(key.expr.type, low=kind.low, high=kind.high))

    def column(self, node: exp.Column) -> Expr:
        name = node.name.casefold()
        if not node.table and name in self.aliases and name not in self.expanding and self.scope.find(node) is None:
            self.expanding.add(name)
            try:
                return self.bind(self.aliases[name])
            finally:
                self.expanding.discard(name)
        for key in self.keys:
            if self._rows(node) == key.expr:
                return self._narrow(key)
        if self.scope.find(node) is None:
            raise self.scope.unknown(node)
        raise problems.NOT_GROUPED(fragment=self.piece(node))

    def aggregate(self, node: exp.Expr) -> Expr:
        piece, condition = self.piece(node), None
        if isinstance(node, exp.Filter):
            condition = Rows(self.scope, "filter").condition(node.args["expression"].this)
            node = node.this
        if isinstance(node, exp.CountIf):
            held = Rows(self.scope, "aggregate").condition(node.this)
            condition = held if condition is None else Call("and", (condition, held), held.type, "({0} AND {1})")
            return self._count("agg rows", (condition,), "count(CASE WHEN {0} THEN 1 END)")
        if isinstance(node, exp.Count):
            return self._counted(node, condition, piece)
        if type(node) in AFTERWARDS and self._after() and not isinstance(node.this, exp.Distinct):
            return self._afterwards(node, condition, piece)
        if isinstance(node, (exp.LogicalOr, exp.LogicalAnd)):
            held = Rows(self.scope, "aggregate").condition(node.this)
            self._no_unit(held, piece)
            return Call("agg truth", (_where(condition, held),), BOOLEAN, f"bool_{'or' if isinstance(node, exp.LogicalOr) else 'and'}({{0}})")
        if isinstance(node, (exp.ArgMax, exp.ArgMin)):
            return self._chosen(node, condition, piece)
        if isinstance(node, exp.Median):
            return self._middle(node, condition, piece)
        if not isinstance(node, (exp.Sum, exp.Avg, exp.Min, exp.Max)):
            raise refusals.INNER_FUNCTION(fragment=piece)
        if isinstance(node.this, exp.Distinct):
            raise refusals.AGGREGATE_DISTINCT(fragment=piece)
        value = Rows(self.scope, "aggregate", narrowed=True).bind(node.this)
        self._no_unit(value, piece)
        if isinstance(node, (exp.Min, exp.Max)):
            if value.type.kind == "null":
                raise refusals.INNER_FUNCTION(fragment=piece)
            form = f"{'min' if isinstance(node, exp.Min) else 'max'}({{0}}{' + 0e0' if value.type.kind == 'float' else ''})"
            kind = value.type if self.narrowed else Rows(self.scope, None).bind(node.this).type
            return Call("agg least" if isinstance(node, exp.Min) else "agg greatest", (_where(condition, value),), kind, form)
        return self._sum(value, condition, piece) if isinstance(node, exp.Sum) else self._mean(value, condition, piece)

    def _chosen(self, node: exp.Expr, condition: Expr | None, piece: str) -> Expr:
        """arg_max(x, v): the x of the row with the largest v; of several the largest x, so that the order of rows is nothing."""
        value = settled(Rows(self.scope, "aggregate", narrowed=self.narrowed).bind(node.this))
        by = settled(Rows(self.scope, "aggregate").bind(node.args["expression"]))
        for expr in (value, by):
            self._no_unit(expr, piece)
            if expr.type.kind == "null":
                raise refusals.INNER_FUNCTION(fragment=piece)
        name = "arg_max" if isinstance(node, exp.ArgMax) else "arg_min"
        form = f"{name}({{0}}, CASE WHEN {{0}} IS NOT NULL AND {{1}} IS NOT NULL THEN row({{1}}, {{0}}) END)"
        return Call("agg chosen", (_where(condition, value), by), value.type, form)

    def _middle(self, node: exp.Expr, condition: Expr | None, piece: str) -> Expr:
        """median(x), in DOUBLE."""
        value = Rows(self.scope, "aggregate", narrowed=self.narrowed).bind(node.this)
        self._no_unit(value, piece)
        if not value.type.numeric:
            raise refusals.INNER_FUNCTION(fragment=piece)
        made = to_float(value)
        return Call("agg middle", (_where(condition, made),), floating(made.type.low, made.type.high), "median({0})")

    def _counted(self, node: exp.Count, condition: Expr | None, piece: str) -> Expr:
        of = node.this
        if of is None or isinstance(of, exp.Star):
            return self._rows_counted(condition)
        distinct = isinstance(of, exp.Distinct)
        if distinct and len(of.expressions) != 1:
            raise refusals.INNER_FUNCTION(fragment=piece)
        of = of.expressions[0] if distinct else of
        value = Rows(self.scope, None).bind(of)
        if self.scope.is_unit(value) and not distinct:
            return self._rows_counted(condition)  # every row has its unit
        self._no_unit(value, piece)
        if not any(columns(value)):
            raise refusals.CONSTANT_AGGREGATE(fragment=piece)
        self.scope.note(self.scope.bases(value), "distinct" if distinct else "aggregate")
        return self._count(
            "agg distinct" if distinct else "agg values", (_where(condition, settled(value)),), f"count({'DISTINCT ' if distinct else ''}{{0}})"
        )

    def _rows_counted(self, condition: Expr | None) -> Expr:
        if condition is None:
            return self._count("agg rows", (), "count(*)")
        return self._count("agg rows", (condition,), "count(CASE WHEN {0} THEN 1 END)")

    def _count(self, op: str, args: tuple[Expr, ...], form: str) -> Expr:
        most = self._most()
        return Call(op, args, exact(0, most, 0, STORED) if self.narrowed and most is not None else _INTEGER, form)

    def _most(self) -> int | None:
        """How many rows of one unit are believed: as many keys as it may touch, times as many rows in each. None for public rows."""
        bounds = [dataset.bounds for dataset in self.scope.shared.private if dataset.bounds is not None]
        if self.scope.owner is None or not bounds:
            return None
        groups, rows = max(item.groups_per_unit for item in bounds), max(item.rows_per_group for item in bounds)
        return groups * rows

    def _sum(self, value: Expr, condition: Expr | None, piece: str) -> Expr:
        if value.type.kind == "float" and not value.type.bounded and self._after():
            return Call("agg total", (_where(condition, value),), floating(None, None), f"sum({FINITE})")
        row, scale, low, high = self._fixed(value, condition, piece)
        most = self._most()
        kind = exact(None, None, scale)
        if self.narrowed and low is not None and high is not None and most is not None:
            kind = exact(min(Fraction(0), most * low), max(Fraction(0), most * high), scale, STORED)
        return Call("agg total", row.args, kind, f"TRY_CAST(sum({row.form}) AS BIGINT)")

    def _mean(self, value: Expr, condition: Expr | None, piece: str) -> Expr:
        if value.type.kind == "float" and not value.type.bounded and self._after():
            return Call("agg total", (_where(condition, value),), floating(None, None), f"avg({FINITE})")
        row, scale, low, high = self._fixed(value, condition, piece)
        kind = floating(low, high) if self.narrowed else floating(None, None)
        return Call("agg total", row.args, kind, f"(CAST(sum({row.form}) AS DOUBLE) / nullif(count({row.form}), 0) / 1e{scale})")

    def _afterwards(self, node: exp.Expr, condition: Expr | None, piece: str) -> Expr:
        """Medians, variances and deviations of released numbers."""
        value = Rows(self.scope, "aggregate", narrowed=True).bind(node.this)
        if not value.type.numeric:
            raise problems.TYPES(fragment=piece, reason_zh="只能对数值求和或求平均", reason_en="only numbers are summed or averaged")
        of = _where(condition, to_float(value))
        return Call("agg total", (of,), floating(None, None), f"{AFTERWARDS[type(node)]}({FINITE})")

    def _after(self) -> bool:
        """Whether the rows are released ones: added up in the finishing room, by one thread, so in one order."""
        releases = self.scope.shared.releases
        return self.scope.owner is None and any(releases.reads(table.relation) for table in self.scope.tables)

    def _fixed(self, value: Expr, condition: Expr | None, piece: str) -> tuple[Call, int, Fraction | None, Fraction | None]:
        """One row's value as a 64-bit integer in units of 10**-scale, in its range where it has one; NULL for what does not fit."""
        if value.type.kind == "boolean":
            value = Call("cast", (value,), exact(0, 1), "CAST({0} AS BIGINT)")
        if not value.type.numeric:
            raise problems.TYPES(fragment=piece, reason_zh="只能对数值求和或求平均", reason_en="only numbers are summed or averaged")
        value = coarse(value)
        kind = value.type
        of = _where(condition, value)
        if kind.low is None or kind.high is None:
            if kind.kind == "float":
                raise no_bound(value, piece)
            return Call("row", (of,), kind, "TRY_CAST({0} AS BIGINT)"), kind.scale, None, None
        if kind.kind == "exact":
            ends = math.floor(kind.low * 10**kind.scale), math.ceil(kind.high * 10**kind.scale)
            form = f"CAST({CLAMP.format('{0}', *map(integer_literal, ends))} AS BIGINT)"
            scale, limit = kind.scale, LARGEST
        else:
            scale = _decimals(kind)
            ends = math.floor(kind.low * 10**scale), math.ceil(kind.high * 10**scale)
            form = f"CAST(round({FLOAT_CLAMP.format('{0}', *(float_literal(end / 10**scale) for end in ends))} * 1e{scale}) AS BIGINT)"
            limit = EXACT_FLOAT
        if max(map(abs, ends)) > limit:
            raise refusals.BOUNDS_TOO_WIDE(fragment=piece)
        return Call("row", (of,), kind, form), scale, kind.low, kind.high

    def _no_unit(self, value: Expr, piece: str) -> None:
        for column in columns(value):
            if self.scope.is_unit(column):
                raise refusals.UNIT_AGGREGATE(fragment=piece, column=self.scope.field(column).name)


def _decimals(kind: Type) -> int:
    """Digits kept of a float: those declared, or about nine significant ones of its range."""
    if kind.digits is not None:
        return kind.digits
    most = max(*(abs(end) for end in (kind.low, kind.high) if end is not None), Fraction(1, 10**9))
    return max(0, min(MAX_DIGITS, 8 - math.floor(math.log10(most))))


def _where(condition: Expr | None, value: Expr) -> Expr:
    return value if condition is None else Call("filtered", (condition, value), value.type, "CASE WHEN {0} THEN {1} END")
