"""The promise of models before noise: without one unit, a step's exact vector moves by at most the draw's cap in L2, whatever its parameters
are and whatever rows hold."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pytest

from sandbox.plan.fit.plan import ONE, PARAMETER_BITS, FitPlan
from sandbox.raw import fit_units
from sandbox.raw.fit_rows import prepared
from sandbox.raw.fit_units import shard_sums
from tests.models import plan_of, scanned, wild

FEATURES: list[dict[str, Any]] = [{"name": "x", "missing": 1}, {"name": "w"}, {"name": "r", "categories": "declared"}]
VARIANTS: list[dict[str, Any]] = [
    {},
    {"intercept": False},
    {"clip": "0.7"},
    {"rows_per_unit": 2, "errors": "robust"},
    {"features": [{"name": "open", "low": -1, "high": 1e6, "missing": 0}], "standardise": False},
]
MODELS = ("linear", "logistic", "poisson", "kmeans")


def plans() -> list[FitPlan]:
    found = []
    for model in MODELS:
        for variant in VARIANTS:
            given = {name: value for name, value in variant.items() if model != "kmeans" or name not in ("intercept", "errors")}
            found.append(plan_of(model, None, **{"features": FEATURES, **given}))
    return found


def parameters_of(plan: FitPlan, draw: random.Random) -> tuple[int, ...]:
    """Any that the finish could give: the start's, ordinary ones and the largest."""
    if plan.model == "kmeans":
        return tuple(draw.choice((draw.randint(-ONE, ONE), ONE, -ONE)) for _ in plan.start)
    most = 60 * 2**PARAMETER_BITS
    made = tuple(draw.choice((0, most, -most, draw.randint(-(2**21), 2**21))) for _ in plan.start)
    return (*made[:-1], draw.choice((16, 100, 1024))) if plan.model == "linear" else made


def farthest(plan: FitPlan, seed: int, persons: int = 8, without: int = 3) -> float:
    """How far leaving a unit out moves a draw at most, in parts of its cap."""
    draw = random.Random(seed)
    table = wild(seed, persons, 7)
    worst = 0.0
    whole = prepared(plan, scanned(plan, table))
    for place, step in enumerate(plan.steps):
        if place not in (0, len(plan.steps) - 1):
            continue
        parameters = plan.start if draw.random() < 0.3 else parameters_of(plan, draw)
        every = step.split(shard_sums(plan, step, parameters, whole))
        for unit in draw.sample(range(persons), without):
            rest = prepared(plan, scanned(plan, table.filter(pc.fill_null(pc.not_equal(table["u"], unit), True))))
            less = step.split(shard_sums(plan, step, parameters, rest))
            for one in step.draws:
                moved = sum((a - b) ** 2 for a, b in zip(every[one.name], less[one.name], strict=True))
                worst = max(worst, moved**0.5 / one.cap)
                assert moved <= one.cap**2, (plan.model, place, one.name, unit)
    return worst


def _several(plan: FitPlan) -> None:
    for seed in range(4):
        farthest(plan, seed)


@pytest.mark.parametrize("plan", plans(), ids=lambda plan: f"{plan.model}-{plan.digest[:6]}")
def test_without_a_unit_a_step_moves_by_its_cap_at_most(plan: FitPlan) -> None:
    for seed in range(5):
        farthest(plan, seed)


@pytest.mark.parametrize("model", MODELS)
def test_caps_are_reached_where_they_bind(model: str) -> None:
    plan = plan_of(model, None, features=FEATURES, clip="0.05")
    assert max(farthest(plan, seed) for seed in range(4)) > 0.99


def test_a_clip_left_out_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit_units, "clipped", lambda vectors, cap: vectors)
    for model in MODELS:
        with pytest.raises(AssertionError):
            _several(plan_of(model, None, features=FEATURES, clip="0.05"))


def test_weights_left_out_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is cut, weighing a unit's rows holds the cap by itself; without either, nothing does."""
    plan = plan_of("linear", None, features=FEATURES, rows_per_unit=1)
    monkeypatch.setattr(fit_units, "clipped", lambda vectors, cap: vectors)
    _several(plan)
    bounded = fit_units.Block.bounded

    def unweighed(self: fit_units.Block, rows: Any, cap: int, shift: int) -> Any:
        self.counts = np.zeros_like(self.counts)
        return bounded(self, rows, cap, shift)

    monkeypatch.setattr(fit_units.Block, "bounded", unweighed)
    with pytest.raises(AssertionError):
        _several(plan)


def test_a_unit_is_its_own_rows_alone() -> None:
    """Contributions are computed unit by unit: the same whoever else is there, to the last bit."""
    for model in MODELS:
        plan = plan_of(model, None, features=FEATURES, clip="0.3")
        table = wild(3, 12, 9)
        rows = prepared(plan, scanned(plan, table))
        parts = [prepared(plan, scanned(plan, table.filter(pc.fill_null(pc.equal(table["u"], unit), False)))) for unit in range(12)]
        for step in plan.steps:
            whole = shard_sums(plan, step, plan.start, rows)
            alone = [shard_sums(plan, step, plan.start, part) for part in parts]
            assert whole == [sum(values) for values in zip(*alone, strict=True)]
