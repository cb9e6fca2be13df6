"""Rules of numeric functions: the type of the result, and the total form it is written in.

Exact arithmetic is integer arithmetic on scaled values, in 64 bits when the reach of the result proves that it fits, in 128 bits otherwise,
and in DOUBLE when neither does. Division by zero gives NULL. Nothing here can raise on any stored value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from fractions import Fraction

from sandbox.sql.expr import Call, Column, Expr, Literal, is_null
from sandbox.sql.types import BOOLEAN, DATE, FLOAT, HUGEINT, MAX_SCALE, NAMES, NULL, STORED, TIMESTAMP, Kind, Type, exact, floating, hull

CLAMP = "CASE WHEN {0} < {1} THEN {1} WHEN {0} > {2} THEN {2} ELSE {0} END"
FLOAT_CLAMP = "CASE WHEN {0} <= {1} THEN {1} WHEN {0} <= {2} THEN {0} WHEN {0} <= 'infinity'::DOUBLE THEN {2} END"  # NaN gives NULL


class Misfit(Exception):
    """Arguments that do not fit a function: said in both languages; the binder adds the fragment."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(en)
        self.zh, self.en = zh, en


def integer(value: int) -> Literal:
    return Literal(value, exact(value, value))


def scaled(value: int, scale: int) -> Literal:
    """The literal value · 10**-scale; its reach is of the scaled integer."""
    return Literal(value, exact(Fraction(value, 10**scale), Fraction(value, 10**scale), scale, abs(value)))


def truth(op: str, form: str, *args: Expr) -> Call:
    return Call(op, args, BOOLEAN, form)


def want(kinds: Sequence[Kind], *args: Expr) -> None:
    for arg in args:
        if arg.type.kind not in kinds and arg.type.kind != "null":
            zh = "、".join(dict.fromkeys(NAMES[kind][0] for kind in kinds))
            en = " or ".join(dict.fromkeys(NAMES[kind][1] for kind in kinds))
            raise Misfit(f"需要{zh}，得到的是{NAMES[arg.type.kind][0]}", f"a {en} is wanted, not a {NAMES[arg.type.kind][1]}")


def numeric(*args: Expr) -> None:
    want(("exact", "float"), *args)


def constant_integer(arg: Expr, low: int, high: int) -> int:
    if isinstance(arg, Literal) and type(arg.value) is int and arg.type.scale == 0 and low <= arg.value <= high:
        return arg.value
    raise Misfit(f"此处须为 {low} 到 {high} 的整数常量", f"a constant integer from {low} to {high} is wanted here")


def bounded(expr: Expr) -> Expr:
    """The column clamped to its declared range, where it has one: what makes the reach of arithmetic small. Others as they are."""
    kind = expr.type
    if not isinstance(expr, Column) or kind.low is None or kind.high is None:
        return expr
    if kind.kind == "exact":
        low, high = math.floor(kind.low * 10**kind.scale), math.ceil(kind.high * 10**kind.scale)
        ends = scaled(low, kind.scale), scaled(high, kind.scale)
        return Call("clamp", (expr, *ends), replace(kind, reach=max(abs(low), abs(high))), CLAMP)
    if kind.kind == "float":
        return Call("clamp", (expr, Literal(kind.low, FLOAT), Literal(kind.high, FLOAT)), kind, FLOAT_CLAMP)
    if kind.kind == "date":
        ends_of = [Literal(date.fromordinal(int(end)), DATE) for end in (kind.low, kind.high)]
        return Call("clamp", (expr, *ends_of), kind, CLAMP)
    return expr


def to_float(expr: Expr) -> Expr:
    kind = expr.type
    if kind.kind == "float":
        return expr
    if is_null(expr):
        return Call("to_float", (expr,), FLOAT, "CAST({0} AS DOUBLE)")
    if isinstance(expr, Literal) and isinstance(expr.value, int):
        value = Fraction(expr.value, 10**kind.scale)
        return Literal(value, floating(value, value, kind.scale))
    form = "CAST({0} AS DOUBLE)" if kind.scale == 0 else f"(CAST({{0}} AS DOUBLE) / 1e{kind.scale})"
    return Call("to_float", (expr,), floating(kind.low, kind.high, kind.scale), form)


