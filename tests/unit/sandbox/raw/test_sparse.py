"""The sparse kernel says what the SQL plan says, whatever the order of rows, and treats every unit alone."""

from __future__ import annotations

import math
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from functools import cache

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.catalogue import Catalogue
from sandbox.plan.ask import Ask
from sandbox.plan.compile import compile_job
from sandbox.plan.model import Plan
from sandbox.raw import sparse
from tests.questions import column, snapshot, with_part
from tests.unit.sandbox.raw.test_kernel import answer, less


@cache
def catalogue(unit: str) -> Catalogue:
    columns = (
        column("u", unit, uses=("filter", "join", "distinct")),
        column("city", "integer", domain=tuple(range(1, 101))),
        column("note", "text"),
        column("days", "integer", 0, 40),
        column("fee", "decimal", -50, 100, decimals=2),
        column("born", "date"),
        column("urgent", "boolean"),
        column("bmi", "number", 10, 60, decimals=1),
    )
    return Catalogue((snapshot("visits", columns, unit="u", groups=9, rows=50),))


QUERIES = (
    "SELECT note, COUNT(*) AS n FROM visits GROUP BY note",
    "SELECT city, COUNT(*) AS n, SUM(fee) AS s, AVG(days) AS a FROM visits GROUP BY city",
    "SELECT days, note, SUM(fee) AS s, AVG(fee) AS a, COUNT(fee) AS n FROM visits GROUP BY days, note",
    "SELECT born, urgent, STDDEV(fee) AS s FROM visits GROUP BY born, urgent",
    "SELECT note, MEDIAN(fee) AS m, QUANTILE_CONT(bmi, 0.9) AS q FROM visits GROUP BY note",
    "SELECT note, COUNT(DISTINCT days) AS d, COUNT(DISTINCT u) AS p FROM visits GROUP BY note",
    "SELECT COUNT(DISTINCT days) AS d, COUNT(DISTINCT note) AS n FROM visits",
    "SELECT city, COUNT(DISTINCT days) AS d, MIN(fee) AS m FROM visits WHERE urgent GROUP BY city",
    "SELECT year(born) AS y, upper(note) AS k, COUNT(*) FILTER (WHERE days > 5) AS n FROM visits GROUP BY y, k",
)


@cache
def compiled(sql: str, *, unit: str = "integer", groups: int = 9, rows: int = 3) -> Plan:
    ask = Ask.model_validate({"privacy": {"rho": "0.1"}, "groups_per_unit": groups, "rows_per_group": rows})
    plan = compile_job(sql, catalogue(unit), ask)
    assert plan.only.rows is not None
    assert not plan.only.rows.dense, "this test is about plans for the sparse kernel"
    return plan


NAMES = ("u", "city", "note", "days", "fee", "born", "urgent", "bmi")
HUGE = [2**63 - 1, -(2**63), 2**40]


def table(rows: list[tuple[object, ...]], unit: str) -> pa.Table:
    kinds = [pa.int64() if unit == "integer" else pa.string(), pa.int64(), pa.string(), pa.int64(), pa.decimal128(18, 2)]
    kinds += [pa.date32(), pa.bool_(), pa.float64()]
    columns = list(zip(*rows, strict=True)) if rows else [[]] * len(NAMES)
    return pa.table({name: pa.array(list(values), kind) for name, values, kind in zip(NAMES, columns, kinds, strict=True)})


def some_rows(unit: str, keys: int = 4) -> st.SearchStrategy[list[tuple[object, ...]]]:
    return st.lists(
        st.tuples(
            st.integers(-3, 6) if unit == "integer" else st.sampled_from(["甲", "乙", "", "a", "A", "é"]),
            st.none() | st.integers(0, keys) | st.just(200),
            st.none() | st.sampled_from(["", "a", "A", "é", "发 热", "a\x00b"][: keys + 2]),
            st.none() | st.integers(-5, keys) | st.sampled_from(HUGE),
            st.none() | st.decimals(-60, 120, places=2),
            st.none() | st.integers(0, keys).map(lambda n: date(1990, 1, 1) + timedelta(400 * n)) | st.just(date(9999, 12, 31)),
            st.none() | st.booleans(),
            st.none() | st.floats(allow_nan=True, allow_infinity=True) | st.floats(5, 70),
        ),
        max_size=60,
    )


