"""What WHERE says about public keys: which values of a declared domain no condition rules out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from fractions import Fraction

from policies.catalogue import KeyValue
from sandbox.plan.ir import conjuncts
from sandbox.sql.expr import Column, Expr, Literal, columns
from sandbox.sql.functions import FUNCTIONS


class _Unsure(Exception):
    pass


def allowed(domain: Sequence[KeyValue], key: Column, where: Expr | None) -> tuple[KeyValue, ...]:
    """The public keys that WHERE leaves possible: those for which no top-level condition on the key alone is known to fail."""
    terms = [term for term in conjuncts(where) if set(columns(term)) == {key}]
    return tuple(value for value in domain if all(_may(term, value) for term in terms))


def _may(term: Expr, value: KeyValue) -> bool:
    try:
        return _value(term, value) is True
    except _Unsure:
        return True


_COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")


def _value(expr: Expr, key: KeyValue) -> object:
    """What the expression gives when its only column has this value; None is SQL's NULL. Covers comparisons with constants and logic."""
    if isinstance(expr, Column):
        return key
    if isinstance(expr, Literal):
        if isinstance(expr.value, Fraction):
            raise _Unsure
        return expr.value
    args = [_value(arg, key) for arg in expr.args]
    if expr.op in ("and", "or"):
        decisive = expr.op == "or"
        return decisive if decisive in args else None if None in args else not decisive
    if expr.op == "not":
        return None if args[0] is None else not args[0]
    if expr.op == "isnull":
        return args[0] is None
    if expr.op == "in":
        return True if args[0] in [arg for arg in args[1:] if arg is not None] else None if None in args else False
    if expr.op == "between":
        return _value(
            FUNCTIONS["and"].rule([Literal(_compare("ge", args[0], args[1]), expr.type), Literal(_compare("le", args[0], args[2]), expr.type)]),
            key,
        )
    if expr.op in _COMPARISONS:
        return _compare(expr.op, args[0], args[1])
    raise _Unsure


def _compare(op: str, a: object, b: object) -> bool | None:
    if a is None or b is None:
        return None
    for kind in (bool, int, str, date):
        if type(a) is kind and type(b) is kind:
            return {"eq": a == b, "ne": a != b, "lt": a < b, "le": a <= b, "gt": a > b, "ge": a >= b}[op]  # type: ignore[operator]  # same type
    raise _Unsure