def rescale(expr: Expr, scale: int) -> Expr | None:
    """The exact value at a larger scale; None when it would not fit 128 bits."""
    kind = expr.type
    step = 10 ** (scale - kind.scale)
    if step == 1:
        return expr
    if kind.reach * step > HUGEINT or scale > MAX_SCALE:
        return None
    wider = replace(kind, scale=scale, reach=kind.reach * step)
    if isinstance(expr, Literal) and isinstance(expr.value, int):
        return Literal(expr.value * step, wider)
    form = f"(CAST({{0}} AS HUGEINT) * CAST({step} AS HUGEINT))" if wider.wide else f"({{0}} * CAST({step} AS BIGINT))"
    return Call("rescale", (expr,), wider, form)


def align(args: Sequence[Expr], *, clamp: bool = False) -> list[Expr]:
    """Numbers brought to one kind and scale, NULLs left alone."""
    numbers = [bounded(arg) if clamp else arg for arg in args]
    types = [arg.type for arg in numbers if not is_null(arg)]
    if all(kind.kind == "exact" for kind in types):
        scale = max((kind.scale for kind in types), default=0)
        if scale and clamp is False:
            numbers = [bounded(arg) if arg.type.scale < scale else arg for arg in numbers]
        moved = [arg if is_null(arg) else rescale(arg, scale) for arg in numbers]
        if all(arg is not None for arg in moved):
            return [arg for arg in moved if arg is not None]
    return [arg if is_null(arg) else to_float(arg) for arg in numbers]


def _ends(kind: Type) -> tuple[Fraction, Fraction] | None:
    return None if kind.low is None or kind.high is None else (kind.low, kind.high)


def _corners(a: Type, b: Type, op: Callable[[Fraction, Fraction], Fraction]) -> tuple[Fraction | None, Fraction | None]:
    ends_a, ends_b = _ends(a), _ends(b)
    if ends_a is None or ends_b is None:
        return None, None
    found = [op(x, y) for x in ends_a for y in ends_b]
    return min(found), max(found)


def _digits(a: Type, b: Type, combine: Callable[[int, int], int]) -> int | None:
    return None if a.digits is None or b.digits is None else combine(a.digits, b.digits)


def _exact_form(sign: str, wide: bool) -> str:
    return f"(CAST({{0}} AS HUGEINT) {sign} CAST({{1}} AS HUGEINT))" if wide else f"({{0}} {sign} {{1}})"


def _null(op: str, *args: Expr) -> Expr | None:
    return Literal(None, NULL) if any(is_null(arg) for arg in args) else None


def arithmetic(op: str, sign: str, of: Callable[[Fraction, Fraction], Fraction]) -> Callable[[Sequence[Expr]], Expr]:
    """+ and -, of which the result has the larger scale, and *, of which it has the sum of both."""

    def rule(args: Sequence[Expr]) -> Expr:
        numeric(*args)
        if (null := _null(op, *args)) is not None:
            return null
        a, b = (bounded(args[0]), bounded(args[1])) if sign == "*" else align(args, clamp=True)
        low, high = _corners(a.type, b.type, of)
        if a.type.kind == b.type.kind == "exact":
            scale = a.type.scale + b.type.scale if sign == "*" else a.type.scale
            reach = a.type.reach * b.type.reach if sign == "*" else a.type.reach + b.type.reach
            if reach <= HUGEINT and scale <= MAX_SCALE:
                kind = Type("exact", scale, low, high, reach)
                return Call(op, (a, b), kind, _exact_form(sign, kind.wide))
        a, b = to_float(a), to_float(b)
        digits = _digits(a.type, b.type, (lambda x, y: x + y) if sign == "*" else max)
        return Call(op, (a, b), floating(low, high, digits), f"({{0}} {sign} {{1}})")

    return rule


