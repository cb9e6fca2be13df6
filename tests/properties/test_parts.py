"""Queries of several parts, put together at random: with what is released held fixed, each part moves no more than its price supposes.

A unit is left out of the rows a part is computed from, not out of what earlier parts released: that is what adaptive composition asks for.
"""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.plan.model import Plan
from tests.properties.test_neighbours import ENGINE, as_jobs_run, data, violations
from tests.questions import in_turn, plan_for, tables

KEYS = ("city", "year", "dept", "urgent", "性别", "days % 3")
VALUES = ("count(*)", "sum(fee)", "avg(days)", "count(DISTINCT pid)", "count(days)", "sum(days) FILTER (WHERE urgent)")
NUMBERS = ("fee", "days", "score", "year")


def released(rng: random.Random) -> tuple[str, str]:
    """A subquery that is noised, with its key."""
    key = rng.choice(KEYS[:3])
    cut = rng.choice(["", " HAVING count(*) > 3", " ORDER BY x DESC LIMIT 2", " HAVING count(*) > 0 ORDER BY k LIMIT 3"])
    where = rng.choice(["", f" WHERE days > {rng.randrange(5)}"])
    return key, f"SELECT {key} AS k, {rng.choice(VALUES)} AS x FROM visits{where} GROUP BY {key}{cut}"


def deeper(rng: random.Random) -> tuple[str, str]:
    """The same through another step over released rows."""
    key, inner = released(rng)
    wrap = rng.choice(
        [
            "SELECT k, x FROM ({0}) a WHERE x > 1",
            "SELECT k, max(x) AS x FROM ({0}) a GROUP BY k",
            "SELECT k, rank() OVER (ORDER BY x) AS x FROM ({0}) a",
            "SELECT k, x FROM ({0}) a UNION ALL SELECT k, x + 1 AS x FROM ({0}) b",
            "SELECT a.k, a.x - b.x AS x FROM ({0}) a JOIN ({0}) b ON a.k = b.k",
        ]
    )
    return key, wrap.format(inner)


def sets(rng: random.Random) -> str:
    keys = rng.sample(KEYS, rng.randrange(1, 4))
    inside = ", ".join(keys)
    form = rng.choice(
        [f"ROLLUP ({inside})", f"CUBE ({inside})", f"GROUPING SETS (({inside}), ({keys[0]}), ())", f"{keys[0]}, CUBE ({keys[-1]})"]
    )
    return f"SELECT {rng.choice(VALUES)} AS a, {rng.choice(VALUES)} AS b, GROUPING({keys[0]}) AS g FROM visits GROUP BY {form}"


def inside(rng: random.Random) -> str:
    """Protected rows beside what was released."""
    key, table = (deeper if rng.random() < 0.4 else released)(rng)
    number = rng.choice(NUMBERS)
    condition = rng.choice(
        [
            f"v.{number} > (SELECT avg({number}) FROM visits)",
            f"v.{key} IN (SELECT k FROM ({table}) t)",
            f"v.{key} NOT IN (SELECT k FROM ({table}) t WHERE k IS NOT NULL)",
            f"v.{number} < (SELECT max(x) FROM ({table}) t)",
            f"EXISTS (SELECT 1 FROM ({table}) t WHERE t.k = v.{key})",
        ]
    )
    join = rng.choice(["", f" JOIN ({table}) s ON s.k = v.{key}", f" LEFT JOIN ({table}) s ON s.k = v.{key}"])
    more = ", sum(least(greatest(s.x, -5), 50)) AS c, count(s.x) AS d" if join else ""
    group = rng.choice([None, "v.city", "v.dept", "s.x > 3" if join else "v.year"])
    of, by = ("", "") if group is None else (f"{group} AS g, ", " GROUP BY g")
    value = rng.choice(("count(*)", "sum(v.fee)", "avg(v.days)"))
    return f"SELECT {of}{value} AS a{more} FROM visits v{join} WHERE {condition}{by}"


def outside(rng: random.Random) -> str:
    """A share of everything, or a query over released rows alone."""
    _, table = deeper(rng)
    return rng.choice(
        [
            "SELECT city, count(*) / (SELECT count(*) FROM visits) AS a FROM visits GROUP BY city",
            f"WITH t AS ({table}) SELECT dept, count(*) AS n FROM visits GROUP BY dept HAVING count(*) > (SELECT max(x) FROM t)",
            f"SELECT avg(x) AS a, max(x) AS b FROM ({table}) t",
            f"WITH t AS ({table}) SELECT t.k, t.x, u.x AS y FROM t JOIN t u ON t.k = u.k",
        ]
    )


SHAPES = {"sets": sets, "inside": inside, "outside": outside}


def drawn(shape: str, seed: int) -> Plan:
    return plan_for(SHAPES[shape](random.Random(seed)), groups_per_unit=2, rows_per_group=2)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(shape=st.sampled_from(sorted(SHAPES)), seed=st.integers(0, 10**9), rows=st.integers(0, 10**9))
def test_each_part_keeps_its_promise_whatever_was_released(shape: str, seed: int, rows: int) -> None:
    plan = drawn(shape, seed)
    assert violations(plan, data(rows), (1, 2), seed) == []
    if any(part.rows is not None for part in plan.parts):
        assert violations(plan, data(rows), (1, 2), seed, as_jobs_run) == []


def test_the_generator_reaches_every_form() -> None:
    plans = [drawn(shape, seed) for shape in SHAPES for seed in range(60)]
    assert any(len(plan.parts) >= 3 and not plan.views for plan in plans)  # grouping sets
    assert any(part.reads for plan in plans for part in plan.parts)  # released tables beside protected rows
    assert any(plan.parts[-1].reads and len(plan.views) > 1 for plan in plans)  # views over views
    assert any(not part.public_keys for plan in plans for part in plan.parts if part.reads)
    assert any(part.rows is not None for plan in plans for part in plan.parts if part.reads)  # for the dense kernel
    emitted = " ".join([*(part.shard_sql for plan in plans for part in plan.parts), *(view.sql for plan in plans for view in plan.views)])
    for form in ("SEMI JOIN", "ANTI JOIN|NOT ", "LEFT JOIN", " JOIN ", "UNION ALL", "LIMIT", "OVER \\(", "max\\("):
        assert re.search(form, emitted), form


def test_a_released_table_that_moved_with_the_unit_would_be_noticed() -> None:
    """The promise is about each part alone: computed from the smaller database's own average, counts may move by any number of units."""
    plan = plan_for("SELECT COUNT(*) AS n FROM visits WHERE days > (SELECT AVG(days) FROM visits)", groups_per_unit=1, rows_per_group=1)
    part = plan.parts[1]
    template = data(0)[0]
    everybody = [[pid, *template[1:6], 0 if pid == 1 else 5, *template[7:]] for pid in range(1, 11)]
    counts = []
    for rows in (everybody, everybody[1:]):  # the average goes from 4.5 to 5, and nobody is above it any more
        reads = [read for read, _ in in_turn(plan, tables(rows), 7)]
        counts.append(next(iter(ENGINE.totals(part, tables(rows), 7, reads[1]).values()), (0,))[0])
    assert abs(counts[0] - counts[1]) == 9 > part.total("t0").cap


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_order_of_rows_is_nothing(shape: str) -> None:
    for seed in range(4):
        plan, rows = drawn(shape, seed), data(seed)
        shuffled = list(rows)
        random.Random(seed).shuffle(shuffled)
        one, two = ([table.table for _, table in in_turn(plan, tables(these), 7)] for these in (rows, shuffled))
        assert all(a.equals(b) for a, b in zip(one, two, strict=True))
