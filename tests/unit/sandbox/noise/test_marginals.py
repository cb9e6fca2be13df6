"""What one charge may look at: the price is OpenDP's own map, nothing is seen beyond it, and failures are constant."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from policies.loss import PICO, Loss
from policies.problem import Problem
from sandbox.noise import marginals
from sandbox.noise.marginals import Looks, check, filtered, marginal, scores, selection, sensitivity
from sandbox.plan.synthetic import SyntheticPlan
from sandbox.raw.marginals import ExactMarginals, marginals_of_table
from tests import visits
from tests.recipes import plan, stored

MADE = plan(rows_per_unit=2)


def exact(made: SyntheticPlan = MADE) -> ExactMarginals:
    return marginals_of_table(made, stored(visits.rows(200, 100)), 5)


@pytest.mark.parametrize("privacy", [{"epsilon": "1", "delta": "1e-10"}, {"rho": "0.000123456789"}, {"rho": "3"}])
@pytest.mark.parametrize("rows", [1, 2, 6])
def test_the_price_is_the_map_of_the_whole_charge(privacy: dict[str, str], rows: int) -> None:
    made = plan(privacy=privacy, rows_per_unit=rows)
    check(made)
    proved, price = Fraction(filtered(made).map(1)), Fraction(made.loss.pico_rho, PICO)
    assert abs(proved - price) <= price / 10**12


def test_maps_of_looks_follow_from_what_a_unit_moves() -> None:
    for scale in (0.7, 13.0, 500.0):
        assert marginal(MADE, (0,), scale).map(1) == pytest.approx(2**2 / (2 * scale**2))
        assert marginal(MADE, (0,), scale).map(2) == pytest.approx(4**2 / (2 * scale**2))
    weights = [1, 7, 3]
    assert sensitivity(MADE, weights) == 7 * 2 * marginals.GRAIN
    guesses = [np.zeros(MADE.cells((place,))) for place in range(3)]
    chosen = selection(MADE, [(0,), (1,), (2,)], weights, guesses, [0.0] * 3, 10.0**6)
    assert chosen.map(1) == pytest.approx((7 * 2 * marginals.GRAIN / 10**6) ** 2 / 2)


def test_nothing_is_seen_beyond_the_price() -> None:
    looks = Looks(MADE, exact())
    whole = looks.left
    assert MADE.loss.pico_rho * (1 - 2e-9) < whole < MADE.loss.pico_rho
    counts, scale = looks.measure((0,), whole // 2)
    assert len(counts) == MADE.sizes[0]
    assert scale == pytest.approx(2 * math.sqrt(PICO / (2 * (whole // 2))))
    looks.choose([(0,), (1,)], [1, 2], [np.zeros(MADE.sizes[0]), np.zeros(MADE.sizes[1])], [0.0, 0.0], whole // 4)
    left = looks.left
    assert left == whole - whole // 2 - whole // 4
    for asked in (left + 1, 0, -5):
        with pytest.raises(Problem, match="job_failed"):
            looks.measure((0,), asked)
    looks.measure((1,), left)  # to the last pico-rho: OpenDP's own filter has room for it
    with pytest.raises(Problem, match="job_failed"):
        looks.measure((1,), 1)


def test_opendp_itself_refuses_what_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even were our own count wrong."""
    looks = Looks(MADE, exact())
    monkeypatch.setattr(looks, "_left", 10 * MADE.loss.pico_rho)
    with pytest.raises(Problem, match="job_failed"):
        looks.measure((0,), 2 * MADE.loss.pico_rho)


def test_a_price_that_is_not_the_map_is_refused_before_anything_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    class Untouchable:
        @property
        def table(self) -> object:
            raise AssertionError("totals were touched")

    with pytest.raises(Problem) as caught:
        Looks(replace(MADE, loss=Loss(MADE.loss.pico_rho, 5)), Untouchable())
    assert caught.value.code == "plan_price_disagrees"
    monkeypatch.setattr(marginals, "moved", lambda _: lambda d_in: 2.5 * d_in)  # a map that says more than the price counts
    with pytest.raises(Problem) as caught:
        check(MADE)
    assert caught.value.code == "plan_price_disagrees"


def test_a_choice_whose_map_is_too_small_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marginals, "sensitivity", lambda plan, weights: max(weights))
    monkeypatch.setattr(marginals, "_gumbel_scale", lambda plan, weights, pico: 10.0**9)
    with pytest.raises(Problem):
        check(MADE)


def test_failures_inside_say_nothing() -> None:
    looks = Looks(MADE, exact())
    with pytest.raises(Problem) as caught:
        looks.choose([(0,)], [1], [np.zeros(99)], [0.0], 10**6)  # a guess of another size
    assert caught.value.code == "job_failed"
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert "redacted" in repr(looks)


def test_scores_are_weighted_distances_in_grains() -> None:
    assert scores(np.array([3, 0, 5]), np.array([1.0, 2.0, 5.5]), 1.5, 4) == 4 * 256 * 3  # 2 + 2 + 0.5 - 1.5
