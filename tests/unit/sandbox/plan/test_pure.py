"""Pure DP: delta 0 is taken at its word, the ledger's rho follows from epsilon, OpenDP agrees with both, and error bars are Laplace's."""

from __future__ import annotations

import dataclasses
import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.loss import PICO, Loss
from policies.problem import Problem
from sandbox.noise.chain import build, check
from sandbox.plan import compile_job
from sandbox.plan.ask import Ask, Privacy
from sandbox.plan.explain import explain
from sandbox.plan.model import Draw, Plan
from sandbox.plan.price import MAX_PICO_EPSILON
from sandbox.plan.spread import Z_LAPLACE, laplace_half_width
from tests.questions import CATALOGUE, with_part

COUNT = "SELECT COUNT(*) AS n FROM visits"
MANY = "SELECT city, COUNT(*) AS n, SUM(fee) AS s, AVG(days) AS d, MEDIAN(fee) AS m, MAX(score) AS x FROM visits GROUP BY city"


def pure(sql: str, **more: Any) -> Plan:
    return compile_job(sql, CATALOGUE, Ask.model_validate({"privacy": {"delta": "0", **more.pop("privacy", {"epsilon": "0.8"})}, **more}))


def test_one_count_is_priced_as_epsilon_and_charged_half_its_square() -> None:
    plan = pure(COUNT)
    (draw,) = plan.draws
    assert (draw.pico_epsilon, plan.loss) == (8 * PICO // 10, Loss(32 * PICO // 100))
    assert plan.epsilon == Decimal("0.8")
    assert (plan.pure, plan.delta) == (True, "0")
    assert draw.scale == pytest.approx(4 / 0.8, rel=1e-9)  # one group, at most four rows
    assert plan.outputs[0].mechanism == "discrete Laplace"
    check(plan)


def test_epsilons_add_up_over_totals_and_rho_does_too() -> None:
    plan = pure(MANY)
    parts = [draw.pico_epsilon or 0 for draw in plan.draws]
    assert 0.8 * PICO - len(parts) <= sum(parts) <= 0.8 * PICO
    assert plan.loss.pico_rho == sum(math.ceil(Fraction(part) ** 2 / (2 * PICO)) for part in parts)
    assert plan.epsilon == Decimal("0.8")
    for draw in plan.draws:
        total = plan.only.total(draw.total)
        moved = total.sensitivity * plan.only.groups_per_unit * (2 if total.kind == "quantile" else 1)
        assert draw.scale == pytest.approx(moved * PICO / draw.pico_epsilon, rel=1e-9)  # type: ignore[operator]  # pure draws have one
    check(plan)


@given(st.integers(1, 10**7), st.sampled_from([COUNT, MANY]))
def test_a_rho_asked_for_is_never_exceeded(millionths: int, sql: str) -> None:
    plan = pure(sql, privacy={"rho": Decimal(millionths) / 10**6})
    asked = millionths * PICO // 10**6
    assert asked * (1 - 1e-6) - 20 <= plan.loss.pico_rho <= asked
    check(plan)


def test_an_accuracy_is_met_at_the_least_epsilon() -> None:
    plan = pure("SELECT city, COUNT(*) AS n, COUNT(DISTINCT pid) AS p FROM visits GROUP BY city", privacy={"accuracy": "50"})
    assert all(output.half_width is not None and output.half_width <= 50 for output in plan.outputs if output.kind == "value")
    assert plan.epsilon is not None
    less = pure(plan.query, privacy={"epsilon": str(plan.epsilon * Decimal("0.99"))})
    assert any((output.half_width or 0) > 50 for output in less.outputs)


def test_the_largest_epsilon_is_still_a_loss() -> None:
    plan = pure(COUNT, privacy={"epsilon": "1000000000"})
    assert plan.draws[0].pico_epsilon == MAX_PICO_EPSILON
    check(plan)


def test_private_keys_are_refused_and_public_ones_are_not() -> None:
    with pytest.raises(Problem, match="plan_pure_private_keys"):
        pure("SELECT note, COUNT(*) AS n FROM visits GROUP BY note")
    assert pure("SELECT city, COUNT(*) AS n FROM visits GROUP BY city").public_keys


def with_draw(plan: Plan, **changes: Any) -> Plan:
    return with_part(plan, draws=(dataclasses.replace(plan.draws[0], **changes), *plan.draws[1:]))


@pytest.mark.parametrize("sql", [COUNT, "SELECT MEDIAN(fee) AS m FROM visits", "SELECT MAX(fee) AS m FROM visits"])
def test_any_other_epsilon_scale_or_rho_is_refused(sql: str) -> None:
    plan = pure(sql)
    (draw,) = plan.draws
    assert draw.pico_epsilon is not None
    check(plan)
    for changes in (
        {"scale": draw.scale * 0.999},
        {"scale": draw.scale * 1.001},
        {"pico_epsilon": draw.pico_epsilon * 999 // 1000},
        {"pico_epsilon": draw.pico_epsilon * 1001 // 1000},
        {"loss": Loss(draw.loss.pico_rho * 999 // 1000)},
        {"loss": Loss(draw.loss.pico_rho * 1001 // 1000)},
    ):
        with pytest.raises(Problem, match="plan_price_disagrees"):
            check(with_draw(plan, **changes))


def test_opendps_map_is_the_price() -> None:
    plan = pure(MANY)
    _, losses = build(plan.only)
    for draw in plan.draws:
        rho, delta = losses[draw.total]
        assert rho <= draw.loss.pico_rho / PICO <= rho * (1 + 1e-9) + 1e-12
        assert delta == 0


def test_a_pure_draw_has_no_threshold() -> None:
    with pytest.raises(ValueError, match="pure DP"):
        Draw("t0", 1.0, Loss(PICO // 2, 1), threshold=3, pico_epsilon=PICO)


# ---- error bars -------------------------------------------------------------------------------------------------------------------


def tail(scale: float, width: int) -> float:
    """P(|X| > width) of the discrete Laplace, by its definition."""
    weights = [math.exp(-k / scale) for k in range(int(60 * scale) + width + 60)]
    return 2 * math.fsum(weights[width + 1 :]) / (2 * math.fsum(weights) - 1)


@pytest.mark.parametrize("scale", [0.05, 0.2, 0.34, 0.5, 1.0, 1.7, 5.0, 51.25, 300.0])
def test_the_half_width_is_the_least_that_holds(scale: float) -> None:
    width = laplace_half_width(scale)
    assert tail(scale, width) <= 0.05
    assert width == 0 or tail(scale, width - 1) > 0.05


@pytest.mark.parametrize(("first", "second"), [(1.0, 1.0), (1.0, 0.5), (1.0, 0.1), (1.0, 0.01)])
def test_sums_of_two_stay_within_the_factor_of_one(first: float, second: float) -> None:
    """The tail of a sum of two Laplaces in closed form, at Z_LAPLACE standard deviations: at most 5 %."""
    at = Z_LAPLACE * math.sqrt(2 * (first**2 + second**2))
    if first == second:
        beyond = (1 + at / (2 * first)) * math.exp(-at / first)
    else:
        beyond = (first**2 * math.exp(-at / first) - second**2 * math.exp(-at / second)) / (first**2 - second**2)
    assert beyond <= 0.05 + 1e-12


def test_a_laplace_error_bar_is_wider_than_a_gaussians_at_the_same_rho() -> None:
    plan = pure(COUNT)
    gaussian = compile_job(COUNT, CATALOGUE, Ask(privacy=Privacy(rho=plan.loss.rho)))
    mine, other = plan.outputs[0].half_width, gaussian.outputs[0].half_width
    assert mine is not None
    assert other is not None
    assert mine > other


# ---- explain ----------------------------------------------------------------------------------------------------------------------


def test_explain_says_which_noise_and_why() -> None:
    said = explain(pure(MANY))
    price = said["price"]
    assert isinstance(price, dict)
    assert (price["pure"], price["delta"], price["epsilon"]) == (True, "0", "0.800000")
    mechanisms = {total["kind"]: total["mechanism"] for total in said["totals"]}  # type: ignore[attr-defined]  # a list of dicts
    assert mechanisms == {"count": "discrete Laplace", "sum": "discrete Laplace", "average": "discrete Laplace", "quantile": "permute-and-flip"}
    assert any("delta = 0" in sentence for sentence in said["en"])  # type: ignore[attr-defined]  # a list of text
    assert any("δ = 0" in sentence and "拉普拉斯" in sentence for sentence in said["zh"])  # type: ignore[attr-defined]  # a list of text
    usual = explain(compile_job(COUNT, CATALOGUE, Ask(privacy=Privacy(epsilon=Decimal(1)))))
    assert any("half the variance" in sentence for sentence in usual["en"])  # type: ignore[attr-defined]  # a list of text
