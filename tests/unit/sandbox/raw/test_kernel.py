"""The dense kernel says what the SQL plan says, whatever the order of rows, and treats every unit alone."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from decimal import Decimal
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.catalogue import Catalogue, Snapshot, dataset_from_toml
from sandbox.plan.ask import Ask
from sandbox.plan.compile import compile_job
from sandbox.plan.model import Plan
from sandbox.raw import kernel
from sandbox.raw.totals import combine, shard_totals
from tests.questions import with_part

HEAD = """
registration_no = "T"
source_body = { zh = "a", en = "a" }
acquired_on = 2026-01-01
updated_on = 2026-01-01
grade = "general-2"
approximate_rows = 100
share = { attribute = "unconditional", reason = { zh = "a", en = "a" }, basis = "-" }
"""
TITLE = 'title = { zh = "a", en = "a" }'


def catalogue(unit: str) -> Catalogue:
    visits = f"""
name = "visits"
{TITLE}
{HEAD}
[unit]
column = "u"
space = "person"
{TITLE}
[bounds]
groups_per_unit = 9
rows_per_group = 50
[[columns]]
name = "u"
type = "{unit}"
{TITLE}
uses = ["filter", "join", "distinct"]
[[columns]]
name = "city"
type = "integer"
{TITLE}
low = 1
high = 3
domain = [1, 2, 3]
[[columns]]
name = "sex"
type = "text"
{TITLE}
domain = ["F", "M"]
[[columns]]
name = "fee"
type = "decimal"
decimals = 2
{TITLE}
low = -50
high = 100
[[columns]]
name = "days"
type = "integer"
{TITLE}
low = 0
high = 40
[[columns]]
name = "bmi"
type = "number"
decimals = 1
{TITLE}
low = 10
high = 60
"""
    return Catalogue((Snapshot(dataset=dataset_from_toml(visits), version=1, digest="0" * 64),))


QUERIES = (
    "SELECT COUNT(*) AS n FROM visits",
    "SELECT COUNT(DISTINCT u) AS n, AVG(days) AS d FROM visits",
    "SELECT city, COUNT(*) AS n, SUM(fee) AS s, AVG(fee) AS a FROM visits GROUP BY city",
    "SELECT city, sex, COUNT(fee) AS n, AVG(days) AS d FROM visits GROUP BY city, sex",
    "SELECT sex, SUM(fee) AS s FROM visits WHERE days > 3 GROUP BY sex",
    "SELECT city, SUM(bmi) AS b, AVG(bmi) AS a, SUM(days * 2 - 5) AS d FROM visits GROUP BY city",
    "SELECT city, COUNT(*) FILTER (WHERE days > 5) AS n, COUNT(DISTINCT u) FILTER (WHERE sex = 'F') AS f FROM visits GROUP BY city",
    "SELECT city, MEDIAN(fee) AS m, COUNT(*) AS n FROM visits GROUP BY city",
    "SELECT MEDIAN(days) AS m, MAX(days) FILTER (WHERE sex = 'F') AS f FROM visits",
    "SELECT city, sex, QUANTILE_CONT(bmi, 0.3) AS q FROM visits WHERE days > 3 GROUP BY city, sex",
    "SELECT sex, VAR_POP(fee) AS v, STDDEV(days) AS d FROM visits GROUP BY sex",
)


@cache
def compiled(sql: str, *, unit: str = "integer", groups: int = 9, rows: int = 3) -> Plan:
    narrowed = {"fee": {"low": "-20", "high": "60.5"}} if "fee" in sql else {}  # so that clamping has something to do
    ask = Ask.model_validate({"privacy": {"rho": "0.1"}, "groups_per_unit": groups, "rows_per_group": rows, "ranges": narrowed})
    plan = compile_job(sql, catalogue(unit), ask)
    assert plan.only.rows is not None, "this test is about plans for the kernel"
    return plan


def table(rows: list[tuple[object, ...]], unit: str) -> pa.Table:
    kinds = [pa.int64() if unit == "integer" else pa.string(), pa.int64(), pa.string(), pa.decimal128(18, 2), pa.int64(), pa.float64()]
    columns = list(zip(*rows, strict=True)) if rows else [[]] * 6
    return pa.table(
        {
            name: pa.array(list(column), kind)
            for name, column, kind in zip(("u", "city", "sex", "fee", "days", "bmi"), columns, kinds, strict=True)
        }
    )


def answer(plan: Plan, rows: pa.Table, seed: int = 7) -> dict[tuple[object, ...], tuple[Any, ...]]:
    found = combine(plan.only, [shard_totals(plan.only, {plan.scans[0].alias: rows}, seed)]).table.to_pylist()
    return {tuple(row[key.name] for key in plan.only.keys): tuple(told(row[total.name]) for total in plan.only.totals) for row in found}


def told(value: object) -> int | Counter[int]:
    """A total: a number, or what each bin holds."""
    if value is None or isinstance(value, list):
        return Counter({item["bin"]: item["n"] for item in value or ()})
    assert isinstance(value, int)
    return value


def less(a: Any, b: Any) -> Any:
    """A total less another; of bins, bin by bin."""
    return a - b if isinstance(a, int) else Counter({place: n for place in {*a, *b} if (n := a[place] - b[place])})


def some_rows(unit: str) -> st.SearchStrategy[list[tuple[object, ...]]]:
    units = st.integers(-3, 6) if unit == "integer" else st.sampled_from(["甲", "乙", "", "a", "A", "é"])
    fees = st.none() | st.decimals(-50, 100, places=2)
    bmi = st.none() | st.floats(allow_nan=True, allow_infinity=True) | st.floats(5, 70)
    return st.lists(
        st.tuples(
            units,
            st.none() | st.integers(0, 4),
            st.none() | st.sampled_from(["F", "M", "x"]),
            fees,
            st.none() | st.integers(-5, 50) | st.sampled_from([2**63 - 1, -(2**63)]),
            bmi,
        ),
        max_size=60,
    )


@pytest.mark.parametrize("unit", ["integer", "text"])
@pytest.mark.parametrize("sql", QUERIES)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_it_says_what_the_sql_plan_says(sql: str, unit: str, data: st.DataObject) -> None:
    rows = table(data.draw(some_rows(unit)), unit)
    plan = compiled(sql, unit=unit, rows=data.draw(st.sampled_from([1, 3, 50])))
    said = answer(with_part(plan, rows=None), rows)
    assert answer(plan, rows) == said
    shuffled = rows.take(pa.array(np.random.default_rng(1).permutation(rows.num_rows)))
    assert answer(plan, shuffled) == said


@pytest.mark.parametrize("unit", ["integer", "text"])
@pytest.mark.parametrize("sql", [sql for sql in QUERIES if "city" in sql])
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_a_unit_moves_few_keys_by_its_cap_and_nobody_elses(sql: str, unit: str, data: st.DataObject) -> None:
    rows = data.draw(some_rows(unit))
    groups = data.draw(st.integers(1, 2))
    plan = compiled(sql, unit=unit, groups=groups)
    whole = answer(plan, table(rows, unit))
    for gone in {row[0] for row in rows}:
        without = answer(plan, table([row for row in rows if row[0] != gone], unit))
        alone = answer(plan, table([row for row in rows if row[0] == gone], unit))
        totals = plan.only.totals
        zero = tuple(Counter[int]() if total.kind == "quantile" else 0 for total in totals)
        changed = {key for key in whole | without if whole.get(key, zero) != without.get(key, zero)}
        assert len(alone.keys() - {()}) <= groups
        assert changed <= alone.keys()
        for key in alone:
            difference = tuple(map(less, whole.get(key, zero), without.get(key, zero)))
            assert difference == alone[key], "a unit gives what it gives, whoever else is there"
            assert all(
                (abs(part) if isinstance(part, int) else part.total()) <= total.cap for part, total in zip(difference, totals, strict=True)
            )


def test_the_choice_is_keyed_and_fair() -> None:
    plan = compiled("SELECT city, COUNT(DISTINCT u) AS n FROM visits GROUP BY city", groups=1)
    rows = table([(unit, city, "F", None, 1, None) for unit in range(3000) for city in (1, 2, 3)], "integer")
    counts = answer(plan, rows, seed=1)
    assert sum(n for (n,) in counts.values()) == 3000
    assert all(abs(n - 1000) < 6 * math.sqrt(3000 * 2 / 9) for (n,) in counts.values())
    assert counts != answer(plan, rows, seed=2)
    assert answer(plan, rows, seed=1) == counts


@pytest.mark.parametrize("rows", [kernel.BLOCK_ROWS - 1, kernel.BLOCK_ROWS, kernel.BLOCK_ROWS + 1, 3 * kernel.BLOCK_ROWS])
@pytest.mark.parametrize("persons", [1, 7, 40_000])
def test_blocks_are_whole_units(rows: int, persons: int) -> None:
    plan = compiled("SELECT city, COUNT(*) AS n, SUM(fee) AS s FROM visits GROUP BY city", rows=50)
    units = np.sort(np.random.default_rng(3).integers(0, persons, rows))
    made = pa.table(
        {
            "u": units,
            "city": np.arange(rows) % 3 + 1,
            "sex": pa.array(["F"] * rows),
            "fee": pa.array((np.arange(rows) % 90).astype(np.int32)).cast(pa.decimal128(18, 2)),
            "days": np.zeros(rows, dtype=np.int64),
            "bmi": np.zeros(rows),
        }
    )
    assert answer(plan, made) == answer(with_part(plan, rows=None), made)


def test_sums_are_exact_where_doubles_would_not_be(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = compiled("SELECT SUM(fee) AS s FROM visits", rows=50)
    rows = table([(1, 1, "F", Decimal("99.99"), 1, 1.0)] * 10 + [(2, 1, "F", Decimal("-49.97"), 1, 1.0)] * 11, "integer")
    want = answer(plan, rows)
    monkeypatch.setattr(kernel, "EXACT_ROWS", 3)
    assert answer(plan, rows) == want == {(): (10 * 6050 - 11 * 2000,)}


def test_a_units_sum_in_a_key_is_clamped_by_kernel_and_query() -> None:
    plan = compiled("SELECT SUM(fee) AS s FROM visits", rows=3)
    rows = table([(1, 1, "F", Decimal("99.99"), 1, 1.0)] * 10 + [(2, 1, "F", Decimal("-49.97"), 1, 1.0)] * 11, "integer")
    assert answer(plan, rows) == answer(with_part(plan, rows=None), rows) == {(): (3 * 6050 - 3 * 2000,)}


SINGLE = (
    "SELECT COUNT(*) AS n, COUNT(DISTINCT u) AS p FROM visits",
    "SELECT city, COUNT(*) AS n, SUM(fee) AS s, AVG(fee) AS a, STDDEV(days) AS d FROM visits GROUP BY city",
    "SELECT sex, MEDIAN(fee) AS m, COUNT(bmi) AS b FROM visits WHERE days > 3 GROUP BY sex",
)


@pytest.mark.parametrize("unit", ["integer", "text"])
@pytest.mark.parametrize("sql", SINGLE)
def test_one_row_a_unit_is_counted_without_looking_for_more(sql: str, unit: str) -> None:
    """Declared and held at ingest: then the short way, which says what the long ones do."""
    declared = catalogue(unit)["visits"]
    bounds = declared.dataset.bounds
    assert bounds is not None
    one = declared.dataset.model_copy(update={"bounds": bounds.model_copy(update={"rows_per_unit": 1})})
    plan = compile_job(sql, Catalogue((declared.model_copy(update={"dataset": one}),)), Ask.model_validate({"privacy": {"rho": "0.1"}}))
    assert plan.only.rows is not None
    assert plan.only.rows.single
    generator = np.random.default_rng(2)
    people = [
        (
            number if unit == "integer" else f"p{number}",
            None if number % 7 == 0 else number % 5,
            ("F", "M", None, "x")[number % 4],
            None if number % 11 == 0 else Decimal(int(generator.integers(-5000, 10000))) / 100,
            None if number % 13 == 0 else int(generator.integers(-5, 50)),
            None if number % 3 == 0 else float(generator.normal(30, 20)),
        )
        for number in range(500)
    ]
    rows = table([people[place] for place in generator.permutation(500)], unit)
    wanted = answer(with_part(plan, rows=None), rows)
    assert answer(plan, rows) == wanted
    assert answer(with_part(plan, rows=dataclasses.replace(plan.only.rows, single=False)), rows) == wanted
    assert not compiled(QUERIES[0]).only.rows.single  # type: ignore[union-attr]  # checked there


def test_values_too_large_for_the_exactness_argument_keep_the_sql() -> None:
    sql = "SELECT COUNT(*) AS n, SUM(fee * fee * fee) AS c FROM visits"
    assert compile_job(sql, catalogue("integer"), Ask.model_validate({"privacy": {"rho": "0.1"}})).only.rows is None


@pytest.mark.parametrize("most", [1, 2, 3, 7])
def test_of_many_rows_the_same_are_counted(most: int) -> None:
    """Units with up to 40 rows in a key: kernel and query keep the same ranks of them."""
    generator = np.random.default_rng(5)
    fees = [None if generator.random() < 0.1 else Decimal(int(generator.integers(-5000, 10000))) / 100 for _ in range(2_000)]
    rows = table([(int(generator.integers(0, 40)), int(generator.integers(1, 4)), "F", fee, 1, None) for fee in fees], "integer")
    for groups in (1, 3):
        plan = compiled("SELECT city, MEDIAN(fee) AS m, COUNT(fee) AS n FROM visits GROUP BY city", rows=most, groups=groups)
        said = answer(plan, rows)
        assert all(bins.total() == counted for bins, counted in said.values())
        if groups == 3:  # with fewer, the two choose groups by different hashes
            assert said == answer(with_part(plan, rows=None), rows)
