"""Recipes become plans: levels from declarations, a workload, one price; whatever does not work is refused with its own code."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from policies.catalogue import Bounds
from policies.loss import pico_rho_for
from policies.problem import Problem
from sandbox.plan.model import ColumnUse
from sandbox.plan.synthetic import Recipe
from tests import visits
from tests.recipes import COLUMNS, plan, recipe


def test_levels_come_from_declarations() -> None:
    by_name = {one.column: one for one in plan().attributes}
    assert by_name["city"].values == visits.CITIES
    assert by_name["city"].size == 4  # NULL is one more
    assert by_name["urgent"].values == (False, True)
    assert (by_name["fee"].starts[0], by_name["fee"].starts[-1], by_name["fee"].filled) == (0, 100_001, 32)
    assert by_name["score"].starts == (-1, 0, 1, 2)  # no more bins than values: it has no decimals
    assert by_name["days"].filled == 8
    assert by_name["born"].starts[0] == (date(1900, 1, 1) - date(1970, 1, 1)).days
    widths = [b - a for a, b in zip(by_name["days"].starts, by_name["days"].starts[1:], strict=False)]
    assert max(widths) - min(widths) <= 1
    assert sum(widths) == 401


def test_edges_begin_bins() -> None:
    made = plan(columns=("days", "born"), bins={}, edges={"days": ("30", "100"), "born": ("1950-01-01",)})
    assert made.attributes[0].starts == (0, 30, 100, 401)
    assert made.attributes[1].starts[1] == (date(1950, 1, 1) - date(1970, 1, 1)).days


def test_the_workload_is_all_pairs_and_what_is_below_them() -> None:
    made = plan()
    assert len(made.workload) == 15
    assert len(made.candidates) == 6 + 15
    assert made.candidates[(0,)] == 5  # once for each pair it is in
    assert made.candidates[(0, 1)] == 2 + 4 + 4  # its own pair, and each end in four others
    named = plan(workload=(("urgent", "city", "fee"),), bins={"fee": 4})
    assert named.workload == ((0, 1, 5),)
    assert (0, 1, 5) in named.candidates
    assert (2, 3) not in named.candidates


def test_uses_and_price_are_public() -> None:
    made = plan()
    assert ColumnUse("visits", "city", "key") in made.uses
    assert ColumnUse("visits", "fee", "aggregate") in made.uses
    assert made.loss.pico_rho == pico_rho_for(Decimal(1), Decimal("1e-8"))
    assert made.loss.atto_delta == 0
    assert made.rows_per_unit == 6
    assert made.epsilon is not None
    assert made.epsilon <= 1
    assert plan(rows_per_unit=2).rows_per_unit == 2


def test_spelling_is_not_part_of_the_question() -> None:
    assert plan(columns=tuple(name.upper() for name in COLUMNS), bins={"DAYS": 8, "born": 5}).digest == plan().digest
    others = ({"bins": {}}, {"rows": 10}, {"rows_per_unit": 1}, {"privacy": {"rho": "0.1"}}, {"columns": COLUMNS[:-1]})
    assert len({plan(**change).digest for change in others} | {plan().digest}) == 6


def test_a_recipe_is_read_back_as_it_was() -> None:
    asked = recipe(edges={"fee": ("10.5",), "born": ("1950-01-01",)}, workload=(("city", "fee"),), bins={})
    assert Recipe.model_validate(asked.model_dump(mode="json")) == asked


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("plan_synthetic_unknown", {"dataset": "nowhere"}),
        ("plan_synthetic_unknown", {"columns": ("city", "colour"), "bins": {}}),
        ("plan_synthetic_column", {"columns": ("person_id",), "bins": {}}),
        ("plan_synthetic_column", {"columns": ("note",), "bins": {}}),
        ("plan_synthetic_column", {"columns": ("seen",), "bins": {}}),
        ("plan_synthetic_levels", {"bins": {"city": 4}}),
        ("plan_synthetic_levels", {"bins": {"note": 4}}),
        ("plan_synthetic_levels", {"bins": {"days": 4}, "edges": {"days": ("3",)}}),
        ("plan_synthetic_levels", {"bins": {}, "edges": {"days": ("30", "20")}}),
        ("plan_synthetic_levels", {"bins": {}, "edges": {"days": ("400000",)}}),
        ("plan_synthetic_levels", {"bins": {}, "edges": {"born": ("12",)}}),
        ("plan_synthetic_workload", {"workload": (("city", "note"),)}),
        ("plan_synthetic_workload", {"workload": (("city", "city"),)}),
        ("plan_synthetic_workload", {"columns": ("city", "City"), "bins": {}}),
        ("plan_synthetic_too_large", {"bins": {"fee": 2000, "born": 2000}}),
        ("plan_synthetic_privacy", {"privacy": {"epsilon": "1", "delta": "0"}}),
        ("plan_synthetic_privacy", {"privacy": {"accuracy": "2%"}}),
        ("plan_price_too_small", {"privacy": {"rho": "0.00000001"}}),
        ("plan_bound_widened", {"rows_per_unit": 7}),
    ],
)
def test_what_does_not_work_is_refused(code: str, change: dict[str, Any]) -> None:
    with pytest.raises(Problem) as caught:
        plan(**change)
    assert caught.value.code == code


def test_public_tables_are_not_synthesised() -> None:
    public = visits.dataset(unit=None)
    with pytest.raises(Problem) as caught:
        plan(public)
    assert caught.value.code == "plan_synthetic_unknown"


def test_columns_that_identify_are_refused() -> None:
    columns = [visits.column("card", "integer", low=Decimal(0), high=Decimal(9), unique=True), *visits.COLUMNS]
    with pytest.raises(Problem) as caught:
        plan(visits.dataset(columns), columns=("card", "city"), bins={})
    assert caught.value.code == "plan_synthetic_column"


def test_rows_per_unit_follow_the_catalogue() -> None:
    declared = visits.dataset().model_copy(update={"bounds": Bounds(groups_per_unit=5, rows_per_group=5, rows_per_unit=1)})
    assert plan(declared).rows_per_unit == 1
    assert plan(declared).single
    assert not plan().single
