"""Rules of dates and times. Arguments are first brought into years 1–9999 (NULL outside), where DuckDB's calendar functions are total."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from fractions import Fraction

from sandbox.sql.expr import Call, Expr, Literal
from sandbox.sql.logic import choose, compare
from sandbox.sql.numbers import Misfit, bounded, constant_integer, integer, want
from sandbox.sql.types import DATE, NULL, TEXT, TIMESTAMP, Type, exact, floating

PARTS: dict[str, tuple[int, int] | None] = {  # the values a part can have; None: follows the date's own bounds
    "year": None,
    "quarter": (1, 4),
    "month": (1, 12),
    "week": (1, 53),
    "day": (1, 31),
    "dow": (0, 6),
    "isodow": (1, 7),
    "doy": (1, 366),
    "hour": (0, 23),
    "minute": (0, 59),
    "second": (0, 59),
}
_SYNONYMS = {
    "dayofmonth": "day",
    "dayofweek": "dow",
    "weekday": "dow",
    "dayofyear": "doy",
    "weekofyear": "week",
    "days": "day",
    "months": "month",
}
_SYNONYMS |= {"years": "year", "weeks": "week", "hours": "hour", "minutes": "minute", "seconds": "second", "quarters": "quarter"}
TRUNCATIONS = ("year", "quarter", "month", "week", "day", "hour", "minute")
SPANS = ("year", "quarter", "month", "week", "day")
INTERVALS = ("year", "month", "week", "day", "hour", "minute", "second")
_FORMAT = re.compile(r"^(?:%[YmdHMSjyGVuwaAbBpI%]|[^%])*$")


def moment(arg: Expr) -> Expr:
    """The date or timestamp if it lies in years 1–9999, else NULL."""
    want(("date", "timestamp"), arg)
    if isinstance(arg, Literal):
        return arg
    if arg.type.kind == "date":
        arg = bounded(arg)
        if isinstance(arg, Call) and arg.op == "clamp":
            return arg
        return Call("window", (arg,), arg.type, "CASE WHEN {0} BETWEEN CAST('0001-01-01' AS DATE) AND CAST('9999-12-31' AS DATE) THEN {0} END")
    form = "CASE WHEN {0} BETWEEN CAST('0001-01-01' AS TIMESTAMP) AND CAST('9999-12-31' AS TIMESTAMP) THEN {0} END"
    return Call("window", (arg,), arg.type, form)


def part_name(text: str, allowed: Sequence[str]) -> str:
    name = _SYNONYMS.get(text.casefold(), text.casefold())
    if name not in allowed:
        raise Misfit(f"可用的时间单位：{'、'.join(allowed)}", f"the units are {', '.join(allowed)}")
    return name


def part(name: str, arg: Expr) -> Expr:
    name = part_name(name, tuple(PARTS))
    inside = moment(arg)
    if name in ("hour", "minute", "second") and inside.type.kind == "date":
        raise Misfit("日期没有时分秒", "a date has no time of day")
    limits = PARTS[name]
    low, high = limits if limits else (None, None)
    if limits is None and inside.type.low is not None and inside.type.high is not None:
        low, high = date.fromordinal(int(inside.type.low)).year, date.fromordinal(int(inside.type.high)).year
    return Call("part", (inside,), exact(low, high, 0, 10_000), f"CAST(date_part('{name}', {{0}}) AS BIGINT)")


def named_part(name: str) -> Callable[[Sequence[Expr]], Expr]:
    return lambda args: part(name, args[0])


def constant_part(args: Sequence[Expr]) -> Expr:
    """date_part('month', d)."""
    if not isinstance(args[0], Literal) or not isinstance(args[0].value, str):
        raise Misfit("时间单位须为文本常量", "the unit must be a constant text")
    return part(args[0].value, args[1])


def truncate(name: str, arg: Expr) -> Expr:
    name = part_name(name, TRUNCATIONS)
    inside = moment(arg)
    if name in ("hour", "minute"):
        if inside.type.kind == "date":
            raise Misfit("日期没有时分秒", "a date has no time of day")
        return Call("trunc", (inside,), TIMESTAMP, f"date_trunc('{name}', {{0}})")
    low = None if inside.type.low is None else max(Fraction(1), inside.type.low - 366)
    return Call("trunc", (inside,), replace(DATE, low=low, high=inside.type.high), f"TRY_CAST(date_trunc('{name}', {{0}}) AS DATE)")


def difference(name: str, start: Expr, end: Expr) -> Expr:
    """date_diff('unit', start, end): how many boundaries of the unit lie between."""
    name = part_name(name, SPANS)
    first, last = moment(start), moment(end)
    kinds = {first.type.kind, last.type.kind}
    if len(kinds) > 1:
        raise Misfit("两端须同为日期或同为时间", "both ends must be dates, or both timestamps")
    return Call("diff", (first, last), _span(name, first.type, last.type), f"date_diff('{name}', {{0}}, {{1}})")


def _span(name: str, first: Type, last: Type) -> Type:
    if first.low is None or first.high is None or last.low is None or last.high is None:
        return exact(None, None, 0, 4_000_000)
    low, high = int(last.low - first.high), int(last.high - first.low)
    if name == "day":
        return exact(low, high)
    days = {"week": 7, "month": 28, "quarter": 90, "year": 365}[name]
    return exact(min(0, low // days - 1), max(0, high // days + 1))


def shift(arg: Expr, count: int, unit: str) -> Expr:
    """A date or timestamp plus a constant interval: a timestamp."""
    unit = part_name(unit, INTERVALS)
    if abs(count) > 10_000:
        raise Misfit("间隔至多 10000 个单位", "an interval has at most 10000 units")
    return Call("shift", (moment(arg),), TIMESTAMP, f"({{0}} + INTERVAL '{count}' {unit.upper()})")


def add_days(arg: Expr, days: Expr, sign: int) -> Expr:
    """A date plus or minus a constant number of days: a date."""
    count = sign * constant_integer(days, -100_000, 100_000)
    inside = moment(arg)
    low = None if inside.type.low is None else inside.type.low + count
    high = None if inside.type.high is None else inside.type.high + count
    kept = low is not None and high is not None and low >= 1 and high <= date.max.toordinal()
    kind = replace(DATE, low=low, high=high) if kept else DATE
    return Call("shift", (inside,), kind, f"({{0}} + CAST({count} AS INTEGER))")


def days_between(later: Expr, earlier: Expr) -> Expr:
    return difference("day", earlier, later)


def write(args: Sequence[Expr]) -> Expr:
    """strftime(d, constant format)."""
    return Call("strftime", (moment(args[0]), _shape(args[1])), TEXT, "strftime({0}, {1})")


_DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")


def named(unit: str) -> Callable[[Sequence[Expr]], Expr]:
    """dayname and monthname: in English, as in DuckDB."""
    names = dict(enumerate(_DAYS)) if unit == "dow" else dict(enumerate(_MONTHS, 1))

    def rule(args: Sequence[Expr]) -> Expr:
        number = part(unit, args[0])
        arms: list[Expr] = []
        for value, name in names.items():
            arms += [compare("eq", "=")([number, integer(value)]), Literal(name, TEXT)]
        return choose([*arms, Literal(None, NULL)])

    return rule


def last_day(args: Sequence[Expr]) -> Expr:
    inside = moment(args[0])
    high = None if inside.type.high is None else min(Fraction(date.max.toordinal()), inside.type.high + 31)
    return Call("last_day", (inside,), replace(DATE, low=inside.type.low, high=high), "last_day({0})")


def made(args: Sequence[Expr]) -> Expr:
    """make_date(year, month, day): NULL where there is no such day."""
    want(("exact",), *args)
    if any(arg.type.scale for arg in args):
        raise Misfit("年、月、日须为整数", "year, month and day are integers")
    form = "TRY_CAST(try_strptime(concat_ws('-', CAST({0} AS VARCHAR), CAST({1} AS VARCHAR), CAST({2} AS VARCHAR)), '%Y-%m-%d') AS DATE)"
    missing = "CASE WHEN {0} IS NOT NULL AND {1} IS NOT NULL AND {2} IS NOT NULL THEN " + form + " END"
    return Call("make_date", tuple(args), DATE, missing)


def complete(args: Sequence[Expr]) -> Expr:
    """date_sub('unit', start, end): how many complete units lie between."""
    unit = args[0]
    if not isinstance(unit, Literal) or not isinstance(unit.value, str):
        raise Misfit("时间单位须为文本常量", "the unit must be a constant text")
    crossed = difference(unit.value, args[1], args[2])
    assert isinstance(crossed, Call)
    kind = crossed.type
    low, high = (None if end is None else end + side for end, side in ((kind.low, -1), (kind.high, 1)))
    return Call(
        "complete", crossed.args, replace(kind, low=low, high=high, reach=kind.reach + 1), crossed.form.replace("date_diff(", "date_sub(")
    )


def seconds(args: Sequence[Expr]) -> Expr:
    """epoch(t): seconds since 1970, in DOUBLE."""
    return Call("epoch", (moment(args[0]),), floating(None, None), "epoch({0})")


def parse(args: Sequence[Expr]) -> Expr:
    """strptime(s, constant format): NULL where the text is no such date."""
    want(("text",), args[0])
    return Call("parse", (args[0], _shape(args[1])), TIMESTAMP, "try_strptime({0}, {1})")


def _shape(arg: Expr) -> Literal:
    if not isinstance(arg, Literal) or not isinstance(arg.value, str) or len(arg.value) > 60 or not _FORMAT.match(arg.value):
        raise Misfit("格式须为常量，如 '%Y-%m'", "the format must be a constant such as '%Y-%m'")
    return arg
