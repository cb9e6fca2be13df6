"""The second check: every plan of the spec passes, every SQL that is not what the plan says is refused before rows are read."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import duckdb
import pytest

from policies.problem import Problem
from sandbox.plan import compile_job
from sandbox.plan.model import Plan, Rows
from sandbox.raw import bound_values, verify
from sandbox.raw.verify import check_plan
from tests.expressions import GROUPS
from tests.questions import CATALOGUE, plan_for, with_part
from tests.spec.cases import Case, cases

CITY = "SELECT city, COUNT(*) AS n, SUM(fee) AS s FROM visits WHERE urgent GROUP BY city"
NOTES = "SELECT note, COUNT(*) AS n, SUM(fee) AS s FROM visits GROUP BY note"
MEANS = "SELECT hospital, AVG(fee) AS a FROM visits GROUP BY hospital"
MEDIANS = "SELECT note, MEDIAN(fee) AS m FROM visits GROUP BY note"
JOINED = "SELECT sex, COUNT(*) AS n FROM visits v JOIN persons p ON v.pid = p.pid GROUP BY sex"
REFERRED = "SELECT kind, COUNT(*) AS n FROM items i JOIN bills b ON i.bill = b.bill GROUP BY kind"
INNER = "SELECT x, COUNT(*) AS n FROM (SELECT pid, SUM(dept) AS x FROM visits GROUP BY pid) t GROUP BY x"
RANKED = "SELECT x, COUNT(*) AS n FROM (SELECT pid, row_number() OVER (PARTITION BY pid ORDER BY day) AS x FROM visits) t GROUP BY x"
CROWDED = "SELECT city, COUNT(*) AS n FROM visits GROUP BY city"

Change = Callable[[str], str]


def put(old: str, new: str) -> Change:
    return lambda sql: sql.replace(old, new)


def cut(pattern: str, new: str = "") -> Change:
    return lambda sql: re.sub(pattern, new, sql)


LARGE = "SELECT fee > 1000 AS large, COUNT(*) AS n FROM visits GROUP BY large"  # true, false and NULL
MUTATIONS: dict[str, tuple[str, Change]] = {
    "another table": (CITY, put('FROM "s0"', 'FROM "s0" CROSS JOIN duckdb_settings()')),
    "a catalogue of DuckDB": (CITY, put('FROM "s0"', "FROM duckdb_tables()")),
    "a file": (CITY, put('FROM "s0"', "FROM read_csv('/etc/passwd')")),
    "a table nobody declared": (CITY, put('FROM "s0"', 'FROM "s0" CROSS JOIN "s9"')),
    "a sample": (CITY, put('FROM "s0" WHERE', 'FROM "s0" TABLESAMPLE 10% WHERE')),
    "the number of the row": (CITY, put('"s0"."urgent" AS BOOLEAN)', '"s0"."urgent" AS BOOLEAN) AND "s0".rowid < 3')),
    "a function on no list": (CITY, put('TRY_CAST("s0"."urgent" AS BOOLEAN)', 'md5("s0"."city") > \'7\'')),
    "a volatile function": (CITY, put('TRY_CAST("s0"."urgent" AS BOOLEAN)', "random() < 0.5")),
    "an error on some value": (CITY, put('TRY_CAST("s0"."urgent" AS BOOLEAN)', 'CAST("s0"."city" AS BIGINT) > 1')),
    "a setting": (CITY, put('TRY_CAST("s0"."urgent" AS BOOLEAN)', "current_setting('threads') = '1'")),
    "a limit": (CITY, put("AS BOOLEAN))", "AS BOOLEAN) LIMIT 3)")),
    "a value of its own": (CITY, put("sum(t0)", "max(t0)")),
    "a list of units": (CITY, put("sum(t0)", "list(u)")),
    "the unit as the key": (
        CITY,
        lambda sql: sql.replace("SELECT k0, CAST(", "SELECT u, CAST(").replace("partial GROUP BY k0", "partial GROUP BY u"),
    ),
    "rows of units shown": (CITY, cut(r" SELECT k0, CAST.*$", " SELECT k0, t0::HUGEINT AS t0, t1::HUGEINT AS t1 FROM partial")),
    "no grouping by unit": (CITY, put("GROUP BY u, k0", "GROUP BY k0, k0")),
    "another unit": (CITY, put('TRY_CAST("s0"."pid" AS BIGINT) AS u', 'TRY_CAST("s0"."fee" AS BIGINT) AS u')),
    "a unit made coarse": (CITY, put('TRY_CAST("s0"."pid" AS BIGINT) AS u', 'TRY_CAST("s0"."pid" AS BIGINT) // 2 AS u')),
    "a unit cut short": (CITY, put('TRY_CAST("s0"."pid" AS BIGINT) AS u', 'TRY_CAST("s0"."pid" AS TINYINT) AS u')),
    "rows not clamped": (CITY, cut(r"CAST\(CASE WHEN v1.*?END AS BIGINT\) AS v1", "v1 AS v1")),
    "a partial not clamped": (CITY, cut(r"least\(greatest\(COALESCE\(sum\(v1\), 0\), 0::BIGINT\), 20000000::BIGINT\)", "COALESCE(sum(v1), 0)")),
    "a partial clamped at one end": (
        CITY,
        put("least(greatest(COALESCE(sum(v1), 0), 0::BIGINT), 20000000::BIGINT)", "least(sum(v1), 20000000::BIGINT)"),
    ),
    "a cap that is too wide": (CITY, put("least(count(*), 4)", "least(count(*), 5)")),
    "a count without a cap": (CITY, put("least(count(*), 4)", "count(*)")),
    "keys outside the domain": (CITY, cut(r" AND k0 IN \(.*?\)\)", ")")),
    "a key more": (CITY, put("'o''Brien')", "'o''Brien', 'x')")),
    "a key that says itself that it is in the domain": (CITY, put("'o''Brien')", "CASE WHEN u > 7 THEN k0 ELSE 'x' END)")),
    "NULL let in of another column": (LARGE, put("OR k0 IS NULL", "OR u IS NULL")),
    "anything let in beside a domain": (LARGE, put("OR k0 IS NULL", "OR k0 IS NOT NULL")),
    "a sum in DOUBLE": (CITY, put("sum(v1)", "sum(v1::DOUBLE)")),
    "no choice of keys": (NOTES, cut(r"QUALIFY row_number.*?<= \d")),
    "a choice of too many": (NOTES, put("<= 3", "<= 4")),
    "a choice without a tie-break": (NOTES, put(", k0 ASC NULLS LAST", "")),
    "a choice over several units": (NOTES, put("PARTITION BY u ", "PARTITION BY k0 ")),
    "a choice within less than a unit": (NOTES, put("PARTITION BY u ", "PARTITION BY u, k0 ")),
    "another rank": (NOTES, put("row_number()", "rank()")),
    "a mean not weighed": (MEANS, cut(r"CASE WHEN count\(v1\) <= 4 THEN sum\(v1\) ELSE .*? END", "sum(v1)")),
    "a mean weighed for more": (MEANS, put("sum(v1) * 4", "sum(v1) * 5")),
    "a mean weighed too late": (MEANS, put("count(v1) <= 4", "count(v1) <= 5")),
    "bins without a cap": (MEDIANS, put("least(len(t1), 4)", "len(t1)")),
    "bins with a wider cap": (MEDIANS, put("least(len(t1), 4)", "least(len(t1), 5)")),
    "bins in the order met": (MEDIANS, cut(r"list_sort\((list\(v1\) FILTER \(WHERE v1 IS NOT NULL\))\)", r"\1")),
    "a join not on the unit": (JOINED, cut(r"\(TRY_CAST\(\"s0\"\.\"pid\" AS BIGINT\) = TRY_CAST\(\"s1\"\.\"pid\" AS BIGINT\)\)", "TRUE")),
    "a join on something near": (JOINED, put('= TRY_CAST("s1"."pid" AS BIGINT)', '<= TRY_CAST("s1"."pid" AS BIGINT)')),
    "a reference instead of the unit": (
        REFERRED,
        cut(r" AND \(TRY_CAST\(\"s0\"\.\"person\" AS BIGINT\) = TRY_CAST\(\"s1\"\.\"pid\" AS BIGINT\)\)"),
    ),
    "an outer join": (JOINED, put('"s0" JOIN', '"s0" RIGHT JOIN')),
    "an inner grouping without the unit": (
        INNER,
        cut(r"GROUP BY TRY_CAST\(\"s0\"\.\"pid\" AS BIGINT\)", 'GROUP BY TRY_CAST("s0"."pid" AS BIGINT) % 7'),
    ),
    "a window without the unit": (RANKED, cut(r"PARTITION BY TRY_CAST\(\"s0\"\.\"pid\" AS BIGINT\) ")),
    "too many for the crowded": (CROWDED, put("HAVING count(*) > 2", "HAVING count(*) > 3")),
    "the crowded not ranked": (CROWDED, cut(r"(USING \(u\)) QUALIFY row_number.*?<= 2", r"\1")),
    "the crowded twice": (CROWDED, put("ANTI JOIN", "SEMI JOIN")),
}


@pytest.mark.parametrize("case", [case for case in cases() if case.refused is None], ids=lambda case: case.id)
def test_what_is_accepted_passes(case: Case) -> None:
    check_plan(compile_job(case.sql, CATALOGUE, case.ask))


@pytest.mark.parametrize("kind", GROUPS)
def test_every_function_of_the_allow_list_passes(kind: str) -> None:
    for expressions in GROUPS[kind].values():
        for expression in expressions:
            check_plan(plan_for(f"SELECT COUNT({expression}) AS n FROM visits WHERE ({expression}) IS NOT NULL"))


@pytest.mark.parametrize(
    "condition",
    [
        "seen < seen + INTERVAL 1 DAY",
        "seen >= date_trunc('month', seen)",
        "day >= date_trunc('month', day)",
        "fee <= CASE WHEN urgent THEN fee ELSE days END",
        "city IN ('太原', CASE WHEN urgent THEN note END)",
    ],
)
def test_a_column_compared_with_what_is_made_of_columns_passes(condition: str) -> None:
    check_plan(plan_for(f"SELECT city, COUNT(*) AS n FROM visits WHERE {condition} GROUP BY city"))


@pytest.mark.parametrize("name", MUTATIONS)
def test_sql_that_is_not_the_plans_is_refused(name: str) -> None:
    sql, change = MUTATIONS[name]
    plan = plan_for(sql, **({"groups_per_unit": 2} if sql == CROWDED else {}))
    check_plan(plan)
    mutated = change(plan.only.shard_sql)
    assert mutated != plan.only.shard_sql
    refused(with_part(plan, shard_sql=mutated))


def refused(plan: Plan) -> None:
    with pytest.raises(Problem) as caught:
        check_plan(plan)
    assert caught.value.code == "plan_doubted"
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert not caught.value.fields


def test_the_bounds_of_the_plan_are_held_against_its_sql() -> None:
    plan = plan_for(NOTES)
    refused(with_part(plan, groups_per_unit=plan.only.groups_per_unit - 1))
    totals = tuple(dataclasses.replace(total, cap=total.cap - 1) if total.kind == "count" else total for total in plan.only.totals)
    refused(with_part(plan, totals=tuple(dataclasses.replace(total, high=min(total.high, total.cap)) for total in totals)))


def test_rows_for_the_dense_kernel_come_with_their_unit() -> None:
    plan = plan_for(CITY)
    assert plan.only.rows is not None
    assert plan.only.rows.sql is not None
    for change in (
        put('TRY_CAST("s0"."pid" AS BIGINT) AS u', 'TRY_CAST("s0"."fee" AS BIGINT) AS u'),
        put("SELECT u, k0", "SELECT k0, u"),
        put('FROM "s0"', "FROM duckdb_tables()"),
    ):
        refused(with_part(plan, rows=Rows(change(plan.only.rows.sql), ())))
    stored = plan_for("SELECT city, COUNT(*) AS n FROM visits GROUP BY city")
    assert stored.only.rows is not None
    assert stored.only.rows.columns
    check_plan(stored)
    refused(with_part(stored, rows=Rows(None, tuple((name, "city") for name, _ in stored.only.rows.columns))))


def test_a_query_is_read_over_the_tables_declared_for_it_and_no_others() -> None:
    """Connections are kept for the next query of the same tables: more sorts of tables than are kept, by several threads at once."""
    (scan,) = plan_for(CITY).scans

    def read(number: int) -> None:
        columns = tuple(f"c{place}" for place in range(number + 1))
        declared = dataclasses.replace(scan, columns=columns, types=("BIGINT",) * number + ("VARCHAR",), unit="c0" if number else "")
        rows = verify.bound(f'SELECT c{number} FROM "{scan.alias}"', (declared,))
        assert [fact.unit for fact in rows.columns] == [False]
        with pytest.raises(verify.Doubt):
            verify.bound(f'SELECT c{number + 1} FROM "{scan.alias}"', (declared,))
        with pytest.raises(verify.Doubt):
            verify.bound(f"SELECT c{number} FROM other", (declared,))

    with ThreadPoolExecutor(6) as pool:
        for done in [pool.submit(read, number % 24) for number in range(96)]:
            done.result()
    assert len(verify._idle) <= verify._MOST_IDLE
    assert len({tables for tables, _ in verify._idle}) > 1


def test_every_function_on_the_list_is_consistent_and_called() -> None:
    """DuckDB's own word on each, so that a new version cannot make one volatile unnoticed."""
    found = dict(
        duckdb.sql(
            "SELECT function_name, list(DISTINCT stability) FROM duckdb_functions() WHERE function_type = 'scalar' GROUP BY ALL"
        ).fetchall()
    )
    bound_only = {"__cast", "=", "!=", "<", "<=", ">", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"}
    for name in bound_values.FUNCTIONS - bound_only:
        assert found[name] == ["CONSISTENT"], name