def divide(args: Sequence[Expr]) -> Expr:
    """`a / b` in DOUBLE; NULL when b is zero."""
    numeric(*args)
    if (null := _null("div", *args)) is not None:
        return null
    a, b = (to_float(bounded(arg)) for arg in args)
    low, high = None, None
    if b.type.low is not None and b.type.high is not None and (b.type.low > 0 or b.type.high < 0):
        low, high = _corners(a.type, b.type, lambda x, y: x / y)
    return Call("div", (a, b), floating(low, high), "({0} / nullif({1}, 0e0))")


def integer_divide(args: Sequence[Expr]) -> Expr:
    """`a // b` of integers, truncated towards zero; NULL when b is zero."""
    want(("exact",), *args)
    if (null := _null("intdiv", *args)) is not None:
        return null
    a, b = (bounded(arg) for arg in args)
    if a.type.scale or b.type.scale:
        raise Misfit("// 只用于整数", "// is for integers only")
    wide = a.type.wide or b.type.wide
    most = None if (ends := _ends(a.type)) is None else max(abs(ends[0]), abs(ends[1]))
    low = None if most is None else Fraction(0) if ends and ends[0] >= 0 and (b.type.low or 0) > 0 else -most
    form = "(CAST({0} AS HUGEINT) // nullif(CAST({1} AS HUGEINT), 0))" if wide else "({0} // nullif({1}, 0))"
    return Call("intdiv", (a, b), Type("exact", 0, low, most, a.type.reach), form)


def modulo(args: Sequence[Expr]) -> Expr:
    """`a % b`, sign of a; NULL when b is zero."""
    numeric(*args)
    if (null := _null("mod", *args)) is not None:
        return null
    a, b = align(args, clamp=True)
    ends = _ends(b.type)
    most = None if ends is None else max(abs(ends[0]), abs(ends[1]))
    low = None if most is None else Fraction(0) if a.type.low is not None and a.type.low >= 0 else -most
    if a.type.kind == "exact":
        wide = a.type.wide or b.type.wide
        form = "(CAST({0} AS HUGEINT) % nullif(CAST({1} AS HUGEINT), 0))" if wide else "({0} % nullif({1}, 0))"
        return Call("mod", (a, b), Type("exact", a.type.scale, low, most, min(a.type.reach, b.type.reach)), form)
    return Call("mod", (a, b), floating(low, most), "({0} % nullif({1}, 0e0))")


def negate(args: Sequence[Expr]) -> Expr:
    numeric(*args)
    (arg,) = args
    if is_null(arg):
        return arg
    if isinstance(arg, Literal) and isinstance(arg.value, (int, Fraction)):
        kind = replace(arg.type, low=None if arg.type.high is None else -arg.type.high, high=None if arg.type.low is None else -arg.type.low)
        return Literal(-arg.value, kind)
    arg = bounded(arg)
    low, high = (None if end is None else -end for end in (arg.type.high, arg.type.low))
    form = "(-CAST({0} AS HUGEINT))" if arg.type.wide else "(-{0})"
    return Call("neg", (arg,), replace(arg.type, low=low, high=high), form)


def absolute(args: Sequence[Expr]) -> Expr:
    numeric(*args)
    arg = bounded(args[0])
    ends = _ends(arg.type)
    high = None if ends is None else max(abs(ends[0]), abs(ends[1]))
    low = Fraction(0) if ends is None or ends[0] <= 0 <= ends[1] else min(abs(ends[0]), abs(ends[1]))
    form = "abs(CAST({0} AS HUGEINT))" if arg.type.wide else "abs({0})"
    return Call("abs", (arg,), replace(arg.type, low=low, high=high), form)


def signum(args: Sequence[Expr]) -> Expr:
    numeric(*args)
    return Call("sign", tuple(args), exact(-1, 1), "CAST(sign({0}) AS BIGINT)")


