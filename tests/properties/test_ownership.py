"""The promise under every way a row can come to the frontier: queries put together from all nodes of the algebra, units deleted, rows shuffled.

Without one unit the exact totals differ in at most `groups_per_unit` keys, each by at most its cap; and they do not depend on the order of
rows. Each mutation below takes the unit out of one place of the emitted SQL and must be noticed.
"""

from __future__ import annotations

import dataclasses
import random
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies.problem import Problem
from sandbox.plan import branch as compiling
from sandbox.plan.ir import Derived, Filter, Group, Join, Once, Project, Scan, Select, Union
from sandbox.plan.model import Plan
from sandbox.raw.verify import check_plan
from sandbox.sql.expr import Call, walk
from tests.properties.test_neighbours import ENGINE, as_jobs_run, data, violations
from tests.questions import plan_for, tables, with_part

# Every relation shows a unit pid, a text k and an integer x; {0} and {1} are relations too.
BASES = (
    "SELECT pid, city AS k, dept AS x FROM visits",
    "SELECT pid, note AS k, hospital AS x FROM visits WHERE urgent",
    "SELECT pid, sex AS k, born AS x FROM persons",
    "SELECT b.pid, i.drug AS k, i.packs AS x FROM items i JOIN bills b ON i.bill = b.bill",
)
FORMS = (
    "SELECT * FROM ({0}) t WHERE x > 2",
    "SELECT pid, upper(k) AS k, x * 2 AS x FROM ({0}) t",
    "WITH w AS ({0}) SELECT pid, k, x FROM w",
    "SELECT pid, level AS k, x FROM ({0}) t JOIN hospitals h ON h.hospital = t.x",
    "SELECT pid, area AS k, x FROM ({0}) t LEFT JOIN (SELECT hospital, area FROM hospitals WHERE beds > 200) h ON h.hospital = t.x",
    "SELECT pid, k, most AS x FROM ({0}) t JOIN (SELECT hospital, MAX(beds) AS most FROM hospitals GROUP BY hospital) h ON h.hospital = t.x",
    "SELECT a.pid, a.k, b.x FROM ({0}) a JOIN ({1}) b ON a.pid = b.pid AND a.x <= b.x",
    "SELECT a.pid, b.k, a.x FROM ({0}) a LEFT JOIN ({1}) b ON a.pid = b.pid",
    "SELECT a.pid, b.k, a.x FROM ({0}) a, ({1}) b WHERE b.pid = a.pid",
    "SELECT pid, k, SUM(x) AS x FROM ({0}) t GROUP BY pid, k HAVING COUNT(*) > 1",
    "SELECT pid, MAX(k) AS k, COUNT(DISTINCT x) AS x FROM ({0}) t GROUP BY pid",
    "SELECT DISTINCT pid, k, x FROM ({0}) t",
    "({0}) UNION ALL ({1})",
    "({0}) UNION ({1})",
    "SELECT b.pid, b.k, a.x FROM ({0}) a RIGHT JOIN ({1}) b ON a.pid = b.pid AND a.x < b.x",
    "SELECT t.* FROM ({0}) t SEMI JOIN ({1}) s ON s.pid = t.pid AND s.x > t.x",
    "SELECT t.* FROM ({0}) t ANTI JOIN ({1}) s ON s.pid = t.pid AND s.k = t.k",
    "SELECT t.pid, m.word AS k, t.x FROM ({0}) t JOIN (VALUES (2, 'two'), (3, 'three')) m(n, word) ON t.x >= m.n",
    "SELECT DISTINCT ON (pid) pid, k, x FROM ({0}) t ORDER BY pid, x DESC",
    "SELECT pid, arg_max(k, x) AS k, CAST(median(x) AS INTEGER) AS x FROM ({0}) t GROUP BY pid HAVING bool_or(x > 2)",
    "SELECT pid, first_value(k) OVER (PARTITION BY pid ORDER BY x) AS k, sum(x) OVER (PARTITION BY pid ORDER BY x "
    "ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) AS x FROM ({0}) t",
    "SELECT pid, k, ntile(2) OVER (PARTITION BY pid ORDER BY x) AS x FROM ({0}) t",
    "SELECT pid, k, row_number() OVER (PARTITION BY pid ORDER BY x) AS x FROM ({0}) t",
    "SELECT pid, k, sum(x) OVER (PARTITION BY pid, k ORDER BY x DESC) AS x FROM ({0}) t",
    "SELECT pid, lag(k) OVER (PARTITION BY pid ORDER BY x) AS k, x FROM ({0}) t",
    "SELECT pid, k, x FROM ({0}) t QUALIFY row_number() OVER (PARTITION BY pid ORDER BY k) <= 2",
    "SELECT * FROM ({0}) t WHERE pid IN (SELECT pid FROM ({1}) s WHERE s.x > 1)",
    "SELECT * FROM ({0}) t WHERE x > 5 OR pid IN (SELECT pid FROM ({1}) s)",
    "SELECT * FROM ({0}) t WHERE EXISTS (SELECT 1 FROM ({1}) s WHERE s.pid = t.pid AND s.x > t.x)",
    "SELECT * FROM ({0}) t WHERE NOT EXISTS (SELECT 1 FROM ({1}) s WHERE s.pid = t.pid AND s.k = t.k)",
    "SELECT pid, k, (SELECT COUNT(*) FROM ({1}) s WHERE s.pid = t.pid) AS x FROM ({0}) t",
    "SELECT pid, k, (SELECT MIN(x) FROM ({1}) s WHERE s.pid = t.pid) AS x FROM ({0}) t",
    "SELECT pid, k, (SELECT SUM(s.x) FROM ({1}) s WHERE s.pid = t.pid AND s.k = t.k) AS x FROM ({0}) t",
    "SELECT pid, k, CASE WHEN EXISTS (SELECT 1 FROM ({1}) s WHERE s.pid = t.pid AND t.x = s.x) THEN 1 ELSE 0 END AS x FROM ({0}) t",
    "SELECT pid, k, (SELECT MAX(beds) FROM hospitals h WHERE h.hospital = t.x) AS x FROM ({0}) t",
    "SELECT b.pid, t.k, i.packs AS x FROM bills b JOIN items i ON b.bill = i.bill JOIN ({0}) t ON t.pid = b.pid",
    "SELECT b.pid, b.kind AS k, t.x FROM bills b LEFT JOIN (SELECT bill, SUM(packs) AS p FROM items GROUP BY bill) i "
    "ON i.bill = b.bill JOIN ({0}) t ON t.pid = b.pid",
    "SELECT t.* FROM ({0}) t JOIN bills b ON b.pid = t.pid WHERE EXISTS (SELECT 1 FROM items i WHERE i.bill = b.bill AND i.packs > 3)",
    "SELECT t.pid, t.k, (SELECT SUM(packs) FROM items i WHERE i.bill = b.bill) AS x FROM ({0}) t JOIN bills b ON b.pid = t.pid",
    "SELECT t.* FROM ({0}) t JOIN bills b ON b.pid = t.pid WHERE b.bill IN (SELECT bill FROM items WHERE drug = '甲')",
    "SELECT * FROM ({0}) t WHERE x NOT IN (SELECT hospital FROM hospitals WHERE beds > 300)",
    "SELECT * FROM ({0}) t WHERE x < (SELECT AVG(beds) FROM hospitals)",
)
OUTER = (
    "SELECT k, COUNT(*) AS n, SUM(least(greatest(x, -40), 1000)) AS s FROM ({0}) t GROUP BY k",
    "SELECT x, COUNT(DISTINCT pid) AS n FROM ({0}) t GROUP BY x",
    "SELECT COUNT(*) AS n, AVG(least(greatest(x, -40), 1000)) AS a FROM ({0}) t WHERE k IS NOT NULL",
)
RELATIONS = st.recursive(
    st.sampled_from(BASES),
    lambda inner: st.tuples(st.sampled_from(FORMS), inner, inner).map(lambda parts: parts[0].format(*parts[1:])),
    max_leaves=4,
)
QUERIES = st.tuples(st.sampled_from(OUTER), RELATIONS).map(lambda parts: parts[0].format(parts[1]))


