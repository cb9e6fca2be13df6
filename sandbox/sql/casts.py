"""Rules of casts: every one is TRY_CAST in effect, NULL for what does not fit."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

from sandbox.sql.expr import Call, Expr, Literal, is_null
from sandbox.sql.logic import read_as
from sandbox.sql.numbers import Misfit, bounded, rescale, to_float, truth, want, whole
from sandbox.sql.types import BOOLEAN, DATE, MAX_DIGITS, NAMES, TEXT, TIMESTAMP, Type, exact, floating

INTEGERS = {"TINYINT": 7, "SMALLINT": 15, "INT": 31, "BIGINT": 63}  # bits of the largest value
TARGETS = "TINYINT, SMALLINT, INTEGER, BIGINT, DECIMAL(p, s), DOUBLE, FLOAT, VARCHAR, DATE, TIMESTAMP, BOOLEAN"


def cast(arg: Expr, target: str, sizes: tuple[int, ...] = ()) -> Expr:
    """CAST or TRY_CAST to a type named as sqlglot names it. Raises Misfit."""
    if target in INTEGERS:
        return to_integer(arg, target)
    if target == "DECIMAL":
        precision, scale = (*sizes, 0)[:2] if sizes else (18, 3)
        if not (1 <= precision <= 18 and 0 <= scale <= min(precision, MAX_DIGITS)):
            raise Misfit("DECIMAL 的总位数至多 18，小数位数至多 9", "DECIMAL takes at most 18 digits, 9 of them after the point")
        return to_decimal(arg, precision, scale)
    if target == "DOUBLE":
        return to_double(arg)
    if target == "FLOAT":
        return to_single(arg)
    if target in ("TEXT", "VARCHAR"):
        return to_text(arg)
    if target == "DATE":
        return to_moment(arg, DATE, "DATE")
    if target in ("TIMESTAMP", "TIMESTAMPNTZ"):
        return to_moment(arg, TIMESTAMP, "TIMESTAMP")
    if target == "BOOLEAN":
        return to_boolean(arg)
    raise Misfit(f"不支持转换为 {target}，可用：{TARGETS}", f"no cast to {target}; there are {TARGETS}")


def to_integer(arg: Expr, target: str) -> Expr:
    want(("exact", "float", "text", "boolean"), arg)
    top = 2 ** INTEGERS[target]
    name = "INTEGER" if target == "INT" else target
    form = f"CAST(TRY_CAST({{0}} AS {name}) AS BIGINT)"  # back to 64 bits: arithmetic on narrow integers would overflow
    if arg.type.kind == "boolean":
        return Call("cast", (arg,), exact(0, 1), "CAST({0} AS BIGINT)")
    if arg.type.kind == "exact":
        arg = whole("round")([arg])
        low, high = arg.type.low, arg.type.high
        if arg.type.reach < top:
            return arg
        return Call("cast", (arg,), Type("exact", 0, low, high, min(arg.type.reach, top)), form)
    if arg.type.kind == "float":
        arg = bounded(arg)
        low = None if arg.type.low is None else Fraction(math.floor(arg.type.low))
        high = None if arg.type.high is None else Fraction(math.ceil(arg.type.high))
        return Call("cast", (arg,), exact(low, high, 0, top), form)
    return Call("cast", (arg,), exact(None, None, 0, top), form)


def to_decimal(arg: Expr, precision: int, scale: int) -> Expr:
    want(("exact", "float", "text"), arg)
    top = 10**precision
    if arg.type.kind == "exact":
        moved = rescale(bounded(arg), scale) if arg.type.scale <= scale else whole("round", digits=True)([arg, _places(scale)])
        if moved is not None and moved.type.reach < top:
            return moved
        if moved is not None:
            form = f"CASE WHEN {{0}} > -{top} AND {{0}} < {top} THEN CAST({{0}} AS BIGINT) END"
            return Call("cast", (moved,), replace(moved.type, reach=top), form)
        arg = to_float(arg)
    arg = bounded(arg)
    half = Fraction(1, 2 * 10**scale)
    low = None if arg.type.low is None else arg.type.low - half
    high = None if arg.type.high is None else arg.type.high + half
    form = scaled_reading(scale, None).replace("{0}", f"TRY_CAST({{0}} AS DECIMAL({precision}, {scale}))")
    return Call("cast", (arg,), Type("exact", scale, low, high, top), form)


def scaled_reading(scale: int, most: Fraction | None) -> str:
    """The form that reads a number as an integer in units of 10**-scale; NULL where that does not fit 64 bits.

    DuckDB multiplies decimals of up to 18 digits in 64 bits and raises beyond them, so the cheap way is for values known to leave room
    (`most`: their largest scaled absolute value); the other way multiplies 27 digits by at most 10 in 128 bits, which always fits.
    """
    cheap = most is not None and most < 10 ** (18 - scale)
    width = 18 - scale if cheap else 27
    return f"TRY_CAST(TRY_CAST({{0}} AS DECIMAL({width}, {scale})) * {10**scale} AS BIGINT)"


def _places(scale: int) -> Literal:
    return Literal(scale, exact(scale, scale))


def to_double(arg: Expr) -> Expr:
    want(("exact", "float", "text", "boolean"), arg)
    if arg.type.numeric or is_null(arg):
        return to_float(bounded(arg))
    low, high = (Fraction(0), Fraction(1)) if arg.type.kind == "boolean" else (None, None)
    return Call("cast", (arg,), Type("float", 0, low, high), "TRY_CAST({0} AS DOUBLE)")


def to_single(arg: Expr) -> Expr:
    """FLOAT (REAL): rounded to 24 bits, kept as DOUBLE."""
    of = to_double(arg)
    near = (Fraction(1) + Fraction(1, 2**23), Fraction(1, 2**100))
    low, high = (
        None if end is None else end + side * (abs(end) * (near[0] - 1) + near[1]) for end, side in ((of.type.low, -1), (of.type.high, 1))
    )
    return Call("single", (of,), floating(low, high, of.type.digits), "CAST(TRY_CAST({0} AS FLOAT) AS DOUBLE)")


def to_text(arg: Expr) -> Expr:
    """As text: only where everybody writes the value alike."""
    if arg.type.kind == "text":
        return arg
    if arg.type.kind == "float" or arg.type.scale:
        raise Misfit("小数不能转为文本，请先取整或转为整数", "a fraction is not cast to text; round or cast it to an integer first")
    want(("exact", "date", "boolean"), arg)
    return Call("cast", (arg,), TEXT, "CAST({0} AS VARCHAR)")


def to_moment(arg: Expr, kind: Type, name: str) -> Expr:
    want(("text", "date", "timestamp"), arg)
    if arg.type.kind == kind.kind:
        return arg
    if isinstance(arg, Literal) and isinstance(arg.value, str):
        return read_as(arg, kind)
    bounds = arg.type if arg.type.kind == "date" else kind
    return Call("cast", (arg,), replace(kind, low=bounds.low, high=bounds.high) if kind is DATE else kind, f"TRY_CAST({{0}} AS {name})")


def to_boolean(arg: Expr) -> Expr:
    if arg.type.kind == "boolean":
        return arg
    if arg.type.kind == "exact":
        return truth("cast", "({0} <> 0)", arg)
    want(("text",), arg)
    if arg.type.kind not in ("text", "null"):
        raise Misfit(f"不能把{NAMES[arg.type.kind][0]}转为布尔值", f"a {NAMES[arg.type.kind][1]} is not cast to boolean")
    return Call("cast", (arg,), BOOLEAN, "TRY_CAST({0} AS BOOLEAN)")
