"""At least one expression for every function of the allow-list, over the columns of `tests.questions.VISITS`, and rows made to hurt them."""

from __future__ import annotations

import math
import random
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from tests.questions import CITIES, YEARS

NUMBERS = {
    "+": ["big + big", "fee + 1.5", "raw + big", "day + 3 - DATE '2020-01-01'"],
    "-": ["big - days", "fee - score", "0 - big"],
    "*": ["big * big", "big * big * big", "fee * 1.1 * days", "raw * raw"],
    "/": ["fee / days", "big / big", "raw / score"],
    "//": ["big // days", "big // big", "big // -1"],
    "%": ["big % days", "big % -1", "fee % 0.7", "raw % score"],
    "negate": ["-big", "-fee", "-raw"],
    "abs": ["abs(big)", "abs(score)"],
    "sign": ["sign(raw)", "sign(fee - 3)"],
    "floor": ["floor(raw)", "floor(fee)", "floor(-fee / 3)"],
    "ceil": ["ceil(raw)", "ceiling(fee)"],
    "trunc": ["trunc(raw)", "trunc(score * 1000000)"],
    "round": ["round(raw)", "round(fee, 1)", "round(score, 3)", "round(big, -2)", "round(raw, -3)", "round(fee, -1)"],
    "sqrt": ["sqrt(raw)", "sqrt(days)"],
    "ln": ["ln(raw)", "ln(days)"],
    "log": ["log(raw)", "log2(days)", "log10(big)", "log(2, score)"],
    "exp": ["exp(raw)", "exp(days / 100)"],
    "pow": ["pow(raw, 3)", "raw ** raw", "power(days, 0.5)"],
    "greatest": ["greatest(big, 3, days)", "greatest(raw, 0)"],
    "least": ["least(score, raw)", "least(fee, 10)"],
    "coalesce": ["coalesce(fee, 0)", "ifnull(raw, big)", "coalesce(NULL, days)"],
    "nullif": ["nullif(big, 0)", "nullif(raw, 1.5)"],
    "case": ["CASE WHEN urgent THEN fee WHEN raw > 0 THEN raw ELSE 3 END", "CASE dept WHEN 1 THEN big ELSE 0 END", "if(urgent, 1, 2)"],
    "length": ["length(note)", "len(note)"],
    "date_part": ["date_part('month', day)", "extract(year FROM seen)", "date_part('week', seen)"],
    "year": ["year(day)"],
    "quarter": ["quarter(seen)"],
    "month": ["month(day)"],
    "week": ["week(day)"],
    "weekofyear": ["weekofyear(day)"],
    "day": ["day(day)"],
    "dayofmonth": ["dayofmonth(day)"],
    "dow": ["dow(day)"],
    "dayofweek": ["dayofweek(seen)"],
    "weekday": ["weekday(day)"],
    "isodow": ["isodow(day)"],
    "doy": ["doy(day)"],
    "dayofyear": ["dayofyear(day)"],
    "hour": ["hour(seen)"],
    "minute": ["minute(seen)"],
    "second": ["second(seen)"],
    "date_diff": [
        "date_diff('day', day, DATE '2021-05-06')",
        "date_diff('month', seen, TIMESTAMP '2021-05-06 00:00:00')",
        "datediff('year', day, day)",
        "day - day",
    ],
    "cast": [
        "CAST(raw AS INTEGER)",
        "CAST(note AS BIGINT)",
        "big::TINYINT",
        "raw::DECIMAL(9, 2)",
        "big::DECIMAL(5, 1)",
        "note::DOUBLE",
        "urgent::SMALLINT",
        "fee::DECIMAL(6, 1)",
        "note::DECIMAL(12, 3)",
    ],
}
TEXTS = {
    "lower": ["lower(note)"],
    "upper": ["upper(note)"],
    "trim": ["trim(note)"],
    "ltrim": ["ltrim(note)"],
    "rtrim": ["rtrim(note)"],
    "substring": ["substring(note, 2, 3)", "substr(note, 2)"],
    "left": ["left(note, 2)"],
    "right": ["right(note, 3)"],
    "replace": ["replace(note, 'a', 'bb')"],
    "split_part": ["split_part(note, '-', 2)"],
    "||": ["note || '-' || dept"],
    "concat": ["concat(note, city, big)"],
    "strftime": ["strftime(day, '%Y-%m')", "strftime(seen, '%H:%M')"],
    "cast": ["big::VARCHAR", "day::VARCHAR", "urgent::VARCHAR"],
    "coalesce": ["coalesce(note, '无')"],
}
DATES = {
    "date_trunc": ["date_trunc('month', day)", "date_trunc('week', seen)", "date_trunc('year', day)"],
    "interval": ["day + 30", "day - 100000", "CAST(day + INTERVAL 3 MONTH AS DATE)", "CAST(seen - INTERVAL '9999' YEAR AS DATE)"],
    "cast": ["CAST(note AS DATE)", "seen::DATE"],
    "coalesce": ["coalesce(day, DATE '2020-01-01')"],
}
CONDITIONS = {
    "=": ["big = days", "note = city", "fee = 1.10"],
    "<>": ["raw <> 0"],
    "<": ["fee < score", "day < seen"],
    "<=": ["big <= 3.5"],
    ">": ["raw > big", "day > '2021-01-01'"],
    ">=": ["note >= '感'"],
    "is distinct from": ["big IS DISTINCT FROM days"],
    "is not distinct from": ["note IS NOT DISTINCT FROM NULL"],
    "between": ["raw BETWEEN -1 AND fee"],
    "in": ["big IN (1, 2, -3)", "note NOT IN ('a', 'b')"],
    "is null": ["raw IS NULL", "note IS NOT NULL"],
    "is true": ["urgent IS TRUE", "urgent IS NOT FALSE"],
    "and": ["urgent AND fee > 3"],
    "or": ["urgent OR fee > 3 OR days < 2"],
    "not": ["NOT urgent"],
    "isnan": ["isnan(raw)"],
    "starts_with": ["starts_with(note, 'a')", "prefix(note, '感')"],
    "ends_with": ["ends_with(note, 'b')", "suffix(note, 'z')"],
    "contains": ["contains(note, '%')"],
    "like": ["note LIKE 'a%_'", "note NOT LIKE '%\\'"],
    "ilike": ["note ILIKE 'FLU%'"],
    "cast": ["big::BOOLEAN", "note::BOOLEAN"],
    "date_trunc": ["date_trunc('hour', seen) > day"],
    "interval": ["seen + INTERVAL 10000 DAY > day"],
}
GROUPS = {"number": NUMBERS, "text": TEXTS, "date": DATES, "condition": CONDITIONS}