def few(seed: int) -> list[list[Any]]:
    return data(seed)[:40]  # joins of joins multiply


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(sql=QUERIES, seed=st.integers(0, 2**64 - 1), rows=st.integers(0, 10**9))
def test_a_unit_moves_no_more_than_promised_and_order_is_nothing(sql: str, seed: int, rows: int) -> None:
    plan = plan_for(sql, groups_per_unit=2, rows_per_group=2)
    assert violations(plan, few(rows), (1, 2), seed) == []
    shuffled = few(rows)
    random.Random(rows).shuffle(shuffled)
    totals = ENGINE.totals(plan, tables(few(rows)), seed)
    assert ENGINE.totals(plan, tables(shuffled), seed) == totals
    if plan.only.rows is not None:
        assert violations(plan, few(rows), (1, 2), seed, as_jobs_run) == []


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(relation=RELATIONS, rows=st.integers(0, 10**9))
def test_the_dense_kernel_says_what_the_query_says(relation: str, rows: int) -> None:
    """Where no group has to be left out; which ones are left out is each one's own choice."""
    plan = plan_for(f"SELECT COUNT(*) AS n, SUM(least(greatest(x, -40), 1000)) AS s, COUNT(k) AS c FROM ({relation}) t", rows_per_group=2)
    assert plan.only.rows is not None
    assert as_jobs_run(plan, tables(few(rows)), 3) == ENGINE.totals(plan, tables(few(rows)), 3)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_admitted(form: str) -> None:
    for outer in OUTER:
        plan = plan_for(outer.format(form.format(*BASES)), groups_per_unit=2, rows_per_group=2)
        check_plan(plan)
        assert violations(plan, few(1), (1, 2), 7) == []


