"""Public keys from public facts: which values of a declared domain WHERE leaves, and which ones an expression can have.

An expression has a public domain when it is a condition; when it chooses among constants; when it is a part of a date that has few values,
such as the month; when it cuts a declared range into few whole numbers; or when it is a function of one such, or of one column whose values
are declared: by a domain, or by a range of whole numbers or days. It is worked out value by value (`sandbox.plan.values`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from fractions import Fraction

from policies.catalogue import KeyValue
from sandbox.plan.ir import conjuncts
from sandbox.plan.values import Unsure, Value, value_of
from sandbox.sql.expr import Call, Column, Expr, Literal, columns, is_null

MOST_VALUES = 50_000  # of a column, tried one by one
MOST_TOGETHER = 5_000  # combinations of keys of which some are implied
MOST_KEYS = 400  # of an expression: beyond, most keys would be empty, and a threshold serves better

Declared = Callable[[Column], Sequence[KeyValue] | None]


def allowed(domain: Sequence[KeyValue], key: Column, where: Expr | None) -> tuple[KeyValue, ...]:
    """The public keys that WHERE leaves possible: those for which no top-level condition on the key alone is known to fail."""
    terms = [term for term in conjuncts(where) if set(columns(term)) == {key}]
    return tuple(value for value in domain if all(_may(term, value) for term in terms))


def _may(term: Expr, value: KeyValue) -> bool:
    try:
        return value_of(term, lambda column: value) is True
    except Unsure:
        return True


class Implied(tuple[KeyValue, ...]):
    """A domain that follows from an expression rather than from a declaration: a row whose key is NULL has no place in it either, but nobody
    declared that such rows are left out. So it serves only where every key has a domain, and there are not too many together."""


def settled_domains(domains: Sequence[tuple[KeyValue, ...] | None]) -> list[tuple[KeyValue, ...] | None]:
    """The domains that keys of one answer have: implied ones only where they make all keys public."""
    together = math.prod(len(domain) for domain in domains if domain is not None)
    if None not in domains and together <= MOST_TOGETHER:
        return list(domains)
    return [None if isinstance(domain, Implied) else domain for domain in domains]


def joint_domain(a: tuple[KeyValue, ...] | None, b: tuple[KeyValue, ...] | None) -> tuple[KeyValue, ...] | None:
    """Of rows that come from two sides."""
    if a is None or b is None:
        return None
    both = tuple(dict.fromkeys([*a, *b]))
    return Implied(both) if isinstance(a, Implied) or isinstance(b, Implied) else both


def domain_of(expr: Expr, declared: Declared, where: Expr | None) -> tuple[KeyValue, ...] | None:
    """The public values of a key: a column's declared ones, or those that follow from an expression, less those that WHERE rules out. None:
    private. `declared` gives a column's own domain."""
    values = declared(expr) if isinstance(expr, Column) else None
    if isinstance(expr, Column) and values is not None:
        left = allowed(values, expr, where)
        return Implied(left) if isinstance(values, Implied) else left
    found = derived(expr, declared, where)
    return None if found is None else Implied(found)


def derived(expr: Expr, declared: Declared, where: Expr | None) -> tuple[KeyValue, ...] | None:
    """The values that an expression can have, NULL aside, in order; None when they do not follow, or are too many."""
    found = _possible(expr, declared, where)
    if found is None or not 0 < len(found) <= MOST_KEYS:
        return None
    kinds = {"exact": int, "text": str, "date": date, "boolean": bool}
    wanted = kinds.get(expr.type.kind)
    if wanted is None or expr.type.scale or any(type(value) is not wanted for value in found):
        return None
    return tuple(sorted(found))


