"""Window functions inside a subquery: over the rows of one unit, so that no unit moves another one's.

What is computed must not depend on the order in which rows happen to lie. Ranks and sums up to the current row take tied rows together, which
is SQL's default; `row_number`, `lag` and `lead` tell tied rows apart, so every column that the subquery reads breaks their ties.
"""

from __future__ import annotations

import re
from dataclasses import replace

from sqlglot import exp

from sandbox.plan import problems as refusals
from sandbox.plan.bind import Rows
from sandbox.plan.grouped import Grouped
from sandbox.plan.ir import PER_UNIT
from sandbox.sql import problems
from sandbox.sql.expr import Call, Column, Expr, columns
from sandbox.sql.types import exact

_PLACES = {exp.RowNumber: "row_number", exp.Rank: "rank", exp.DenseRank: "dense_rank"}
_NEIGHBOURS = {exp.Lag: "lag", exp.Lead: "lead"}
_SUMS = (exp.Count, exp.CountIf, exp.Sum, exp.Avg, exp.Min, exp.Max, exp.Filter)


class Windowed(Rows):
    """Expressions over rows, windows admitted."""

    inside = False

    def known(self, node: exp.Expr) -> Expr | None:
        if not isinstance(node, exp.Window):
            return None
        if self.inside:
            raise problems.WINDOW(fragment=self.piece(node))
        self.inside = True
        use, self.use = self.use, "filter" if self.use is None else self.use
        try:
            return self._window(node)
        finally:
            self.inside, self.use = False, use

    def plain(self, node: exp.Expr) -> Expr:
        """Bound without windows."""
        self.inside = True
        try:
            return self.bind(node)
        finally:
            self.inside = False

    def _window(self, node: exp.Window) -> Expr:
        piece = self.piece(node)
        by = [self.bind(item) for item in node.args.get("partition_by") or []]
        unit = self.scope.owner
        if unit is not None:
            if not any(self.scope.tells_unit(item) for item in by):
                raise refusals.WINDOW_UNIT(fragment=piece)
            by = [unit.unit, *(item for item in by if item != unit.unit)]
        order = node.args.get("order")
        terms: list[tuple[Expr, str]] = []
        for item in order.expressions if order is not None else ():
            if isinstance(item.this, (exp.Literal, exp.Var)):
                raise problems.NOT_SUPPORTED(fragment=piece, element="ORDER BY")
            direction = f"{'DESC' if item.args.get('desc') else 'ASC'} NULLS {'FIRST' if item.args.get('nulls_first') else 'LAST'}"
            terms.append((self.bind(item.this), direction))
        of = node.this
        if type(of) in _PLACES:
            name = _PLACES[type(of)]
            call, value = Call("place", (), exact(None, None), f"{name}()"), name == "row_number"
        elif type(of) in _NEIGHBOURS:
            offset, default = of.args.get("offset"), of.args.get("default")
            if default is not None or (
                offset is not None and not (isinstance(offset, exp.Literal) and str(offset.this) in map(str, range(1, 101)))
            ):
                raise problems.NOT_SUPPORTED(fragment=piece, element=type(of).__name__)
            seen = self.bind(of.this)
            if any(self.scope.field(column).identifying for column in columns(seen)):
                raise refusals.UNIT_AGGREGATE(fragment=piece, column=str(of.this.name))
            call, value = (
                Call("neighbour", (seen,), seen.type, f"{_NEIGHBOURS[type(of)]}({{0}}, {1 if offset is None else int(str(offset.this))})"),
                True,
            )
        elif isinstance(of, _SUMS):
            made = Grouped(self.scope, [], self.aliases, narrowed=self.narrowed).bind(of)
            if not isinstance(made, Call) or made.op not in PER_UNIT or made.op == "agg distinct":
                raise refusals.INNER_FUNCTION(fragment=piece)
            call, value = made, False
        else:
            raise problems.WINDOW(fragment=piece)
        if not terms and not isinstance(of, _SUMS):
            raise refusals.WINDOW_ORDER(fragment=piece)
        return _over(call, by, terms, ties=value)


def _over(call: Call, by: list[Expr], terms: list[tuple[Expr, str]], *, ties: bool) -> Call:
    """The window as a call: the partition first, then the order, then what the function is of."""
    args = [*by, *(expr for expr, _ in terms), *call.args]
    places = [f"{{{place}}}" for place in range(len(args))]
    partition = f"PARTITION BY {', '.join(places[: len(by)])}" if by else ""
    order = ", ".join(f"{place} {direction}" for place, (_, direction) in zip(places[len(by) :], terms, strict=False))
    order = f" ORDER BY {order}" if order else ""
    over = f" OVER ({partition}{order}{'{ties}' if ties else ''})"
    form = _shifted(call.form, len(by) + len(terms))
    return Call("over", tuple(args), call.type, _each(form, over))


def _shifted(form: str, by: int) -> str:
    return re.sub(r"\{(\d)\}", lambda place: f"{{{int(place[1]) + by}}}", form)


_CALLS = re.compile(r"(?<![a-z_])(?:count|sum|min|max|row_number|rank|dense_rank|lag|lead)\(")


def _each(form: str, over: str) -> str:
    """The window clause behind every aggregate of a form: count(…), sum(…), min(…), max(…) or the function itself."""
    out, place = "", 0
    for found in _CALLS.finditer(form):
        depth, end = 1, found.end()
        while depth:
            depth += {"(": 1, ")": -1}.get(form[end], 0)
            end += 1
        out, place = out + form[place:end] + over, end
    return out + form[place:]


def with_ties(exprs: tuple[Expr, ...]) -> tuple[Expr, ...]:
    """The expressions with every column that any of them reads as a tie-break of those windows that need one."""
    every = sorted({column for expr in exprs for column in columns(expr)}, key=lambda column: (column.table, column.name))
    return tuple(_broken(expr, every) for expr in exprs)


def _broken(expr: Expr, every: list[Column]) -> Expr:
    if not isinstance(expr, Call):
        return expr
    args = tuple(_broken(arg, every) for arg in expr.args)
    if expr.op != "over" or "{ties}" not in expr.form:
        return replace(expr, args=args)
    ties = ", ".join(f"{{{len(args) + place}}} ASC NULLS LAST" for place in range(len(every)))
    return replace(expr, args=(*args, *every), form=expr.form.replace("{ties}", f", {ties}" if ties else ""))