def nodes(item: Any) -> Iterator[str]:
    """The kinds of nodes under one of the algebra: classes, kinds of join, and operators that need the unit."""
    if isinstance(item, Call):
        yield from (found.op for found in walk(item) if isinstance(found, Call) and (found.op == "over" or found.op.startswith("agg ")))
    elif isinstance(item, Join):
        yield f"{item.kind} {'lookup' if item.lookup else 'join'}"
    if isinstance(item, (Scan, Once, Derived, Join, Filter, Select, Group, Union, Project)):
        yield type(item).__name__
        for field in dataclasses.fields(item):
            yield from nodes(getattr(item, field.name))
    elif isinstance(item, tuple):
        for part in item:
            yield from nodes(part)


def test_the_forms_reach_every_node(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[str] = set()
    pruned = compiling.pruned

    def watched(project: Project) -> Project:
        made = pruned(project)
        seen.update(nodes(made))
        return made

    monkeypatch.setattr(compiling, "pruned", watched)
    for form in FORMS:
        for outer in OUTER:
            plan_for(outer.format(form.format(*BASES)))
    assert seen == {
        *("Scan", "Once", "Derived", "Join", "Filter", "Select", "Group", "Union", "Project"),
        *("inner join", "left join", "semi join", "anti join", "left lookup"),
        *("over", "agg rows", "agg total", "agg distinct", "agg least", "agg greatest"),
        *("agg truth", "agg chosen", "agg middle"),
    }


UNIT = r'TRY_CAST\("s\d"\."pid" AS BIGINT\)'
MUTATIONS: dict[str, tuple[str, Callable[[str], str]]] = {
    # what is taken out: the query, the change
    "the unit of a join": (
        "SELECT born, COUNT(*) AS n FROM visits v JOIN persons p ON v.pid = p.pid GROUP BY born",
        lambda sql: re.sub(rf"\({UNIT} = {UNIT}\)", "TRUE", sql),
    ),
    "the unit of a left join": (
        "SELECT sex, COUNT(*) AS n FROM visits v LEFT JOIN persons p ON v.pid = p.pid GROUP BY sex",
        lambda sql: re.sub(rf"\({UNIT} = {UNIT}\)", "TRUE", sql),
    ),
    "the unit of IN": (
        "SELECT city, COUNT(*) AS n FROM visits WHERE pid IN (SELECT pid FROM persons WHERE born = 1931) GROUP BY city",
        lambda sql: re.sub(rf'SEMI JOIN (.*) ON \({UNIT} = "s\d"\."c0"\)', r"SEMI JOIN \1 ON TRUE", sql),
    ),
    "the unit of NOT EXISTS": (
        "SELECT city, COUNT(*) AS n FROM visits v WHERE NOT EXISTS (SELECT 1 FROM persons p WHERE p.pid = v.pid AND born > 1960) GROUP BY city",
        lambda sql: re.sub(rf'ON \("s\d"\."c0" = {UNIT}\)', "ON TRUE", sql),
    ),
    "the unit of a value": (
        "SELECT (SELECT COUNT(*) FROM persons p WHERE p.pid = v.pid) AS k, COUNT(*) AS n FROM visits v GROUP BY k",
        lambda sql: re.sub(rf'ON \({UNIT} = "s\d"\."u"\)', "ON TRUE", sql),
    ),
    "the unit of a window": (
        "SELECT r, COUNT(*) AS n FROM (SELECT row_number() OVER (PARTITION BY pid ORDER BY day) AS r FROM visits) t GROUP BY r",
        lambda sql: re.sub(rf"PARTITION BY {UNIT}", "PARTITION BY 1", sql),
    ),
    "the unit of a grouping": (
        "SELECT n, COUNT(*) AS m FROM (SELECT pid, city, COUNT(*) AS n FROM visits GROUP BY pid, city) t GROUP BY n",
        lambda sql: re.sub(
            rf"SELECT {UNIT} AS u, (.*?)GROUP BY {UNIT}, {UNIT}, ", r'SELECT min(TRY_CAST("s0"."pid" AS BIGINT)) AS u, \1GROUP BY ', sql
        ),
    ),
    "the unit of a union's side": (
        "SELECT k, COUNT(*) AS n FROM (SELECT city AS k FROM visits UNION ALL SELECT sex FROM persons) t GROUP BY k",
        lambda sql: sql.replace('UNION ALL SELECT TRY_CAST("s1"."pid" AS BIGINT) AS u', "UNION ALL SELECT 1000 AS u"),
    ),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_the_unit_is_missed_wherever_it_is_taken_out(name: str) -> None:
    sql, change = MUTATIONS[name]
    plan = plan_for(sql, groups_per_unit=1, rows_per_group=1)
    broken = with_part(plan, shard_sql=change(plan.only.shard_sql))
    assert broken.only.shard_sql != plan.only.shard_sql, plan.only.shard_sql
    pids = tuple(range(1, 9))
    assert any(violations(broken, data(seed), pids, 5) for seed in range(40))
    assert not any(violations(plan, data(seed), pids, 5) for seed in range(8))


def test_a_tie_that_is_not_broken_is_noticed() -> None:
    inner = "SELECT city, row_number() OVER (PARTITION BY pid ORDER BY dept) AS r FROM visits"
    sql = f"SELECT city, COUNT(*) AS n FROM ({inner}) t WHERE r = 1 GROUP BY city"
    plan = plan_for(sql)
    broken = with_part(plan, shard_sql=re.sub(r" NULLS LAST, .*? ASC NULLS LAST\)", " NULLS LAST)", plan.only.shard_sql, count=1))
    assert broken.only.shard_sql != plan.only.shard_sql

    def moved(plan: Plan, seed: int) -> bool:
        rows = data(seed)
        mixed = rows[::-1]
        return ENGINE.totals(plan, tables(rows)) != ENGINE.totals(plan, tables(mixed))

    assert any(moved(broken, seed) for seed in range(40))
    assert not any(moved(plan, seed) for seed in range(40))


WORDS = [
    "(SELECT pid FROM persons)",
    "EXISTS (",
    "SELECT 1 FROM persons p WHERE p.pid = v.pid",
    ")",
    "NOT",
    "pid",
    "v.pid",
    "IN",
    "city",
    "AND",
    "OR",
    "=",
    "1",
    "(SELECT MAX(born) FROM persons p WHERE p.pid = v.pid)",
    "row_number() OVER (PARTITION BY pid ORDER BY fee)",
    "UNION ALL",
    "(SELECT * FROM hospitals)",
    "GROUP BY pid",
    "DISTINCT",
    "QUALIFY",
    "WITH x AS (SELECT * FROM visits)",
    "LATERAL",
    "LIMIT 1",
    "hospital",
    "NULL",
    "COUNT(*)",
    "p",
    ",",
]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join))
def test_any_text_is_a_plan_or_a_problem(text: str) -> None:
    for sql in (
        f"SELECT COUNT(*) FROM visits v WHERE {text}",
        f"SELECT COUNT(*) FROM (SELECT {text} FROM visits v) t",
        f"SELECT COUNT(*) FROM visits v {text}",
    ):
        try:
            plan = plan_for(sql)
        except Problem:
            continue
        assert violations(plan, few(3), (1, 2), 3) == []
