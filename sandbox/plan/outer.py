"""The query outside the frontier: select list, HAVING and ORDER BY over one row per key of noisy totals.

Here a grouping key means the key's column of the noisy table, an aggregate means its noisy total (or, for AVG, a function of two), and
everything else is arithmetic on those: post-processing, which costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from policies.problem import Problem
from sandbox.plan import problems as refusals
from sandbox.plan.bind import AGGREGATES, Binder, Rows
from sandbox.plan.ranks import QUANTILES, asked_share
from sandbox.plan.scope import Scope
from sandbox.plan.spread import Spread
from sandbox.plan.totals import Origin, Totals
from sandbox.sql import problems
from sandbox.sql.expr import Call, Column, Expr, Literal, columns, float_literal
from sandbox.sql.numbers import integer
from sandbox.sql.types import FLOAT, STORED, Kind, Type, exact

SPREADS: Mapping[type[exp.Expr], str] = {
    exp.VariancePop: "var_pop",
    exp.Variance: "var_samp",
    exp.StddevPop: "stddev_pop",
    exp.Stddev: "stddev_samp",
    exp.StddevSamp: "stddev_samp",
}


STORED_AS: Mapping[Kind, str] = {
    **{"exact": "BIGINT", "float": "DOUBLE", "text": "VARCHAR", "date": "DATE", "timestamp": "TIMESTAMP", "boolean": "BOOLEAN"}
}  # how a table made of noisy values keeps each kind


WITHIN_UNIT = (
    "跨单元可用 COUNT、SUM、AVG、MIN、MAX、MEDIAN、分位数与方差；这一汇总只能在子查询中按单元计算。",
    "Across units there are COUNT, SUM, AVG, MIN, MAX, MEDIAN, quantiles and variances; this one is for a subquery, within a unit.",
)


@dataclass(frozen=True, slots=True)
class GroupKey:
    """A key as bound over rows, and the syntax it was bound from."""

    expr: Expr
    node: exp.Expr


class Outer(Binder):
    """`absent`: grouping keys of the query that this one of its grouping sets leaves out; they are NULL here."""

    def __init__(
        self,
        scope: Scope,
        keys: Sequence[GroupKey],
        totals: Totals,
        aliases: Mapping[str, exp.Expr],
        unit: str,
        absent: Sequence[GroupKey] = (),
        scalar: Callable[[Outer, exp.Expr], Expr] | None = None,
    ) -> None:
        super().__init__(scope)
        self.absent = absent
        self.scalar = scalar  # the meaning of a subquery
        self.foreign: dict[str, tuple[Any, str]] = {}  # totals of other frontiers by their name here: whose, and their name there
        self.views: list[str] = []  # views of released tables that subqueries stand for
        self.keys = keys
        self.totals = totals
        self.aliases = aliases
        self.unit = unit
        self.alias_first = False
        self.expanding: set[str] = set()

    def known(self, node: exp.Expr) -> Expr | None:
        node = node.unnest()
        if isinstance(node, exp.Column) and self.alias_first and not node.table and self._aliased(node.name) is not None:
            return None
        if isinstance(node, (exp.Grouping, exp.GroupingId)):
            return self._grouping(node)
        for place, key in enumerate(self.keys):
            if type(node) is type(key.node) and self._rows(node) == key.expr:
                return slot(f"k{place}", key.expr.type)
        for key in self.absent:
            if type(node) is type(key.node) and self._rows(node) == key.expr:
                return absent(key.expr.type)
        return None

    def _grouping(self, node: exp.Expr) -> Expr:
        """GROUPING(a, b, …): one bit for each argument, 1 where the row's grouping set leaves it out, the last one being the lowest."""
        bits = 0
        for item in node.expressions:
            found = self._rows(item.unnest())
            if found is None or all(found != key.expr for key in (*self.keys, *self.absent)):
                raise problems.NOT_GROUPED(fragment=self.piece(item))
            bits = 2 * bits + (all(found != key.expr for key in self.keys))
        return integer(bits)

    def subquery(self, node: exp.Expr) -> Expr:
        if self.scalar is None:
            return super().subquery(node)
        return self.scalar(self, node)

    def _rows(self, node: exp.Expr) -> Expr | None:
        """The node bound over rows, leaving no trace; None when it has no meaning there."""
        uses = dict(self.scope.uses)
        try:
            return Rows(self.scope, "key", aliases=self.aliases).bind(node)
        except Problem:
            return None
        finally:
            self.scope.uses.clear()  # in place: the scopes of one query share it
            self.scope.uses.update(uses)

    def _aliased(self, name: str) -> exp.Expr | None:
        folded = name.casefold()
        return None if folded in self.expanding else self.aliases.get(folded)

    def column(self, node: exp.Column) -> Expr:
        named = None if node.table else self._aliased(node.name)
        if named is not None:
            folded = node.name.casefold()
            self.expanding.add(folded)
            try:
                return self.bind(named)
            finally:
                self.expanding.discard(folded)
        for place, key in enumerate(self.keys):  # a key that is itself an alias: GROUP BY y where y is FLOOR(x / 10)
            if self._rows(node) == key.expr:
                return slot(f"k{place}", key.expr.type)
        for key in self.absent:
            if self._rows(node) == key.expr:
                return absent(key.expr.type)
        if self.scope.find(node) is None:
            raise self.scope.unknown(node)
        raise problems.NOT_GROUPED(fragment=self.piece(node))

    def aggregate(self, node: exp.Expr) -> Expr:
        condition = None
        piece = self.piece(node)
        if isinstance(node, exp.Filter):
            condition = Rows(self.scope, "filter").condition(node.args["expression"].this)
            node = node.this
        if isinstance(node, exp.CountIf):
            asked = Rows(self.scope, "aggregate").condition(node.this)
            self._no_unit([asked], piece)
            both = asked if condition is None else Call("and", (condition, asked), asked.type, "({0} AND {1})")
            return slot(self.totals.count(None, both), FLOAT)
        if isinstance(node, exp.Count):
            return self._count(node, condition, piece)
        if isinstance(node, QUANTILES):
            of, share = asked_share(node, piece)
            if isinstance(of, exp.Distinct):
                raise refusals.AGGREGATE_DISTINCT(fragment=piece)
            value = self._argument(of, piece)
            name = self.totals.quantile(value, condition, piece, self._origin(value), share)
            return slot(name, exact(None, None, self.totals.named(name).decimals))
        if not isinstance(node, (exp.Sum, exp.Avg, *SPREADS)):
            raise problems.REPHRASE(fragment=piece, instead_zh=WITHIN_UNIT[0], instead_en=WITHIN_UNIT[1])
        if isinstance(node.this, exp.Distinct):
            raise refusals.AGGREGATE_DISTINCT(fragment=piece)
        value = self._argument(node.this, piece)
        if isinstance(node, exp.Sum):
            name = self.totals.sum(value, condition, piece, self._origin(value))
            return slot(name, exact(None, None, self.totals.named(name).decimals))
        if isinstance(node, exp.Avg):
            return self._average(*self.totals.average(value, condition, piece, self._origin(value)))
        op = SPREADS[type(node)]
        about, squares, count = self.totals.spread(value, condition, piece, self._origin(value))
        spread = Spread.of(self.totals.named(about), self.totals.named(squares), count, sample="samp" in op, root="stddev" in op)
        return Call(op, tuple(slot(name, FLOAT) for name in (about, squares, count)), FLOAT, spread.value_sql())

    def _count(self, node: exp.Count, condition: Expr | None, piece: str) -> Expr:
        of = node.this
        if of is None or isinstance(of, exp.Star):
            return slot(self.totals.count(None, condition), FLOAT)
        if isinstance(of, exp.Distinct):
            one = Rows(self.scope, "distinct").bind(of.expressions[0]) if len(of.expressions) == 1 else None
            if one is None or one.type.kind not in ("exact", "text", "date", "timestamp", "boolean"):
                raise refusals.COUNT_DISTINCT(fragment=piece)
            if self.scope.is_unit(one):
                return slot(self.totals.units(condition), FLOAT)
            self._no_unit([one], piece)
            if not any(columns(one)):
                raise refusals.CONSTANT_AGGREGATE(fragment=piece)
            return slot(self.totals.distinct(one, condition), FLOAT)
        value = Rows(self.scope, "aggregate").bind(of)
        self._no_unit([value], piece)
        if not any(columns(value)) and not (isinstance(value, Literal) and value.value is not None):
            raise refusals.CONSTANT_AGGREGATE(fragment=piece)
        return slot(self.totals.count(value, condition), FLOAT)

    def _argument(self, node: exp.Expr, piece: str) -> Expr:
        value = Rows(self.scope, "aggregate", narrowed=True).bind(node)
        self._no_unit([value], piece)
        if not any(columns(value)):
            raise refusals.CONSTANT_AGGREGATE(fragment=piece)
        if value.type.kind == "boolean":
            return Call("cast", (value,), exact(0, 1), "CAST({0} AS BIGINT)")
        if not value.type.numeric:
            raise problems.TYPES(fragment=piece, reason_zh="只能对数值求和或求平均", reason_en="only numbers are summed or averaged")
        return value

    def _origin(self, value: Expr) -> Origin:
        if any((self.scope.by_alias(c.table).dataset.name.casefold(), c.name.casefold()) in self.scope.ranges for c in columns(value)):
            return "job"
        return "catalogue" if isinstance(value, Column) else "derived"

    def _no_unit(self, exprs: Sequence[Expr], piece: str) -> None:
        for expr in exprs:
            for column in columns(expr):
                if self.scope.is_unit(column):
                    raise refusals.UNIT_AGGREGATE(fragment=piece, column=column.shown)

    def _average(self, about: str, count: str) -> Expr:
        """(centre + sum / count), inside the range it must lie in; NULL where the noisy count is below one."""
        total = self.totals.named(about)
        unit, low, high = f"1e{total.decimals}", total.low + total.centre, total.high + total.centre
        inside = f"({float_literal(total.centre)} + CAST({{0}} AS DOUBLE) / CAST({{1}} AS DOUBLE))"
        form = f"CASE WHEN {{1}} >= 1 THEN least(greatest({inside}, {float_literal(low)}), {float_literal(high)}) / {unit} END"
        return Call("average", (slot(about, FLOAT), slot(count, FLOAT)), FLOAT, form)


def absent(kind: Type) -> Column:
    """A key that the row's grouping set leaves out."""
    return Column("", "absent", kind, f"CAST(NULL AS {STORED_AS[kind.kind]})")


def slot(name: str, kind: Type) -> Column:
    """A column of the noisy table: keys in their types, totals as 64-bit integers."""
    if kind.kind == "float":
        kind = exact(None, None)
    return Column("", name, Type(kind.kind, kind.scale, reach=STORED if kind.kind == "exact" else 0), "noisy.{0}")  # never an alias


def has_aggregate(node: exp.Expr) -> bool:
    return node.find(*AGGREGATES) is not None
