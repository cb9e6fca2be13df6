"""The promise before noise: without one unit, a plan's exact totals differ in at most `groups_per_unit` keys, each by at most its cap.

Queries are put together from every function of the allow-list, every kind of key, aggregate and join; rows keep to no declared bound. The
emitted SQL runs in DuckDB as it is. Each mutation below takes one safeguard out of the emitted SQL and must be noticed.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.plan import compile_job
from sandbox.plan.model import Part, Plan
from sandbox.raw.totals import shard_totals
from sandbox.sql.functions import FUNCTIONS
from tests.expressions import CONDITIONS, DATES, GROUPS, NUMBERS, TEXTS, hurtful
from tests.questions import CATALOGUE, Engine, Totals, by_key, in_turn, moved, one, plan_for, scanned, tables, with_part
from tests.spec.cases import Case, cases

ENGINE = Engine()


def every(group: Mapping[str, Sequence[str]]) -> list[str]:
    return [expression for expressions in group.values() for expression in expressions]


INTEGERS = [f"floor({item})" for item in every(NUMBERS) if not item.startswith("len")] + ["length(note)"]
KEYS = [
    "city",
    "year",
    "性别",
    "dept",
    "note",
    "urgent",
    "day",
    "hospital",
    *INTEGERS,
    *every(TEXTS),
    *every(DATES),
    *every(CONDITIONS),
]
JOINS = {
    "": [],
    " JOIN hospitals h USING (hospital)": ["level", "area", "h.beds"],
    " LEFT JOIN hospitals h ON visits.hospital = h.hospital AND h.beds > 200": ["level", "area"],
    ", city_facts c WHERE c.city = visits.city": ["c.people"],
}


def bounded(expression: str) -> str:
    return f"least(greatest({expression}, -40), 1000)"


AGGREGATES = st.one_of(
    st.just("COUNT(*)"),
    st.just("COUNT(DISTINCT pid)"),
    st.sampled_from(
        [
            "SUM(fee)",
            "AVG(fee)",
            "SUM(score)",
            "AVG(score)",
            "SUM(days * dept)",
            "AVG(DATE '2026-01-01' - day)",
            "SUM(urgent)",
            "VAR_POP(fee)",
            "STDDEV(score)",
            "MEDIAN(fee)",
            "MIN(score)",
            "COUNT(DISTINCT note)",
        ]
    ),
    st.sampled_from(every(NUMBERS)).flatmap(lambda item: st.sampled_from([f"SUM({bounded(item)})", f"AVG({bounded(item)})", f"COUNT({item})"])),
    st.sampled_from(every(CONDITIONS)).flatmap(
        lambda item: st.sampled_from([f"count_if({item})", f"SUM(fee) FILTER (WHERE {item})", f"COUNT(DISTINCT pid) FILTER (WHERE {item})"])
    ),
)


@st.composite
def queries(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    join = draw(st.sampled_from(sorted(JOINS)))
    keys = draw(st.lists(st.sampled_from(KEYS + JOINS[join] * 20), max_size=3, unique=True))
    keys = [key.replace("city", "visits.city") if "city_facts" in join else key for key in keys]
    keys = [re.sub(r"\bhospital\b", "visits.hospital", key) if "LEFT" in join else key for key in keys]
    aggregates = draw(st.lists(AGGREGATES, min_size=1, max_size=3, unique=True))
    where = draw(st.sampled_from(["", "", *every(CONDITIONS)]))
    if "c.city" in join:
        where = where.replace("city", "visits.city")
        aggregates = [item.replace("city", "visits.city") for item in aggregates]
    condition = ("" if not where else f" AND ({where})") if "WHERE" in join else ("" if not where else f" WHERE {where}")
    selected = ", ".join(f"{item} AS c{place}" for place, item in enumerate([*keys, *aggregates]))
    group = f" GROUP BY {', '.join(str(place + 1) for place in range(len(keys)))}" if keys else ""
    bounds = {"groups_per_unit": draw(st.integers(1, 3)), "rows_per_group": draw(st.integers(1, 4))}
    return f"SELECT {selected} FROM visits{join}{condition}{group}", bounds


def data(seed: int) -> list[list[Any]]:
    """Few units with many rows: contributions overflow every bound."""
    rng = random.Random(seed)
    rows = [hurtful(rng, rng.choice([1, 2, 3, None]) if rng.random() < 0.8 else rng.randrange(4, 9)) for _ in range(rng.randrange(5, 60))]
    if rng.random() < 0.3:  # one heavy row, many times
        rows += [list(rows[0]) for _ in range(20)]
    return rows


Read = Mapping[str, pa.Table]


def by_query(plan: Plan | Part, data: Mapping[str, pa.Table], seed: int, read: Read | None = None) -> Totals:
    return ENGINE.totals(plan, data, seed, read)


def as_jobs_run(plan: Plan | Part, data: Mapping[str, pa.Table], seed: int, read: Read | None = None) -> Totals:
    """The way a worker computes a shard: by the dense kernel where the plan is made for it."""
    return by_key(plan, shard_totals(one(plan), {**scanned(plan, data), **(read or {})}, seed))


def violations(
    plan: Plan,
    rows: Sequence[Sequence[Any]],
    pids: Sequence[int],
    seed: int,
    run: Callable[[Part, Mapping[str, pa.Table], int, Read], Totals] = by_query,
) -> list[str]:
    """How the plan breaks the promise between `rows` and `rows` without one of the units. Of several parts each keeps it by itself, whatever
    the ones before it released: those tables are held fixed."""
    data = tables(rows)
    reads: list[Read] = [read for read, _ in in_turn(plan, data, seed)] if plan.views else [{} for _ in plan.parts]
    found: list[str] = []
    for part, read in zip(plan.parts, reads, strict=True):
        whole = run(part, data, seed, read)
        caps = [total.cap for total in part.totals]
        zero = (0,) * len(caps)
        for pid in pids:
            without = run(part, tables([row for row in rows if row[0] != pid]), seed, read)
            steps = {key: list(map(moved, whole.get(key, zero), without.get(key, zero))) for key in {**whole, **without}}
            changed = sum(any(by) for by in steps.values())
            found += [f"{changed} keys"] if changed > part.groups_per_unit else []
            found += [f"{key}: {by} over {caps}" for key, by in steps.items() if any(step > cap for step, cap in zip(by, caps, strict=True))]
    return found


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(query=queries(), seed=st.integers(0, 2**64 - 1), rows=st.integers(0, 10**9))
def test_a_unit_moves_no_more_than_promised(query: tuple[str, dict[str, Any]], seed: int, rows: int) -> None:
    plan = plan_for(query[0], **query[1])
    assert violations(plan, data(rows), (1, 2), seed) == []
    if any(part.rows is not None for part in plan.parts):
        assert violations(plan, data(rows), (1, 2), seed, as_jobs_run) == []


@pytest.mark.parametrize("case", [case for case in cases() if case.refused is None], ids=lambda case: case.id)
def test_so_it_is_for_every_query_of_the_spec(case: Case) -> None:
    plan = compile_job(case.sql, CATALOGUE, case.ask)
    for seed in range(2):
        assert violations(plan, data(seed), (1, 2), seed) == []
        assert violations(plan, data(seed), (1, 2), seed, as_jobs_run) == []


def test_the_generator_reaches_every_function() -> None:
    reached = {name for group in GROUPS.values() for name in group}
    assert reached == set(FUNCTIONS)


def test_a_null_unit_is_nobody() -> None:
    plan = plan_for("SELECT note, COUNT(*) AS n, SUM(fee) AS s FROM visits GROUP BY note")
    rows = data(3)
    owned = [row for row in rows if row[0] is not None]
    assert len(owned) < len(rows)
    assert ENGINE.totals(plan, tables(rows)) == ENGINE.totals(plan, tables(owned))


MUTATIONS: dict[str, tuple[str, str, Callable[[str], str]]] = {
    # what is taken out: the query, the change
    "choice of groups": ("SELECT dept, COUNT(*) AS n", "GROUP BY dept", lambda sql: re.sub(r" QUALIFY .* <= \d+\)", ")", sql)),
    "partition of the choice": ("SELECT dept, COUNT(*) AS n", "GROUP BY dept", lambda sql: sql.replace("PARTITION BY u ", "")),
    "partials per unit": ("SELECT city, COUNT(*) AS n", "GROUP BY city", lambda sql: sql.replace("least(count(*), 2)", "count(*)")),
    "clamp of a row": ("SELECT city, AVG(score) AS s", "GROUP BY city", lambda sql: re.sub(r"THEN 600.0e0 END", "THEN 1e6 END", sql)),
    "clamp of a unit's sum": (
        "SELECT city, SUM(fee) AS s",
        "GROUP BY city",
        lambda sql: re.sub(r"least\(greatest\((COALESCE\(sum\(v0\), 0\)), 0::BIGINT\), \d+::BIGINT\)", r"\1", sql),
    ),
    "scaling of an average": (
        "SELECT city, AVG(fee) AS s",
        "GROUP BY city",
        lambda sql: re.sub(r"CASE WHEN count\(v0\) <= 2 THEN sum\(v0\) ELSE .*? END", "sum(v0)", sql),
    ),
    "rows of a unit in a histogram": (
        "SELECT city, MEDIAN(days) AS m",
        "GROUP BY city",
        lambda sql: sql.replace("least(len(t0), 2)", "len(t0)"),
    ),
    "different values of a unit": (
        "SELECT city, COUNT(DISTINCT day) AS n",
        "GROUP BY city",
        lambda sql: sql.replace("least(len(t0), 2)", "len(t0)"),
    ),
    "one unit, one count": ("SELECT COUNT(DISTINCT pid) AS n", "", lambda sql: sql.replace("least(count(*), 1)", "count(*)")),
    "owner of a row": ("SELECT city, COUNT(*) AS n, SUM(days) AS s", "GROUP BY city", lambda sql: sql.replace('"s0"."pid"', '"s0"."days"')),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_each_safeguard_is_missed_when_it_is_gone(name: str) -> None:
    select, group, change = MUTATIONS[name]
    plan = plan_for(f"{select} FROM visits {group}", groups_per_unit=2, rows_per_group=2)
    broken = with_part(plan, shard_sql=change(plan.only.shard_sql))
    assert broken.only.shard_sql != plan.only.shard_sql
    assert any(violations(broken, data(seed), (1, 2), 5) for seed in range(40))
    assert not any(violations(plan, data(seed), (1, 2), 5) for seed in range(5))