BIG = [0, 1, -1, 7, 2**31, -(2**31), 2**63 - 1, -(2**63), None]
REALS = [0.0, -0.0, 1.5, -2.5, 0.1, math.nan, math.inf, -math.inf, 1e308, -1e308, 5e-324, 9.3e18, None]
FEES = [Decimal("0.00"), Decimal("0.29"), Decimal("49999.99"), Decimal("-9999999999999999.99"), Decimal("9999999999999999.99"), None]
NOTES = [
    "",
    "a",
    "A-b",
    "12",
    "-7.5",
    "1e400",
    "nan",
    "2020-13-01",
    "2021-02-03",
    "true",
    "%_\\",
    "感冒",
    "🩺\u0301",
    "it's",
    "\t",
    "x" * 3000,
    None,
]
DAYS = [date(1, 1, 1), date(9999, 12, 31), date(2020, 2, 29), date(2025, 12, 31), date(1969, 12, 31), None]
MOMENTS = [*map(datetime.fromisoformat, ("0001-01-01", "9999-12-31T23:59:59.999999", "2021-01-01T05:06:07")), None]


def hurtful(rng: random.Random, pid: int | None) -> list[Any]:
    """A row that keeps to no declared range or domain."""
    return [
        pid,
        rng.choice([*CITIES, *CITIES, "Atlantis", None]),
        rng.choice([*YEARS, 1900, None]),
        rng.choice([1, 2, 3, 8, None]),
        rng.choice([1, 2, 3, 4, 5, -9, None]),
        rng.choice(FEES),
        rng.choice(BIG),
        rng.choice(REALS),
        rng.choice(REALS),
        rng.choice(BIG),
        rng.choice(DAYS),
        rng.choice(MOMENTS),
        rng.choice([True, False, None]),
        rng.choice(NOTES),
        rng.choice(["男", "女", "", None]),
    ]
