"""The half-widths of variances and standard deviations hold in 95 % of cases, and are not wastefully wide."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from sandbox.plan.model import Plan
from tests.questions import Engine, plan_for

ROWS = 20_000
ENGINE = Engine()
FUNCTIONS = ("VAR_POP", "VAR_SAMP", "STDDEV_POP", "STDDEV_SAMP")
Floats = npt.NDArray[np.float64]
SHAPES: dict[str, Sequence[float]] = {  # values of a small group, repeated: scores lie in [-50, 600]
    "even": [-50, 80, 210, 340, 470, 600],
    "narrow": [270, 272, 275, 280],
    "low end": [-50, -50, -49, -40, 10],
    "both ends": [-50, 600],
    "skewed": [-50, -50, -50, -50, 600],
}


def plan_and_truth(values: Sequence[float], times: int) -> tuple[Plan, dict[str, float], dict[str, float]]:
    """A plan with all four functions, the exact totals of the values so repeated, and the true answers."""
    selected = ", ".join(f"{name}(score) AS {name}" for name in FUNCTIONS)
    plan = plan_for(f"SELECT {selected} FROM visits")
    x = np.repeat(np.array(values, dtype=float), times)
    totals: dict[str, float] = {}
    for total in plan.only.totals:
        if total.kind == "count":
            totals[total.name] = len(x)
        elif total.kind == "average":
            totals[total.name] = float((x * 10 - total.centre).sum())
        else:
            totals[total.name] = float((((x - 275) / 325) ** 2 * 10**9 - total.centre).sum())
    n = len(x)
    var = float(x.var())
    return (
        plan,
        totals,
        {"VAR_POP": var, "VAR_SAMP": var * n / (n - 1), "STDDEV_POP": math.sqrt(var), "STDDEV_SAMP": math.sqrt(var * n / (n - 1))},
    )


def answers(plan: Plan, totals: dict[str, float], noise: float = 1.0) -> pa.Table:
    """The answers to ROWS draws of noise. (A rounded Gaussian: at these scales nobody can tell it from a discrete one.)"""
    generator = np.random.default_rng(5)
    scales = {draw.total: draw.scale for draw in plan.draws}
    noisy = {name: np.rint(value + generator.normal(0, noise * scales[name], ROWS)).astype(np.int64) for name, value in totals.items()}
    return ENGINE.query(plan.finish_sql, {"noisy": pa.table(noisy)})


def column(table: pa.Table, name: str) -> Floats:
    return np.array(table.column(name).to_pylist(), dtype=float)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("rows", [30, 120, 1_000, 20_000])
def test_half_widths_hold(shape: str, rows: int) -> None:
    values = SHAPES[shape]
    plan, totals, truth = plan_and_truth(values, max(1, rows // len(values)))
    table = answers(plan, totals)
    for name, true in truth.items():
        value, width = column(table, name), column(table, name + "__half_width")
        said = ~np.isnan(value)
        assert (np.isnan(width) == ~said).all()
        held = np.abs(value[said] - true) <= width[said] * (1 + 1e-9)
        assert held.mean() > 0.95 - 4 * math.sqrt(0.05 * 0.95 / ROWS), (name, held.mean())


@pytest.mark.parametrize("shape", SHAPES)
def test_half_widths_are_not_wasteful(shape: str) -> None:
    """In a large group: no more than 1.6 times the width that would just hold; and one 30 % narrower fails where they are tight."""
    values = SHAPES[shape]
    plan, totals, truth = plan_and_truth(values, 20_000 // len(values))
    table = answers(plan, totals)
    for name, true in truth.items():
        width = float(np.median(column(table, name + "__half_width")))
        needed = float(np.quantile(np.abs(column(table, name) - true), 0.95))
        if shape in ("even", "both ends", "skewed"):
            assert width < 1.6 * needed, (name, width / needed)
            assert (np.abs(column(table, name) - true) <= 0.6 * width).mean() < 0.95


def test_more_noise_than_priced_is_noticed() -> None:
    plan, totals, truth = plan_and_truth(SHAPES["even"], 500)
    table = answers(plan, totals, noise=1.5)
    for name, true in truth.items():
        assert (np.abs(column(table, name) - true) <= column(table, name + "__half_width")).mean() < 0.93


def test_expected_half_widths_are_those_of_even_data() -> None:
    plan, totals, _ = plan_and_truth(SHAPES["even"], plan_for("SELECT COUNT(*) FROM visits").only.expected_rows // 6)
    table = answers(plan, totals)
    for output in plan.outputs:
        assert output.expected_half_width is not None
        assert output.expected_half_width == pytest.approx(float(np.median(column(table, output.label + "__half_width"))), rel=0.25)