@pytest.mark.parametrize(("sql", "unit"), [(sql, ("integer", "text")[place % 2]) for place, sql in enumerate(QUERIES)])
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_it_says_what_the_sql_plan_says(sql: str, unit: str, data: st.DataObject) -> None:
    """Nobody has more keys than 9 when there are few: then not even the choice of keys may differ."""
    rows = table(data.draw(some_rows(unit, 1)), unit)
    plan = compiled(sql, unit=unit, rows=data.draw(st.sampled_from([1, 3, 50])))
    said, seen = answer(with_part(plan, rows=None), rows), answer(plan, rows)
    if most_keys(plan, rows) <= 9:
        assert seen == said
    shuffled = rows.take(pa.array(np.random.default_rng(1).permutation(rows.num_rows)))
    assert answer(plan, shuffled) == seen


def most_keys(plan: Plan, rows: pa.Table) -> int:
    """How many keys the unit with the most has: by a plan of the same rows that lets a unit have any number."""
    free = with_part(plan, groups_per_unit=10**6)
    units = rows.column("u").to_pylist()
    return max((len(answer(free, rows.filter(pa.array([unit == one for unit in units])))) for one in set(units)), default=0)


@pytest.mark.parametrize(("sql", "unit"), [(sql, ("text", "integer")[place % 2]) for place, sql in enumerate(QUERIES)])
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_a_unit_moves_few_keys_by_its_cap_and_nobody_elses(sql: str, unit: str, data: st.DataObject) -> None:
    rows = data.draw(some_rows(unit))
    groups = data.draw(st.integers(1, 3))
    plan = compiled(sql, unit=unit, groups=groups if "GROUP" in sql else 9)
    totals = plan.only.totals
    zero = tuple(Counter[int]() if total.kind == "quantile" else 0 for total in totals)
    whole = answer(plan, table(rows, unit))
    for gone in {row[0] for row in rows}:
        without = answer(plan, table([row for row in rows if row[0] != gone], unit))
        alone = answer(plan, table([row for row in rows if row[0] == gone], unit))
        assert len(alone.keys() - {()}) <= groups
        assert {key for key in whole | without if whole.get(key, zero) != without.get(key, zero)} <= alone.keys()
        for key in alone:
            difference = tuple(map(less, whole.get(key, zero), without.get(key, zero)))
            for part, mine, total in zip(difference, alone[key], totals, strict=True):
                assert (abs(part) if isinstance(part, int) else part.total()) <= total.cap
                assert total.kind == "distinct" or part == mine, "a unit gives what it gives, whoever else is there"


def test_the_choice_is_keyed_and_fair() -> None:
    plan = compiled("SELECT note, COUNT(DISTINCT u) AS n FROM visits GROUP BY note", groups=1)
    rows = table([(unit, 1, note, 1, None, None, None, None) for unit in range(3000) for note in ("a", "b", None)], "integer")
    counts = answer(plan, rows, seed=1)
    assert counts.keys() == {("a",), ("b",), (None,)}
    assert sum(row[0] for row in counts.values()) == 3000
    assert all(abs(row[0] - 1000) < 6 * math.sqrt(3000 * 2 / 9) for row in counts.values())
    assert counts != answer(plan, rows, seed=2)
    assert answer(plan, rows, seed=1) == counts


