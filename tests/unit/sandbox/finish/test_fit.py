"""Meaning: with noise off, models are what any statistics package says; with noise, answers stay numbers."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from scipy import optimize

from sandbox.finish.finish import Released
from sandbox.finish.fit import lifted, moved_centres, symmetric
from sandbox.finish.fit_answer import CARD
from sandbox.noise.fit import Drawn, unnoised_step
from sandbox.plan.fit.plan import FitPlan
from sandbox.raw.totals import ExactTotals
from tests.models import people, plan_of, run

Floats = npt.NDArray[np.float64]


def columns(table: pa.Table) -> tuple[Floats, dict[str, Floats]]:
    """(1, x, w), and the targets."""
    x = np.stack([np.ones(table.num_rows), *(table[name].to_numpy().astype(float) for name in "xw")], axis=1)
    return x, {model: table[name].to_numpy(zero_copy_only=False).astype(float) for model, name in
               (("linear", "y"), ("logistic", "b"), ("poisson", "n"))}  # fmt: skip


def reference(model: str, x: Floats, y: Floats) -> tuple[Floats, Floats, Floats]:
    """Maximum likelihood by scipy, the matrix of second derivatives there, and residuals."""
    if model == "linear":
        beta = np.linalg.lstsq(x, y, rcond=None)[0]
        residual = x @ beta - y
        return beta, x.T @ x / (residual @ residual / (len(y) - x.shape[1])), residual

    def mean(beta: Floats) -> Floats:
        return 1 / (1 + np.exp(-x @ beta)) if model == "logistic" else np.exp(x @ beta)

    def minus_log_likelihood(beta: Floats) -> float:
        eta = x @ beta
        return float(np.sum((np.logaddexp(0, eta) if model == "logistic" else np.exp(eta)) - y * eta))

    found = optimize.minimize(
        minus_log_likelihood, np.zeros(x.shape[1]), jac=lambda beta: x.T @ (mean(beta) - y), method="BFGS", options={"gtol": 1e-4}
    )
    weight = mean(found.x) * (1 - mean(found.x)) if model == "logistic" else mean(found.x)
    return found.x, (x * weight[:, None]).T @ x, mean(found.x) - y


@pytest.mark.parametrize("model", ["linear", "logistic", "poisson"])
def test_without_noise_a_regression_is_maximum_likelihood_with_its_usual_errors(model: str) -> None:
    table = people(20_000)
    x, targets = columns(table)
    beta, information, _ = reference(model, x, targets[model])
    errors = np.sqrt(np.diag(np.linalg.inv(information)))
    answer = run(plan_of(model, privacy={"rho": "1000000"}), table, unnoised_step).table
    assert answer["term"].to_pylist() == ["(intercept)", "x", "w"]
    assert np.abs(np.array(answer["estimate"]) - beta).max() < 0.05 * errors.max()
    assert np.array(answer["standard_error"]) == pytest.approx(errors, rel=0.01)
    assert np.array(answer["high"]) - np.array(answer["low"]) == pytest.approx(2 * 1.96 * errors, rel=0.01)


@pytest.mark.parametrize("model", ["linear", "logistic", "poisson"])
def test_robust_errors_are_the_sandwich_over_units(model: str) -> None:
    """Four equal rows of each person: what is known is a quarter of what it seems."""
    single = people(5_000)
    table = single.take(np.repeat(np.arange(5_000), 4))
    x, targets = columns(table)
    beta, information, residual = reference(model, x, targets[model])
    if model == "linear":
        information = x.T @ x
    gradients = (residual[:, None] * x).reshape(-1, 4, 3).sum(axis=1)
    inverse = np.linalg.inv(information)
    errors = np.sqrt(np.diag(inverse @ (gradients.T @ gradients) @ inverse))
    answer = run(plan_of(model, 4, privacy={"rho": "1000000"}), table, unnoised_step).table
    assert np.abs(np.array(answer["estimate"]) - beta).max() < 0.05 * errors.max()
    assert np.array(answer["standard_error"]) == pytest.approx(errors, rel=0.02)


def test_ridge_and_no_intercept_are_what_they_are_called() -> None:
    table = people(5_000)
    x, targets = columns(table)
    scaled = x[:, 1:] / np.array([3.0, 100.0])  # 0 stays 0: the end farther from it is 1
    plan = plan_of("linear", intercept=False, regularisation="50", privacy={"rho": "1000000"})
    expected = np.linalg.solve(scaled.T @ scaled + 50 * np.eye(2), scaled.T @ targets["linear"]) / np.array([3.0, 100.0])
    answer = run(plan, table, unnoised_step).table
    assert answer["term"].to_pylist() == ["x", "w"]
    assert np.array(answer["estimate"]) == pytest.approx(expected, rel=1e-3)


def test_ridge_of_curved_models_holds_all_but_the_intercept_back() -> None:
    table = people(5_000)
    _, targets = columns(table)
    for model, link in (("logistic", lambda mean: np.log(mean / (1 - mean))), ("poisson", np.log)):
        free, held = (
            np.array(run(plan_of(model, regularisation=ridge, privacy={"rho": "1000000"}), table, unnoised_step).table["estimate"])
            for ridge in ("0", "1000000")
        )
        assert abs(held[1]) < 0.01 * abs(free[1])
        assert held[0] == pytest.approx(link(targets[model].mean()), abs=5e-3)


def test_without_noise_k_means_is_lloyds() -> None:
    draw = np.random.default_rng(4)
    middles = np.array([[-1.0, 20.0], [1.0, 80.0], [2.5, 30.0]])
    which = draw.integers(0, 3, 6_000)
    points = middles[which] + draw.normal(0, 1, (6_000, 2)) * [0.2, 5]
    table = people(6_000)
    table = table.set_column(1, "x", pa.array(np.clip(points[:, 0], -2, 3))).set_column(2, "w", pa.array(np.rint(points[:, 1]).astype(int)))
    plan = plan_of("kmeans", iterations=15, privacy={"rho": "1000000"})
    answer = run(plan, table, unnoised_step).table
    x, w = (np.array(answer[name]) for name in "xw")
    for (middle_x, middle_w), size in zip(middles, np.bincount(which), strict=True):
        nearest = int(np.argmin(np.abs(x - middle_x) + np.abs(w - middle_w) / 20))
        assert abs(x[nearest] - middle_x) < 0.02
        assert abs(w[nearest] - middle_w) < 0.5
        assert abs(answer["size"][nearest].as_py() - size) < 60
        assert answer["spread"][nearest].as_py() == pytest.approx(np.sqrt((0.2**2 / 2.5**2 + 5**2 / 50**2) / 2), rel=0.1)
    assert answer["size"].to_pylist() == sorted(answer["size"].to_pylist(), reverse=True)


def test_categories_are_compared_with_the_first() -> None:
    table = people(9_000)
    y = np.array([{"a": 1.0, "b": 3.0, "c{": -2.0}[group] for group in table["r"].to_pylist()])
    plan = plan_of("linear", features=[{"name": "r", "categories": "declared"}], privacy={"rho": "1000000"})
    answer = run(plan, table.set_column(3, "y", pa.array(y)), unnoised_step).table
    assert dict(zip(answer["term"].to_pylist(), answer["estimate"].to_pylist(), strict=True)) == pytest.approx(
        {"(intercept)": 1.0, "r=b": 2.0, "r=c{": -3.0}, abs=2e-3
    )


@pytest.mark.parametrize("model", ["linear", "logistic", "poisson", "kmeans"])
@pytest.mark.parametrize("rows", [0, 1, 3])
def test_next_to_no_data_still_gives_numbers(model: str, rows: int) -> None:
    """Nothing about how many rows there were may show as a failure."""
    errors: dict[str, Any] = {} if model == "kmeans" else {"errors": "robust"}
    for seed in range(3):
        answer = run(plan_of(model, privacy={"rho": "0.00001"}, **errors), people(rows, seed))
        for name in answer.table.column_names[1:]:
            assert np.isfinite(np.array(answer.table[name])).all()
        assert answer.table.num_rows == 3


def test_what_noise_alone_could_be_is_not_taken_for_knowledge() -> None:
    plan, rows = plan_of("logistic", privacy={"rho": "0.0001"}), people(200)
    errors = [np.array(run(plan, rows).table["standard_error"])[1] for _ in range(5)]
    assert np.median(errors) > 0.5  # two standardised, in units of x; noise itself puts one in three hundred below


def test_the_card_is_the_plans_and_says_nothing_of_data() -> None:
    plan = plan_of("logistic", clip="0.5")
    cards = [run(plan, people(100, seed)).papers[CARD] for seed in (1, 2)]
    assert cards[0] == cards[1]
    card = json.loads(cards[0])
    assert sum(Decimal(draw["rho"]) for step in card["steps"] for draw in step) == Decimal(card["price"]["rho"])
    assert card["steps"][0][0]["cap"] == pytest.approx(0.5, rel=1e-6)
    assert "clip" in " ".join(card["en"])


def test_matrices_are_lifted_to_where_noise_ends() -> None:
    matrix = symmetric(np.array([1.0, 2.0, 3.0, -5.0, 0.0, 4.0]), 3)
    assert matrix.tolist() == [[1, 2, 3], [2, -5, 0], [3, 0, 4]]
    assert np.linalg.eigvalsh(lifted(matrix, 0.5)).min() == pytest.approx(0.5 * np.sqrt(3))
    strong = np.eye(3) * 100
    assert lifted(strong, 0.5) == pytest.approx(strong)


def test_a_cluster_that_noise_may_have_made_up_keeps_its_centre() -> None:
    plan = plan_of("kmeans")
    at = np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]])
    draw = plan.steps[0].draws[0]
    near = int(draw.scale)
    drawn: Drawn = {"clusters": [near, 2**16, 2**16, -near, 5, 5, 10**9, 2**28, -(2**28)]}
    made = moved_centres(plan, 0, at, drawn)
    assert made[:2].tolist() == at[:2].tolist()
    assert made[2].tolist() != at[2].tolist()


def test_steps_are_as_many_as_planned_whatever_the_data_says() -> None:
    seen: list[int] = []

    def counted(plan: FitPlan, place: int, totals: ExactTotals) -> Drawn:
        seen.append(place)
        return unnoised_step(plan, place, totals)

    answer: Released = run(plan_of("logistic", iterations=12), people(0), counted)
    assert seen == list(range(12))
    assert answer.table.num_rows == 3
