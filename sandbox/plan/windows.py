"""Which periods a query can be about, where budgets are by period: those outside of which no unit has a row that survives its conditions.

A unit is then a person and a period, and every rule of ownership keeps rows of one unit together: what becomes of a unit's rows depends on
no other unit. So leaving out all units of a period none of whose rows would survive changes nothing. Which ones those are is worked out here,
from conditions on the block column alone, and may err on the side of more periods; that nothing else is read does not hang on it, but on
`sandbox.raw.run.decrypted`, which leaves every other period out (docs/proofs/blocks.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime, time, timedelta

from policies.catalogue import Window
from sandbox.plan.ir import Block, Derived, Filter, Join, Relation, Scan, Union, conjuncts, items_of
from sandbox.plan.values import Unsure, Value, compared, value_of
from sandbox.sql.expr import Call, Column, Expr, Literal, columns

MOST_DAYS = 50_000  # tried one by one
Declared = Mapping[str, Window]  # by the alias of the scan
Terms = tuple[Expr, ...]  # conditions that every row which matters fulfils
_MIDNIGHT = "#midnight"  # stands for the day as a time stamp: no column is called that
_LAST = time(23, 59, 59, 999_999)


def live(relation: Relation, declared: Declared) -> frozenset[int] | None:
    """The periods whose units can have rows in the relation; None where it reads nothing by period."""
    return _live(relation, (), declared)


def narrowed(window: Window, periods: frozenset[int] | None) -> Window:
    """The part of a scan's periods that is read: from the first of `periods` to the last. Never nothing: then it is the first there is."""
    inside = [period for period in window if periods is None or period in periods]
    if not inside:
        return Window(window.column, window.period, window.first, window.first)
    return Window(window.column, window.period, min(inside), max(inside))


def _live(relation: Relation, terms: Terms, declared: Declared) -> frozenset[int] | None:
    if isinstance(relation, Scan):
        window = declared.get(relation.alias)
        return None if window is None else _left(relation.alias, window, terms)
    if isinstance(relation, Filter):
        return _live(relation.of, (*terms, *conjuncts(relation.predicate)), declared)
    if isinstance(relation, Derived):
        return _of_block(relation.of, relation.alias, terms, declared)
    if isinstance(relation, Join):
        # a row that a left join keeps, or an anti join, may have no partner: conditions on the partner say nothing about it
        if relation.kind in ("left", "anti"):
            return _live(relation.left, terms, declared)
        on = tuple(conjuncts(relation.on))
        within = on if relation.kind == "semi" else (*terms, *on)
        return _both(_live(relation.left, (*terms, *on), declared), _live(relation.right, within, declared))
    return None


def _of_block(block: Block, alias: str, terms: Terms, declared: Declared) -> frozenset[int] | None:
    """Of a derived table: a condition on a column that shows a stored one, unchanged, is a condition on that."""
    if isinstance(block, Union):
        left, right = (_of_block(side, alias, terms, declared) for side in (block.left, block.right))
        return left if right is None else right if left is None else left | right
    shown = {(alias, name): column for name, expr in items_of(block) if (column := _bare(expr)) is not None}
    inner = tuple(
        _put(term, lambda column: shown[column.table, column.name])
        for term in terms
        if (of := {(column.table, column.name) for column in columns(term)}) and of <= shown.keys()
    )
    return _live(block.of, inner, declared)


def _both(left: frozenset[int] | None, right: frozenset[int] | None) -> frozenset[int] | None:
    return right if left is None else left if right is None else left & right


def _bare(expr: Expr) -> Column | None:
    while isinstance(expr, Call) and expr.op in ("typed", "settled"):
        expr = expr.args[0]
    return expr if isinstance(expr, Column) else None


def _left(alias: str, window: Window, terms: Terms) -> frozenset[int]:
    """The periods that hold a value for which none of the conditions on the block column alone is known to fail."""
    own = [_stamped(term) for term in terms if {(column.table, column.name) for column in columns(term)} == {(alias, window.column)}]
    if not own or (window.high - window.low).days > MOST_DAYS:
        return frozenset(window)
    stamped = any(column.type.kind == "timestamp" and column.name != _MIDNIGHT for term in own for column in columns(term))
    may = _stamps if stamped else _days
    return frozenset(period for period in window if may(own, *window.bounds(period)))


