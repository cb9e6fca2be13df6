"""The allow-list of functions and operators, as one table: category, how it is written, how it is made total, and its rule.

A function that is not here is refused by name. `duckdb` names the DuckDB functions the emitted form may call; a test fails when DuckDB
declares one of them anything but CONSISTENT, and a fuzz test when any of them raises on an adversarial value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlglot import exp

from sandbox.sql import casts, dates, logic, mathematics, numbers, patterns, text
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
CUT = ("模式、次数须为常量，结果至多一万字", "patterns and counts are constants, the result is cut at 10,000 characters")
RE2 = ("模式须为常量且为有效的 RE2 正则，匹配耗时与文本长度成正比", "a constant pattern of RE2, matched in time linear in the text")
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
    "sqrt": Function("sqrt(a)", "number", NATIVE, mathematics.monotone("sqrt", "sqrt({0})", math.sqrt, 0), (1, 1), ("sqrt",)),
    "ln": Function("ln(a)", "number", NATIVE, mathematics.monotone("ln", "ln({0})", math.log, 0), (1, 1), ("ln",)),
    "log": Function("log(a), log2(a), log10(a)", "number", NATIVE, mathematics.logarithm, (1, 2), ("log10", "log2")),
    "exp": Function("exp(a)", "number", NATIVE, mathematics.monotone("exp", "exp({0})", math.exp), (1, 1), ("exp",)),
    "pow": Function("pow(a, b), a ** b", "number", NATIVE, mathematics.power, (2, 2), ("pow",)),
    "cbrt": Function("cbrt(a)", "number", NATIVE, mathematics.monotone("cbrt", "cbrt({0})", math.cbrt), (1, 1), ("cbrt",)),
    "sin": Function("sin(a)", "number", NATIVE, mathematics.real("sin", -1, 1), (1, 1), ("sin",)),
    "cos": Function("cos(a)", "number", NATIVE, mathematics.real("cos", -1, 1), (1, 1), ("cos",)),
    "tan": Function("tan(a)", "number", NATIVE, mathematics.real("tan"), (1, 1), ("tan",)),
    "asin": Function("asin(a)", "number", NATIVE, mathematics.real("asin", -2, 2), (1, 1), ("asin",)),
    "acos": Function("acos(a)", "number", NATIVE, mathematics.real("acos", 0, 4), (1, 1), ("acos",)),
    "atan": Function("atan(a)", "number", NATIVE, mathematics.real("atan", -2, 2), (1, 1), ("atan",)),
    "atan2": Function("atan2(a, b)", "number", NATIVE, mathematics.real("atan2", -4, 4), (2, 2), ("atan2",)),
    "degrees": Function("degrees(a)", "number", NATIVE, mathematics.scaled_by("degrees", 180 / math.pi), (1, 1), ("degrees",)),
    "radians": Function("radians(a)", "number", NATIVE, mathematics.scaled_by("radians", math.pi / 180), (1, 1), ("radians",)),
    "pi": Function("pi()", "number", NATIVE, mathematics.circle, (0, 0)),
    "&": Function("a & b", "number", NATIVE, mathematics.bits("bitand", "({0} & {1})"), (2, 2), ("&",)),
    "|": Function("a | b", "number", NATIVE, mathematics.bits("bitor", "({0} | {1})"), (2, 2), ("|",)),
    "xor": Function("xor(a, b)", "number", NATIVE, mathematics.bits("bitxor", "xor({0}, {1})"), (2, 2), ("xor",)),
    "width_bucket": Function("width_bucket(a, low, high, n)", "number", CONSTANT, mathematics.bucket, (4, 4), ("floor", "least")),
    "isfinite": Function("isfinite(a)", "number", NATIVE, mathematics.test("isfinite"), (1, 1), ("isfinite",)),
    "isinf": Function("isinf(a)", "number", NATIVE, mathematics.test("isinf"), (1, 1), ("isinf",)),
    "isnan": Function("isnan(a)", "number", NATIVE, mathematics.is_nan, (1, 1), ("isnan",)),
    "lower": Function("lower(s)", "text", NATIVE, text.plain("lower"), (1, 1), ("lower",)),
    "upper": Function("upper(s)", "text", NATIVE, text.plain("upper"), (1, 1), ("upper",)),
    "trim": Function("trim(s), trim(s, 'ab')", "text", CONSTANT, text.trim("trim"), (1, 2), ("trim",)),
    "ltrim": Function("ltrim(s)", "text", CONSTANT, text.trim("ltrim"), (1, 2), ("ltrim",)),
    "rtrim": Function("rtrim(s)", "text", CONSTANT, text.trim("rtrim"), (1, 2), ("rtrim",)),
    "reverse": Function("reverse(s)", "text", NATIVE, text.plain("reverse"), (1, 1), ("reverse",)),
    "ascii": Function("ascii(s)", "text", NATIVE, text.code, (1, 1), ("ascii",)),
    "strpos": Function("strpos(s, 'a'), position('a' IN s)", "text", CONSTANT, text.place, (2, 2), ("strpos",)),
    "lpad": Function("lpad(s, n, 'a')", "text", CONSTANT, text.pad("lpad"), (3, 3), ("lpad",)),
    "rpad": Function("rpad(s, n, 'a')", "text", CONSTANT, text.pad("rpad"), (3, 3), ("rpad",)),
    "repeat": Function("repeat(s, n)", "text", CUT, text.repeat, (2, 2), ("repeat", "left")),
    "translate": Function("translate(s, 'ab', 'cd')", "text", CONSTANT, text.translate, (3, 3), ("translate",)),
    "concat_ws": Function("concat_ws('-', s, …)", "text", CUT, text.concat_apart, (2, 100), ("concat_ws", "left")),
    "[]": Function("s[i], s[i:j]", "text", CONSTANT, text.element, (2, 3), ("substring",)),
    "regexp_matches": Function(
        "regexp_matches(s, 'a.c'), s ~ 'a.c'", "text", RE2, patterns.matches("regexp_matches"), (2, 2), ("regexp_matches",)
    ),
    "regexp_full_match": Function(
        "regexp_full_match(s, 'a.c'), s SIMILAR TO 'a.c'", "text", RE2, patterns.matches("regexp_full_match"), (2, 2), ("regexp_full_match",)
    ),
    "regexp_extract": Function("regexp_extract(s, '(a.)c', 1)", "text", RE2, patterns.extract, (2, 3), ("regexp_extract",)),
    "regexp_replace": Function("regexp_replace(s, 'a.c', 'b', 'g')", "text", RE2, patterns.replace, (3, 4), ("regexp_replace", "left")),
    "length": Function("length(s)", "text", NATIVE, text.length, (1, 1), ("length",)),
    "substring": Function("substring(s, from, count)", "text", CONSTANT, text.substring, (2, 3), ("substring",)),
    "left": Function("left(s, n)", "text", CONSTANT, text.end("left"), (2, 2), ("left",)),
    "right": Function("right(s, n)", "text", CONSTANT, text.end("right"), (2, 2), ("right",)),
    "starts_with": Function("starts_with(s, 'a')", "text", CONSTANT, text.test("starts_with"), (2, 2), ("starts_with",)),
    "ends_with": Function("ends_with(s, 'a')", "text", CONSTANT, text.test("ends_with"), (2, 2), ("ends_with",)),
    "contains": Function("contains(s, 'a')", "text", CONSTANT, text.test("contains"), (2, 2), ("contains",)),
    "like": Function("s LIKE 'a%'", "text", CONSTANT, text.like("like"), (2, 2), ("~~",)),
    "ilike": Function("s ILIKE 'a%'", "text", CONSTANT, text.like("ilike"), (2, 2), ("~~*",)),
    "replace": Function("replace(s, 'a', 'b')", "text", CUT, text.replace, (3, 3), ("replace", "left")),
    "split_part": Function("split_part(s, '-', n)", "text", CONSTANT, text.split_part, (3, 3), ("string_split", "list_extract")),
    "||": Function("s || t", "text", CUT, text.join, (2, 2), ("||", "left")),
    "concat": Function("concat(s, …)", "text", CUT, text.concat, (1, 100), ("concat", "left")),
    "date_part": Function("date_part('month', d), extract(month FROM d)", "date", WINDOWED, dates.constant_part, (2, 2), ("date_part",)),
    **{
        name: Function(f"{name}(d)", "date", WINDOWED, dates.named_part(name), (1, 1), ("date_part",))
        for name in (*dates.PARTS, "dayofmonth", "dayofweek", "dayofyear", "weekofyear", "weekday")
    },
    "date_trunc": Function("date_trunc('month', d)", "date", WINDOWED, lambda args: args[0], (2, 2), ("date_trunc",)),
    "date_diff": Function("date_diff('day', a, b)", "date", WINDOWED, lambda args: args[0], (3, 3), ("date_diff",)),
    "interval": Function("d + INTERVAL 3 DAY", "date", WINDOWED, lambda args: args[0], (2, 2), ("+",)),
    "strftime": Function("strftime(d, '%Y-%m')", "date", WINDOWED, dates.write, (2, 2), ("strftime",)),
    "last_day": Function("last_day(d)", "date", WINDOWED, dates.last_day, (1, 1), ("last_day",)),
    "dayname": Function("dayname(d)", "date", WINDOWED, dates.named("dow"), (1, 1), ("date_part",)),
    "monthname": Function("monthname(d)", "date", WINDOWED, dates.named("month"), (1, 1), ("date_part",)),
    "make_date": Function("make_date(year, month, day)", "date", TRIED, dates.made, (3, 3), ("try_strptime", "concat_ws")),
    "date_sub": Function("date_sub('month', a, b)", "date", WINDOWED, dates.complete, (3, 3), ("date_sub",)),
    "epoch": Function("epoch(t)", "date", WINDOWED, dates.seconds, (1, 1), ("epoch",)),
    "strptime": Function("strptime(s, '%Y-%m-%d'), try_strptime(…)", "date", TRIED, dates.parse, (2, 2), ("try_strptime",)),
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
    exp.Cbrt: ("cbrt", ("this",)),
    exp.Sin: ("sin", ("this",)),
    exp.Cos: ("cos", ("this",)),
    exp.Tan: ("tan", ("this",)),
    exp.Asin: ("asin", ("this",)),
    exp.Acos: ("acos", ("this",)),
    exp.Atan: ("atan", ("this",)),
    exp.Atan2: ("atan2", ("this", "expression")),
    exp.Degrees: ("degrees", ("this",)),
    exp.Radians: ("radians", ("this",)),
    exp.Pi: ("pi", ()),
    exp.BitwiseAnd: ("&", ("this", "expression")),
    exp.BitwiseOr: ("|", ("this", "expression")),
    exp.BitwiseXor: ("xor", ("this", "expression")),
    exp.WidthBucket: ("width_bucket", ("this", "min_value", "max_value", "num_buckets")),
    exp.IsInf: ("isinf", ("this",)),
    exp.Reverse: ("reverse", ("this",)),
    exp.Ascii: ("ascii", ("this",)),
    exp.StrPosition: ("strpos", ("this", "substr")),
    exp.Repeat: ("repeat", ("this", "times")),
    exp.Translate: ("translate", ("this", "from_", "to")),
    exp.ConcatWs: ("concat_ws", ("expressions",)),
    exp.RegexpLike: ("regexp_matches", ("this", "expression")),
    exp.RegexpFullMatch: ("regexp_full_match", ("this", "expression")),
    exp.SimilarTo: ("regexp_full_match", ("this", "expression")),
    exp.RegexpExtract: ("regexp_extract", ("this", "expression", "group")),
    exp.RegexpReplace: ("regexp_replace", ("this", "expression", "replacement", "modifiers")),
    exp.LastDay: ("last_day", ("this",)),
    exp.Dayname: ("dayname", ("this",)),
    exp.Monthname: ("monthname", ("this",)),
    exp.DateFromParts: ("make_date", ("year", "month", "day")),
    exp.TimeToUnix: ("epoch", ("this",)),
    exp.StrToTime: ("strptime", ("this", "format")),
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
    "isfinite": "isfinite",
    "date_sub": "date_sub",
    "datesub": "date_sub",
    "try_strptime": "strptime",
}

INSTEAD: Mapping[str, tuple[str, str]] = {  # what to write instead of functions people try
    "random": ("结果须可重现，不能用随机数。", "Leave it out: jobs are deterministic."),
    **dict.fromkeys(
        ("any_value", "first", "last", "mode", "arbitrary"),
        (
            "取哪一个值没有规定；请用 MIN、MAX，或子查询中按单元的 arg_max。",
            "Which value is taken is left open: use MIN, MAX, or arg_max within a unit.",
        ),
    ),
    **dict.fromkeys(
        ("list", "array_agg", "string_agg", "group_concat", "histogram"),
        ("不能列出取值；请按该列 GROUP BY 并计数。", "Values are not listed: GROUP BY the column and count."),
    ),
    **dict.fromkeys(
        ("md5", "sha256", "sha1", "hash"),
        ("散列可用于还原取值，不提供。", "Leave it out: hashes of protected values are not shown."),
    ),
    **dict.fromkeys(
        ("current_date", "current_timestamp", "current_time", "localtimestamp", "today", "get_current_timestamp"),
        ("请把日期直接写成常量，例如 DATE '2025-01-01'。", "Write the date as a constant, e.g. DATE '2025-01-01'."),
    ),
    "approx_count_distinct": ("请用 COUNT(DISTINCT x)。", "Use COUNT(DISTINCT x)."),
    "now": ("请把日期直接写成常量，例如 DATE '2025-01-01'。", "Write the date as a constant, e.g. DATE '2025-01-01'."),
}
OTHERWISE = ("请改用允许清单中的函数；清单见文档“支持的 SQL”。", "Use functions of the allow-list; it is in the documentation.")
