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

Domain = tuple[KeyValue | None, ...]
Declared = Callable[[Column], Domain | None]


def allowed(domain: Iterable[KeyValue | None], key: Column, where: Expr | None) -> Domain:
    """The public keys that WHERE leaves possible: those for which no top-level condition on the key alone is known to fail."""
    terms = _about(key, where)
    return tuple(value for value in domain if all(_may(term, value) for term in terms))


def _about(key: Column, where: Expr | None) -> list[Expr]:
    """The top-level conditions on the column alone."""
    return [term for term in conjuncts(where) if set(columns(term)) == {key}]


def _may(term: Expr, value: KeyValue | None) -> bool:
    try:
        return value_of(term, lambda column: value) is True
    except Unsure:
        return True


class Implied(tuple[KeyValue | None, ...]):
    """A domain that follows from an expression rather than from a declaration: nobody declared that rows whose key is NULL are left out, so
    that a key which may be NULL has NULL as one more value, last. It serves only where every key has a domain, and there are not too many
    together."""


def settled_domains(domains: Sequence[Domain | None]) -> list[Domain | None]:
    """The domains that keys of one answer have: implied ones only where they make all keys public."""
    together = math.prod(len(domain) for domain in domains if domain is not None)
    if None not in domains and together <= MOST_TOGETHER:
        return list(domains)
    return [None if isinstance(domain, Implied) else domain for domain in domains]


def joint_domain(a: Domain | None, b: Domain | None) -> Domain | None:
    """Of rows that come from two sides."""
    if a is None or b is None:
        return None
    both = tuple(dict.fromkeys([*a, *b]))
    return Implied(both) if isinstance(a, Implied) or isinstance(b, Implied) else both


def domain_of(expr: Expr, declared: Declared, where: Expr | None) -> Domain | None:
    """The public values of a key: a column's declared ones, or those that follow from an expression, less those that WHERE rules out. None:
    private. `declared` gives a column's own domain."""
    values = declared(expr) if isinstance(expr, Column) else None
    if isinstance(expr, Column) and values is not None:
        left = allowed(values, expr, where)
        return Implied(left) if isinstance(values, Implied) else left
    found = derived(expr, declared, where)
    return None if found is None else Implied(found)


_AS_THEIR_PARTS = frozenset(
    {"typed", "settled", "is", "not", "and", "or", "eq", "ne", "lt", "le", "gt", "ge", "in", "between", "add", "sub", "mul", "neg", "abs"}
    | {"sign", "clamp", "window", "to_float", "rescale", "floor", "ceil", "trunc", "round", "part", "upper", "lower", "left", "right", "length"}
)  # NULL only where something in them is


def may_be_null(expr: Expr, never: Callable[[Column], bool], where: Expr | None) -> bool:
    """Whether some row that WHERE keeps may have no value; True when that is not known. `never`: columns that always have one."""
    if isinstance(expr, Literal):
        return expr.value is None
    if isinstance(expr, Column):
        return not never(expr) and all(_may(term, None) for term in _about(expr, where))
    if expr.op in ("isnull", "same", "distinct", "concat"):
        return False
    if expr.op in ("coalesce", "greatest", "least"):
        return all(may_be_null(arg, never, where) for arg in expr.args)
    if expr.op == "case":
        return any(may_be_null(arg, never, where) for arg in (*expr.args[1::2], expr.args[-1]))
    if expr.op in ("div", "intdiv", "mod"):
        by = expr.args[1]
        return not (isinstance(by, Literal) and by.value) or may_be_null(expr.args[0], never, where)
    return expr.op not in _AS_THEIR_PARTS or any(may_be_null(arg, never, where) for arg in expr.args)


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
    values = _within_range(column) if named is None else [value for value in named if value is not None]
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
