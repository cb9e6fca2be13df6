"""No value can make an admitted expression fail: an error would be an answer that nobody paid for."""

from __future__ import annotations

import random
import re

import pytest

from sandbox.sql.functions import BY_NAME, FUNCTIONS, SHAPES
from tests.expressions import CONDITIONS, DATES, GROUPS, NUMBERS, TEXTS, hurtful
from tests.questions import Catalogue, Engine, column, plan_for, snapshot, tables

ENGINE = Engine()
RNG = random.Random(3)
ROWS = tables([hurtful(RNG, pid) for pid in range(400)])
EXPRESSIONS = [(kind, expression) for kind, group in GROUPS.items() for expressions in group.values() for expression in expressions]


@pytest.mark.parametrize(("kind", "expression"), EXPRESSIONS, ids=lambda value: value)
def test_never_raises(kind: str, expression: str) -> None:
    bounded = f"least(greatest({expression}, -3), 10)"
    queries = {
        "number": f"SELECT floor({expression}) AS k, SUM({bounded}) AS s, AVG({bounded}) AS a, COUNT({expression}) AS n FROM visits GROUP BY k",
        "text": f"SELECT {expression} AS k, COUNT(*) AS n FROM visits GROUP BY k",
        "date": f"SELECT {expression} AS k, COUNT(*) AS n FROM visits GROUP BY k",
        "condition": f"SELECT {expression} AS k, count_if({expression}) AS n FROM visits WHERE {expression} OR TRUE GROUP BY k",
    }
    found = ENGINE.totals(plan_for(queries[kind], groups_per_unit=1, rows_per_group=1), ROWS)
    assert found


def test_the_rows_hurt() -> None:
    """Plain DuckDB does fail on these rows, with several of these very expressions."""
    failed = 0
    for _, expression in EXPRESSIONS:
        try:
            ENGINE.query(f"SELECT {expression} AS x FROM visits", ROWS)
        except Exception as error:
            failed += "Binder" not in str(error)
    assert failed >= 10


@pytest.mark.parametrize("stored", ["VARCHAR", "DOUBLE", "HUGEINT", "TINYINT"])
def test_never_raises_whatever_a_column_is_stored_as(stored: str) -> None:
    """Columns are read with TRY_CAST: even a table that does not fit the catalogue gives NULLs, not errors."""
    values = "('x'), ('3'), ('-9e30'), ('nan'), (NULL)" if stored == "VARCHAR" else "(3), (100), (-7), (NULL)"
    table = ENGINE.query(
        f"SELECT 1 AS pid, column0::{stored} AS city, column0::{stored} AS fee, column0::{stored} AS day FROM (VALUES {values}) v(column0)", {}
    )
    if stored in ("DOUBLE", "HUGEINT", "TINYINT"):
        table = ENGINE.query("SELECT pid, city, fee, NULL AS day FROM t", {"t": table})
    plan = plan_for("SELECT city, SUM(fee) AS s, AVG(date_diff('day', day, DATE '2025-01-01')) AS d FROM visits GROUP BY city")
    assert ENGINE.totals(plan, {"visits": table}) is not None


def test_duckdb_calls_every_function_consistent() -> None:
    declared = ENGINE.query("SELECT function_name AS name, function_type AS kind, stability FROM duckdb_functions()", {}).to_pylist()
    stability: dict[str, set[str]] = {}
    for row in declared:
        if row["kind"] == "scalar":
            stability.setdefault(row["name"], set()).add(row["stability"])
    called = {name for function in FUNCTIONS.values() for name in function.duckdb}
    assert {name: stability.get(name) for name in called if stability.get(name) != {"CONSISTENT"}} == {}


def test_forms_call_only_what_the_table_says() -> None:
    called = {name for function in FUNCTIONS.values() for name in function.duckdb}
    own = {
        "cast",
        "try_cast",
        "nullif",
        "coalesce",
        "case",
        "when",
        "then",
        "in",
        "and",
        "as",
        "decimal",
        "over",
        "by",
        "hash",
        "row_number",
        "sum",
        "count",
        "with",
    }
    for kind, expression in EXPRESSIONS:
        sql = (
            f"SELECT COUNT(*) AS n FROM visits WHERE ({expression}) IS NOT NULL"
            if kind != "condition"
            else f"SELECT COUNT(*) AS n FROM visits WHERE {expression}"
        )
        emitted = re.sub(r"'(?:[^']|'')*'", "''", plan_for(sql).only.shard_sql)
        used = {name.casefold() for name in re.findall(r"([A-Za-z_]\w*)\s*\(", emitted)}
        assert (
            used - own - {"rows", "fixed", "partial", "chosen", "where", "from", "select", "not", "or", "is", "between", "least", "greatest"}
            <= called
        ), (expression, used)


def test_every_shape_and_name_leads_to_the_table() -> None:
    assert {name for name, _ in SHAPES.values()} | set(BY_NAME.values()) <= set(FUNCTIONS)
    assert all(all(function.total) and function.signature and function.arity[0] <= function.arity[1] for function in FUNCTIONS.values())
    assert {name for group in (NUMBERS, TEXTS, DATES, CONDITIONS) for name in group} == set(FUNCTIONS)


@pytest.mark.parametrize("decimals", [0, 2, 4, 5, 9])
@pytest.mark.parametrize("high", ["9", "99999", "999999999", None])
def test_decimals_are_read_exactly_or_not_at_all(decimals: int, high: str | None) -> None:
    """Whatever the declared range and grain, reading never overflows, and keeps every digit of values in range."""
    low = None if high is None else "-" + high
    catalogue = Catalogue(
        (snapshot("t", [column("pid", "integer", uses=("filter",)), column("x", "decimal", low, high, decimals=decimals)], unit="pid"),)
    )
    grain = "0." + "0" * (decimals - 1) + "1" if decimals else "1"
    huge = "9" * (37 - decimals)
    values = f"('{grain}'), ('-8'), ('{huge}'), ('-{huge}')"
    table = ENGINE.query(f"SELECT row_number() OVER () AS pid, x::DECIMAL(38, {decimals}) AS x FROM (VALUES {values}) v(x)", {})
    sql = f"SELECT COUNT(*) AS n FROM t WHERE x = {grain} OR x = -8"
    assert ENGINE.totals(plan_for(sql, catalogue), {"t": table}) == {(): (2,)}