def _possible(expr: Expr, declared: Declared, where: Expr | None) -> set[KeyValue] | None:
    one = _of_one_column(expr, declared, where)
    if one is None:
        one = _of_one_part(expr)
    if one is not None:
        return one
    if isinstance(expr, Literal):
        return None if isinstance(expr.value, Fraction) else set() if expr.value is None else {expr.value}
    if not isinstance(expr, Call):
        return {False, True} if expr.type.kind == "boolean" and declared(expr) is None else None
    if expr.op == "case":
        return _together([*expr.args[1::2], expr.args[-1]], declared, where) if not is_null(expr.args[-1]) else None
    if expr.op == "coalesce":
        return _together(expr.args, declared, where)
    if expr.op in ("typed", "settled"):
        return _possible(expr.args[0], declared, where)
    if expr.type.kind == "boolean":
        return {False, True}
    return None


def _together(exprs: Iterable[Expr], declared: Declared, where: Expr | None) -> set[KeyValue] | None:
    found: set[KeyValue] = set()
    for expr in exprs:
        some = _possible(expr, declared, where)
        if some is None:
            return None
        found |= some
    return found


def _of_one_column(expr: Expr, declared: Declared, where: Expr | None) -> set[KeyValue] | None:
    """The results over every declared value of the only column, and over NULL. None when some declared value gives NULL: such rows mean
    something and would be lost."""
    over = {(column.table, column.name): column for column in columns(expr)}
    if len(over) != 1 or isinstance(expr, Column):
        return None
    (column,) = over.values()
    named = declared(column)
    values = _within_range(column) if named is None else named
    if values is None:
        return None
    try:
        found = {value_of(expr, lambda _, value=value: value) for value in allowed(values, column, where)}  # type: ignore[misc]
        if None in found:
            return None
        if named is None and 2 * len(found) > len(values):
            return None  # nothing was put together: a range declares what may be, not what is worth an answer each
        empty = value_of(expr, lambda _: None)
    except (Unsure, OverflowError, ValueError):
        return None
    return _keys(found | ({empty} - {None}))


_CUTTING = ("part", "floor", "ceil", "trunc", "round", "intdiv", "mod")  # what makes few whole numbers of many values


def _of_one_part(expr: Expr) -> set[KeyValue] | None:
    """The results over every whole number that the only thing of this kind inside can be, going by its bounds."""
    parts = set(_parts(expr))
    part = parts.pop() if len(parts) == 1 else None
    if part is None:
        return None
    low, high = part.type.low, part.type.high
    if low is None or high is None or part.type.kind != "exact" or part.type.scale or high - low > MOST_KEYS:
        return None
    stand_in = Column("", "#part", part.type)
    moved = _put(expr, part, stand_in)
    try:
        found = {value_of(moved, lambda _, value=value: value) for value in range(int(low), int(high) + 1)}  # type: ignore[misc]
        if None in found:
            return None
        empty = value_of(moved, lambda _: None)
    except (Unsure, OverflowError, ValueError):
        return None
    return _keys(found | ({empty} - {None}))


def _parts(expr: Expr) -> Iterator[Call | None]:
    """The outermost expressions that cut; None for a column outside them."""
    if isinstance(expr, Column):
        yield None
    elif isinstance(expr, Call):
        if expr.op in _CUTTING and expr.type.kind == "exact" and any(columns(expr)):
            yield expr
        else:
            for arg in expr.args:
                yield from _parts(arg)


def _put(expr: Expr, old: Expr, new: Expr) -> Expr:
    if expr == old:
        return new
    return replace(expr, args=tuple(_put(arg, old, new) for arg in expr.args)) if isinstance(expr, Call) else expr


def _keys(found: set[Value]) -> set[KeyValue] | None:
    return (
        None
        if any(isinstance(value, float) for value in found)
        else {value for value in found if value is not None and not isinstance(value, float)}
    )


def _within_range(column: Column) -> Sequence[KeyValue] | None:
    kind = column.type
    if kind.low is None or kind.high is None or kind.high - kind.low > MOST_VALUES:
        return None
    if kind.kind == "exact" and kind.scale == 0:
        return range(int(kind.low), int(kind.high) + 1)
    if kind.kind == "date":
        return [date.fromordinal(day) for day in range(int(kind.low), int(kind.high) + 1)]
    return None
