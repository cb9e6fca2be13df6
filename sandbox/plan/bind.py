"""From syntax to typed expressions: names resolved, functions looked up in the allow-list, every refusal with the operator's own text.

`Rows` binds what is computed per row (WHERE, ON, keys, aggregate arguments); the outer query, over the noisy table, is bound in
`sandbox.plan.outer` by the same code with other meanings for names and aggregates.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from sqlglot import exp

from policies.catalogue import Use
from sandbox.plan import problems as refusals
from sandbox.sql import casts, dates, problems
from sandbox.sql.expr import Call, Expr, Literal
from sandbox.sql.fragment import fragment
from sandbox.sql.functions import BY_NAME, FUNCTIONS, SHAPES, Function
from sandbox.sql.logic import number
from sandbox.sql.numbers import Misfit, integer
from sandbox.sql.parse import chain, unknown_function
from sandbox.sql.types import BOOLEAN, NULL, TEXT

if TYPE_CHECKING:
    from sandbox.plan.scope import Scope

AGGREGATES = (
    *(exp.Count, exp.CountIf, exp.Sum, exp.Avg, exp.Filter),
    *(exp.Median, exp.PercentileCont, exp.PercentileDisc, exp.Quantile, exp.ApproxQuantile, exp.WithinGroup, exp.Min, exp.Max),
    *(exp.LogicalOr, exp.LogicalAnd, exp.ArgMax, exp.ArgMin),
    *(exp.VariancePop, exp.Variance, exp.StddevPop, exp.Stddev, exp.StddevSamp),
)
_SPAN = re.compile(r"^\s*([+-]?\d{1,6})(?:\s+([A-Za-z]+))?\s*$")


class Binder:
    """Binds expressions over one meaning of names. Subclasses say what a column and an aggregate are."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    def column(self, node: exp.Column) -> Expr:
        raise self.scope.unknown(node)

    def aggregate(self, node: exp.Expr) -> Expr:
        raise problems.MISPLACED_AGGREGATE(fragment=self.piece(node), place_zh="此处", place_en="this place")

    def known(self, node: exp.Expr) -> Expr | None:
        """A meaning for the whole node, found before its parts are looked at."""
        return None

    def subquery(self, node: exp.Expr) -> Expr:
        """A subquery as an operand: IN, EXISTS, or a single value."""
        raise problems.SUBQUERY(fragment=self.piece(node))

    def inner(self, node: exp.Expr) -> Expr:
        """Binds the condition of CASE, whose columns decide rather than contribute."""
        return self.bind(node)

    def piece(self, node: exp.Expr) -> str:
        return fragment(node, self.scope.text)

    def condition(self, node: exp.Expr) -> Expr:
        bound = self.bind(node)
        if bound.type.kind not in ("boolean", "null"):
            raise problems.TYPES(fragment=self.piece(node), reason_zh="这里需要一个条件", reason_en="a condition is wanted here")
        return bound

    def bind(self, node: exp.Expr) -> Expr:
        whole = self.known(node)
        if whole is not None:
            return whole
        if isinstance(node, exp.Paren):
            return self.bind(node.this)
        if isinstance(node, exp.Column):
            if isinstance(node.this, exp.Star):
                raise problems.NOT_SUPPORTED(fragment=self.piece(node), element="*")
            return self.column(node)
        if isinstance(node, AGGREGATES):
            return self.aggregate(node)
        if isinstance(node, exp.Window):
            raise problems.WINDOW(fragment=self.piece(node))
        if isinstance(node, (exp.Exists, exp.Query)) or (isinstance(node, exp.In) and node.args.get("query") is not None):
            return self.subquery(node)
        special = _SPECIAL.get(type(node))
        if special is not None:
            return special(self, node)
        if type(node) in SHAPES:
            name, places = SHAPES[type(node)]
            bound = self.call(node, FUNCTIONS[name], self.operands(node, places))
            return FUNCTIONS["not"].rule([bound]) if node.args.get("negate") else bound
        if isinstance(node, exp.Func):
            raise unknown_function(node, node.sql_name(), self.piece(node))
        raise problems.NOT_SUPPORTED(fragment=self.piece(node), element=type(node).__name__)

    def operands(self, node: exp.Expr, places: Sequence[str]) -> list[Expr]:
        nodes: list[exp.Expr] = []
        for place in places:
            value = node.args.get(place)
            nodes += value if isinstance(value, list) else [] if value is None else [value]
        return [self.bind(item) for item in nodes]

    def call(self, node: exp.Expr, function: Function, args: Sequence[Expr]) -> Expr:
        fewest, most = function.arity
        if not fewest <= len(args) <= most:
            raise self.misfit(node, function, Misfit("参数个数不对", "the number of arguments is wrong"))
        return self.guard(node, function, lambda: function.rule(args))

    def guard(self, node: exp.Expr, function: Function, make: Callable[[], Expr]) -> Expr:
        try:
            return make()
        except Misfit as misfit:
            raise self.misfit(node, function, misfit) from None

    def misfit(self, node: exp.Expr, function: Function, misfit: Misfit) -> Exception:
        kind = problems.TYPES if function.category in ("comparison", "logic") else problems.ARGUMENTS
        return kind(fragment=self.piece(node), reason_zh=misfit.zh, reason_en=misfit.en, signature=function.signature)


