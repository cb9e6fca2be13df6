"""Steps of models in the noise room: OpenDP's own map against the price, and what may be drawn."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import opendp.prelude as dp
import pytest

from policies.loss import Loss
from policies.problem import Problem
from sandbox.noise.fit import check_fit, checked_step, draw_step, unnoised_step, vector
from sandbox.plan.fit.plan import FitPlan, Step, VectorDraw
from sandbox.raw.fit_run import step_of_tables
from tests.models import people, plan_of, scanned

MODELS = ("linear", "logistic", "poisson", "kmeans")


def with_draw(plan: FitPlan, **changes: object) -> FitPlan:
    """The plan with its first draw changed."""
    first, *rest = plan.steps
    return replace(plan, steps=(Step((replace(first.draws[0], **changes), *first.draws[1:])), *rest))  # type: ignore[arg-type]  # fields by name


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("privacy", [{"rho": "0.1"}, {"epsilon": "1", "delta": "1e-6"}, {"accuracy": "5%"}, {"rho": "3e-8"}])
def test_opendp_agrees_with_the_price_of_every_model(model: str, privacy: dict[str, str]) -> None:
    errors = {} if model == "kmeans" else {"errors": "robust"}
    plan = plan_of(model, 5, privacy=privacy, clip="0.9", **errors)
    check_fit(plan)
    proved = sum(checked_step(plan, place).map(1) for place in range(len(plan.steps)))
    assert proved <= float(plan.loss.rho) * (1 + 1e-12)
    assert proved >= float(plan.loss.rho) * (1 - 1e-9) - 1e-12 * 30
    if "rho" in privacy:
        assert Decimal(privacy["rho"]) >= plan.loss.rho >= Decimal(privacy["rho"]) - Decimal("1e-10")
    if "epsilon" in privacy:
        assert plan.epsilon is not None
        assert Decimal("0.9999") <= plan.epsilon <= 1


def test_any_other_price_is_refused() -> None:
    plan = plan_of("logistic")
    first = plan.steps[0].draws[0]
    for changes in (
        {"scale": first.scale * 0.999},
        {"scale": first.scale * 1.001},
        {"cap": first.cap + 2**20},
        {"loss": Loss(first.loss.pico_rho - 10**6)},
        {"loss": Loss(first.loss.pico_rho + 10**6)},
    ):
        with pytest.raises(Problem, match="plan_price_disagrees"):
            check_fit(with_draw(plan, **changes))


def test_the_map_is_for_units_and_covers_the_cap() -> None:
    plan = plan_of("linear")
    stability = vector(plan, 0, "moments").map
    cap = plan.steps[0].draws[0].cap
    assert stability(1) >= cap
    assert stability(3) >= 3 * cap
    assert stability(1) <= cap * (1 + 2**-50)


def test_a_map_for_other_bounds_cannot_be_chained() -> None:
    plan = plan_of("linear")
    other = vector(with_draw(plan, cap=plan.steps[0].draws[0].cap // 2), 0, "moments")
    from sandbox.noise.fit import bounding

    with pytest.raises(dp.OpenDPException):
        bounding(plan, 0) >> other


def test_a_draw_has_the_shape_of_its_step_and_its_noise_is_new_every_time() -> None:
    plan = plan_of("logistic")
    totals = step_of_tables(plan, 0, plan.start, scanned(plan, people(500)))
    one, other = draw_step(plan, 0, totals), draw_step(plan, 0, totals)
    assert {name: len(values) for name, values in one.items()} == {"gradient": 3, "hessian": 6}
    assert one != other
    exact = unnoised_step(plan, 0, totals)
    for draw in plan.steps[0].draws:
        assert all(abs(a - b) < 8 * draw.scale for a, b in zip(one[draw.name], exact[draw.name], strict=True))


def test_a_vector_of_another_shape_fails_in_one_way() -> None:
    plan, other = plan_of("logistic"), plan_of("linear")
    totals = step_of_tables(other, 0, other.start, scanned(other, people(50)))
    with pytest.raises(Problem, match="job_failed") as failed:
        draw_step(plan, 0, totals)
    assert failed.value.__cause__ is None
    assert failed.value.__context__ is None


def test_a_draw_of_nothing_cannot_be_built() -> None:
    good = plan_of("linear").steps[0].draws[0]
    for changes in ({"cap": 0}, {"cap": 2**42}, {"scale": 0.0}, {"scale": float("inf")}, {"loss": Loss(0)}, {"loss": Loss(1, 1)}, {"size": 0}):
        with pytest.raises(ValueError, match="draw moments"):
            replace(good, **changes)
    assert isinstance(good, VectorDraw)