def test_equal_hashes_are_broken_by_the_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a hash that says nothing, every unit keeps its first keys in order of value, NULL last, whoever else is there."""
    monkeypatch.setattr(sparse, "mixed", lambda values: np.zeros_like(values))
    plan = compiled("SELECT note, COUNT(*) AS n FROM visits GROUP BY note", groups=2)
    rows: list[tuple[object, ...]] = [(1, 1, note, 1, None, None, None, None) for note in (None, "é", "b", "a")]
    other: list[tuple[object, ...]] = [(2, 1, note, 1, None, None, None, None) for note in ("A", "a", "zz")]
    assert set(answer(plan, table(rows, "integer"))) == {("a",), ("b",)}
    assert set(answer(plan, table(rows + other, "integer"))) == {("A",), ("a",), ("b",)}


@pytest.mark.parametrize("most", [1, 2, 3, 7])
def test_of_many_rows_the_same_are_counted(most: int) -> None:
    """Units with up to forty rows in a key: kernel and query keep the same ranks of them, and of different values."""
    generator = np.random.default_rng(5)
    days, fees = generator.integers(0, 30, 2_000).tolist(), generator.integers(-5000, 10000, 2_000).tolist()
    rows: list[tuple[object, ...]] = [
        (place % 40, 1, "ab"[place // 40 % 2], day, Decimal(fee) / 100, None, None, None)
        for place, (day, fee) in enumerate(zip(days, fees, strict=True))
    ]
    plan = compiled("SELECT note, MEDIAN(fee) AS m, COUNT(fee) AS n, COUNT(DISTINCT days) AS d FROM visits GROUP BY note", rows=most)
    said = answer(plan, table(rows, "integer"))
    medians, counts = (next(at for at, total in enumerate(plan.only.totals) if total.kind == kind) for kind in ("quantile", "count"))
    assert all(found[medians].total() == found[counts] for found in said.values())
    assert said == answer(with_part(plan, rows=None), table(rows, "integer"))


@pytest.mark.parametrize("rows", [sparse.BLOCK_ROWS - 1, sparse.BLOCK_ROWS + 1, 3 * sparse.BLOCK_ROWS])
@pytest.mark.parametrize("persons", [1, 7, 40_000])
def test_blocks_are_whole_units(rows: int, persons: int) -> None:
    plan = compiled("SELECT days, note, SUM(fee) AS s, AVG(fee) AS a, COUNT(fee) AS n FROM visits GROUP BY days, note", rows=50)
    units = np.sort(np.random.default_rng(3).integers(0, persons, rows))
    made = pa.table(
        {
            "u": units,
            "city": np.ones(rows, dtype=np.int64),
            "note": pa.array(["a", "b", None]).take(pa.array(np.arange(rows) % 3)),
            "days": np.arange(rows) % 3,
            "fee": pa.array((np.arange(rows) % 90).astype(np.int32)).cast(pa.decimal128(18, 2)),
            "born": pa.nulls(rows, pa.date32()),
            "urgent": pa.nulls(rows, pa.bool_()),
            "bmi": np.zeros(rows),
        }
    )
    assert answer(plan, made) == answer(with_part(plan, rows=None), made)


@pytest.mark.parametrize("small", [0, 2**17])
@pytest.mark.parametrize("dense", [0, 2**24])
def test_few_numbers_and_many_are_counted_alike(monkeypatch: pytest.MonkeyPatch, small: int, dense: int) -> None:
    sql = "SELECT days, note, MEDIAN(fee) AS m, SUM(fee) AS s, COUNT(DISTINCT born) AS b FROM visits GROUP BY days, note"
    plan = compiled(sql, rows=2)
    generator = np.random.default_rng(5)

    def upto(end: int) -> int:
        return int(generator.integers(0, end))

    rows: list[tuple[object, ...]] = [
        (upto(40), 1, "ab"[upto(2)], upto(4) * 10 ** upto(18), Decimal(upto(9000)) / 100, date(2000, 1, 1 + upto(5)), True, 1.0)
        for _ in range(600)
    ]
    want = answer(plan, table(rows, "integer"))
    monkeypatch.setattr(sparse, "SMALL", small)
    monkeypatch.setattr(sparse, "DENSE", dense)
    assert answer(plan, table(rows, "integer")) == want


def test_large_sums_are_added_in_halves() -> None:
    parts = np.array([2**40, -(2**40), 2**40 - 1, -3], dtype=np.int64)
    sums = sparse.Sums(2, 2**40)
    for _ in range(5):
        sums.add(np.array([0, 1, 0, 1]), parts)
    assert sums.found(np.array([0, 1])).tolist() == [5 * (2**41 - 1), 5 * (-(2**40) - 3)]
