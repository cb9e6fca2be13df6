"""The select list of a frontier: what each column of the answer is computed from, how far off it may be, and what rows come first."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import cast

from sqlglot import exp

from sandbox.plan import problems as refusals
from sandbox.plan.model import Output
from sandbox.plan.outer import Outer
from sandbox.plan.price import rank_error
from sandbox.plan.scope import Scope
from sandbox.plan.spread import Noise
from sandbox.plan.totals import Totals
from sandbox.plan.width import SPREADS, Form, Linear, NoWidth, Unsaid, constant_width, expected_width, form_of, noisy, width_sql
from sandbox.sql import problems
from sandbox.sql.expr import Call, Column, Expr, columns, emit, walk
from sandbox.sql.fragment import fragment
from sandbox.sql.numbers import to_float

MECHANISM = "discrete Gaussian"
CHOICE = "Gumbel noisy max"
TREE = "noisy tree, discrete Gaussian"
MADE = ", made to add up"
DERIVED = "computed from noisy values"
PURE_MECHANISM = "discrete Laplace"
PURE_CHOICE = "permute-and-flip"
HALF_WIDTH = "__half_width"


@dataclass(frozen=True)
class Selected:
    """One column of the answer, bound. `form` None: known without noise."""

    label: str
    expr: Expr
    form: Form | None
    single: str | None  # the total it shows unchanged, or about whose centre it is

    @classmethod
    def of(cls, item: exp.Expr, outer: Outer, *, inner: bool = False) -> Selected:
        """`inner`: of a subquery, whose columns need no half-width that can be said."""
        node = item.unalias()
        piece = fragment(node, outer.scope.text)
        label = item.alias if isinstance(item, exp.Alias) else node.name if isinstance(node, exp.Column) else piece
        if isinstance(node, exp.Star):
            raise refusals.UNIT_ROWS(fragment="*")
        expr = outer.bind(node)
        if not noisy(expr) and not released(expr):
            return cls(label, expr, None, None)
        try:
            form: Form = Unsaid() if released(expr) else form_of(expr, outer.totals)
        except NoWidth:
            if not inner:
                raise refusals.HALF_WIDTH(fragment=piece) from None
            form = Unsaid()
        single = expr.name if isinstance(expr, Column) else None
        if isinstance(expr, Call) and expr.op in ("average", *SPREADS):
            single = cast(Column, expr.args[0]).name
        return cls(label, expr, form, single)

    def sql(self) -> str:
        return shown_sql(self.expr)

    def width(self, noise: Noise) -> str:
        """The half-width as SQL; NULL where the value is."""
        assert self.form is not None
        width = width_sql(self.form, noise)
        return width if constant_width(self.form, noise) is not None else f"CASE WHEN {self.sql()} IS NOT NULL THEN {width} END"

    def output(self, totals: Totals, noise: Noise, expected_rows: int, fitted: Collection[str] = ()) -> Output:
        if self.form is None:
            return Output(self.label, "key", "", None, None, None)
        if isinstance(self.form, Unsaid):
            chosen = self.single is not None or any(totals.named(c.name).kind == "quantile" for c in columns(self.expr) if noisy(c))
            return self._choice(totals, noise) if chosen else Output(self.label, "value", DERIVED, None, None, None)
        scale = low = high = None
        if isinstance(self.form, Linear) and len(self.form.terms) == 1:
            ((name, coefficient),) = self.form.terms.items()
            scale = float(abs(coefficient) * noise.scales[name])
        if self.single is not None:
            total = totals.named(self.single)
            low, high = ((end + total.centre) / 10**total.decimals for end in (total.low, total.high))
        constant, expected = constant_width(self.form, noise), expected_width(self.form, noise, expected_rows)
        mechanism = PURE_MECHANISM if noise.pure else MECHANISM
        if any(name in fitted for name in (column.name for column in columns(self.expr))):
            mechanism += MADE
        return Output(self.label, "value", mechanism, scale, low, high, constant, expected)

    def _choice(self, totals: Totals, noise: Noise) -> Output:
        """A quantile, or something computed with one."""
        chosen = PURE_CHOICE if noise.pure else CHOICE
        if self.single is None:
            return Output(self.label, "value", chosen, None, None, None)
        total = totals.named(self.single)
        low, high, step = (end / 10**total.decimals for end in (total.low, total.high, total.step))
        whole = next((one for one in totals.totals if total.name in one.shares), total)  # a foreign one stands alone
        mechanism, ranks = TREE if whole.branching else chosen, rank_error(whole, noise.scales[total.name])
        return Output(self.label, "value", mechanism, None, low, high, spacing=step, rank_error=ranks)


def check_labels(select: Sequence[Selected]) -> None:
    """Every column of the answer, half-widths included, has a name of its own, in more than case."""
    seen: set[str] = set()
    for item in select:
        for label in (item.label, item.label + HALF_WIDTH) if item.form is not None else (item.label,):
            if label.casefold() in seen or not label:
                raise problems.DUPLICATE_COLUMN(label=label)
            seen.add(label.casefold())


def shown_sql(expr: Expr) -> str:
    """A value as the answer has it: integers as BIGINT, other numbers as DOUBLE."""
    if expr.type.kind == "exact" and (expr.type.scale or (expr.type.wide and not isinstance(expr, Column))):
        expr = to_float(expr)
    return emit(expr)


def ordering(tree: exp.Select, outer: Outer, select: Sequence[Selected]) -> list[tuple[str, str]]:
    """ORDER BY as values and directions."""
    terms: list[tuple[str, str]] = []
    clause = tree.args.get("order")
    for item in clause.expressions if clause is not None else ():
        way = direction(item)
        if isinstance(item.this, exp.Var) and str(item.this.this).upper() == "ALL":
            terms += [(chosen.sql(), way) for chosen in select]
            continue
        node = item.this
        if isinstance(node, exp.Literal) and not node.is_string:
            terms.append((select[ordinal(node, len(select), outer.scope.text) - 1].sql(), way))
            continue
        outer.alias_first = True
        try:
            terms.append((emit(outer.bind(node)), way))
        finally:
            outer.alias_first = False
    return terms


def direction(item: exp.Expr) -> str:
    return f"{'DESC' if item.args.get('desc') else 'ASC'} NULLS {'FIRST' if item.args.get('nulls_first') else 'LAST'}"


def ordinal(node: exp.Expr, count: int, text: str) -> int:
    place = int(node.this) if str(node.this).isdigit() else 0
    if not 1 <= place <= count:
        raise problems.ORDINAL(fragment=fragment(node, text), count=count)
    return place


def number(tree: exp.Expr, clause: str, scope: Scope) -> int | None:
    node = tree.args.get(clause)
    if node is None:
        return None
    count = node.args["expression"]
    if not isinstance(count, exp.Literal) or count.is_string or not str(count.this).isdigit() or len(str(count.this)) > 12:
        raise problems.LITERAL(fragment=fragment(count, scope.text), kind_zh="行数", kind_en="number of rows", example=f" {clause.upper()} 10")
    return int(count.this)


def released(expr: Expr) -> bool:
    """Whether the value is computed with one that another frontier released."""
    return any(isinstance(item, Call) and item.op == "released" for item in walk(expr))


def mentions(expr: Expr, *names: str) -> bool:
    return any(column.name in names and not column.table for column in columns(expr))