def _literal(binder: Binder, node: exp.Expr) -> Expr:
    assert isinstance(node, exp.Literal)
    if node.is_string:
        return Literal(str(node.this), TEXT)
    try:
        return number(str(node.this))
    except Misfit:
        raise problems.LITERAL(fragment=binder.piece(node), kind_zh="数字", kind_en="number", example=" 12.5") from None


def _chain(binder: Binder, node: exp.Expr) -> Expr:
    function = FUNCTIONS["and" if isinstance(node, exp.And) else "or"]
    return binder.call(node, function, [binder.bind(term) for term in chain(node)])


def _is(binder: Binder, node: exp.Expr) -> Expr:
    asked = node.args["expression"]
    if isinstance(asked, exp.Null):
        return FUNCTIONS["is null"].rule([binder.bind(node.this)])
    if isinstance(asked, exp.Boolean):
        return binder.call(node, FUNCTIONS["is true"], [binder.bind(node.this), Literal(bool(asked.this), BOOLEAN)])
    raise problems.NOT_SUPPORTED(fragment=binder.piece(node), element="IS")


def _case(binder: Binder, node: exp.Expr) -> Expr:
    """CASE WHEN, CASE x WHEN and if(): all become conditions with values."""
    arms: list[Expr] = []
    branches = [node] if isinstance(node, exp.If) else node.args.get("ifs") or []
    subject = node.args.get("this") if isinstance(node, exp.Case) else None
    for branch in branches:
        if subject is None:
            arms.append(binder.inner(branch.this))
        else:
            arms.append(binder.call(node, FUNCTIONS["="], [binder.inner(subject), binder.inner(branch.this)]))
        arms.append(binder.bind(branch.args["true"]))
    default = node.args.get("false") if isinstance(node, exp.If) else node.args.get("default")
    arms.append(Literal(None, NULL) if default is None else binder.bind(default))
    return binder.call(node, FUNCTIONS["case"], arms)


def _add(binder: Binder, node: exp.Expr) -> Expr:
    """+ and -: of numbers, of dates and intervals, of dates and days."""
    sign = 1 if isinstance(node, exp.Add) else -1
    left, right = node.this, node.args["expression"]
    if isinstance(left, exp.Interval) and sign > 0:
        left, right = right, left
    if isinstance(right, exp.Interval):
        count, unit = _span(binder, right)
        moment = binder.bind(left)
        return binder.guard(node, FUNCTIONS["interval"], lambda: dates.shift(moment, sign * count, unit))
    a, b = binder.bind(left), binder.bind(right)
    if a.type.kind == "date" and b.type.kind == "exact":
        return binder.guard(node, FUNCTIONS["interval"], lambda: dates.add_days(a, b, sign))
    if a.type.kind == "date" and b.type.kind == "date" and sign < 0:
        return binder.guard(node, FUNCTIONS["date_diff"], lambda: dates.days_between(a, b))
    return binder.call(node, FUNCTIONS["+" if sign > 0 else "-"], [a, b])


def _span(binder: Binder, node: exp.Interval) -> tuple[int, str]:
    match = _SPAN.match(str(node.this.this)) if isinstance(node.this, exp.Literal) else None
    unit = node.args.get("unit")
    named = (match[2] if match else None) or (str(unit.this) if unit is not None else None)
    if match is None or named is None or (match[2] and unit is not None):
        raise problems.LITERAL(fragment=binder.piece(node), kind_zh="间隔", kind_en="interval", example=" INTERVAL 3 DAY")
    return int(match[1]), named


