"""What an expression gives for given values of its columns, before any row is read: how public keys follow from public facts.

Exact numbers are integers in units of 10**-scale, as in the emitted SQL, floats Python's, NULL None. An operator or a value that is not known
to mean the same in DuckDB raises Unsure. A difference could only cost rows, which would be outside the domain; tests compare with DuckDB.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from fractions import Fraction

from sandbox.sql.expr import Call, Column, Expr, Literal

Value = bool | int | float | str | date | datetime | None
Given = Callable[[Column], Value]


class Unsure(Exception):
    """The value is not known here."""


def value_of(expr: Expr, given: Given) -> Value:
    """Raises Unsure."""
    if isinstance(expr, Column):
        return given(expr)
    if isinstance(expr, Literal):
        return float(expr.value) if isinstance(expr.value, Fraction) else expr.value
    if expr.op in _CHOICES:
        return _CHOICES[expr.op](expr, given)
    args = [value_of(arg, given) for arg in expr.args]
    if expr.op in _WITH_NULLS:
        return _WITH_NULLS[expr.op](args)
    if expr.op not in _PLAIN:
        raise Unsure
    if None in args:
        return None
    made = _PLAIN[expr.op](expr, args)
    if isinstance(made, float) and not math.isfinite(made):
        raise Unsure
    return made


def _logic(decisive: bool) -> Callable[[Sequence[Value]], Value]:
    return lambda args: decisive if decisive in args else None if None in args else not decisive


def _case(expr: Call, given: Given) -> Value:
    for condition, value in zip(expr.args[:-1:2], expr.args[1::2], strict=False):
        if value_of(condition, given) is True:
            return value_of(value, given)
    return value_of(expr.args[-1], given)


def _coalesce(expr: Call, given: Given) -> Value:
    return next((found for arg in expr.args if (found := value_of(arg, given)) is not None), None)


_CHOICES: Mapping[str, Callable[[Call, Given], Value]] = {"case": _case, "coalesce": _coalesce}


def _in(args: Sequence[Value]) -> Value:
    if args[0] is None:
        return None
    found = [compared("eq", args[0], arg) for arg in args[1:]]
    return True if True in found else None if None in found else False


def _between(args: Sequence[Value]) -> Value:
    return _logic(False)([compared("ge", args[0], args[1]), compared("le", args[0], args[2])])


def _nullif(args: Sequence[Value]) -> Value:
    return None if compared("eq", args[0], args[1]) is True else args[0]


def _extreme(sign: str) -> Callable[[Sequence[Value]], Value]:
    def pick(args: Sequence[Value]) -> Value:
        best: Value = None
        for arg in args:
            if arg is not None and (best is None or compared(sign, arg, best)):
                best = arg
        return best

    return pick


_WITH_NULLS: Mapping[str, Callable[[Sequence[Value]], Value]] = {
    "and": _logic(False),
    "or": _logic(True),
    "not": lambda args: None if args[0] is None else not args[0],
    "isnull": lambda args: args[0] is None,
    "distinct": lambda args: (args[0] is None) != (args[1] is None) or compared("ne", args[0], args[1]) is True,
    "same": lambda args: (args[0] is None) == (args[1] is None) and compared("ne", args[0], args[1]) is not True,
    "in": _in,
    "between": _between,
    "nullif": _nullif,
    "greatest": _extreme("gt"),
    "least": _extreme("lt"),
    "concat": lambda args: "".join(str(arg) for arg in args if arg is not None),
    **{op: lambda args, op=op: compared(op, args[0], args[1]) for op in ("eq", "ne", "lt", "le", "gt", "ge")},  # type: ignore[misc]
}


def compared(op: str, a: Value, b: Value) -> bool | None:
    """A comparison of values of one type; None when either is NULL. Raises Unsure."""
    if a is None or b is None:
        return None
    for kind in (bool, int, float, str, datetime, date):
        if type(a) is kind and type(b) is kind:
            return {"eq": a == b, "ne": a != b, "lt": a < b, "le": a <= b, "gt": a > b, "ge": a >= b}[op]  # type: ignore[operator]  # same type
    raise Unsure


def _number(value: Value) -> int | float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    raise Unsure


def _whole(value: Value) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise Unsure


def _text(value: Value) -> str:
    if isinstance(value, str):
        return value
    raise Unsure


def _day(value: Value) -> date:
    if isinstance(value, date):
        return value
    raise Unsure


def _arithmetic(op: str) -> Callable[[Call, Sequence[Value]], Value]:
    def rule(expr: Call, args: Sequence[Value]) -> Value:
        a, b = map(_number, args)
        return a + b if op == "add" else a - b if op == "sub" else a * b

    return rule


def _quotient(a: int, b: int) -> int:
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def _divide(expr: Call, args: Sequence[Value]) -> Value:
    a, b = (float(_number(arg)) for arg in args)
    return None if b == 0 else a / b


def _intdiv(expr: Call, args: Sequence[Value]) -> Value:
    a, b = map(_whole, args)
    return None if b == 0 else _quotient(a, b)


def _modulo(expr: Call, args: Sequence[Value]) -> Value:
    a, b = map(_whole, args)
    return None if b == 0 else a - b * _quotient(a, b)


def _clamp(expr: Call, args: Sequence[Value]) -> Value:
    value, low, high = args
    return low if compared("lt", value, low) else high if compared("gt", value, high) else value


def _to_float(expr: Call, args: Sequence[Value]) -> Value:
    scale = expr.args[0].type.scale
    value = float(_whole(args[0]))
    return value / float(f"1e{scale}") if scale else value


def _rescale(expr: Call, args: Sequence[Value]) -> Value:
    return int(_whole(args[0]) * 10 ** (expr.type.scale - expr.args[0].type.scale))


_ROUNDED: Mapping[str, Callable[[float], int]] = {
    "floor": math.floor,
    "ceil": math.ceil,
    "trunc": math.trunc,
    "round": lambda value: int(math.copysign(math.floor(abs(value) + 0.5), value)),
}


def _rounded(expr: Call, args: Sequence[Value]) -> Value:
    if expr.op == "trunc" and isinstance(args[0], date):
        return _truncated(expr, args)
    if isinstance(args[0], float):
        if len(args) > 1:
            raise Unsure  # to some digits: floats both here and there, and not surely the same one
        return _ROUNDED[expr.op](args[0])
    value, step, half = map(_whole, args)
    parts: Mapping[str, int] = {
        "floor": value // step,
        "ceil": -(-value // step),
        "trunc": _quotient(value, step),
        "round": _quotient(value + half * (value > 0) - half * (value < 0), step),
    }
    unit = 10 ** (expr.args[0].type.scale - expr.type.scale)  # below the step where whole tens are kept
    return int(parts[expr.op] * (step // unit))


def _truncated(expr: Call, args: Sequence[Value]) -> Value:
    value = _day(args[0])
    unit = expr.form.partition("'")[2].partition("'")[0]
    if isinstance(value, datetime):
        raise Unsure
    starts = {
        "year": date(value.year, 1, 1),
        "quarter": date(value.year, 1 + (value.month - 1) // 3 * 3, 1),
        "month": date(value.year, value.month, 1),
        "week": value - timedelta(days=value.weekday()) if value.toordinal() > 6 else value,
        "day": value,
    }
    return starts[unit]


def _part(expr: Call, args: Sequence[Value]) -> Value:
    value = _day(args[0])
    parts = {
        "year": value.year,
        "quarter": (value.month + 2) // 3,
        "month": value.month,
        "week": value.isocalendar().week,
        "day": value.day,
        "dow": value.isoweekday() % 7,
        "isodow": value.isoweekday(),
        "doy": value.timetuple().tm_yday,
    }
    unit = expr.form.partition("'")[2].partition("'")[0]
    if unit not in parts:
        raise Unsure
    return parts[unit]


def _cast(expr: Call, args: Sequence[Value]) -> Value:
    value, target = args[0], expr.type
    if target.kind == "text":
        return str(value).lower() if isinstance(value, bool) else str(value) if isinstance(value, int) else _day(value).isoformat()
    if target.kind == "exact" and isinstance(value, bool):
        return int(value)
    if target.kind == "exact" and isinstance(value, int) and expr.args[0].type.scale == target.scale and abs(value) < target.reach:
        return value
    if target.kind == "boolean" and isinstance(value, int):
        return value != 0
    raise Unsure


def _cased(to: Callable[[str], str]) -> Callable[[Call, Sequence[Value]], Value]:
    def rule(expr: Call, args: Sequence[Value]) -> Value:
        value = _text(args[0])
        if not all(character.isascii() or character.upper() == character.lower() for character in value):
            raise Unsure  # two libraries may differ
        return to(value)

    return rule


def _substring(expr: Call, args: Sequence[Value]) -> Value:
    start = _whole(args[1])
    if start < 1:
        raise Unsure
    return _text(args[0])[start - 1 : start - 1 + _whole(args[2])]


def _strftime(expr: Call, args: Sequence[Value]) -> Value:
    value, shape = _day(args[0]), _text(args[1])
    pieces = {"%Y": f"{value.year}", "%m": f"{value.month:02}", "%d": f"{value.day:02}", "%%": "%"}
    out, place = "", 0
    while place < len(shape):
        two = shape[place : place + 2]
        if shape[place] != "%":
            out, place = out + shape[place], place + 1
        elif two in pieces and (two != "%Y" or value.year >= 1000):
            out, place = out + pieces[two], place + 2
        else:
            raise Unsure
    return out


_PLAIN: Mapping[str, Callable[[Call, Sequence[Value]], Value]] = {
    "typed": lambda expr, args: args[0],
    "settled": lambda expr, args: args[0],
    "is": lambda expr, args: args[0] is ("TRUE" in expr.form),
    **{op: _arithmetic(op) for op in ("add", "sub", "mul")},
    "div": _divide,
    "intdiv": _intdiv,
    "mod": _modulo,
    "neg": lambda expr, args: -_number(args[0]),
    "abs": lambda expr, args: abs(_number(args[0])),
    "sign": lambda expr, args: (_number(args[0]) > 0) - (_number(args[0]) < 0),
    "clamp": _clamp,
    "window": lambda expr, args: args[0],  # a date inside years 1–9999, as every date here is
    "to_float": _to_float,
    "rescale": _rescale,
    **{op: _rounded for op in _ROUNDED},
    "part": _part,
    "cast": _cast,
    "lower": _cased(str.lower),
    "upper": _cased(str.upper),
    "length": lambda expr, args: len(_text(args[0])),
    "substring": _substring,
    "left": lambda expr, args: _text(args[0])[: _whole(args[1])],
    "right": lambda expr, args: _text(args[0])[max(0, len(_text(args[0])) - _whole(args[1])) :],
    "starts_with": lambda expr, args: _text(args[0]).startswith(_text(args[1])),
    "ends_with": lambda expr, args: _text(args[0]).endswith(_text(args[1])),
    "contains": lambda expr, args: _text(args[1]) in _text(args[0]),
    "join": lambda expr, args: _text(args[0]) + _text(args[1]),
    "strftime": _strftime,
}
