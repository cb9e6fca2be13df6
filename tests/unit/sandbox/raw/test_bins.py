"""Totals with bins: the same whatever the shards, folded to one row per key, and through to an answer on dummy rows."""

from __future__ import annotations

import random
from decimal import Decimal

import pyarrow as pa
import pytest

from sandbox.dummy import dummy_answer
from sandbox.finish.finish import finish
from sandbox.noise.draw import draw
from sandbox.plan.model import Plan
from sandbox.raw.run import totals_of_tables
from sandbox.raw.totals import combine, shard_totals
from tests.questions import CATALOGUE, Engine, plan_for, scanned, tables, visit

QUERIES = (
    "SELECT city, MEDIAN(fee) AS m, COUNT(*) AS n FROM visits GROUP BY city",
    "SELECT note, MIN(days) AS a, MAX(score) AS b, COUNT(DISTINCT day) AS d FROM visits GROUP BY note",
    "SELECT COUNT(DISTINCT note) AS d, MEDIAN(days) AS m FROM visits",
)


def in_shards(plan: Plan, rows: list[list[object]], shards: int) -> list[dict[str, object]]:
    """Exact totals of rows divided by unit into that many shards, in descending order of shard."""
    parts = [[row for row in rows if hash(row[0]) % shards == shard] for shard in reversed(range(shards))]
    table: pa.Table = combine(plan.only, [shard_totals(plan.only, scanned(plan, tables(part)), 9) for part in parts]).table
    found: list[dict[str, object]] = table.to_pylist()
    return found


@pytest.mark.parametrize("sql", QUERIES)
def test_any_number_of_shards_gives_the_same(sql: str) -> None:
    rng = random.Random(4)
    rows = [visit(rng, rng.randrange(80)) for _ in range(1_500)]
    plan = plan_for(sql)
    whole = in_shards(plan, rows, 1)
    assert len({tuple(row[key.name] for key in plan.only.keys) for row in whole}) == len(whole) > 0
    for shards in (7, 64):
        assert in_shards(plan, rows, shards) == whole
    random.Random(5).shuffle(rows)
    assert in_shards(plan, rows, 3) == whole


def test_a_distinct_value_of_two_shards_counts_once() -> None:
    rng = random.Random(4)
    rows = [[*visit(rng, pid)[:13], "flu", "男"] for pid in range(40)]
    plan = plan_for("SELECT COUNT(DISTINCT note) AS d FROM visits")
    assert [row["t0"] for row in in_shards(plan, rows, 8)] == [1]


def test_no_rows_are_no_bins() -> None:
    plan = plan_for(QUERIES[2])
    assert in_shards(plan, [], 1) == [{"t0": 0, "t1": None}]


@pytest.mark.parametrize("sql", QUERIES)
def test_dummy_rows_have_an_answer(sql: str) -> None:
    released = dummy_answer(plan_for(sql, epsilon="100"), CATALOGUE)
    assert released.table.num_rows > 0
    for column in released.columns:
        if column.mechanism == "Gumbel noisy max":
            assert released.table.column(column.label + "__half_width").null_count == released.table.num_rows
            assert column.low is not None
            values = [float(value) for value in released.table.column(column.label).to_pylist()]
            assert all(Decimal(column.low) <= value <= Decimal(column.high or 0) for value in values)


def test_at_a_huge_epsilon_the_answer_is_the_plain_one() -> None:
    """Through noise and finish: bounds bind nothing, every value is a candidate."""
    sql = (
        "SELECT city, MIN(days) AS a, QUANTILE_DISC(days, 0.25) AS q, MEDIAN(days) AS m, MAX(days) AS b, COUNT(DISTINCT dept) AS d, "
        "VAR_POP(days) AS v FROM visits GROUP BY city ORDER BY city"
    )
    rng = random.Random(8)
    data = tables([visit(rng, pid) for pid in range(901)])
    plan = plan_for(sql, epsilon="1000000000")
    ours = finish(plan, [draw(plan.only, totals_of_tables(plan.only, scanned(plan, data), 3))]).table.to_pylist()
    theirs = Engine().query(sql, data).to_pylist()
    assert len(ours) == len(theirs) == 3
    for mine, plain in zip(ours, theirs, strict=True):
        assert [mine[label] for label in ("city", "a", "q", "b", "d")] == [plain[label] for label in ("city", "a", "q", "b", "d")]
        assert abs(mine["m"] - plain["m"]) <= 0.5
        assert mine["v"] == pytest.approx(plain["v"], rel=1e-3)