def _extract(binder: Binder, node: exp.Expr) -> Expr:
    arg = binder.bind(node.args["expression"])
    return binder.guard(node, FUNCTIONS["date_part"], lambda: dates.part(str(node.this.this), arg))


def _trunc(binder: Binder, node: exp.Expr) -> Expr:
    arg = binder.bind(node.this)
    return binder.guard(node, FUNCTIONS["date_trunc"], lambda: dates.truncate(str(node.args["unit"].this), arg))


def _diff(binder: Binder, node: exp.Expr) -> Expr:
    end, start, unit = binder.bind(node.this), binder.bind(node.args["expression"]), node.args.get("unit")
    return binder.guard(node, FUNCTIONS["date_diff"], lambda: dates.difference(str(unit.this) if unit is not None else "", start, end))


def _trim(binder: Binder, node: exp.Expr) -> Expr:
    name = {None: "trim", "BOTH": "trim", "LEADING": "ltrim", "TRAILING": "rtrim"}[node.args.get("position")]
    characters = node.args.get("expression")
    return binder.call(node, FUNCTIONS[name], [binder.bind(item) for item in (node.this, characters) if item is not None])


def _pad(binder: Binder, node: exp.Expr) -> Expr:
    args = [binder.bind(item) for item in (node.this, node.args["expression"], node.args.get("fill_pattern")) if item is not None]
    return binder.call(node, FUNCTIONS["lpad" if node.args.get("is_left") else "rpad"], args)


def _in(binder: Binder, node: exp.Expr) -> Expr:
    """x IN (…), (x, y) IN ((…), …), and x IN (VALUES (…), …)."""
    listed = list(node.expressions)
    if len(listed) == 1 and isinstance(listed[0], exp.Values):
        listed = list(listed[0].expressions)
    if not isinstance(node.this, exp.Tuple):
        values = [item.expressions[0] if isinstance(item, exp.Tuple) and len(item.expressions) == 1 else item for item in listed]
        return binder.call(node, FUNCTIONS["in"], [binder.bind(item) for item in (node.this, *values)])
    sides = [binder.bind(item) for item in node.this.expressions]
    rows = []
    for item in listed:
        if not isinstance(item, exp.Tuple) or len(item.expressions) != len(sides):
            raise problems.TYPES(
                fragment=binder.piece(node), reason_zh="两边的列数不同", reason_en="the two sides have different numbers of columns"
            )
        pairs = zip(sides, item.expressions, strict=True)
        equal = [binder.call(node, FUNCTIONS["="], [side, binder.bind(value)]) for side, value in pairs]
        rows.append(FUNCTIONS["and"].rule(equal) if len(equal) > 1 else equal[0])
    return FUNCTIONS["or"].rule(rows) if len(rows) > 1 else rows[0]


def _element(binder: Binder, node: exp.Expr) -> Expr:
    """s[i], which sqlglot counts from 0, and s[i:j]."""
    (place,) = node.expressions if len(node.expressions) == 1 else (exp.null(),)
    ends = [place.this, place.args.get("expression")] if isinstance(place, exp.Slice) else [place]
    bound = [binder.bind(end) for end in ends if end is not None]
    if not isinstance(place, exp.Slice) and isinstance(bound[0], Literal) and type(bound[0].value) is int:
        bound = [integer(bound[0].value + 1)]
    if len(bound) != len(ends):
        raise problems.NOT_SUPPORTED(fragment=binder.piece(node), element="[]")
    return binder.call(node, FUNCTIONS["[]"], [binder.bind(node.this), *bound])


def _shifted(binder: Binder, node: exp.Expr) -> Expr:
    """date_add(d, INTERVAL 3 DAY)."""
    span = node.args.get("expression")
    if not isinstance(span, exp.Interval):
        raise problems.NOT_SUPPORTED(fragment=binder.piece(node), element=type(node).__name__)
    made = exp.Add if isinstance(node, exp.DateAdd) else exp.Sub
    return _add(binder, made(this=node.this, expression=span))


