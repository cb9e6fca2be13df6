"""The allow-list of functions and operators, as one table: category, how it is written, how it is made total, and its rule.

A function that is not here is refused by name. `duckdb` names the DuckDB functions the emitted form may call; a test fails when DuckDB
declares one of them anything but CONSISTENT, and a fuzz test when any of them raises on an adversarial value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlglot import exp

from sandbox.sql import casts, dates, logic, numbers, text
from sandbox.sql.expr import Expr

Rule = Callable[[Sequence[Expr]], Expr]


@dataclass(frozen=True, slots=True)
class Function:
    """`total`: why no value can make it raise, in both languages; `arity`: fewest and most arguments."""

    signature: str
    category: str
    total: tuple[str, str]
    rule: Rule
    arity: tuple[int, int]
    duckdb: tuple[str, ...] = ()


NATIVE = ("DuckDB 本身不报错", "DuckDB never raises here")
WIDENED = ("按取值范围选 64 或 128 位，超出时用 DOUBLE", "64 or 128 bits as the range needs, else DOUBLE")
NULL_ON_ZERO = ("除数为零时得 NULL", "NULL when the divisor is zero")
TRIED = ("不能转换时得 NULL", "NULL when it cannot be converted")
CONSTANT = ("模式、位置、长度须为常量", "patterns, positions and lengths are constants")
WINDOWED = ("公元 1–9999 年之外得 NULL", "NULL outside the years 1–9999")

FUNCTIONS: Mapping[str, Function] = {
    "=": Function("a = b", "comparison", NATIVE, logic.compare("eq", "="), (2, 2)),
    "<>": Function("a <> b", "comparison", NATIVE, logic.compare("ne", "<>"), (2, 2)),
    "<": Function("a < b", "comparison", NATIVE, logic.compare("lt", "<"), (2, 2)),
    "<=": Function("a <= b", "comparison", NATIVE, logic.compare("le", "<="), (2, 2)),
    ">": Function("a > b", "comparison", NATIVE, logic.compare("gt", ">"), (2, 2)),
    ">=": Function("a >= b", "comparison", NATIVE, logic.compare("ge", ">="), (2, 2)),
    "is distinct from": Function("a IS DISTINCT FROM b", "comparison", NATIVE, logic.compare("distinct", "IS DISTINCT FROM"), (2, 2)),
    "is not distinct from": Function("a IS NOT DISTINCT FROM b", "comparison", NATIVE, logic.compare("same", "IS NOT DISTINCT FROM"), (2, 2)),
    "between": Function("a BETWEEN b AND c", "comparison", NATIVE, logic.between, (3, 3)),
    "in": Function("a IN (b, …)", "comparison", NATIVE, logic.within, (2, 1000)),
    "is null": Function("a IS NULL", "comparison", NATIVE, logic.is_missing, (1, 1)),
    "is true": Function("a IS TRUE", "comparison", NATIVE, logic.is_truth, (2, 2)),
    "and": Function("a AND b", "logic", NATIVE, logic.both, (2, 2000)),
    "or": Function("a OR b", "logic", NATIVE, logic.either, (2, 2000)),
    "not": Function("NOT a", "logic", NATIVE, logic.opposite, (1, 1)),
    "case": Function("CASE WHEN a THEN b … ELSE c END", "logic", NATIVE, logic.choose, (3, 2000)),
    "coalesce": Function("coalesce(a, …)", "logic", NATIVE, logic.coalesce, (1, 100)),
    "nullif": Function("nullif(a, b)", "logic", NATIVE, logic.nullif, (2, 2)),
    "greatest": Function("greatest(a, …)", "logic", NATIVE, logic.extreme("greatest"), (1, 100), ("greatest",)),
    "least": Function("least(a, …)", "logic", NATIVE, logic.extreme("least"), (1, 100), ("least",)),
    "+": Function("a + b", "number", WIDENED, numbers.arithmetic("add", "+", lambda x, y: x + y), (2, 2), ("+",)),
    "-": Function("a - b", "number", WIDENED, numbers.arithmetic("sub", "-", lambda x, y: x - y), (2, 2), ("-",)),
    "*": Function("a * b", "number", WIDENED, numbers.arithmetic("mul", "*", lambda x, y: x * y), (2, 2), ("*",)),
    "/": Function("a / b", "number", NULL_ON_ZERO, numbers.divide, (2, 2), ("/",)),
    "//": Function("a // b", "number", NULL_ON_ZERO, numbers.integer_divide, (2, 2), ("//",)),
    "%": Function("a % b", "number", NULL_ON_ZERO, numbers.modulo, (2, 2), ("%",)),
    "negate": Function("-a", "number", WIDENED, numbers.negate, (1, 1), ("-",)),
    "abs": Function("abs(a)", "number", WIDENED, numbers.absolute, (1, 1), ("abs",)),
    "sign": Function("sign(a)", "number", NATIVE, numbers.signum, (1, 1), ("sign",)),
    "floor": Function("floor(a)", "number", WIDENED, numbers.whole("floor"), (1, 1), ("floor",)),
    "ceil": Function("ceil(a)", "number", WIDENED, numbers.whole("ceil"), (1, 1), ("ceil",)),
    "trunc": Function("trunc(a)", "number", WIDENED, numbers.whole("trunc"), (1, 1), ("trunc",)),
    "round": Function("round(a, n)", "number", WIDENED, numbers.whole("round", digits=True), (1, 2), ("round",)),
    "sqrt": Function("sqrt(a)", "number", NATIVE, numbers.monotone("sqrt", "sqrt({0})", math.sqrt, 0), (1, 1), ("sqrt",)),
    "ln": Function("ln(a)", "number", NATIVE, numbers.monotone("ln", "ln({0})", math.log, 0), (1, 1), ("ln",)),
    "log": Function("log(a), log2(a), log10(a)", "number", NATIVE, numbers.logarithm, (1, 2), ("log10", "log2")),
    "exp": Function("exp(a)", "number", NATIVE, numbers.monotone("exp", "exp({0})", math.exp), (1, 1), ("exp",)),
    "pow": Function("pow(a, b), a ** b", "number", NATIVE, numbers.power, (2, 2), ("pow",)),
    "isnan": Function("isnan(a)", "number", NATIVE, numbers.is_nan, (1, 1), ("isnan",)),
    "lower": Function("lower(s)", "text", NATIVE, text.plain("lower"), (1, 1), ("lower",)),
    "upper": Function("upper(s)", "text", NATIVE, text.plain("upper"), (1, 1), ("upper",)),
    "trim": Function("trim(s)", "text", NATIVE, text.plain("trim"), (1, 1), ("trim",)),
    "ltrim": Function("ltrim(s)", "text", NATIVE, text.plain("ltrim"), (1, 1), ("ltrim",)),
    "rtrim": Function("rtrim(s)", "text", NATIVE, text.plain("rtrim"), (1, 1), ("rtrim",)),
    "length": Function("length(s)", "text", NATIVE, text.length, (1, 1), ("length",)),
    "substring": Function("substring(s, from, count)", "text", CONSTANT, text.substring, (2, 3), ("substring",)),
    "left": Function("left(s, n)", "text", CONSTANT, text.end("left"), (2, 2), ("left",)),
    "right": Function("right(s, n)", "text", CONSTANT, text.end("right"), (2, 2), ("right",)),
    "starts_with": Function("starts_with(s, 'a')", "text", CONSTANT, text.test("starts_with"), (2, 2), ("starts_with",)),
    "ends_with": Function("ends_with(s, 'a')", "text", CONSTANT, text.test("ends_with"), (2, 2), ("ends_with",)),
    "contains": Function("contains(s, 'a')", "text", CONSTANT, text.test("contains"), (2, 2), ("contains",)),
    "like": Function("s LIKE 'a%'", "text", CONSTANT, text.like("like"), (2, 2), ("~~",)),
    "ilike": Function("s ILIKE 'a%'", "text", CONSTANT, text.like("ilike"), (2, 2), ("~~*",)),
    "replace": Function("replace(s, 'a', 'b')", "text", CONSTANT, text.replace, (3, 3), ("replace",)),
    "split_part": Function("split_part(s, '-', n)", "text", CONSTANT, text.split_part, (3, 3), ("string_split", "list_extract")),
    "||": Function("s || t", "text", NATIVE, text.join, (2, 2), ("||",)),
    "concat": Function("concat(s, …)", "text", NATIVE, text.concat, (1, 100), ("concat",)),
    "date_part": Function("date_part('month', d), extract(month FROM d)", "date", WINDOWED, dates.constant_part, (2, 2), ("date_part",)),
    **{
        name: Function(f"{name}(d)", "date", WINDOWED, dates.named_part(name), (1, 1), ("date_part",))
        for name in (*dates.PARTS, "dayofmonth", "dayofweek", "dayofyear", "weekofyear", "weekday")
    },
    "date_trunc": Function("date_trunc('month', d)", "date", WINDOWED, lambda args: args[0], (2, 2), ("date_trunc",)),
    "date_diff": Function("date_diff('day', a, b)", "date", WINDOWED, lambda args: args[0], (3, 3), ("date_diff",)),
    "interval": Function("d + INTERVAL 3 DAY", "date", WINDOWED, lambda args: args[0], (2, 2), ("+",)),
    "strftime": Function("strftime(d, '%Y-%m')", "date", WINDOWED, dates.write, (2, 2), ("strftime",)),
    "cast": Function(f"CAST(a AS …), a::…: {casts.TARGETS}", "cast", TRIED, lambda args: args[0], (1, 1)),
}

# How sqlglot calls them: the function's name here, and where its arguments stand, in order. A list-valued place gives several arguments.
SHAPES: Mapping[type[exp.Expr], tuple[str, tuple[str, ...]]] = {
    exp.EQ: ("=", ("this", "expression")),
    exp.NEQ: ("<>", ("this", "expression")),
    exp.LT: ("<", ("this", "expression")),
    exp.LTE: ("<=", ("this", "expression")),
    exp.GT: (">", ("this", "expression")),
    exp.GTE: (">=", ("this", "expression")),
    exp.NullSafeNEQ: ("is distinct from", ("this", "expression")),
    exp.NullSafeEQ: ("is not distinct from", ("this", "expression")),
    exp.Between: ("between", ("this", "low", "high")),
    exp.In: ("in", ("this", "expressions")),
    exp.Not: ("not", ("this",)),
    exp.Coalesce: ("coalesce", ("this", "expressions")),
    exp.Nullif: ("nullif", ("this", "expression")),
    exp.Greatest: ("greatest", ("this", "expressions")),
    exp.Least: ("least", ("this", "expressions")),
    exp.Mul: ("*", ("this", "expression")),
    exp.Div: ("/", ("this", "expression")),
    exp.IntDiv: ("//", ("this", "expression")),
    exp.Mod: ("%", ("this", "expression")),
    exp.Neg: ("negate", ("this",)),
    exp.Abs: ("abs", ("this",)),
    exp.Sign: ("sign", ("this",)),
    exp.Floor: ("floor", ("this",)),
    exp.Ceil: ("ceil", ("this",)),
    exp.Trunc: ("trunc", ("this",)),
    exp.Round: ("round", ("this", "decimals")),
    exp.Sqrt: ("sqrt", ("this",)),
    exp.Ln: ("ln", ("this",)),
    exp.Log: ("log", ("this", "expression")),
    exp.Exp: ("exp", ("this",)),
    exp.Pow: ("pow", ("this", "expression")),
    exp.IsNan: ("isnan", ("this",)),
    exp.Lower: ("lower", ("this",)),
    exp.Upper: ("upper", ("this",)),
    exp.Length: ("length", ("this",)),
    exp.Substring: ("substring", ("this", "start", "length")),
    exp.Left: ("left", ("this", "expression")),
    exp.Right: ("right", ("this", "expression")),
    exp.StartsWith: ("starts_with", ("this", "expression")),
    exp.EndsWith: ("ends_with", ("this", "expression")),
    exp.Contains: ("contains", ("this", "expression")),
    exp.Like: ("like", ("this", "expression")),
    exp.ILike: ("ilike", ("this", "expression")),
    exp.Replace: ("replace", ("this", "expression", "replacement")),
    exp.SplitPart: ("split_part", ("this", "delimiter", "part_index")),
    exp.DPipe: ("||", ("this", "expression")),
    exp.Concat: ("concat", ("expressions",)),
    exp.Year: ("year", ("this",)),
    exp.Quarter: ("quarter", ("this",)),
    exp.Month: ("month", ("this",)),
    exp.Week: ("week", ("this",)),
    exp.WeekOfYear: ("weekofyear", ("this",)),
    exp.Day: ("day", ("this",)),
    exp.DayOfMonth: ("dayofmonth", ("this",)),
    exp.DayOfWeek: ("dayofweek", ("this",)),
    exp.DayOfWeekIso: ("isodow", ("this",)),
    exp.DayOfYear: ("dayofyear", ("this",)),
    exp.Hour: ("hour", ("this",)),
    exp.Minute: ("minute", ("this",)),
    exp.Second: ("second", ("this",)),
    exp.TimeToStr: ("strftime", ("this", "format")),
}

# Functions sqlglot has no class for, and other names DuckDB has for those above.
BY_NAME: Mapping[str, str] = {
    "date_part": "date_part",
    "datepart": "date_part",
    "dow": "dow",
    "isodow": "isodow",
    "doy": "doy",
    "weekday": "weekday",
    "prefix": "starts_with",
    "suffix": "ends_with",
    "power": "pow",
}

INSTEAD: Mapping[str, tuple[str, str]] = {  # what to write instead of functions people try
    "random": ("结果须可重现，不能用随机数。", "Leave it out: jobs are deterministic."),
    "now": ("请把日期直接写成常量，例如 DATE '2025-01-01'。", "Write the date as a constant, e.g. DATE '2025-01-01'."),
}
OTHERWISE = ("请改用允许清单中的函数；清单见文档“支持的 SQL”。", "Use functions of the allow-list; it is in the documentation.")
