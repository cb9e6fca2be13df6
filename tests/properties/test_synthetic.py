"""Neighbours of synthetic tables: leave one unit out, and every exact marginal moves by at most the rows that a unit may have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.noise.marginals import Marginals, scores, sensitivity
from sandbox.plan.synthetic import SyntheticPlan
from sandbox.raw.marginals import marginals_of_table
from tests import visits
from tests.recipes import plan, stored


def counted(made: SyntheticPlan, table: pa.Table, seed: int) -> Marginals:
    return Marginals(made, marginals_of_table(made, table, seed).table)


@st.composite
def cases(draw: Any) -> tuple[SyntheticPlan, pa.Table, int]:
    """A plan over some of the columns, and rows of which some units have many, NULLs and values outside the domain among them."""
    names = draw(st.lists(st.sampled_from(["city", "fee", "score", "days", "born", "urgent"]), min_size=1, max_size=4, unique=True))
    most = draw(st.integers(1, 6))
    binned = {name: draw(st.integers(1, 6)) for name in names if name not in ("city", "urgent")}
    made = plan(columns=tuple(names), bins=binned, rows_per_unit=most)
    persons = draw(st.integers(1, 12))
    table = stored(visits.rows(draw(st.integers(1, 80)), persons))
    chance = np.random.default_rng(draw(st.integers(0, 2**32)))
    return made, table.take(pa.array(chance.permutation(table.num_rows))), draw(st.integers(0, 2**64 - 1))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(cases())
def test_one_unit_moves_each_marginal_by_at_most_its_rows(case: tuple[SyntheticPlan, pa.Table, int]) -> None:
    made, table, seed = case
    whole = counted(made, table, seed)
    units = table.column("person_id").to_numpy()
    for unit in np.unique(units):
        left = counted(made, table.filter(pa.array(units != unit)), seed)
        for columns in made.candidates:
            assert np.abs(whole.of(columns) - left.of(columns)).sum() <= made.rows_per_unit
            assert (whole.of(columns) >= left.of(columns)).all()  # its own rows and nobody else's


@settings(max_examples=100, deadline=None, derandomize=True)
@given(cases(), st.data())
def test_one_unit_moves_each_score_by_at_most_the_sensitivity(case: tuple[SyntheticPlan, pa.Table, int], data: st.DataObject) -> None:
    made, table, seed = case
    whole = counted(made, table, seed)
    units = table.column("person_id").to_numpy()
    left = counted(made, table.filter(pa.array(units != data.draw(st.sampled_from(sorted(set(units.tolist())))))), seed)
    chance = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    limit = sensitivity(made, list(made.candidates.values()))
    for columns, weight in made.candidates.items():
        guess = chance.normal(3, 5, made.cells(columns))
        level = float(chance.normal(0, 10))
        moved = scores(whole.of(columns), guess, level, weight) - scores(left.of(columns), guess, level, weight)
        assert abs(moved) <= limit