def _cast(binder: Binder, node: exp.Expr) -> Expr:
    target = node.args["to"]
    sizes = tuple(
        int(str(size.this.this)) for size in target.expressions if isinstance(size, exp.DataTypeParam) and str(size.this.this).isdigit()
    )
    if len(sizes) != len(target.expressions) or target.args.get("nested") or not isinstance(target.this, exp.DType):
        raise problems.NOT_SUPPORTED(fragment=binder.piece(node), element="CAST")
    arg = binder.bind(node.this)
    return binder.guard(node, FUNCTIONS["cast"], lambda: casts.cast(arg, target.this.value, sizes))


def _anonymous(binder: Binder, node: exp.Expr) -> Expr:
    name = str(node.this).casefold()
    if name not in BY_NAME:
        raise unknown_function(node, name, binder.piece(node))
    return binder.call(node, FUNCTIONS[BY_NAME[name]], [binder.bind(item) for item in node.expressions])


_SPECIAL: Mapping[type[exp.Expr], Callable[[Binder, exp.Expr], Expr]] = {
    exp.Literal: _literal,
    exp.Null: lambda binder, node: Literal(None, NULL),
    exp.Boolean: lambda binder, node: Literal(bool(node.this), BOOLEAN),
    exp.And: _chain,
    exp.Or: _chain,
    exp.Is: _is,
    exp.Case: _case,
    exp.If: _case,
    exp.Add: _add,
    exp.Sub: _add,
    exp.Extract: _extract,
    exp.TimestampTrunc: _trunc,
    exp.DateTrunc: _trunc,
    exp.DateDiff: _diff,
    exp.Trim: _trim,
    exp.In: _in,
    exp.Pad: _pad,
    exp.Bracket: _element,
    exp.DateAdd: _shifted,
    exp.DateSub: _shifted,
    exp.Date: lambda binder, node: binder.guard(node, FUNCTIONS["cast"], lambda: casts.cast(binder.bind(node.this), "DATE")),
    exp.Cast: _cast,
    exp.TryCast: _cast,
    exp.Anonymous: _anonymous,
}


class Rows(Binder):
    """Expressions over rows. `use` is what the columns met are used for (None: nothing yet, they are passed on); in an aggregate's
    argument the job's narrower ranges hold, except inside conditions. `aliases` are the select list's, which DuckDB lets a query use where
    no column has the name."""

    def __init__(self, scope: Scope, use: Use | None, *, narrowed: bool = False, aliases: Mapping[str, exp.Expr] | None = None) -> None:
        super().__init__(scope)
        self.use: Use | None = use
        self.narrowed = narrowed
        self.aliases = aliases or {}
        self.expanding: set[str] = set()

    def column(self, node: exp.Column) -> Expr:
        found = self.scope.find(node)
        if found is not None:
            _, item = found
            if item.identifying and not self.scope.is_unit(item.column):  # another table's unit column, or something computed from one
                if self.use == "key":
                    raise refusals.UNIT_KEY(fragment=self.piece(node), column=item.name)
                if self.use in ("aggregate", "distinct"):
                    raise refusals.UNIT_AGGREGATE(fragment=self.piece(node), column=item.name)
            return self.scope.read(item, self.use, narrowed=self.narrowed)
        name = node.name.casefold()
        if node.table or name not in self.aliases or name in self.expanding:
            raise self.scope.unknown(node)
        self.expanding.add(name)
        try:
            return self.bind(self.aliases[name])
        finally:
            self.expanding.discard(name)

    def aggregate(self, node: exp.Expr) -> Expr:
        zh, en = {"filter": ("WHERE 或 FILTER 中", "WHERE or FILTER"), "key": ("GROUP BY 中", "GROUP BY"), "join": ("连接条件中", "ON")}.get(
            self.use or "", ("另一个汇总函数中", "another aggregate")
        )
        raise problems.MISPLACED_AGGREGATE(fragment=self.piece(node), place_zh=zh, place_en=en)

    def subquery(self, node: exp.Expr) -> Expr:
        if self.use == "join":
            raise problems.SUBQUERY(fragment=self.piece(node))
        return self.scope.shared.resolve(self, node)

    def inner(self, node: exp.Expr) -> Expr:
        narrowed, self.narrowed = self.narrowed, False
        try:
            return self.bind(node)
        finally:
            self.narrowed = narrowed


__all__ = ["AGGREGATES", "Binder", "Call", "Rows"]
