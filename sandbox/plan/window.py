"""Window functions inside a subquery: over the rows of one unit, so that no unit moves another one's.

What is computed must not depend on the order in which rows happen to lie. Ranks and sums up to the current row take tied rows together, which
is SQL's default; `row_number`, `lag` and `lead` tell tied rows apart, so every column that the subquery reads breaks their ties.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

from sqlglot import exp

from sandbox.plan import problems as refusals
from sandbox.plan.bind import Rows
from sandbox.plan.grouped import Grouped
from sandbox.plan.ir import PER_UNIT
from sandbox.sql import problems
from sandbox.sql.expr import Call, Column, Expr, columns
from sandbox.sql.functions import FUNCTIONS
from sandbox.sql.types import exact, floating, hull

_PLACES: Mapping[type[exp.Expr], str] = {
    exp.RowNumber: "row_number",
    exp.Rank: "rank",
    exp.DenseRank: "dense_rank",
    exp.PercentRank: "percent_rank",
    exp.CumeDist: "cume_dist",
    exp.Ntile: "ntile",
}
_TOLD_APART = ("row_number", "ntile")  # these tell tied rows apart; the others take them together
_NEIGHBOURS: Mapping[type[exp.Expr], str] = {
    exp.Lag: "lag",
    exp.Lead: "lead",
    exp.FirstValue: "first_value",
    exp.LastValue: "last_value",
    exp.NthValue: "nth_value",
}
MOST_OFFSET = 1000
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
        node = self._named(node)
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
            call, value = self._place(of, piece), _PLACES[type(of)] in _TOLD_APART
        elif type(of) in _NEIGHBOURS:
            call, value = self._neighbour(of, piece), True
        elif isinstance(of, _SUMS):
            made = Grouped(self.scope, [], self.aliases, narrowed=self.narrowed).bind(of)
            if not isinstance(made, Call) or made.op not in PER_UNIT or made.op in ("agg distinct", "agg chosen", "agg middle"):
                raise refusals.INNER_FUNCTION(fragment=piece)
            call, value = made, False
        else:
            raise problems.WINDOW(fragment=piece)
        frame = self._frame(node, piece)
        if frame.startswith(" ROWS"):
            value = True
            if not terms:
                raise refusals.WINDOW_ORDER(fragment=piece)
        if not terms and not isinstance(of, _SUMS):
            raise refusals.WINDOW_ORDER(fragment=piece)
        return _over(call, by, terms, frame, ties=value)

    def _named(self, node: exp.Window) -> exp.Window:
        """OVER w, as the WINDOW clause of its own query has it."""
        alias = node.args.get("alias")
        if alias is None:
            return node
        query = node.find_ancestor(exp.Select)
        for item in (query.args.get("windows") or []) if query is not None else []:
            if item.this.name.casefold() == alias.name.casefold() and item.args.get("alias") is None:
                return exp.Window(**{**item.args, "this": node.this, "over": "OVER"})
        raise problems.WINDOW(fragment=self.piece(node))

    def _place(self, of: exp.Expr, piece: str) -> Call:
        name = _PLACES[type(of)]
        if name == "ntile":
            return Call("place", (), exact(1, None), f"ntile({self._count(of.this, piece)}::BIGINT)")
        if name in ("percent_rank", "cume_dist"):
            return Call("place", (), floating(Fraction(0), Fraction(1)), f"{name}()")
        return Call("place", (), exact(None, None), f"{name}()")

    def _neighbour(self, of: exp.Expr, piece: str) -> Call:
        """Another row's value, which is another row of this unit."""
        name, offset, default = _NEIGHBOURS[type(of)], of.args.get("offset"), of.args.get("default")
        seen, instead = self.bind(of.this), None if default is None else self.bind(default)
        for column in (*columns(seen), *(columns(instead) if instead is not None else ())):
            if self.scope.field(column).identifying:
                raise refusals.UNIT_AGGREGATE(fragment=piece, column=column.shown)
        count = 1 if offset is None else self._count(offset, piece)
        if name in ("first_value", "last_value"):
            return Call("neighbour", (seen,), seen.type, f"{name}({{0}})")
        if instead is None:
            return Call("neighbour", (seen,), seen.type, f"{name}({{0}}, {count})")
        value, other = self.guard(of, FUNCTIONS["coalesce"], lambda: FUNCTIONS["coalesce"].rule([seen, instead])).args  # type: ignore[union-attr]
        return Call("neighbour", (value, other), hull([value.type, other.type]), f"{name}({{0}}, {count}, {{1}})")

    def _count(self, node: exp.Expr, piece: str) -> int:
        if isinstance(node, exp.Literal) and not node.is_string and str(node.this).isdigit() and 1 <= int(str(node.this)) <= MOST_OFFSET:
            return int(str(node.this))
        raise problems.LITERAL(fragment=piece, kind_zh="行数", kind_en="number of rows", example=" 3")

    def _frame(self, node: exp.Window, piece: str) -> str:
        """ROWS BETWEEN … AND …, or RANGE between the ends and the current row."""
        spec = node.args.get("spec")
        if spec is None:
            return ""
        kind, ends = str(spec.args.get("kind") or "").upper(), []
        for at, side in (("start", "start_side"), ("end", "end_side")):
            value, direction = spec.args.get(at), str(spec.args.get(side) or "").upper()
            if value is None:
                value = "CURRENT ROW"  # ROWS n PRECEDING
            if isinstance(value, str):
                ends.append(f"{value.upper()} {direction}".strip())
            elif kind == "ROWS":
                ends.append(f"{self._count(value, piece)} {direction}")
            else:
                raise problems.WINDOW(fragment=piece)
        places = [_ENDS.index(end) if end in _ENDS else None for end in (re.sub(r"^\d+", "n", end) for end in ends)]
        start, stop = places
        if kind not in ("ROWS", "RANGE") or start is None or stop is None or start > stop or start == len(_ENDS) - 1 or stop == 0:
            raise problems.WINDOW(fragment=piece)
        return f" {kind} BETWEEN {ends[0]} AND {ends[1]}"


_ENDS = ("UNBOUNDED PRECEDING", "n PRECEDING", "CURRENT ROW", "n FOLLOWING", "UNBOUNDED FOLLOWING")  # in order


def _over(call: Call, by: list[Expr], terms: list[tuple[Expr, str]], frame: str, *, ties: bool) -> Call:
    """The window as a call: the partition first, then the order, then what the function is of."""
    args = [*by, *(expr for expr, _ in terms), *call.args]
    places = [f"{{{place}}}" for place in range(len(args))]
    partition = f"PARTITION BY {', '.join(places[: len(by)])}" if by else ""
    order = ", ".join(f"{place} {direction}" for place, (_, direction) in zip(places[len(by) :], terms, strict=False))
    order = f" ORDER BY {order}" if order else ""
    over = f" OVER ({partition}{order}{'{ties}' if ties else ''}{frame})"
    form = _shifted(call.form, len(by) + len(terms))
    return Call("over", tuple(args), call.type, _each(form, over))


def _shifted(form: str, by: int) -> str:
    return re.sub(r"\{(\d)\}", lambda place: f"{{{int(place[1]) + by}}}", form)


_CALLS = re.compile(
    r"(?<![a-z_])(?:count|sum|min|max|bool_or|bool_and|row_number|rank|dense_rank|percent_rank|cume_dist|ntile|lag|lead|first_value|last_value|nth_value)\("
)


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