_EXACT_WHOLE = {  # m is 10**(digits dropped), h its half; {0} the scaled integer
    "floor": "(({0} - ((({0} % {1}) + {1}) % {1})) // {1})",
    "ceil": "(({0} + (({1} - ({0} % {1})) % {1})) // {1})",
    "trunc": "({0} // {1})",
    "round": "(({0} + CAST(sign({0}) AS BIGINT) * {2}) // {1})",
}


def whole(op: str, *, digits: bool = False) -> Callable[[Sequence[Expr]], Expr]:
    """floor, ceil, trunc and round; of a float without digits the result is an integer (NULL beyond 64 bits), so that it can be a key."""

    def rule(args: Sequence[Expr]) -> Expr:
        numeric(args[0])
        places = constant_integer(args[1], -9, 9) if digits and len(args) > 1 else 0
        arg = bounded(args[0])
        kind = arg.type
        slack = Fraction(1, 2) if op == "round" else Fraction(1)
        if kind.kind == "null":
            return Literal(None, NULL)
        if kind.kind == "float" and places > 0:
            slack /= 10**places
            low, high = (None if kind.low is None else kind.low - slack), (None if kind.high is None else kind.high + slack)
            return Call(op, (arg, integer(places)), floating(low, high, places), "round({0}, CAST({1} AS INTEGER))")
        if kind.kind == "float":
            ends = _ends(kind)
            low, high = (None, None) if ends is None else (Fraction(math.floor(ends[0])), Fraction(math.ceil(ends[1])))
            made: Expr = Call(op, (arg,), exact(low, high, 0, STORED), f"TRY_CAST({op}({{0}}) AS BIGINT)")
            return made if places == 0 else _coarse(made, -places)
        if places >= kind.scale:
            return arg
        return _drop(op, arg, places)

    return rule


def _drop(op: str, arg: Expr, places: int) -> Expr:
    kind, step = arg.type, 10 ** (arg.type.scale - places)
    wide = kind.reach + step > STORED - 1
    unit = Fraction(10) ** -max(places, 0) if places >= 0 else Fraction(10) ** -places
    low = None if kind.low is None else Fraction(math.floor(kind.low / unit)) * unit
    high = None if kind.high is None else Fraction(math.ceil(kind.high / unit)) * unit
    form = _EXACT_WHOLE[op]
    if wide:
        form = form.replace("{0}", "CAST({0} AS HUGEINT)")
    reach = kind.reach // step + 1
    if places >= 0:
        return Call(op, (arg, integer(step), integer(step // 2)), Type("exact", places, low, high, reach), form)
    zeros = 10**-places  # rounded to tens, hundreds …: one call, so that its value is the rounded value
    made = Type("exact", 0, low, high, reach * zeros)
    form = f"(CAST({form} AS HUGEINT) * {zeros})" if wide or made.wide else f"({form} * CAST({zeros} AS BIGINT))"
    return Call(op, (arg, integer(step), integer(step // 2)), made, form)


def _coarse(arg: Expr, zeros: int) -> Expr:
    return _drop("round", arg, -zeros)


def common(args: Sequence[Expr]) -> list[Expr]:
    """Values of one type, for comparison, CASE, COALESCE and the like: numbers aligned, dates widened to timestamps, texts read as what
    stands beside them only where they are constants. Raises Misfit."""
    kinds = {arg.type.kind for arg in args if not is_null(arg)}
    if not kinds:
        return list(args)
    if kinds <= {"exact", "float"}:
        return align(args)
    if kinds == {"date", "timestamp"}:
        return [arg if arg.type.kind != "date" else as_timestamp(arg) for arg in args]
    if len(kinds) == 1:
        return list(args)
    names = [NAMES[kind] for kind in sorted(kinds)]
    raise Misfit("不能混用" + "与".join(n[0] for n in names), "cannot mix " + " and ".join(n[1] for n in names))


def as_timestamp(arg: Expr) -> Expr:
    return Call("cast", (arg,), TIMESTAMP, "TRY_CAST({0} AS TIMESTAMP)")


def merged(args: Sequence[Expr]) -> Type:
    """The type of one of `args`, which are already common."""
    types = [arg.type for arg in args if not is_null(arg)]
    return hull(types) if types else NULL