def _days(terms: Iterable[Expr], low: date, high: date) -> bool:
    """Whether some day between the two may fulfil all of them."""
    days = [low + timedelta(days=each) for each in range((high - low).days + 1)]
    for term in terms:
        days = [day for day in days if _may(term, day)]
    return bool(days)


def _may(term: Expr, value: Value) -> bool:
    at = datetime.combine(value, time()) if isinstance(value, date) else None
    try:
        return value_of(term, lambda column: at if column.name == _MIDNIGHT else value) is True
    except (Unsure, OverflowError, ValueError):
        return True


def _stamps(terms: Iterable[Expr], low: date, high: date) -> bool:
    """The same for time stamps: of each condition by itself, since there are too many to try."""
    ends = datetime.combine(low, time()), datetime.combine(high, _LAST)
    return all(_stamp_may(term, ends) for term in terms)


def _stamp_may(term: Expr, ends: tuple[datetime, datetime]) -> bool:
    """Whether a stamp between the two may fulfil it: known for comparisons of the column, or of its day, with what is no column."""
    if not isinstance(term, Call):
        return True
    if term.op in ("and", "or"):
        found = [_stamp_may(arg, ends) for arg in term.args]
        return all(found) if term.op == "and" else any(found)
    if term.op in ("eq", "lt", "le", "gt", "ge", "in", "between"):
        side = next((place for place, arg in enumerate(term.args) if any(columns(arg))), 0)
        if any(any(columns(arg)) for place, arg in enumerate(term.args) if place != side):
            return True
        about = term.args[side]
        if isinstance(about, Column):
            return _meets(term, side, ends)
        if isinstance(about, Call) and about.op == "cast" and about.type.kind == "date" and isinstance(about.args[0], Column):
            return _meets(term, side, (ends[0].date(), ends[1].date()))
    return True


def _meets(term: Call, side: int, ends: tuple[Value, Value]) -> bool:
    """Whether some value from the first to the last, any of which there may be, compares as asked. NULL compares with nothing."""
    low, high = ends
    op = term.op if side == 0 else {"lt": "gt", "gt": "lt", "le": "ge", "ge": "le", "eq": "eq"}.get(term.op)
    try:
        with_ = [value_of(arg, lambda _: None) for place, arg in enumerate(term.args) if place != side]
        if op == "in":
            return any(_inside(value, low, high) for value in with_)
        if op == "between":
            return compared("ge", high, with_[0]) is True and compared("le", low, with_[1]) is True
        asked: Mapping[str, Callable[[Value], bool]] = {
            "eq": lambda value: _inside(value, low, high),
            "lt": lambda value: compared("lt", low, value) is True,
            "le": lambda value: compared("le", low, value) is True,
            "gt": lambda value: compared("gt", high, value) is True,
            "ge": lambda value: compared("ge", high, value) is True,
        }
        return True if op is None else asked[op](with_[0])
    except (Unsure, OverflowError, ValueError):
        return True


def _inside(value: Value, low: Value, high: Value) -> bool:
    return compared("le", low, value) is True and compared("le", value, high) is True


def _stamped(expr: Expr) -> Expr:
    """The expression with days that are read as time stamps written as what they are: midnight."""
    if not isinstance(expr, Call):
        return expr
    if expr.op == "cast" and expr.type.kind == "timestamp":
        (of,) = expr.args
        if isinstance(of, Literal) and type(of.value) is date:
            return Literal(datetime.combine(of.value, time()), expr.type)
        if isinstance(of, Column) and of.type.kind == "date":
            return Column(of.table, _MIDNIGHT, expr.type)
    return replace(expr, args=tuple(map(_stamped, expr.args)))


def _put(expr: Expr, shown: Callable[[Column], Column]) -> Expr:
    if isinstance(expr, Column):
        return shown(expr)
    return replace(expr, args=tuple(_put(arg, shown) for arg in expr.args)) if isinstance(expr, Call) else expr
