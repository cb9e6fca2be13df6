"""Exact marginals: what a value's level is, what stays of a unit, and that neither order nor shards matter."""

from __future__ import annotations

import pickle
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from infra.vault import Vault
from infra.workers import InlineWorkers
from policies.catalogue import Catalogue
from policies.problem import Problem
from sandbox.plan.synthesise import compile_synthetic
from sandbox.plan.synthetic import Attribute, SyntheticPlan
from sandbox.raw.marginals import ExactMarginals, exact_marginals, kept_rows, levels_of, marginals_of_table
from tests import visits
from tests.recipes import plan, recipe, stored


def counts(made: SyntheticPlan, exact: ExactMarginals, *columns: str) -> dict[tuple[int, ...], int]:
    wanted = tuple(sorted(next(place for place, one in enumerate(made.attributes) if one.column == name) for name in columns))
    number = list(made.candidates).index(wanted)
    sizes = [made.sizes[place] for place in wanted]
    rows = [row for row in exact.table.to_pylist() if row["marginal"] == number]
    return {tuple(int(level) for level in np.unravel_index(row["cell"], sizes)): row["n"] for row in rows}


@pytest.mark.parametrize(
    ("attribute", "values", "kind", "levels"),
    [
        (Attribute("a", "text", True, values=("x", "y")), ["y", None, "x", "z"], pa.string(), [1, 2, 0, -1]),
        (Attribute("a", "text", False, values=("x",)), [None, "x"], pa.string(), [-1, 0]),
        (Attribute("a", "boolean", True, values=(False, True)), [True, None, False], pa.bool_(), [1, 2, 0]),
        (Attribute("a", "integer", False, starts=(0, 10, 20)), [-5, 9, 10, 19, 20, 2**62], pa.int64(), [0, 0, 1, 1, 1, 1]),
        (Attribute("a", "decimal", True, 2, starts=(0, 150, 300)), [Decimal("1.49"), Decimal("1.50"), None], pa.decimal64(18, 2), [0, 1, 2]),
        (
            Attribute("a", "number", True, 1, starts=(-10, 0, 10)),
            [float("nan"), float("inf"), -float("inf"), -0.04, -0.06, 1e300, None],
            pa.float64(),
            [2, 1, 0, 1, 0, 1, 2],
        ),
        (Attribute("a", "date", True, starts=(0, 1, 10)), [date(1970, 1, 1), date(1970, 1, 2), None], pa.date32(), [0, 1, 2]),
        (
            Attribute("a", "timestamp", False, starts=(-1, 0, 1)),
            [datetime(1969, 12, 31, 23), datetime(1970, 1, 1, 23)],  # noqa: DTZ001  # as stored: without a zone
            pa.timestamp("us"),
            [0, 1],
        ),
    ],
)
def test_levels(attribute: Attribute, values: list[object], kind: pa.DataType, levels: list[int]) -> None:
    assert levels_of(attribute, pa.array(values, kind)).tolist() == levels


def test_every_row_is_counted_once_in_every_marginal() -> None:
    made = plan()
    exact = marginals_of_table(made, stored(visits.rows(300, 100)), 7)
    sums: dict[int, int] = {}
    for row in exact.table.to_pylist():
        sums[row["marginal"]] = sums.get(row["marginal"], 0) + row["n"]
    assert set(sums) == set(range(len(made.candidates)))
    assert set(sums.values()) == {300}
    assert counts(made, exact, "urgent")[(2,)] == 60  # NULL


def test_units_keep_at_most_their_rows_and_the_same_ones_in_any_order() -> None:
    made = plan(rows_per_unit=2)
    table = stored(visits.rows(400, 50))
    exact = marginals_of_table(made, table, 7)
    assert sum(counts(made, exact, "city").values()) == 100
    shuffled = table.take(pa.array(np.random.default_rng(1).permutation(400)))
    assert marginals_of_table(made, shuffled, 7).table.equals(exact.table)
    assert not marginals_of_table(made, table, 8).table.equals(exact.table)  # another key, other rows


def test_rows_beyond_the_bound_are_spread_over_what_the_rows_say() -> None:
    units = pa.array(np.repeat(np.arange(500), 6))
    levels = np.tile(np.arange(6), 500).reshape(-1, 1)
    kept = kept_rows(units, levels, 2, 12345)
    assert np.bincount(units.to_numpy()[kept], minlength=500).tolist() == [2] * 500
    again = kept_rows(units, levels, 2, 12345)
    assert sorted(kept) == sorted(again)


def test_rows_outside_a_domain_and_without_a_unit_are_left_out() -> None:
    made = plan(columns=("city", "days"), bins={"days": 2})
    table = pa.table(
        {
            "city": pa.array(["晋中", "上海", "太原", "大同"]),
            "days": pa.array([1, 2, 3, 4]),
            "person_id": pa.array([1, 1, 2, None], pa.int64()),
        }
    )
    assert counts(made, marginals_of_table(made, table, 0), "city") == {(0,): 1, (1,): 1}


@pytest.mark.parametrize("shard_rows", [10**6, 20])
def test_shards_do_not_matter(tmp_path: Path, vault: Vault, inline_workers: InlineWorkers, shard_rows: int) -> None:
    declared = visits.dataset(rows=200)
    report = visits.ingested(vault, tmp_path, visits.rows(200, 60), declared, shard_rows=shard_rows)
    made = compile_synthetic(recipe(rows_per_unit=2), Catalogue((report.snapshot,)))
    exact = exact_marginals(made, vault, inline_workers, 99)
    whole = marginals_of_table(made, stored(visits.rows(200, 60)), 99)
    assert exact.table.equals(whole.table)


def test_failures_say_nothing() -> None:
    made = plan(columns=("city",), bins={})
    with pytest.raises(Problem) as caught:
        marginals_of_table(made, pa.table({"city": [["secret"]], "person_id": [1]}), 0)
    assert caught.value.code == "job_failed"
    assert caught.value.__cause__ is None
    assert "secret" not in str(caught.value)


def test_exact_marginals_redact_themselves() -> None:
    exact = ExactMarginals(pa.table({"n": [4711]}))
    assert "4711" not in f"{exact!r} {exact} {exact:>5}"
    with pytest.raises(TypeError):
        pickle.dumps(exact)
