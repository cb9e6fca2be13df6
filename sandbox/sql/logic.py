"""Rules of comparison, logic and choice. All are total in DuckDB; what is decided here is which types may meet."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from fractions import Fraction

from sandbox.sql.expr import Call, Expr, Literal, is_null
from sandbox.sql.numbers import Misfit, common, merged, negate, scaled, truth, want
from sandbox.sql.types import BOOLEAN, DATE, HUGEINT, NULL, TIMESTAMP, Type, floating

_NUMERAL = re.compile(r"^([0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE]([+-]?[0-9]{1,3}))?$")


def number(text: str) -> Literal:
    """A numeral as SQL reads it: exact without an exponent, DOUBLE with one. Raises Misfit."""
    match = _NUMERAL.match(text)
    if match is None or len(text) > 60:
        raise Misfit("不是可用的数字", "not a usable numeral")
    value = Fraction(Decimal(text))
    places = len(match[1].partition(".")[2])
    if match[2] is None and places <= 18 and abs(value) * 10**places < HUGEINT:
        return scaled(int(value * 10**places), places)
    if value > Fraction(10) ** 300:
        raise Misfit("数字过大", "the number is too large")
    return Literal(value, floating(value, value, max(0, places - int(match[2] or 0))))


def read_as(literal: Literal, kind: Type) -> Literal:
    """A text constant as the date, timestamp, number or truth value it stands beside. Raises Misfit."""
    text = str(literal.value).strip()
    try:
        if kind.kind == "date":
            if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
                found = date.fromisoformat(text)
                return Literal(found, replace(DATE, low=Fraction(found.toordinal()), high=Fraction(found.toordinal())))
        elif kind.kind == "timestamp":
            if re.fullmatch(r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?)?", text):
                return Literal(datetime.fromisoformat(text), TIMESTAMP)
        elif kind.numeric:
            return _signed(text)
        elif kind.kind == "boolean" and text.casefold() in ("true", "false"):
            return Literal(text.casefold() == "true", BOOLEAN)
    except (ValueError, InvalidOperation):
        pass
    raise Misfit(f"'{text[:40]}' 不是有效取值", f"'{text[:40]}' is not a valid value")


def _signed(text: str) -> Literal:
    if not text.startswith("-"):
        return number(text)
    made = negate([number(text[1:])])
    assert isinstance(made, Literal)
    return made


def meet(args: Sequence[Expr]) -> list[Expr]:
    """Common types, text constants read as what the others are."""
    others = [arg.type for arg in args if arg.type.kind not in ("text", "null")]
    if others:
        args = [read_as(arg, others[0]) if isinstance(arg, Literal) and arg.type.kind == "text" else arg for arg in args]
    return common(args)


def compare(op: str, sign: str) -> Callable[[Sequence[Expr]], Expr]:
    return lambda args: truth(op, f"({{0}} {sign} {{1}})", *meet(args))


def between(args: Sequence[Expr]) -> Expr:
    return truth("between", "({0} BETWEEN {1} AND {2})", *meet(args))


def within(args: Sequence[Expr]) -> Expr:
    first, *rest = meet(args)
    form = "({0} IN (" + ", ".join(f"{{{place}}}" for place in range(1, len(rest) + 1)) + "))"
    return truth("in", form, first, *rest)


def both(args: Sequence[Expr]) -> Expr:
    want(("boolean",), *args)
    return truth("and", "(" + " AND ".join(f"{{{place}}}" for place in range(len(args))) + ")", *args)


def either(args: Sequence[Expr]) -> Expr:
    want(("boolean",), *args)
    return truth("or", "(" + " OR ".join(f"{{{place}}}" for place in range(len(args))) + ")", *args)


def opposite(args: Sequence[Expr]) -> Expr:
    want(("boolean",), *args)
    return truth("not", "(NOT {0})", *args)


def is_missing(args: Sequence[Expr]) -> Expr:
    return truth("isnull", "({0} IS NULL)", *args)


def is_truth(args: Sequence[Expr]) -> Expr:
    want(("boolean",), args[0])
    wanted = args[1]
    assert isinstance(wanted, Literal)
    return truth("is", f"({{0}} IS {'TRUE' if wanted.value else 'FALSE'})", args[0])


def choose(args: Sequence[Expr]) -> Expr:
    """CASE: condition, value, condition, value, …, default."""
    conditions, values = args[:-1:2], [*args[1::2], args[-1]]
    want(("boolean",), *conditions)
    values = meet(values)
    arms = [item for pair in zip(conditions, values[:-1], strict=True) for item in pair]
    form = "CASE" + "".join(f" WHEN {{{2 * at}}} THEN {{{2 * at + 1}}}" for at in range(len(conditions))) + f" ELSE {{{len(arms)}}} END"
    return Call("case", (*arms, values[-1]), merged(values), form)


def coalesce(args: Sequence[Expr]) -> Expr:
    values = meet(args)
    return Call("coalesce", tuple(values), merged(values), "coalesce({args})")


def nullif(args: Sequence[Expr]) -> Expr:
    first, second = meet(args)
    return Call("nullif", (first, second), first.type if not is_null(first) else NULL, "nullif({0}, {1})")


def extreme(op: str) -> Callable[[Sequence[Expr]], Expr]:
    """greatest and least, which skip NULLs as in DuckDB. A constant among the arguments bounds the result on one side."""

    def rule(args: Sequence[Expr]) -> Expr:
        values = meet(args)
        kind = merged(values)
        if kind.numeric:
            fixed = [arg.type.low for arg in values if isinstance(arg, Literal) and arg.type.low is not None]
            if fixed and op == "greatest":
                kind = replace(kind, low=max(fixed))
            elif fixed:
                kind = replace(kind, high=min(fixed))
        return Call(op, tuple(values), kind, f"{op}({{args}})")

    return rule
