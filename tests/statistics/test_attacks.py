"""What an attacker learns from choices and trees: a lower bound on epsilon from some thousand answers about two neighbouring databases.

Never above the promise; above it when the noise is a third of what was paid for, so the attack could have found the fault.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from scipy import stats

from policies.loss import PICO, Loss, zcdp_epsilon
from sandbox.noise.draw import draw
from sandbox.noise.space import BINS
from sandbox.plan.model import Draw, Key, Part, Total
from tests.handmade import Exact, part_of

P = 1e-6
SAMPLES = 3_000
DELTA = 1e-2
CELLS = Key("k0", "integer", tuple(range(SAMPLES)))
Ints = npt.NDArray[np.int64]
MEDIAN = Total("t0", "quantile", 0, 10, 1, step=10, quantile=(1, 2))  # two candidates


def answers(part: Part, counts: Sequence[int]) -> Ints:
    """The first column of many groups that all hold these counts by candidate."""
    bins = [{"bin": place, "n": n} for place, n in enumerate(counts) if n]
    exact = Exact(pa.table({"k0": np.arange(SAMPLES), "t0": pa.array([bins] * SAMPLES, BINS)}))
    found: Ints = draw(part, exact).table.column("t0").to_numpy()
    return found


def seen(without: Ints, with_one: Ints, delta: float) -> float:
    """The best lower bound on epsilon, at confidence 1 - P, over the events "this value" either way round (Clopper-Pearson)."""
    best = 0.0
    for value in np.unique(np.concatenate([without, with_one])):
        for one, other in ((with_one, without), (without, with_one)):
            hits, base = int((one == value).sum()), int((other == value).sum())
            low = float(stats.beta.ppf(P / 4, hits, SAMPLES - hits + 1)) if hits else 0.0
            high = float(stats.beta.ppf(1 - P / 4, base + 1, SAMPLES - base))
            best = max(best, math.log((low - delta) / high) if low > delta else 0.0)
    return best


def gumbel(scale: float) -> tuple[Part, float, float]:
    price = Loss(math.ceil(Fraction(1) / (2 * Fraction(scale) ** 2) * PICO * (1 + Fraction(1, 10**12))))
    return part_of((CELLS,), (MEDIAN,), (Draw("t0", scale, price),)), zcdp_epsilon(price.pico_rho / PICO, DELTA), DELTA


def flip(scale: float) -> tuple[Part, float, float]:
    pico = math.ceil(2 / Fraction(scale) * PICO * (1 + Fraction(1, 10**12)))
    drawn = Draw("t0", scale, Loss(-(-pico * pico // (2 * PICO))), pico_epsilon=pico)
    return part_of((CELLS,), (MEDIAN,), (drawn,)), pico / PICO, 0.0


def tree(scale: float) -> tuple[Part, float, float]:
    total = dataclasses.replace(MEDIAN, branching=4, also=(("t1", (1, 4)),))
    price = Loss(math.ceil(Fraction(total.levels) / (2 * Fraction(scale) ** 2) * PICO * (1 + Fraction(1, 10**12))))
    return part_of((CELLS,), (total,), (Draw("t0", scale, price),)), zcdp_epsilon(price.pico_rho / PICO, DELTA), DELTA


@pytest.mark.parametrize(("mechanism", "scale"), [(gumbel, 1.0), (flip, 2.0), (tree, 1.0)])
def test_an_attacker_sees_no_more_than_the_promise(mechanism: Callable[[float], tuple[Part, float, float]], scale: float) -> None:
    part, promised, delta = mechanism(scale)
    found = seen(answers(part, [3, 3]), answers(part, [3, 4]), delta)
    assert found <= promised
    assert found > 0.05 * promised  # there is something to see


@pytest.mark.parametrize(("mechanism", "scale"), [(gumbel, 1.0), (flip, 2.0), (tree, 1.0)])
def test_noise_far_too_small_for_its_price_would_be_seen(mechanism: Callable[[float], tuple[Part, float, float]], scale: float) -> None:
    _, promised, delta = mechanism(scale)
    small, _, _ = mechanism(scale / 8)
    assert seen(answers(small, [3, 3]), answers(small, [3, 4]), delta) > promised
