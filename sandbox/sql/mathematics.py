"""Rules of mathematical functions: over DOUBLE, where nothing raises, and over the bits of integers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction

from sandbox.sql.expr import Call, Column, Expr, Literal, is_null
from sandbox.sql.numbers import Misfit, bounded, constant_integer, divide, numeric, to_float, truth, want
from sandbox.sql.types import NULL, STORED, exact, floating


def monotone(op: str, form: str, of: Callable[[float], float], least: float | None = None) -> Callable[[Sequence[Expr]], Expr]:
    """A non-decreasing function of one DOUBLE; bounds carry over where the argument stays at or above `least`."""

    def rule(args: Sequence[Expr]) -> Expr:
        numeric(*args)
        arg = to_float(bounded(args[0]))
        low = high = None
        if (
            arg.type.low is not None
            and arg.type.high is not None
            and (least is None or arg.type.low > least or (op == "sqrt" and arg.type.low >= 0))
        ):
            try:
                low, high = _near(of(float(arg.type.low)), -1), _near(of(float(arg.type.high)), 1)
            except (OverflowError, ValueError):
                low = high = None
        return Call(op, (arg,), floating(low, high), form)

    return rule


def _near(value: float, side: int) -> Fraction:
    """A bound a little outside `value`: the library functions of Python and DuckDB may differ in the last digits."""
    return Fraction(value) + side * (abs(Fraction(value)) + 1) / 10**9


def power(args: Sequence[Expr]) -> Expr:
    numeric(*args)
    base, exponent = (to_float(bounded(arg)) for arg in args)
    low = high = None
    ends = None if base.type.low is None or base.type.high is None else (base.type.low, base.type.high)
    if ends is not None and ends[0] >= 0 and isinstance(exponent, Literal) and isinstance(exponent.value, Fraction) and exponent.value >= 0:
        try:
            low, high = (_near(float(end) ** float(exponent.value), side) for end, side in zip(ends, (-1, 1), strict=True))
        except OverflowError:
            low = high = None
    return Call("pow", (base, exponent), floating(low, high), "pow({0}, {1})")


def logarithm(args: Sequence[Expr]) -> Expr:
    """log(x) to base 10; log(2, x) and log(10, x)."""
    if len(args) == 1:
        return monotone("log10", "log10({0})", math.log10, 0)(args)
    base = args[0].value if isinstance(args[0], Literal) and args[0].type.kind == "exact" else None
    if base == 2:
        return monotone("log2", "log2({0})", math.log2, 0)(args[1:])
    if base == 10:
        return monotone("log10", "log10({0})", math.log10, 0)(args[1:])
    if isinstance(base, int) and base > 1:
        made, by = monotone("ln", "ln({0})", math.log, 0)(args[1:]), Fraction(math.log(base))
        return divide([made, Literal(by, floating(by, by))])
    raise Misfit("底数须为大于 1 的整数", "the base must be a whole number above 1")


def is_nan(args: Sequence[Expr]) -> Expr:
    numeric(*args)
    return truth("isnan", "isnan({0})", to_float(args[0]))


def test(op: str) -> Callable[[Sequence[Expr]], Expr]:
    """isfinite and isinf."""

    def rule(args: Sequence[Expr]) -> Expr:
        numeric(*args)
        return truth(op, f"{op}({{0}})", to_float(args[0]))

    return rule


def real(op: str, low: int | None = None, high: int | None = None) -> Callable[[Sequence[Expr]], Expr]:
    """A function of DOUBLE that never raises and lies within the bounds wherever it is a number."""

    def rule(args: Sequence[Expr]) -> Expr:
        numeric(*args)
        floats = tuple(to_float(bounded(arg)) for arg in args)
        ends = (None if low is None else Fraction(low), None if high is None else Fraction(high))
        return Call(op, floats, floating(*ends), f"{op}({', '.join(f'{{{place}}}' for place in range(len(floats)))})")

    return rule


def scaled_by(op: str, factor: float) -> Callable[[Sequence[Expr]], Expr]:
    """degrees and radians."""
    return monotone(op, f"{op}({{0}})", lambda value: value * factor)


def circle(args: Sequence[Expr]) -> Expr:
    return Literal(Fraction(math.pi), floating(Fraction(math.pi), Fraction(math.pi)))


def bits(op: str, sign: str) -> Callable[[Sequence[Expr]], Expr]:
    """a & b, a | b, xor(a, b) of 64-bit integers."""

    def rule(args: Sequence[Expr]) -> Expr:
        want(("exact",), *args)
        if any(is_null(arg) for arg in args):
            return Literal(None, NULL)
        if any(arg.type.scale or arg.type.wide for arg in args) and not all(isinstance(arg, Column) or not arg.type.wide for arg in args):
            raise Misfit("位运算只用于 64 位以内的整数", "bits are taken of integers of at most 64 bits")
        if any(arg.type.scale for arg in args):
            raise Misfit("位运算只用于整数", "bits are taken of integers only")
        masks = [arg.type.high for arg in args if isinstance(arg, Literal) and arg.type.low is not None and arg.type.low >= 0]
        kind = exact(0, min(high for high in masks if high is not None), 0, STORED) if masks and op == "bitand" else exact(None, None)
        return Call(op, tuple(args), kind, sign)

    return rule


def bucket(args: Sequence[Expr]) -> Expr:
    """width_bucket(x, low, high, n): 1 … n for equal parts of [low, high), 0 below, n + 1 from high on."""
    numeric(*args)
    low, high = (_constant(arg) for arg in args[1:3])
    count = constant_integer(args[3], 1, 10_000)
    if low >= high:
        raise Misfit("下限须小于上限", "low must be below high")
    of = to_float(bounded(args[0]))
    ends = tuple(Literal(end, floating(end, end)) for end in (low, high))
    inside = f"least(TRY_CAST(floor(({{0}} - {{1}}) / ({{2}} - {{1}}) * {count}) AS BIGINT) + 1, {count})"
    form = f"CASE WHEN {{0}} < {{1}} THEN 0 WHEN {{0}} < {{2}} THEN {inside} WHEN {{0}} <= 'infinity'::DOUBLE THEN {count + 1} END"
    return Call("bucket", (of, *ends), exact(0, count + 1), form)


def _constant(arg: Expr) -> Fraction:
    if isinstance(arg, Literal) and isinstance(arg.value, (int, Fraction)) and not isinstance(arg.value, bool) and arg.type.numeric:
        return Fraction(arg.value) / 10**arg.type.scale if arg.type.kind == "exact" else Fraction(arg.value)
    raise Misfit("此处须为数值常量", "a constant number is wanted here")
