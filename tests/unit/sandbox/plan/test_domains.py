"""Implied domains are exactly what DuckDB makes of every declared value and of NULL, no more and no less."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from tests.questions import CITIES, YEARS, Engine, plan_for

ENGINE = Engine()
VALUES: dict[str, pa.Array] = {
    "city": pa.array(CITIES),
    "year": pa.array(YEARS, pa.int64()),
    "days": pa.array(range(366), pa.int64()),
    "dept": pa.array(range(1, 41), pa.int64()),
    "day": pa.array([date(2020, 1, 1) + timedelta(days=n) for n in range(2192)], pa.date32()),
}
EXPRESSIONS = {
    "city": [
        "city LIKE '太%'",
        "length(city)",
        "left(city, 1) || right(city, 1)",
        "substring(city, 2, 1)",
        "upper(city)",
        "CASE city WHEN '太原' THEN 1 WHEN '大同' THEN 2 ELSE 3 END",
        "coalesce(nullif(city, '太原'), '省会')",
        "starts_with(city, 'o') OR ends_with(city, '同')",
        "city IN ('太原', 'x')",
        "contains(city, '''')",
    ],
    "year": [
        "year - 2000",
        "-year",
        "abs(2021 - year)",
        "year % 4 = 0",
        "year * 2 + 1",
        "year BETWEEN 2021 AND 2022",
        "CAST(year AS VARCHAR)",
        "greatest(year, 2022)",
        "sign(year - 2021)",
        "concat('FY', year)",
        "year / 2 > 1010",
        "round(year / 10)",
        "year IS NOT DISTINCT FROM 2020",
    ],
    "days": [
        "days // 7",
        "days % 10",
        "-days // 30",
        "(3 - days) % 5",
        "floor(days / 7)",
        "ceil(days / 30.5)",
        "round(days / 30)",
        "trunc(days * 0.1)",
        "round(days, -1)",
        "floor(days * 0.05) * 20",
        "least(days, 5)",
        "CASE WHEN days < 7 THEN 'a' WHEN days BETWEEN 7 AND 30 THEN 'b' ELSE 'c' END",
        "floor((days - 100) / 30)",
        "CAST(days > 30 AS INTEGER)",
    ],
    "dept": ["(dept - 1) // 10", "dept <= 20 AND dept % 2 = 0", "if(dept > 5, 'x', 'y')"],
    "day": [
        *(f"{part}(day)" for part in ("year", "quarter", "month", "week", "day", "dayofweek", "isodow", "dayofyear")),
        *(f"date_trunc('{unit}', day)" for unit in ("year", "quarter", "month", "week")),
        "strftime(day, '%Y/%m')",
        "year(day) * 100 + month(day)",
        "month(day) % 2 = 0",
        "monthname(day)",
        "CASE WHEN month(day) <= 6 THEN 'H1' ELSE 'H2' END",
        "day >= DATE '2022-03-01'",
    ],
}


@pytest.mark.parametrize(("column", "expression"), [(column, item) for column, items in EXPRESSIONS.items() for item in items])
def test_the_domain_is_what_duckdb_says(column: str, expression: str) -> None:
    (key,) = plan_for(f"SELECT {expression} AS k, COUNT(*) AS n FROM visits GROUP BY k").parts[0].keys
    table = pa.table({column: pa.concat_arrays([VALUES[column], pa.nulls(1, VALUES[column].type)])})
    found = ENGINE.query(f"SELECT DISTINCT {expression} AS k FROM t ORDER BY k", {"t": table}).column("k").to_pylist()
    assert key.domain is not None
    assert list(key.domain) == [plain(value) for value in found]


def plain(value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, datetime):
        return value.date()
    return value if isinstance(value, (bool, str, date)) else int(value)
